"""Pointing: whether the highest place of a map lies where the evidence is known to lie."""

from torch import Tensor
from torch.nn import functional

from captum_video.clips import Layout
from captum_video.metrics._best import known_places, share_of_best, summed_maps


def pointing(
    attributions: Tensor,
    mask: Tensor,
    tolerance: int = 0,
    *,
    frame_tolerance: int = 0,
    layout: str | Layout = "n c t h w",
) -> Tensor:
    """Whether the highest voxel of a map lies in a known mask, or near it. Higher is better.

    The pointing game (Zhang et al., arXiv 1608.00507) over space and time: 1 where the arg-max of the
    map, summed over channels, lies in the mask dilated by ``tolerance`` pixels, 0 where not. Dilation
    is by a square, as a box grows (Li et al., arXiv 2005.00375, take 7 and 15 pixels). The paper
    averages over classes; here it is told clip by clip.

    Args:
        attributions: maps of N clips in ``layout``; higher is more important.
        mask: (N or 1, 1, T, H, W), whatever the ``layout``; bool, or numbers in [0, 1], which are
            what a hit there counts. With several channels, a place is inside where any is.
        tolerance: pixels by which the mask is dilated to every side; at least 0.
        frame_tolerance: frames by which it is dilated to both sides; at least 0.
        layout: how the attributions order their axes.

    Returns:
        (N,), float64, in [0, 1]. Of several equally high voxels each counts its share, so a constant
        map has the area of the dilated mask, which is chance.

    Raises:
        TypeError: an argument is no tensor, a tolerance is no whole number.
        ValueError: shapes that do not fit, values that are not finite, a mask outside [0, 1] or empty
            in a clip, a tolerance below 0.

    Cost:
        One max-pooling of the mask; no pass of the model.

    Note:
        It lies where the mask is large, because any map hits it: compare with its area. One voxel
        decides, so speckle of a gradient counts as much as a clear peak, and a map that is right but
        for one voxel misses; it says nothing of the rest of the map. Coarse maps (Grad-CAM) have flat
        or interpolated peaks, which miss small masks: allow a tolerance of about half a cell.

    Example:
        >>> import torch
        >>> maps, mask = torch.zeros(1, 1, 2, 4, 4), torch.zeros(1, 1, 2, 4, 4)
        >>> maps[0, 0, 1, 2, 3] = mask[0, 0, 1, 0:2, 3] = 1
        >>> pointing(maps, mask), pointing(maps, mask, tolerance=1)
        (tensor([0.], dtype=torch.float64), tensor([1.], dtype=torch.float64))
    """
    reach = [_tolerance(frame_tolerance, "frame_tolerance"), *[_tolerance(tolerance)] * 2]
    maps = summed_maps(attributions, layout)
    places = known_places(mask, maps)
    size = tuple(2 * one + 1 for one in reach)
    near = functional.max_pool3d(places[:, None], size, stride=1, padding=tuple(reach))[:, 0]
    return share_of_best(maps.flatten(1), near.flatten(1))


def _tolerance(value: object, name: str = "tolerance") -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: expected a whole number, got {value!r}")
    if value < 0:
        raise ValueError(f"{name}: expected at least 0, got {value}")
    return value
