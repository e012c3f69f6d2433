"""Insertion and deletion: the score while a map's best units are added, or taken away."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from captum_video import baselines as replacements
from captum_video._captum import Target
from captum_video.baselines import Baseline
from captum_video.clips import Layout
from captum_video.curves import Curve
from captum_video.metrics._activations import Activation, activation_of
from captum_video.metrics._prefix_curve import prefix_curve
from captum_video.metrics._ranking import Order, Unit, Units
from captum_video.perturb import PerturbationsPerEval


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
    segment_length: int = 4,
    feature_mask: Tensor | tuple[Tensor, ...] | None = None,
) -> Curve:
    """The score while a map's units are put into a baseline clip, best first. Higher is better.

    At step s the ``round(s U / S)`` first of U units show the clip and the others the baseline; both
    ends are included (Petsiuk et al., arXiv 1806.07421, sec. 4). Units are ranked by the mean of the
    map in them, summed over channels; of equal ones the earlier in (input, frame, row, column)
    counts as the more important. Of several inputs, the units of all share one ranking and come in one
    by one, so that what a map says about *which* input counts too; ``inputs_together`` asks for the
    place alone.

    With a ``feature_mask``, units are the regions that its labels name: superpixels, say, or tubes. Of
    equal ones the lower label is the more important. Regions differ in size and clips in their number
    of regions, so there the fractions are shares of the *voxels*, for each clip its own: a large
    region counts for as much as it covers, and of a score that is a sum over voxels, the map that
    names its summands has the largest area that regions allow.

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
        unit: what is put in at once: ``"voxel"``, ``"cell"`` (see ``cell_shape``), ``"frame"`` or
            ``"segment"`` (see ``segment_length``).
        n_steps: S; at most as many as there are units (of regions, in the clip that has most; a
            clip that has fewer repeats a point).
        order: ``"most"`` or ``"least"`` important first.
        activation: ``"softmax"`` over the outputs before the target is chosen, or None.
        cell_shape: frames, height and width of a cell; cells at the far border are cut there.
        inputs_together: put in the same unit of all inputs at once, ranked by the sum of their maps;
            for equally long and large inputs, with one feature mask.
        segment_length: frames of a segment; the last may be shorter.
        feature_mask: labels of regions, whole numbers, (T, H, W) for all clips, or (N, 1, T, H, W),
            whatever the layout; or one per input. Then ``unit`` is left as it is.

    Returns:
        Fractions (S+1,), or (N, S+1) with a feature mask; scores (N, S+1), area (N,).

    Raises:
        TypeError: an input, map or baseline of a wrong kind.
        ValueError: maps of another shape, or not finite; an option out of range; no target where the
            model has several outputs; inputs of different extents taken together; a feature mask of
            another shape, or beside another unit.

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
    return prefix_curve(
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
        units=Units(unit, n_steps, order, cell_shape, segment_length, inputs_together),
        feature_mask=feature_mask,
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
    segment_length: int = 4,
    feature_mask: Tensor | tuple[Tensor, ...] | None = None,
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
    return prefix_curve(
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
        units=Units(unit, n_steps, order, cell_shape, segment_length, inputs_together),
        feature_mask=feature_mask,
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
        segment_length: int = 4,
    ) -> None:
        Units(unit, n_steps, order, cell_shape, segment_length, inputs_together)
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
            "segment_length": segment_length,
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
        *,
        feature_mask: Tensor | tuple[Tensor, ...] | None = None,
    ) -> Curve:
        """Measure one batch of maps; see the function for what the arguments and errors are.

        Args:
            inputs: clips in the declared layout, or a tuple of them.
            attributions: maps of the same shape, or with one channel.
            target: Captum's target.
            additional_forward_args: Captum's; tensors have one entry per clip.
            perturbations_per_eval: steps per clip and pass, or ``"auto"``.
            show_progress: show a progress bar.
            feature_mask: labels of regions of these clips; then units are regions.

        Returns:
            Fractions (S+1,), or (N, S+1) with a feature mask; scores (N, S+1), area (N,).
        """
        return type(self)._play(
            self.forward_func,
            inputs,
            attributions,
            additional_forward_args=additional_forward_args,
            target=target,
            perturbations_per_eval=perturbations_per_eval,
            show_progress=show_progress,
            feature_mask=feature_mask,
            **self.options,
        )


class Insertion(_Game):
    """`insertion` with its options bound: higher is better; starts from a spatial blur.

    Args:
        forward_func: the model, or any function that returns (N,) or (N, classes).
        layout: how inputs and attributions order their axes.
        unit: ``"voxel"``, ``"cell"``, ``"frame"`` or ``"segment"``.
        n_steps: at most as many as there are units.
        baselines: what the clip starts from.
        order: ``"most"`` or ``"least"`` important first.
        activation: ``"softmax"`` or None.
        cell_shape: frames, height and width of a cell.
        inputs_together: the same unit of all inputs at once, or the units of all one by one.
        segment_length: frames of a segment.

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
