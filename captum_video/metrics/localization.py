"""Localisation: whether a map lies where the evidence is known to lie."""

import torch
from torch import Tensor


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
        mask: the same shape, bool or numbers in [0, 1]; 1 where the evidence is.

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
    maps, mask = _checked(attributions, mask)
    return torch.minimum(maps, mask).sum(1) / torch.maximum(maps, mask).sum(1)


def euclidean_distance(attributions: Tensor, mask: Tensor) -> Tensor:
    """Distance of a map from a known mask, over the length of the mask.

    ||m - s|| / ||m||, with the map s scaled to [0, 1] by `min_max` (Ismail et al., NeurIPS 2019,
    section 4.1). A map that says nothing has 1, and one that says much in the wrong places more,
    so it rewards silence: near 1, look at `weighted_jaccard`.

    Args:
        attributions: (N, ...), as in `weighted_jaccard`.
        mask: the same shape, bool or numbers in [0, 1]; 1 where the evidence is.

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
    maps, mask = _checked(attributions, mask)
    length = torch.linalg.vector_norm(mask, dim=1)
    return torch.linalg.vector_norm(mask - maps, dim=1) / length


def min_max(maps: Tensor) -> Tensor:
    """Scale every map of a batch by itself, so that its least value is 0 and its largest 1.

    Args:
        maps: (N, ...), finite.

    Returns:
        The same shape, in [0, 1]; a constant map becomes 0 everywhere.

    Example:
        >>> min_max(torch.tensor([[2., 4., 3.], [5., 5., 5.]]))
        tensor([[0.0000, 1.0000, 0.5000],
                [0.0000, 0.0000, 0.0000]])
    """
    flat = maps.flatten(1)
    least = flat.amin(1, keepdim=True)
    spread = flat.amax(1, keepdim=True) - least
    return ((flat - least) / spread.where(spread > 0, 1)).view(maps.shape)


def _checked(attributions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Maps in [0, 1] and masks, each (N, values) in float64."""
    for name, one in (("attributions", attributions), ("mask", mask)):
        if not isinstance(one, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(one).__name__}")
    if not attributions.is_floating_point():
        raise TypeError(f"attributions: expected floating-point, got {attributions.dtype}")
    if mask.shape != attributions.shape or attributions.ndim < 2 or not attributions.numel():
        raise ValueError(
            f"mask: expected the shape of the attributions, (N, ...) and not empty, got "
            f"{tuple(mask.shape)} for {tuple(attributions.shape)}"
        )
    if not torch.isfinite(attributions).all():
        raise ValueError("attributions: expected finite values, got NaN or infinity")
    maps = min_max(attributions.detach().double()).flatten(1)
    truth = mask.detach().to(maps.device, torch.float64).flatten(1)
    if not ((truth >= 0) & (truth <= 1)).all():  # nan is not
        raise ValueError(
            f"mask: expected values in [0, 1], got {truth.min().item()} to {truth.max().item()}"
        )
    empty = (truth.amax(1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"mask: expected evidence in every sample, got none in {empty[:5]}")
    return maps, truth
