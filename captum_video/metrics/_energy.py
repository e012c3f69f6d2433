"""Energy: the positive mass of a map, and what every measure of a map's values asks of them."""

import torch
from torch import Tensor


def energy_share(maps: Tensor, mask: Tensor) -> Tensor:
    """Share of the positive mass along the last axis that a mask in [0, 1] holds.

    A map without positive mass has the mask's area, which is what a uniform map scores, so that
    means over maps hold.
    """
    mass = maps.clamp(min=0)
    inside, whole = (mass * mask).sum(-1), mass.sum(-1)
    return torch.where(whole > 0, inside / whole.where(whole > 0, 1), mask.mean(-1)).clamp(0, 1)


def checked_maps(attributions: object) -> Tensor:
    """Maps (N, ...) in float64.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: no batch of maps, empty, NaN or infinite.
    """
    if not isinstance(attributions, Tensor):
        raise TypeError(f"attributions: expected a tensor, got {type(attributions).__name__}")
    if not attributions.is_floating_point():
        raise TypeError(f"attributions: expected floating-point, got {attributions.dtype}")
    if attributions.ndim < 2 or not attributions.numel():
        raise ValueError(
            f"attributions: expected (N, ...) and not empty, got {tuple(attributions.shape)}"
        )
    if not torch.isfinite(attributions).all():
        raise ValueError("attributions: expected finite values, got NaN or infinity")
    return attributions.detach().double()


def checked_pair(attributions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and masks of the same shape, or 1 along an axis, each as (N, values) in float64.

    Raises:
        TypeError: an argument is no tensor, or the maps are not floating-point.
        ValueError: shapes that do not fit, values not finite, a mask outside [0, 1] or empty.
    """
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask: expected a tensor, got {type(mask).__name__}")
    maps = checked_maps(attributions)
    fits = mask.ndim == maps.ndim and all(
        size in (1, full) for size, full in zip(mask.shape, maps.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"mask: expected the shape of the attributions, or 1 along an axis, got "
            f"{tuple(mask.shape)} for {tuple(maps.shape)}"
        )
    truth = mask.detach().to(maps).expand_as(maps).flatten(1)
    check_truth(truth)
    return maps.flatten(1), truth


def check_truth(truth: Tensor) -> None:
    """Raise ValueError unless masks (N, values) lie in [0, 1] and none is empty."""
    if not ((truth >= 0) & (truth <= 1)).all():  # nan is not
        raise ValueError(
            f"mask: expected values in [0, 1], got {truth.min().item()} to {truth.max().item()}"
        )
    empty = (truth.amax(1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"mask: expected evidence in every sample, got none in {empty[:5]}")
