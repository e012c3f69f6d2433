"""Focus: on how little of a clip a map puts its evidence."""

import torch
from torch import Tensor

from captum_video.metrics._energy import checked_maps

_ROUNDING = 1e-9


def half_energy_area(attributions: Tensor, share: float = 0.5) -> Tensor:
    """Smallest share of the voxels that holds half of a map's positive mass. Lower is more focused.

    The voxels are taken from the strongest down, until their sum reaches ``share`` of
    ``sum of max(S, 0)``; what is told is how many there are, over all voxels. It needs no mask and
    no scale, so maps of different methods and networks compare.

    Args:
        attributions: (N, ...), any shape and scale; higher is more important. Channels that all
            carry the same map do not matter; where they differ (gradients), sum them first.
        share: of the positive mass, above 0, at most 1.

    Returns:
        (N,), float64, in (0, 1]. A map of one voxel has 1 / voxels, a uniform map ``share``, and
        noise that is uniform on [0, 1] ``1 - sqrt(1 - share)``, 0.29 for one half. A map without
        positive mass singles nothing out: it has what a uniform map has.

    Raises:
        TypeError: the attributions are no floating-point tensor.
        ValueError: no batch of maps, a value NaN or infinite, a share out of range.

    Cost:
        One sort.

    Note:
        It says nothing about being right: a map of one arbitrary voxel is perfectly focused, and a
        gradient's speckle, which no eye calls focused, is too. It lies about methods with an offset:
        the level that RISE puts under its whole map is mass, and makes it look spread out. It lies
        about evidence that truly is large, or lasts for many frames. Read it beside `insertion`, or
        beside `energy_in_mask` where the place is known.

    Example:
        >>> half_energy_area(torch.tensor([[4., 2., 1., 1.], [1., 1., 1., 1.]]))
        tensor([0.2500, 0.5000], dtype=torch.float64)
    """
    if not 0 < share <= 1:
        raise ValueError(f"share: expected 0 < share <= 1, got {share}")
    mass = checked_maps(attributions).flatten(1).clamp(min=0)
    mass = torch.where(mass.amax(1, keepdim=True) > 0, mass, 1)
    held = mass.sort(1, descending=True).values.cumsum(1)
    short = held < share * held[:, -1:] * (1 - _ROUNDING)
    return (short.sum(1) + 1).double() / mass.shape[1]
