"""How far a map names a place that is known: energy and ranking, in space and in time."""

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.metrics import energy_in_mask


def grown(masks: Tensor, pixels: int) -> Tensor:
    """Masks bool (N, T, H, W) grown by so many rows and columns on every side, not over time.

    Example:
        >>> mask = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
        >>> mask[0, 0, 0, 0] = True
        >>> grown(mask, 1).int()[0, :, :, 0]
        tensor([[1, 1, 0],
                [0, 0, 0]], dtype=torch.int32)
    """
    size = 2 * pixels + 1
    wide = functional.max_pool3d(
        masks.float(), (1, size, size), stride=1, padding=(0, pixels, pixels)
    )
    return wide.bool()


def energy_in_frames(maps: Tensor, shown: Tensor) -> Tensor:
    """Share of the positive energy of maps (N, T, H, W) in the frames shown (N, T): (N,)."""
    return energy_in_mask(maps, shown[:, :, None, None])


def voxel_auc(maps: Tensor, masks: Tensor) -> Tensor:
    """Chance that a voxel of the mask has a larger value than one outside, half of it for a tie: (N,).

    The area under the ROC curve, by the rank sum of Mann and Whitney; no zero and no scale enter.

    Raises:
        ValueError: a mask that is empty, or full.
    """
    found = []
    for one, mask in zip(maps.double().flatten(1), masks.flatten(1), strict=True):
        n_inside = int(mask.sum())
        n_outside = len(mask) - n_inside
        if not (n_inside and n_outside):
            raise ValueError("masks: expected voxels inside and outside, got a mask of one kind")
        _, place, counts = torch.unique(one, return_inverse=True, return_counts=True)
        # the mean rank of equal values, counted from 1
        ranks = (counts.cumsum(0) - (counts - 1) / 2).to(one)[place]
        above = ranks[mask].sum() - n_inside * (n_inside + 1) / 2
        found.append(above / (n_inside * n_outside))
    return torch.stack(found)
