"""What occlusion hides: windows, tubes or regions of each clip and input."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from captum_video.clips import Extent, extent_of, per_input, window_of
from captum_video.masks import (
    Joined,
    MaskStream,
    Regions,
    SlidingWindows,
    Tubes,
    Untouched,
    labels_of,
    values_of,
)

Window = tuple[int | None, int | None, int | None]


class Hiding(MaskStream, Protocol):
    """Masks that each hide one place, and the sum of what they hide."""

    def hidden_sum(self, weights: Tensor) -> Tensor: ...


def hidings_of(
    clips: tuple[Tensor, ...],
    shapes: Any,
    strides: Any,
    flow: Any,
    feature_mask: Any,
    together: bool,
) -> Sequence[Sequence[Hiding]]:
    """For each clip a stream per input.

    Raises:
        TypeError: a window, flow or feature mask of a wrong kind.
        ValueError: one that does not fit the clips, windows beside a feature mask, or inputs hidden
            together that have different numbers of windows.
    """
    if feature_mask is not None:
        given = {"sliding_window_shapes": shapes, "strides": strides, "flow": flow}
        besides = [name for name, value in given.items() if value is not None]
        if besides:
            raise ValueError(f"feature_mask: expected no {besides[0]} beside it, got both")
        return _regions(feature_mask, clips, together)
    rows = _windows(clips, shapes, strides, flow)
    if together and len({len(stream) for stream in rows[0]}) > 1:
        raise ValueError(
            f"sliding_window_shapes: inputs hidden together need as many windows each, got "
            f"{[len(stream) for stream in rows[0]]}"
        )
    return rows


def perturbations_of(
    streams: Sequence[Hiding], clips: tuple[Tensor, ...], together: bool
) -> list[MaskStream]:
    """Masks of one clip, a stream per input: a place in all inputs at once, or in one after the other."""
    if together:
        return list(streams)

    def kept(i: int, count: int) -> Untouched:
        return Untouched(extent_of(clips[i]), count, clips[i].device)

    return [
        Joined(*(own if i == j else kept(i, len(own)) for j, own in enumerate(streams)))
        for i in range(len(streams))
    ]


def _regions(feature_mask: Any, clips: tuple[Tensor, ...], together: bool) -> list[list[Regions]]:
    rows = zip(*labels_of(feature_mask, clips), strict=True)  # labels of each input, clip by clip
    if together:
        return [[Regions(one, values_of(row)) for one in row] for row in map(list, rows)]
    return [[Regions(one) for one in row] for row in rows]


def _windows(
    clips: tuple[Tensor, ...], shapes: Any, strides: Any, flow: Any
) -> Sequence[Sequence[SlidingWindows | Tubes]]:
    windows = per_input(shapes, len(clips), "windows")
    steps = per_input((None, None, None) if strides is None else strides, len(clips), "strides")
    extents = [extent_of(clip) for clip in clips]
    windows = tuple(
        window_of(_filled(window, extent), "window", extent)
        for window, extent in zip(windows, extents, strict=True)
    )
    sizes = [
        (extent, window, _filled(step, window))
        for extent, window, step in zip(extents, windows, steps, strict=True)
    ]
    if flow is None:
        row = [SlidingWindows(*size, clip.device) for size, clip in zip(sizes, clips, strict=True)]
        return [row] * len(clips[0])
    flows = _flows_of(flow, clips)
    return [
        [
            Tubes(*size, one[n if len(one) > 1 else 0])
            for size, one in zip(sizes, flows, strict=True)
        ]
        for n in range(len(clips[0]))
    ]


def _flows_of(flow: Any, clips: tuple[Tensor, ...]) -> list[Tensor]:
    given = flow if isinstance(flow, tuple) else (flow,) * len(clips)
    if len(given) != len(clips):
        raise ValueError(f"flow: expected one per input ({len(clips)}), got {len(given)}")
    for one, clip in zip(given, clips, strict=True):
        if not isinstance(one, Tensor):
            raise TypeError(f"flow: expected a tensor, got {type(one).__name__}")
        shape = 2, *extent_of(clip)
        if one.shape not in ((1, *shape), (len(clip), *shape)):
            raise ValueError(
                f"flow: expected {(len(clip), *shape)} as (n, 2, t, h, w), got {tuple(one.shape)}; "
                f"inputs of different extents need one flow each"
            )
    return [one.to(clip.device) for one, clip in zip(given, clips, strict=True)]


def _filled(sizes: Any, full: Extent) -> Any:
    """Put ``full`` where a triple has None; what is no triple is refused where it is used."""
    if not isinstance(sizes, tuple | list) or len(sizes) != len(full):
        return sizes
    return tuple(whole if size is None else size for size, whole in zip(sizes, full, strict=True))
