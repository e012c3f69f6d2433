"""Which masks RISE draws for which inputs, and what they hide there."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.clips import extent_of, map_dtype, per_input
from captum_video.masks import RandomGrids

_LEAST_CHANGE = 0.1


def streams_for(
    clips: tuple[Tensor, ...],
    shapes: Any,
    keep_probability: float,
    n_masks: int,
    generator: torch.Generator,
    together: bool,
) -> list[RandomGrids]:
    """One stream for all inputs, or one for each."""
    own_shapes = per_input(shapes, len(clips), "grid_shape") if not together else [shapes]
    if together:
        _check_extents(clips)
    generators = _one_for_each(own_shapes, generator)
    return [
        RandomGrids(extent_of(clip), shape, keep_probability, n_masks, source, clip.device)
        for clip, shape, source in zip(clips, own_shapes, generators, strict=not together)
    ]


def changes_of(
    clips: tuple[Tensor, ...], hidden: tuple[Tensor, ...], streams: Sequence[RandomGrids]
) -> Tensor:
    """How much of the inputs the masks can change, at each place that the regression looks at.

    ``sum_c (x - b)²``, averaged around a lattice point, over its mean over the points; a tenth is
    added everywhere, for places that look alike hidden and shown, but matter to the network.

    Args:
        clips: (N, C, T, H, W), one per input.
        hidden: what stands where masks are 0, broadcastable to each input.
        streams: one for all inputs, or one for each.

    Returns:
        (N, points of all streams in a row), float64.
    """
    pairs = list(zip(clips, hidden, strict=True))
    groups = [[pair] for pair in pairs] if len(streams) == len(clips) else [pairs]
    parts = []
    for masks, group in zip(streams, groups, strict=True):
        pooled = [_relative(_change(clip, under, masks)) for clip, under in group]
        parts.append(torch.stack(pooled).mean(0) + _LEAST_CHANGE)
    return torch.cat(parts, dim=1)


def _change(clip: Tensor, hidden: Tensor, masks: RandomGrids) -> Tensor:
    """Around the points of these masks, one clip at a time: (N, points)."""
    frames, rows, columns = (len(axis) for axis in masks.lattice())
    pooled = []
    for n, one in enumerate(clip):
        apart = (one - hidden[n if len(hidden) > 1 else 0]).to(map_dtype(one.dtype))
        squares = apart.square_().sum(0).double()
        pooled.append(functional.adaptive_avg_pool3d(squares[None], (frames, rows, columns)))
    return torch.stack(pooled).flatten(1)


def _relative(change: Tensor) -> Tensor:
    """Over its mean; the same everywhere where nothing changes."""
    mean = change.mean(1, keepdim=True)
    return torch.where(mean > 0, change / mean.clamp_min(1e-300), 1.0)


def _check_extents(clips: tuple[Tensor, ...]) -> None:
    extents = {extent_of(clip) for clip in clips}
    if len(extents) > 1:
        raise ValueError(
            f"inputs: masks are shared, so expected one extent, got {sorted(map(str, extents))}; "
            f"inputs_together=False draws masks for each"
        )


def _one_for_each(shapes: Sequence, generator: torch.Generator) -> list[torch.Generator]:
    """A generator for each stream, so that none depends on the length of another."""
    if len(shapes) == 1:
        return [generator]
    device = generator.device
    seeds = torch.randint(2**62, (len(shapes),), generator=generator, device=device)
    return [torch.Generator(device).manual_seed(seed) for seed in seeds.tolist()]
