"""Average drop and increase: the score of what a map keeps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from captum_video._captum import Target
from captum_video.baselines import Baseline, resolve
from captum_video.clips import Layout, clips_of
from captum_video.metrics._activations import Activation, activation_of
from captum_video.metrics._ranking import maps_of
from captum_video.metrics._scale import min_max
from captum_video.perturb import PerturbationsPerEval, perturbed_scores


class DropAndIncrease(NamedTuple):
    """What becomes of the score of N clips when only a map's evidence is left.

    Attributes:
        drop: (N,), in [0, 1], share of the score that is lost; lower is better.
        increase: (N,), bool, whether the score rose; more is better.
    """

    drop: Tensor
    increase: Tensor


def average_drop_and_increase(
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
    activation: Activation = "softmax",
) -> DropAndIncrease:
    """Share of the score lost when a clip is shown through its map: lower is better; and whether it rose.

    With m the map of the clip, summed over channels and scaled to [0, 1], the clip is shown as
    ``e = m x + (1 - m) b``, and of its score y = f(x) there is left o = f(e):

        drop = max(0, y - o) / y,    increase = o > y: higher is better

    (Chattopadhyay et al., Grad-CAM++, arXiv 1710.11063, section 4.1, there averaged over clips and in
    percent). Of several inputs all maps of a clip share one scale, so that what they say about
    which input counts too. A score of 0 has nothing to lose: its drop is 0.

    Args:
        forward_func: the model, or any function that returns (N,) or (N, classes).
        inputs: clips in ``layout``, or a tuple of them.
        attributions: maps of the same shape, or with one channel; higher is more important.
        baselines: what is shown where a map is 0; see `captum_video.baselines`. The paper's is zero.
        additional_forward_args: Captum's; tensors have one entry per clip.
        target: Captum's `target <https://captum.ai/api/metrics.html>`_.
        perturbations_per_eval: clips shown per clip and pass, or ``"auto"``; no effect on the result.
        show_progress: show a progress bar.
        layout: how inputs and attributions order their axes.
        activation: ``"softmax"`` over the outputs before the target is chosen, or None.

    Returns:
        drop and increase, (N,) each. A constant map hides everything.

    Raises:
        TypeError: an input, map or baseline of a wrong kind.
        ValueError: maps of another shape, or not finite; an option out of range; no target where the
            model has several outputs; a score below 0, of which no share can be lost.

    Cost:
        Two passes per clip.

    Note:
        It rewards maps that are high everywhere: one that keeps the whole clip but for a corner drops
        nothing. So it lies about methods with an offset (RISE) and about coarse maps; read it beside
        `half_energy_area`. What is dimmed in part is unlike any training clip, most of all over black.
        It asks only for the scale of the map, not for its order alone: taking its square changes it.

    Example:
        >>> import torch
        >>> clip = torch.ones(2, 1, 4, 1, 1)
        >>> maps = torch.tensor([[3.0, 1, 1, 1], [1, 1, 1, 0]]).view(2, 1, 4, 1, 1)
        >>> found = average_drop_and_increase(
        ...     lambda x: x.sum((1, 2, 3, 4)), clip, maps, activation=None
        ... )
        >>> found.drop, found.increase
        (tensor([0.7500, 0.2500]), tensor([False, False]))
    """
    layout = Layout.of(layout)
    _, clips = clips_of(inputs, layout)
    maps = _kept(maps_of(attributions, clips, layout), clips)
    scores = perturbed_scores(
        forward_func,
        clips,
        resolve(baselines, clips, layout),
        [[_WholeAndShown(one[i]) for one in maps] for i in range(len(clips[0]))],
        layout=layout,
        target=target,
        activation=activation_of(activation),
        additional_forward_args=additional_forward_args,
        perturbations_per_eval=perturbations_per_eval,
        show_progress=show_progress,
        description="Average drop",
    )
    if scores.min() < 0:
        raise ValueError(
            f"scores: expected at least 0, of which a share can be lost, got {scores.min():.3g}; "
            f"activation='softmax' gives such"
        )
    whole, shown = scores.unbind(1)
    lost = (whole - shown).clamp(min=0)
    return DropAndIncrease(lost / whole.where(whole > 0, 1), shown > whole)


class _WholeAndShown:
    """Two masks of a clip: everything, and what its map keeps."""

    def __init__(self, kept: Tensor) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: slice) -> Tensor:
        numbers = range(2)[index]
        masks = self._kept.new_ones((len(numbers), 1, *self._kept.shape))
        if 1 in numbers:
            masks[numbers.index(1)] = self._kept
        return masks


def _kept(maps: list[Tensor], clips: tuple[Tensor, ...]) -> list[Tensor]:
    """The maps (N, T, H, W) of all inputs on one scale from 0 to 1 for each clip, in its dtype."""
    scaled = min_max(torch.cat([one.flatten(1) for one in maps], 1))
    parts = scaled.split([one[0].numel() for one in maps], dim=1)
    return [
        part.view(one.shape).to(clip) for part, one, clip in zip(parts, maps, clips, strict=True)
    ]
