"""Regions: labels of what belongs together in a clip, to hide or to insert as a whole.

What is made here is a ``feature_mask`` for `captum_video.attr.SpatioTemporalOcclusion` and for
insertion and deletion: whole numbers from 0, one for each region of a clip.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_video.clips import Extent, Layout, clip_of

_LAB_RANGE = 100


def segments(extent: Extent, length: int) -> Tensor:
    """Label runs of frames, one after the other.

    Args:
        extent: size of the clip.
        length: frames of a run, at least 1; the last may be shorter.

    Returns:
        (T, H, W) int64, a view that takes the memory of T numbers.

    Raises:
        ValueError: a length below 1 or no whole number.

    Example:
        >>> segments(Extent(5, 2, 2), 2)[:, 0, 0]
        tensor([0, 0, 1, 1, 2])
    """
    _check_count(length, "length")
    runs = torch.arange(extent.frames) // length
    return runs[:, None, None].expand(*extent)


def superpixels(
    clip: Tensor,
    n_segments: int = 200,
    compactness: float = 10.0,
    frame_distance: float | None = 0.2,
    layout: str | Layout = "n c t h w",
) -> Tensor:
    """Label patches of like colour, by SLIC (Achanta et al., TPAMI 2012) from regular seeds.

    Over the volume, a patch goes through time as far as its colour does and may move with it: a tube of
    appearance, as long as the reach of its seed; what goes fast and far is cut into several. Patches
    are connected. By `scikit-image <https://scikit-image.org>`_'s ``slic``; 200 patches at a
    distance of 0.2 are REVEX's (arXiv 2401.11796), which makes them more compact (20).

    Args:
        clip: N clips in ``layout``, of any scale: each is scaled to [0, 1] by its own least and
            greatest value (each frame by its own, where frames stand alone).
        n_segments: about so many patches per clip, or per frame where frames stand alone.
        compactness: weight of nearness beside likeness, above 0; larger is nearer to boxes. Beside
            colours in Lab, of range 100; clips that have not three channels are scaled to that range.
        frame_distance: how far apart frames are, in pixels, above 0; a smaller one makes patches
            longer in time. None: every frame is divided by itself.
        layout: how the clip orders its axes.

    Returns:
        (N, 1, T, H, W) int64, from 0, on the clip's device. Clips have different numbers of them.

    Raises:
        ImportError: scikit-image is not installed.
        TypeError: the clip is no floating-point tensor.
        ValueError: an option out of range, values that are not finite.

    Cost:
        On the CPU, one clip after the other.

    Example:
        >>> labels = superpixels(torch.rand(2, 3, 4, 16, 16), n_segments=10)
        >>> labels.shape, labels.min()
        (torch.Size([2, 1, 4, 16, 16]), tensor(0))
    """
    slic = _segmentation().slic
    volumes = _volumes(clip, layout)
    _check_count(n_segments, "n_segments")
    _check_above_zero(compactness, "compactness")
    if frame_distance is not None:
        _check_above_zero(frame_distance, "frame_distance")
    in_lab = volumes[0].shape[-1] == 3
    options = {
        "n_segments": n_segments,
        "compactness": compactness if in_lab else compactness / _LAB_RANGE,
        "convert2lab": in_lab,
        "channel_axis": -1,
        "start_label": 0,
    }
    found = [
        slic(volume, spacing=(frame_distance, 1, 1), **options)
        if frame_distance is not None
        else _numbered_apart([slic(frame, **options) for frame in volume])
        for volume in volumes
    ]
    return _labels(found, clip)


def random_superpixels(
    clip: Tensor,
    n_segments: int = 200,
    compactness: float = 0.01,
    generator: torch.Generator | None = None,
    layout: str | Layout = "n c t h w",
) -> Tensor:
    """Label patches that grow from random seeds until they meet, slowly across edges.

    A compact watershed (Neubert and Protzel, ICPR 2014) of the edges of the clip, over the volume, by
    `scikit-image <https://scikit-image.org>`_'s ``watershed``. Other seeds give another division of
    the same clip, so that what is measured by regions can be averaged over how they were cut.

    Args:
        clip: N clips in ``layout``, of any scale: each is scaled to [0, 1] by its own least and
            greatest value.
        n_segments: exactly so many patches per clip, at most one per voxel.
        compactness: weight of the distance from the seed, in voxels, beside the strength of edges (a
            Sobel filter, mean over channels), at least 0; larger is nearer to the cells of the seeds.
        generator: draws the seeds, the same for all clips; None is a generator seeded with 0.
        layout: how the clip orders its axes.

    Returns:
        (N, 1, T, H, W) int64, from 0, on the clip's device.

    Raises:
        ImportError: scikit-image is not installed.
        TypeError: the clip is no floating-point tensor.
        ValueError: an option out of range, values that are not finite.

    Cost:
        On the CPU, one clip after the other.

    Randomness:
        ``generator`` draws one order of all voxels, of which the first are seeds.

    Example:
        >>> labels = random_superpixels(torch.rand(2, 3, 4, 16, 16), n_segments=10)
        >>> labels.shape, labels.unique().tolist()
        (torch.Size([2, 1, 4, 16, 16]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    watershed = _segmentation().watershed
    volumes = _volumes(clip, layout)
    extent = volumes[0].shape[:3]
    _check_count(n_segments, "n_segments", most=math.prod(extent))
    if not 0 <= compactness < math.inf:
        raise ValueError(f"compactness: expected a number of at least 0, got {compactness}")
    generator = generator or torch.Generator().manual_seed(0)
    order = torch.randperm(math.prod(extent), generator=generator, device=generator.device)
    seeds = np.zeros(extent, dtype=np.int64)
    seeds.flat[order[:n_segments].cpu().numpy()] = np.arange(1, n_segments + 1)
    found = [watershed(_edges(one), seeds, compactness=compactness) - 1 for one in volumes]
    return _labels(found, clip)


def _segmentation() -> Any:
    try:
        from skimage import segmentation
    except ImportError as error:
        raise ImportError(
            "superpixels need scikit-image: pip install captum-video[superpixels]"
        ) from error
    return segmentation


def _volumes(clip: Tensor, layout: str | Layout) -> list[NDArray[np.float64]]:
    """Each clip as (T, H, W, C) in [0, 1]."""
    clips = clip_of(clip, Layout.of(layout), "clip").detach().double().cpu()
    low, high = clips.amin((1, 2, 3, 4), True), clips.amax((1, 2, 3, 4), True)
    clips = (clips - low) / (high - low).clamp_min(torch.finfo(torch.float64).tiny)
    return [one.movedim(0, -1).numpy() for one in clips]


def _edges(volume: NDArray[np.float64]) -> NDArray[np.float64]:
    from skimage.filters import sobel

    strengths: NDArray[np.float64] = np.mean([sobel(one) for one in np.moveaxis(volume, -1, 0)], 0)
    return strengths


def _numbered_apart(frames: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Labels of frames (H, W), each from 0, as labels of a clip (T, H, W)."""
    counts = [int(frame.max()) + 1 for frame in frames]
    firsts = np.cumsum([0, *counts[:-1]])
    return np.stack(frames) + firsts[:, None, None]


def _labels(found: list[NDArray[np.int64]], clip: Tensor) -> Tensor:
    return torch.from_numpy(np.stack(found).astype(np.int64))[:, None].to(clip.device)


def _check_count(count: object, name: str, most: float = math.inf) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
        up_to = "" if most == math.inf else f" to {most}"
        raise ValueError(f"{name}: expected a whole number from 1{up_to}, got {count!r}")


def _check_above_zero(value: float, name: str) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name}: expected a number above 0, got {value}")
