"""Where a map is highest, and how much of that lies inside a mask."""

import torch
from torch import Tensor

from captum_video.clips import CANONICAL, Layout, clip_of
from captum_video.metrics._energy import check_truth


def share_of_best(values: Tensor, inside: Tensor) -> Tensor:
    """Mean of ``inside`` over the entries of the last axis that equal its maximum.

    One best entry gives 0 or 1; several equal ones what a fair draw among them would give on average.
    """
    best = (values == values.amax(-1, keepdim=True)).double()
    return (best * inside).sum(-1) / best.sum(-1)


def summed_maps(attributions: Tensor, layout: str | Layout) -> Tensor:
    """Maps (N, T, H, W) in float64, summed over channels.

    Raises:
        TypeError: the maps of several inputs, or no floating-point tensor.
        ValueError: no maps of this layout, or not finite.
    """
    if isinstance(attributions, tuple):
        raise TypeError(
            f"attributions: expected the maps of one input, got a tuple of {len(attributions)}; "
            f"measure each by itself"
        )
    maps = clip_of(attributions, Layout.of(layout), "attributions")
    return maps.detach().sum(1, dtype=torch.float64)


def known_places(mask: object, maps: Tensor) -> Tensor:
    """A mask (N, T, H, W) in float64 for maps of that shape.

    Args:
        mask: (N or 1, channels, T, H, W); a place is inside as far as any of its channels is.
        maps: (N, T, H, W).

    Raises:
        TypeError: no tensor.
        ValueError: another shape, values outside [0, 1], or a clip without any place inside.
    """
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask: expected a tensor, got {type(mask).__name__}")
    n, *extent = maps.shape
    if (
        mask.ndim != 5
        or len(mask) not in (1, n)
        or not mask.shape[1]
        or [*mask.shape[2:]] != extent
    ):
        raise ValueError(
            f"mask: expected ({n} or 1, channels, {', '.join(map(str, extent))}) as {CANONICAL!r}, "
            f"got {tuple(mask.shape)}"
        )
    truth = mask.detach().to(maps)
    check_truth(truth.flatten(1))
    return truth.amax(1).expand_as(maps)
