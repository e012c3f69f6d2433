"""Methods that hide parts of the clip: windows, tubes, superpixels, random and searched masks."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks_kth_mad.data.item import inputs_of
from benchmarks_kth_mad.methods.options import BASELINES, Clips, Options, over_channels
from benchmarks_kth_mad.models import VideoClassifier
from benchmarks_kth_mad.places import flow_of_clips, patches_of
from captum_video.attr import RISE3D, ExtremalPerturbation3D, SpatioTemporalOcclusion
from captum_video.clips import extent_of

RISE_GRID = (4, 7, 7)
_ICPR_GRID = (1, 8, 8)
_ICPR_KEPT = 0.1


def occlusion(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """Windows of a quarter of the clip along each axis, moved by half of that."""
    return _occlusion(model, clips, target, options, **quarters(clips))


def flow_occlusion(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """The windows of `occlusion`, each going along with what moves in its input (Farneback)."""
    flow = tuple(flow_of_clips(clip) for clip in clips)
    return _occlusion(model, clips, target, options, **quarters(clips), flow=flow)


def frame_occlusion(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options
) -> Clips:
    """One whole frame after the other: when, not where."""
    return _occlusion(model, clips, target, options, sliding_window_shapes=(1, None, None))


def superpixel_occlusion(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options
) -> Clips:
    """One superpixel of the volume after the other."""
    return _occlusion(model, clips, target, options, feature_mask=patches_of(clips))


def rise(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """RISE on logits, by regression."""
    as_published: dict[str, Any] = {
        "estimator": "expectation",
        "keep_probability": _ICPR_KEPT,
        "grid_shape": _at_most(_ICPR_GRID, clips[0]),
    }
    ours = {"grid_shape": rise_grid(clips[0])}
    maps = RISE3D(model).attribute(
        clips,
        BASELINES[options.baseline],
        target,
        n_samples=options.n_samples,
        show_progress=options.show_progress,
        generator=torch.Generator().manual_seed(options.seed),
        **(as_published if options.compat == "icpr2022" else ours),
    )
    return inputs_of(maps)


def extremal(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """Extremal perturbations of five volumes, of all inputs at once."""
    maps = ExtremalPerturbation3D(model).attribute(
        clips,
        baselines=BASELINES[options.baseline],
        target=target,
        show_progress=options.show_progress,
        generator=torch.Generator().manual_seed(options.seed),
    )
    return inputs_of(maps)


def random_map(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """A map that knows nothing, smooth at the scale of RISE's cells: what every method must beat."""
    generator = torch.Generator().manual_seed(options.seed)
    small = torch.rand(len(target), 1, *rise_grid(clips[0]), generator=generator)
    maps = functional.interpolate(
        small.to(clips[0].device), tuple(extent_of(clips[0])), mode="trilinear"
    )
    return over_channels((maps,) * len(clips), clips)


def rise_grid(clip: Tensor) -> tuple[int, int, int]:
    """RISE's cells over frames, height and width; fewer where a clip is smaller."""
    return _at_most(RISE_GRID, clip)


def quarters(clips: Clips) -> dict[str, Any]:
    """The windows of `occlusion` and their strides, as `SpatioTemporalOcclusion` takes them."""
    sizes = [max(1, length // 4) for length in extent_of(clips[0])]
    strides = tuple(max(1, size // 2) for size in sizes)
    return {"sliding_window_shapes": tuple(sizes), "strides": strides}


def _occlusion(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options, **places: Any
) -> Clips:
    return SpatioTemporalOcclusion(model).attribute(
        clips,
        baselines=BASELINES[options.baseline],
        target=target,
        show_progress=options.show_progress,
        **places,
    )


def _at_most(grid: tuple[int, int, int], clip: Tensor) -> tuple[int, int, int]:
    frames, height, width = map(min, grid, extent_of(clip))
    return frames, height, width
