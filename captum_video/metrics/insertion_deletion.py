"""Insertion and deletion: the score while a map's best units are added, or taken away."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from captum_video import baselines as replacements
from captum_video._captum import Target
from captum_video.baselines import Baseline
from captum_video.clips import Layout, clips_of, extent_of
from captum_video.curves import Curve
from captum_video.masks import RankedPrefixes
from captum_video.metrics._activations import Activation, activation_of
from captum_video.metrics._ranking import Order, Unit, Units, maps_of, ranks_of
from captum_video.perturb import PerturbationsPerEval, perturbed_scores


def insertion(
    forward_func: Callable,
    inputs: Tensor | tuple[Tensor, ...],
    attributions: Tensor | tuple[Tensor, ...],
    baselines: Baseline | tuple[Baseline, ...] = replacements.spatial_blur,
    additional_forward_args: Any = None,
    target: Target = None,
    perturbations_per_eval: PerturbationsPerEval = "auto",
    show_progress: bool = False,
    *,
    layout: str | Layout = "n c t h w",
    unit: Unit = "voxel",
    n_steps: int = 100,
    order: Order = "most",
    activation: Activation = "softmax",
    cell_shape: tuple[int, int, int] = (1, 16, 16),
    inputs_together: bool = False,
) -> Curve:
    """The score while a map's units are put into a baseline clip, best first. Higher is better.

    At step s the ``round(s U / S)`` first of U units show the clip and the others the baseline; both
    ends are included (Petsiuk et al., arXiv 1806.07421, sec. 4). Units are ranked by the mean of the
    map in them, summed over channels; of equal ones the earlier in (input, frame, row, column)
    counts as the more important. Of several inputs, the units of all share one ranking and come in one
    by one, so that what a map says about *which* input counts too; ``inputs_together`` asks for the
    place alone.

    Args:
        forward_func: the model, or any function that returns (N,) or (N, classes).
        inputs: clips in ``layout``, or a tuple of them.
        attributions: maps of the same shape, or with one channel; higher is more important.
        baselines: what the clip starts from; see `captum_video.baselines`. The paper blurs.
        additional_forward_args: Captum's; tensors have one entry per clip.
        target: Captum's `target <https://captum.ai/api/metrics.html>`_.
        perturbations_per_eval: steps per clip and pass, or ``"auto"``; no effect on the curve.
        show_progress: show a progress bar.
        layout: how inputs and attributions order their axes.
        unit: what is put in at once: ``"voxel"``, ``"cell"`` (see ``cell_shape``) or ``"frame"``.
        n_steps: S; at most as many as there are units.
        order: ``"most"`` or ``"least"`` important first.
        activation: ``"softmax"`` over the outputs before the target is chosen, or None.
        cell_shape: frames, height and width of a cell; cells at the far border are cut there.
        inputs_together: put in the same unit of all inputs at once, ranked by the sum of their maps;
            for equally long and large inputs.

    Returns:
        Fractions (S+1,), scores (N, S+1), area (N,).

    Raises:
        TypeError: an input, map or baseline of a wrong kind.
        ValueError: maps of another shape, or not finite; an option out of range; no target where the
            model has several outputs; inputs of different extents taken together.

    Cost:
        S + 1 passes per clip; memory of one chunk of clips, and the ranks.

    Note:
        Insertion, best first, is deletion, worst first, read from the other end, if both use one
        baseline. It lies where a baseline itself is evidence, or is far from all training clips.

    Example:
        >>> import torch
        >>> clip = torch.arange(1.0, 5.0).reshape(1, 1, 4, 1, 1)
        >>> curve = insertion(
        ...     lambda x: x.sum((1, 2, 3, 4)), clip, clip, baselines=0, activation=None, unit="frame"
        ... )
        >>> curve.scores, curve.area
        (tensor([[ 0.,  4.,  7.,  9., 10.]]), tensor([6.2500]))
    """
    return _curve(
        forward_func,
        inputs,
        attributions,
        baselines,
        additional_forward_args,
        target,
        perturbations_per_eval,
        show_progress,
        inserts=True,
        layout=Layout.of(layout),
        units=Units(unit, n_steps, order, cell_shape, inputs_together),
        activation=activation_of(activation),
    )


def deletion(
    forward_func: Callable,
    inputs: Tensor | tuple[Tensor, ...],
    attributions: Tensor | tuple[Tensor, ...],
    baselines: Baseline | tuple[Baseline, ...] = None,
    additional_forward_args: Any = None,
    target: Target = None,
    perturbations_per_eval: PerturbationsPerEval = "auto",
    show_progress: bool = False,
    *,
    layout: str | Layout = "n c t h w",
    unit: Unit = "voxel",
    n_steps: int = 100,
    order: Order = "most",
    activation: Activation = "softmax",
    cell_shape: tuple[int, int, int] = (1, 16, 16),
    inputs_together: bool = False,
) -> Curve:
    """The score while a map's units are replaced by a baseline, best first. Lower is better.

    Step s of a deletion, worst first, is step S - s of an `insertion`, best first, and everything
    said there holds here; only the default baseline differs (zero; Petsiuk et al., arXiv 1806.07421).

    Note:
        On video, deletion often ranks a random map above every method, because scattered holes are
        unlike any training clip: read it beside a random map, and after insertion.

    Example:
        >>> import torch
        >>> clip = torch.arange(1.0, 5.0).reshape(1, 1, 4, 1, 1)
        >>> deletion(
        ...     lambda x: x.sum((1, 2, 3, 4)), clip, clip, activation=None, unit="frame"
        ... ).scores
        tensor([[10.,  6.,  3.,  1.,  0.]])
    """
    return _curve(
        forward_func,
        inputs,
        attributions,
        baselines,
        additional_forward_args,
        target,
        perturbations_per_eval,
        show_progress,
        inserts=False,
        layout=Layout.of(layout),
        units=Units(unit, n_steps, order, cell_shape, inputs_together),
        activation=activation_of(activation),
    )


class _Game:
    """What `Insertion` and `Deletion` share: options once, then `evaluate` per batch."""

    higher_is_better: bool
    _play: Callable[..., Curve]

    def __init__(
        self,
        forward_func: Callable,
        layout: str | Layout = "n c t h w",
        unit: Unit = "voxel",
        n_steps: int = 100,
        baselines: Any = ...,
        order: Order = "most",
        activation: Activation = "softmax",
        cell_shape: tuple[int, int, int] = (1, 16, 16),
        *,
        inputs_together: bool = False,
    ) -> None:
        Units(unit, n_steps, order, cell_shape)
        activation_of(activation)
        self.forward_func = forward_func
        self.options: dict[str, Any] = {
            "layout": Layout.of(layout),
            "unit": unit,
            "n_steps": n_steps,
            "order": order,
            "activation": activation,
            "cell_shape": cell_shape,
            "inputs_together": inputs_together,
        }
        if baselines is not ...:
            self.options["baselines"] = baselines

    def evaluate(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        attributions: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
    ) -> Curve:
        """Measure one batch of maps; see the function for what the arguments and errors are.

        Args:
            inputs: clips in the declared layout, or a tuple of them.
            attributions: maps of the same shape, or with one channel.
            target: Captum's target.
            additional_forward_args: Captum's; tensors have one entry per clip.
            perturbations_per_eval: steps per clip and pass, or ``"auto"``.
            show_progress: show a progress bar.

        Returns:
            Fractions (S+1,), scores (N, S+1), area (N,).
        """
        return type(self)._play(
            self.forward_func,
            inputs,
            attributions,
            additional_forward_args=additional_forward_args,
            target=target,
            perturbations_per_eval=perturbations_per_eval,
            show_progress=show_progress,
            **self.options,
        )


class Insertion(_Game):
    """`insertion` with its options bound: higher is better; starts from a spatial blur.

    Args:
        forward_func: the model, or any function that returns (N,) or (N, classes).
        layout: how inputs and attributions order their axes.
        unit: ``"voxel"``, ``"cell"`` or ``"frame"``.
        n_steps: at most as many as there are units.
        baselines: what the clip starts from.
        order: ``"most"`` or ``"least"`` important first.
        activation: ``"softmax"`` or None.
        cell_shape: frames, height and width of a cell.
        inputs_together: the same unit of all inputs at once, or the units of all one by one.

    Example:
        >>> import torch
        >>> clips = torch.rand(2, 3, 4, 16, 16)
        >>> metric = Insertion(lambda x: x.mean((3, 4)).flatten(1), unit="frame")
        >>> metric.evaluate(clips, clips, target=1).scores.shape
        torch.Size([2, 5])
    """

    higher_is_better = True
    _play = staticmethod(insertion)


class Deletion(_Game):
    """`deletion` with its options bound: lower is better; ends in zeros.

    Arguments as for `Insertion`; ``baselines`` is what the clip ends in.
    """

    higher_is_better = False
    _play = staticmethod(deletion)


def _curve(
    forward_func: Callable,
    inputs: Tensor | tuple[Tensor, ...],
    attributions: Tensor | tuple[Tensor, ...],
    baselines: Baseline | tuple[Baseline, ...],
    additional_forward_args: Any,
    target: Target,
    perturbations_per_eval: PerturbationsPerEval,
    show_progress: bool,
    *,
    inserts: bool,
    layout: Layout,
    units: Units,
    activation: Callable[[Tensor], Tensor] | None,
) -> Curve:
    _, clips = clips_of(inputs, layout)
    maps = maps_of(attributions, clips, layout)
    ranks = [ranks_of([one[i] for one in maps], units) for i in range(len(clips[0]))]
    n_units = 1 + max(int(rank.max()) for rank in ranks[0])
    n_steps = min(units.n_steps, n_units)
    kept = torch.tensor([(2 * s * n_units + n_steps) // (2 * n_steps) for s in range(n_steps + 1)])
    if units.best_first != inserts:  # what is kept longest, or comes last, is the worst
        ranks = [[n_units - 1 - rank for rank in one] for one in ranks]
    counts = kept if inserts else kept.flip(0)
    scores = perturbed_scores(
        forward_func,
        clips,
        replacements.resolve(baselines, clips, layout),
        [[RankedPrefixes(rank, counts, extent_of(rank)) for rank in one] for one in ranks],
        layout=layout,
        target=target,
        activation=activation,
        additional_forward_args=additional_forward_args,
        perturbations_per_eval=perturbations_per_eval,
        show_progress=show_progress,
        description="Insertion" if inserts else "Deletion",
    )
    changed = counts if inserts else n_units - counts
    return Curve((changed.double() / n_units).to(scores), scores)
