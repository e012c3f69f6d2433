"""An LSTM that looks at all of its past inputs at every step."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from captum_video.nn import _causal_attention as causal
from captum_video.nn._released_cell import from_released_cell
from captum_video.nn._sequences import (
    Lengths,
    States,
    beyond_end,
    check_inputs,
    check_sizes,
    check_states,
    checked_lengths,
)


class InputCellAttentionLSTM(nn.Module):
    """LSTM with input-cell attention, so that saliency does not vanish back in time.

    Step t is fed not its own input, but what ``hops`` attentions see of all inputs up to it (Ismail
    et al., NeurIPS 2019, arXiv 1910.12370)::

        A_t = softmax over s <= t of (W2 tanh(W1 x_s + b1) + b2)      hops x (t + 1)
        M_t = A_t [x_0 .. x_t]                                        hops x input_size

    so that every input has a direct path to every later state. The mean of M_t's rows (the authors'
    code), or the rows one after the other (their released model), go to the gates of a library
    ``nn.LSTM``; further layers are plain. The scores do not depend on t: all steps are computed at
    once, exactly, in time and memory linear in T.

    Takes the place of ``nn.LSTM(batch_first=True)``. Weights start Xavier-uniform, biases at 0.

    Args:
        input_size: features of a step.
        hidden_size: of the LSTM.
        num_layers: of the LSTM; the attention stands before the first.
        bias: whether the LSTM has biases; the attention does.
        dropout: between the layers of the LSTM.
        attention_size: width of the hidden layer that scores a step (the paper's d_a).
        hops: number of attentions (the paper's r).
        combine: ``"mean"`` over hops, or ``"concat"``, hops * input_size features.
        device: as in ``nn.LSTM``.
        dtype: as in ``nn.LSTM``.
        batch_first: True; there for code that says so.
        bidirectional: False: a backward direction would see the future.

    Raises:
        ValueError: a size that is not positive, an unknown ``combine``, ``batch_first=False`` or
            ``bidirectional=True``.

    Example:
        >>> import torch
        >>> cell = InputCellAttentionLSTM(300, 256, num_layers=3, combine="mean")
        >>> outputs, (h_n, c_n) = cell(torch.rand(2, 30, 300))
        >>> outputs.shape, h_n.shape
        (torch.Size([2, 30, 256]), torch.Size([3, 2, 256]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        *,
        attention_size: int = 50,
        hops: int = 20,
        combine: Literal["mean", "concat"] = "mean",
        device: Any = None,
        dtype: torch.dtype | None = None,
        batch_first: bool = True,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(
            input_size=input_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            attention_size=attention_size,
            hops=hops,
        )
        if combine not in ("mean", "concat"):
            raise ValueError(f"combine: expected 'mean' or 'concat', got {combine!r}")
        if not batch_first:
            raise ValueError("batch_first: expected True (inputs (N, T, F)), got False")
        if bidirectional:
            raise ValueError(
                "bidirectional: expected False, got True: the attention is over past inputs, and a "
                "backward direction would see the future"
            )
        self.combine = combine
        place = {"device": device, "dtype": dtype}
        self.linear_first = nn.Linear(input_size, attention_size, **place)
        self.linear_second = nn.Linear(attention_size, hops, **place)
        seen = input_size if combine == "mean" else hops * input_size
        self.lstm = nn.LSTM(
            seen, hidden_size, num_layers, bias, batch_first=True, dropout=dropout, **place
        )
        self.reset_parameters()

    @property
    def input_size(self) -> int:
        """Features of a step."""
        return self.linear_first.in_features

    @property
    def hops(self) -> int:
        """Number of attentions."""
        return self.linear_second.out_features

    def reset_parameters(self) -> None:
        """Draw the weights anew: matrices Xavier-uniform, biases 0."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    @classmethod
    def from_released(
        cls, state_dict: Mapping[str, Tensor], prefix: str = ""
    ) -> "InputCellAttentionLSTM":
        """Build the module from the weights of the authors' released cell.

        Args:
            state_dict: with ``weight_iBarh`` (input_size or hops * input_size, 4 H: mean or
                concatenation), ``weight_hh`` (H, 4 H), ``bias`` (4 H,), gates in the order i, f, g, o,
                and ``linear_first`` and ``linear_second`` with ``.weight`` and ``.bias``. Other keys
                are of no concern.
            prefix: what the keys start with, such as ``"rnn."``.

        Returns:
            A module of one layer, in the dtype of ``weight_iBarh``, on the CPU.

        Raises:
            ValueError: a key is missing, or a shape does not fit; names it, with what was expected
                and what came.
        """
        options, weights = from_released_cell(state_dict, prefix)
        module = cls(**options)
        module.load_state_dict(weights)
        return module

    def forward(
        self,
        inputs: Tensor | PackedSequence,
        initial_states: States | None = None,
        lengths: Lengths | None = None,
        return_attention: bool = False,
    ) -> tuple[Any, ...]:
        """Outputs and last states, as ``nn.LSTM`` gives them.

        Args:
            inputs: (N, T, F), one sequence (T, F), or a packed sequence.
            initial_states: h_0 and c_0, (num_layers, N, H) each, without N for one sequence; by
                default 0.
            lengths: (N,) own number of steps of each sequence, 1 to T; what lies beyond is not
                looked at.
            return_attention: give the attention as well: N * hops * T * T numbers.

        Returns:
            Outputs (N, T, H), or packed where the inputs are; 0 beyond a sequence's own end. Then
            (h_n, c_n), (num_layers, N, H) each, at each sequence's own end. With
            ``return_attention`` third the weights (N, hops, T, T): row t, of the step that looks
            back, sums to 1 over s <= t; all else is 0, and so are rows beyond a sequence's own end.
            One sequence: all without N.

        Raises:
            TypeError: inputs are no floating-point tensor or packed sequence.
            ValueError: sequences that are empty, or of another feature size or dtype; lengths or
                states that do not fit.

        Cost:
            That of ``nn.LSTM``, and of :meth:`attend`; memory linear in T (without the attention).
        """
        check_inputs(inputs, self.linear_first.weight)
        options = (initial_states, lengths, return_attention)
        if isinstance(inputs, PackedSequence):
            outputs, states, attention = self._run_packed(inputs, *options)
        elif inputs.ndim == 2:
            outputs, states, attention = self._run_one(inputs, *options)
        else:
            outputs, states, attention = self._run(inputs, *options)
        return (outputs, states, attention) if return_attention else (outputs, states)

    def scores(self, inputs: Tensor) -> Tensor:
        """How strongly each attention asks for each step, before the softmax over the past.

        Args:
            inputs: (N, T, F).

        Returns:
            (N, T, hops), float32 or better also under autocast, because they are exponentiated.
        """
        with torch.autocast(inputs.device.type, enabled=False):
            dtype = torch.promote_types(inputs.dtype, self.linear_first.weight.dtype)
            dtype = torch.promote_types(dtype, torch.float32)
            hidden = _linear(self.linear_first, inputs.to(dtype)).tanh()
            return _linear(self.linear_second, hidden)

    def attend(self, inputs: Tensor, scores: Tensor | None = None) -> Tensor:
        """What the LSTM is fed at every step.

        Args:
            inputs: (N, T, K), the features that are averaged over the past.
            scores: (N, T, hops) from :meth:`scores`, where they are to be held constant or those
                of other features; by default those of the inputs.

        Returns:
            (N, T, K), or (N, T, hops * K) for ``combine="concat"``; float32 or better. Linear in
            the inputs where scores are given.

        Cost:
            Linear in T. Several times as much where the weights of ``linear_second`` are so large
            that scores may have to be scaled before they are exponentiated.
        """
        scores = self.scores(inputs) if scores is None else scores
        attend = causal.attend if self._scores_are_small() else causal.attend_scaled
        with torch.autocast(inputs.device.type, enabled=False):
            seen = attend(scores, inputs.to(scores.dtype), self.combine == "mean")
        return seen if self.combine == "mean" else seen.flatten(2)

    def extra_repr(self) -> str:
        """What is not to be seen from the layers."""
        return f"combine={self.combine!r}"

    def _run(
        self, inputs: Tensor, states: States | None, lengths: Lengths | None, dense: bool
    ) -> tuple[Any, ...]:
        check_states(states, self.lstm, (len(inputs),))
        if lengths is None:
            outputs, states = self.lstm(self._for_lstm(inputs), states)
            return outputs, states, causal.dense_weights(self.scores(inputs)) if dense else None
        lengths = checked_lengths(lengths, inputs)
        beyond = beyond_end(lengths, inputs)
        inputs = inputs.masked_fill(beyond, 0)  # a weight of 0 does not silence a NaN
        packed = pack_padded_sequence(self._for_lstm(inputs), lengths, True, enforce_sorted=False)
        packed, states = self.lstm(packed, states)
        outputs, _ = pad_packed_sequence(packed, True, total_length=inputs.shape[1])
        if not dense:
            return outputs, states, None
        attention = causal.dense_weights(self.scores(inputs))
        return outputs, states, attention.masked_fill(beyond[:, None], 0)

    def _run_one(
        self, inputs: Tensor, states: States | None, lengths: Lengths | None, dense: bool
    ) -> tuple[Any, ...]:
        if lengths is not None:
            raise ValueError(f"lengths: expected None for one sequence (T, F), got {lengths!r}")
        check_states(states, self.lstm, ())
        outputs, states = self.lstm(self._for_lstm(inputs[None])[0], states)
        return (
            outputs,
            states,
            causal.dense_weights(self.scores(inputs[None]))[0] if dense else None,
        )

    def _run_packed(
        self, inputs: PackedSequence, states: States | None, lengths: Lengths | None, dense: bool
    ) -> tuple[Any, ...]:
        if lengths is not None:
            raise ValueError("lengths: expected None for a packed sequence, which has its own")
        check_states(states, self.lstm, (int(inputs.batch_sizes[0]),))
        in_order = PackedSequence(inputs.data, inputs.batch_sizes)  # longest first, as stored
        padded, lengths = pad_packed_sequence(in_order, True)
        seen = pack_padded_sequence(self._for_lstm(padded), lengths, True)
        outputs, states = self.lstm(inputs._replace(data=seen.data), states)
        if not dense:
            return outputs, states, None
        attention = causal.dense_weights(self.scores(padded))
        attention = attention.masked_fill(beyond_end(lengths, padded)[:, None], 0)
        order = inputs.unsorted_indices
        return outputs, states, attention if order is None else attention[order]

    def _for_lstm(self, inputs: Tensor) -> Tensor:
        return self.attend(inputs).to(next(self.lstm.parameters()).dtype)

    def _scores_are_small(self) -> bool:
        """Whether no input whatever can give a score out of range: tanh is between -1 and 1."""
        second = self.linear_second
        bound = second.weight.detach().abs().sum(1) + second.bias.detach().abs()
        return bool((bound <= causal.SAFE_SCORE).all())


def _linear(layer: nn.Linear, inputs: Tensor) -> Tensor:
    return functional.linear(inputs, layer.weight.to(inputs.dtype), layer.bias.to(inputs.dtype))
