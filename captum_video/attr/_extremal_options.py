"""What a search for extremal masks can be asked, checked once."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from captum_video.clips import (
    Extent,
    Layout,
    clip_of,
    extent_of,
    map_dtype,
    per_input,
    window_of,
)

Over = Literal["space-time", "time"]
Grid = tuple[int | None, int | None, int | None]
FINEST_GRID = Extent(16, 8, 8)


def checked_areas(areas: Any, clip: Tensor) -> Tensor:
    """Areas (A,), on the device of the clip."""
    if not isinstance(areas, tuple | list) or not areas:
        raise TypeError(f"areas: expected a tuple of shares, got {areas!r}")
    if any(not isinstance(a, int | float) or not 0 < a < 1 for a in areas):
        raise ValueError(f"areas: expected shares in (0, 1), got {areas!r}")
    return torch.tensor([float(a) for a in areas], dtype=torch.float64, device=clip.device)


def check_options(
    goal: Any,
    over: Any,
    substrate: Any,
    activation: Any,
    max_iterations: Any,
    tolerance: float,
    grid_shape: Any,
) -> None:
    """Raise ValueError for what is unknown, out of range, or of no use beside the others."""
    for name, value, known in (
        ("goal", goal, ("preserve", "delete", "both")),
        ("over", over, ("space-time", "time")),
        ("activation", activation, ("softmax", None)),
    ):
        if value not in known:
            raise ValueError(f"{name}: expected one of {known}, got {value!r}")
    if over != "time" and substrate in ("freeze", "reverse"):
        raise ValueError(
            f"substrate {substrate!r}: changes the order of whole frames, so it is for over='time', "
            f"got over={over!r}"
        )
    if over == "time" and grid_shape is not None:
        raise ValueError(f"grid_shape: over='time' has one value per frame, got {grid_shape!r}")
    if not isinstance(max_iterations, int) or max_iterations < 1:
        raise ValueError(f"max_iterations: expected at least 1, got {max_iterations!r}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected at least 0, got {tolerance!r}")


def masked_apart(clips: tuple[Tensor, ...], together: bool) -> tuple[Tensor, ...]:
    """The clips that have masks of their own: the first for all, or every one."""
    extents = {extent_of(clip) for clip in clips}
    if together and len(extents) > 1:
        raise ValueError(
            f"inputs: masks are shared, so expected one extent, got {sorted(map(str, extents))}; "
            f"inputs_together=False searches masks for each"
        )
    return clips[:1] if together else clips


def grids_of(clips: Sequence[Tensor], shapes: Any, over: Over) -> list[Extent]:
    """Nodes of the masks of each clip; 1 along an axis on which they do not vary."""
    extents = [extent_of(clip) for clip in clips]
    if over == "time":
        return [Extent(extent.frames, 1, 1) for extent in extents]
    if shapes is None:
        return [Extent(*map(min, FINEST_GRID, extent)) for extent in extents]
    filled = [
        tuple(1 if nodes is None else nodes for nodes in shape)
        if isinstance(shape, tuple | list)
        else shape
        for shape in per_input(shapes, len(clips), "grid_shape")
    ]
    return [window_of(one, "grid_shape", e) for one, e in zip(filled, extents, strict=True)]


def maps_to_start_from(
    given: Any, clips: tuple[Tensor, ...], layout: Layout, together: bool
) -> list[Tensor] | None:
    """Maps (N, 1, T, H, W) to start from, one for each set of masks."""
    if given is None:
        return None
    every = given if isinstance(given, tuple) else (given,)
    if len(every) != len(clips):
        raise ValueError(f"initial: expected one per input ({len(clips)}), got {len(every)}")
    maps = []
    for one, clip in zip(every, clips, strict=True):
        seen = clip_of(one, layout, "initial").detach().to(clip.device)
        if seen.shape[1] not in (1, clip.shape[1]) or (
            (len(seen), *seen.shape[2:]) != (len(clip), *clip.shape[2:])
        ):
            raise ValueError(
                f"initial: expected {tuple(clip.shape)} as (n, c, t, h, w), got {tuple(seen.shape)}"
            )
        maps.append(seen.sum(1, keepdim=True, dtype=map_dtype(clip.dtype)))
    return [torch.stack(maps).sum(0)] if together else maps
