"""What an LSTM with input-cell attention makes of its inputs, and of the model's."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from captum.attr import GradientAttribution, LayerAttribution
from torch import Tensor, nn

from captum_video._captum import Target, arguments_of, forward, log_usage, select, take_target
from captum_video.attr._cell_run import CellRun, GraphFrom, watched
from captum_video.attr._layers import find_layer
from captum_video.clips import check_values, map_dtype, named_inputs
from captum_video.nn import InputCellAttentionLSTM

Kind = Literal["gradient", "attention", "attention_x_gradient"]


class InputCellAttribution(LayerAttribution, GradientAttribution):
    """Which steps of its input sequence, and which features, an input-cell attention LSTM used.

    With S the score, x_s (s = 1 .. T) what enters the cell, A its attention, ``a_t = sum_s A[t, s]
    x_s`` what the attention hands to the LSTM at step t, and ``g_t = dS / da_t``
    (:class:`captum_video.nn.InputCellAttentionLSTM`; Ismail et al., NeurIPS 2019, arXiv 1910.12370):

    - ``"gradient"``: ``dS / dx_s``, signed, through values and attention (what the paper looks at, as
      an absolute value);
    - ``"attention"``: ``(1/T) sum_t mean over hops of A[t, s]``, the share of all that the LSTM was
      handed that came from step s. It says where the cell looked, not what it made of it, and knows
      nothing of the target;
    - ``"attention_x_gradient"``: ``x_s * sum_t A[t, s] g_t``, summed over hops where they are
      concatenated. Its sum over steps and features is ``sum_t <a_t, g_t>``, the first-order effect
      on the score of all that the LSTM was handed.

    Args:
        forward_func: the model.
        cell: the :class:`captum_video.nn.InputCellAttentionLSTM` in it, or its name. It runs once in
            a forward pass, on (N, T, F); sequences of several lengths come with ``lengths``.

    Raises:
        TypeError: the cell is another kind of module.
        ValueError: it is not in the model.

    Example:
        >>> import torch
        >>> from captum_video.nn import InputCellAttentionLSTM
        >>> class Net(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.cell, self.fc = InputCellAttentionLSTM(6, 8), torch.nn.Linear(8, 2)
        ...     def forward(self, sequences):
        ...         return self.fc(self.cell(sequences)[0][:, -1])
        >>> used = InputCellAttribution(Net(), "cell")
        >>> used.attribute(torch.rand(3, 20, 6), target=1).shape
        torch.Size([3, 20, 6])
    """

    def __init__(self, forward_func: Callable, cell: nn.Module | str) -> None:
        layer = find_layer(forward_func, cell)
        if not isinstance(layer, InputCellAttentionLSTM):
            raise TypeError(f"cell: expected an InputCellAttentionLSTM, got {type(layer).__name__}")
        super().__init__(forward_func, layer)

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: Any = None,
        *,
        kind: Kind = "gradient",
        to_inputs: bool = False,
    ) -> Tensor | tuple[Tensor, ...]:
        """Attribute the score to the cell's input sequence, or further back to the model's inputs.

        Args:
            inputs: what the model takes, clips or sequences, N first; or a tuple of them.
            target: Captum's `target <https://captum.ai/api/layer.html>`_; ``"attention"`` does not
                need it.
            additional_forward_args: Captum's; tensors have one entry per clip.
            kind: see the class.
            to_inputs: attribute to the model's inputs instead, back through what stands before the
                cell; paths that pass by the cell do not count. For ``"attention_x_gradient"`` this is input times gradient of ``sum_t <a_t,
                g_t>`` with A and g held constant; its sum is that effect no longer where the encoder
                is not linear. ``"attention"`` has no pixels.

        Returns:
            (N, T, F), what entered the cell; with ``to_inputs`` shape of the inputs, a tuple where
            they are. Signed, in units of score (a gradient: per unit of input), higher speaks for the
            target; for ``"attention"`` shares, the same for all features of a step, which sum to 1
            over the steps. Steps beyond a sequence's own end have 0. Float32 or better.

        Raises:
            TypeError: an input is no floating-point tensor, or the cell was given a packed sequence.
            ValueError: the cell does not run just once on one sequence per clip; the score does not
                depend on what is asked for; an option or target out of range; empty or not finite
                inputs.

        Cost:
            One forward and one backward pass, memory linear in T: the attention is never written out.
            Without ``to_inputs`` no graph is kept below the cell.
        """
        _check_options(kind, to_inputs)
        is_tuple, named = _checked_inputs(inputs)
        n_clips = len(next(iter(named.values())))
        arguments = arguments_of(additional_forward_args, n_clips)
        row_target = take_target(target, range(n_clips), n_clips)
        graph_from: GraphFrom = None if kind == "attention" else "inputs" if to_inputs else "cell"
        with watched(self.layer, graph_from) as run:
            leaves = tuple(_usable(tensor).requires_grad_(to_inputs) for tensor in named.values())
            shown = tuple(leaf.clone() for leaf in leaves) if to_inputs else leaves
            outputs = forward(self.forward_func, shown, _usable(arguments), gradients=True)
            run.check(n_clips)
            if kind == "attention":
                return _share(self.layer, run)
            score = select(outputs, row_target, n_clips)
            slopes = _slopes(self.layer, score, run, kind)
            sources = leaves if to_inputs else (run.sequences,)
            gradients = _gradients(run.sequences, sources, slopes)
            maps = gradients if kind == "gradient" else _times(sources, gradients)
            maps = tuple(m.to(map_dtype(m.dtype)).contiguous() for m in maps)  # Captum views them
        return maps if is_tuple and to_inputs else maps[0]


def _check_options(kind: str, to_inputs: bool) -> None:
    if kind not in ("gradient", "attention", "attention_x_gradient"):
        raise ValueError(
            f"kind: expected 'gradient', 'attention' or 'attention_x_gradient', got {kind!r}"
        )
    if kind == "attention" and to_inputs:
        raise ValueError(
            "to_inputs: expected False for kind 'attention', got True: attention weighs steps of the "
            "cell's input sequence and knows of nothing before it"
        )


def _checked_inputs(inputs: Any) -> tuple[bool, dict[str, Tensor]]:
    is_tuple, named = named_inputs(inputs)
    for name, tensor in named.items():
        check_values(tensor, name)
    sizes = [len(tensor) if tensor.ndim else 0 for tensor in named.values()]
    if len(set(sizes)) > 1 or not sizes[0]:
        raise ValueError(f"inputs: expected as many clips in each, on the first axis, got {sizes}")
    return is_tuple, named


def _usable(value: Any) -> Any:
    """Free of any graph, and copied where the caller's inference mode forbids to build one on it."""
    if isinstance(value, tuple):
        return tuple(_usable(entry) for entry in value)
    if not isinstance(value, Tensor):
        return value
    return value.clone() if value.is_inference() else value.detach()


def _gradients(
    outputs: Tensor, sources: tuple[Tensor, ...], weights: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Gradients of ``sum weights * outputs``; 0 for a source that has no part in it."""
    connected = outputs.requires_grad and all(source.requires_grad for source in sources)
    weights = torch.ones_like(outputs) if weights is None else weights
    found = (
        torch.autograd.grad(outputs, sources, weights, retain_graph=True, allow_unused=True)
        if connected
        else (None,)
    )
    if all(gradient is None for gradient in found):
        raise ValueError(
            "cell: the score does not depend on the cell, or the cell on the inputs, by a "
            "differentiable path (does an encoder or a head run under torch.no_grad?)"
        )
    return tuple(
        torch.zeros_like(source) if gradient is None else gradient
        for source, gradient in zip(sources, found, strict=True)
    )


def _slopes(cell: InputCellAttentionLSTM, score: Tensor, run: CellRun, kind: Kind) -> Tensor:
    """Slope of the score, or of the effect of what the LSTM is handed, at the cell's input."""
    if kind == "gradient":
        return _gradients(score, (run.sequences,))[0]
    (slopes,) = _gradients(score, (run.attended,))
    return _received(cell, run, run.unpacked(slopes)).to(run.sequences.dtype)


def _times(sources: tuple[Tensor, ...], gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Products, 0 where the gradient is, whatever padding holds."""
    return tuple(
        torch.where(gradient != 0, source.detach() * gradient, 0)
        for source, gradient in zip(sources, gradients, strict=True)
    )


def _received(cell: InputCellAttentionLSTM, run: CellRun, slopes: Tensor) -> Tensor:
    """``sum_t A[t, s] slopes_t``: what each step gets back through the attention, (N, T, K).

    The attention with its scores held is linear in what it averages: this is its transpose.
    """
    with torch.no_grad():
        scores = cell.scores(run.sequences.masked_fill(run.own == 0, 0))
    hops = cell.hops if cell.combine == "concat" else 1
    shape = (*slopes.shape[:2], slopes.shape[2] // hops)
    with torch.enable_grad():
        values = torch.zeros(shape, dtype=scores.dtype, device=scores.device, requires_grad=True)
        attended = cell.attend(values, scores)
    return torch.autograd.grad(attended, values, slopes.to(attended.dtype))[0]


def _share(cell: InputCellAttentionLSTM, run: CellRun) -> Tensor:
    """The mean of the attention's rows over own steps and hops, for every feature: (N, T, F)."""
    own = run.own.to(map_dtype(run.sequences.dtype))
    slopes = own / own.sum(1, keepdim=True)
    if cell.combine == "concat":
        slopes = slopes.expand(-1, -1, cell.hops) / cell.hops
    return _received(cell, run, slopes).expand_as(run.sequences).contiguous()
