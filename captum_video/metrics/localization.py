"""Localisation: whether a map lies where the evidence is known to lie."""

import torch
from torch import Tensor

from captum_video.metrics._energy import checked_pair, energy_share
from captum_video.metrics._scale import min_max


def weighted_jaccard(attributions: Tensor, mask: Tensor) -> Tensor:
    """Overlap of a map with a known mask: the area under both over the area under either.

    sum min(m, s) / sum max(m, s), with the map s scaled to [0, 1] by `min_max` (Ismail et al.,
    NeurIPS 2019, section 4.1). It lies where the mask is large: a map of uniform noise scores about
    a / (1 + a) for a mask that covers the share a, more than sharp maps of a few true peaks do;
    so read it beside `euclidean_distance`, and beside a random map. One outlier in a map lowers
    everything else in it, and so the score.

    Args:
        attributions: (N, ...), any shape and scale; higher is more important. Of a signed map pass
            the absolute values or the positive part: what is least becomes 0, not what is zero.
        mask: the same shape, or 1 along an axis (channels, say), bool or numbers in [0, 1]; 1 where
            the evidence is.

    Returns:
        (N,), float64, in [0, 1]; 1 is a perfect map. A constant map, which says nothing, has 0.

    Raises:
        TypeError: an argument is no tensor, or the attributions are not floating-point.
        ValueError: shapes differ, a value is NaN or infinite, the mask leaves [0, 1] or is 0
            throughout a sample.

    Example:
        >>> mask = torch.tensor([[0., 1., 1., 0.]])
        >>> weighted_jaccard(torch.tensor([[0., 2., 1., 0.]]), mask)
        tensor([0.7500], dtype=torch.float64)
    """
    maps, mask = checked_pair(attributions, mask)
    maps = min_max(maps)
    return torch.minimum(maps, mask).sum(1) / torch.maximum(maps, mask).sum(1)


def euclidean_distance(attributions: Tensor, mask: Tensor) -> Tensor:
    """Distance of a map from a known mask, over the length of the mask.

    ||m - s|| / ||m||, with the map s scaled to [0, 1] by `min_max` (Ismail et al., NeurIPS 2019,
    section 4.1). A map that says nothing has 1, and one that says much in the wrong places more,
    so it rewards silence: near 1, look at `weighted_jaccard`.

    Args:
        attributions: (N, ...), as in `weighted_jaccard`.
        mask: as in `weighted_jaccard`.

    Returns:
        (N,), float64, at least 0, which is a perfect map; lower is better. A constant map has 1.

    Raises:
        TypeError: as `weighted_jaccard`.
        ValueError: as `weighted_jaccard`.

    Example:
        >>> mask = torch.tensor([[0., 1., 1., 0.]])
        >>> euclidean_distance(torch.tensor([[0., 2., 2., 0.]]), mask)
        tensor([0.], dtype=torch.float64)
    """
    maps, mask = checked_pair(attributions, mask)
    maps = min_max(maps)
    length = torch.linalg.vector_norm(mask, dim=1)
    return torch.linalg.vector_norm(mask - maps, dim=1) / length


def energy_in_mask(attributions: Tensor, mask: Tensor) -> Tensor:
    """Share of a map's positive mass that lies inside a known mask. Higher is better.

    ``sum of m max(S, 0) / sum of max(S, 0)``: the energy-based pointing game (Wang et al., Score-CAM,
    CVPR workshops 2020, arXiv 1910.01279), over space and time. No scale and no threshold enter, but
    zero does: evidence against the target has no mass.

    Args:
        attributions: (N, ...), as in `weighted_jaccard`, but signed ones may be passed as they are.
        mask: as in `weighted_jaccard`.

    Returns:
        (N,), float64, in [0, 1]. Chance is the mask's area, ``mask.mean()``: a uniform map and, on
        average, a random one score that; so does, by definition, a map without positive mass.

    Raises:
        TypeError: as `weighted_jaccard`.
        ValueError: as `weighted_jaccard`.

    Note:
        It lies where the area is not told beside it, and about methods whose maps have an offset:
        the level that RISE puts under its whole map pulls it to chance. One voxel inside is perfect:
        it does not ask that the mask be covered; `weighted_jaccard` does. Where the network looks
        at the background, a low value is the truth about the network, not a fault of the map.

    Example:
        >>> mask = torch.tensor([[0., 1., 1., 0.]])
        >>> energy_in_mask(torch.tensor([[1., 2., 1., -5.]]), mask), mask.mean(1)
        (tensor([0.7500], dtype=torch.float64), tensor([0.5000]))
    """
    return energy_share(*checked_pair(attributions, mask))
