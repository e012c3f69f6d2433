"""Precision and recall of the evidence, weighted by how much of it a map puts where."""

from typing import NamedTuple

import torch
from torch import Tensor

from captum_video.metrics._energy import checked_pair


class PrecisionRecall(NamedTuple):
    """Areas of N maps, each (N,), float64; higher is better.

    Attributes:
        aup: mean precision over the shares of mass kept, in [0, 1].
        aur: mean recall over them, in [0, 1].
        aupr: area under precision over recall, between the recall of the least and of the largest
            share, in [0, 1].
    """

    aup: Tensor
    aur: Tensor
    aupr: Tensor


def precision_and_recall(attributions: Tensor, mask: Tensor) -> PrecisionRecall:
    """Whether the evidence that a map ranks first lies in a known mask. Higher is better.

    The strongest places are kept until they hold a share x of the map's positive mass, x = 10 % to
    90 % in steps of 10 %. With TP the mass kept in the mask, FP that kept outside and FN that of the
    mask which is not kept,

        precision = TP / (TP + FP),    recall = TP / (TP + FN)

    (Ismail et al., NeurIPS 2020, arXiv 2010.13924). Deviations: places of equal value are kept in
    equal part, and the last of them in part, so that exactly x is kept and no order among equals
    enters; ``aup`` and ``aur`` are divided by the width 0.8 of their axis, so that perfect precision
    has 1 (multiply by 0.8 for the paper's). ``aupr`` is the paper's plain area.

    Args:
        attributions: (N, ...), any shape and scale; higher is more important. Evidence against the
            target has no mass.
        mask: the same shape, or 1 along an axis (channels, say), bool or numbers in [0, 1]; 1 where
            the evidence is.

    Returns:
        aup, aur and aupr, (N,) each. A uniform map scores the mask's area, 0.5, and 0.8 times the
        area; so does, by definition, a map without positive mass. A map with all of its mass inside
        scores 1, 0.5 and 0.8, one with none inside 0.

    Raises:
        TypeError: an argument is no tensor, or the attributions are not floating-point.
        ValueError: shapes differ, a value is NaN or infinite, the mask leaves [0, 1] or is 0
            throughout a sample.

    Cost:
        One sort; no pass of the model.

    Note:
        Recall asks how much of the map's own mass inside is found early, not how much of the mask is
        covered: one voxel inside, the strongest of all, has a recall of 1 at once, and a map that is
        right everywhere one of 0.5 on average. So ``aur`` lies unless it is read beside ``aup``, and
        ``aupr`` can rank a map with some mass outside above one with none. Precision has the mask's
        area as chance, and is pulled to it by an offset under the map.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
        >>> found = precision_and_recall(torch.tensor([[5.0, 0.0, 5.0, 0.0]]), mask)
        >>> [round(area.item(), 6) for area in found]
        [0.5, 0.5, 0.4]
    """
    maps, truth = checked_pair(attributions, mask)
    mass = maps.clamp(min=0)
    mass = torch.where(mass.amax(1, keepdim=True) > 0, mass, 1)
    mass = mass / mass.sum(1, keepdim=True)
    shares = torch.arange(1, 10, device=maps.device, dtype=maps.dtype) / 10
    rows = zip(mass, mass * truth, strict=True)
    found = torch.stack([_mass_inside(one, inside, shares) for one, inside in rows])
    inside = (mass * truth).sum(1, keepdim=True)
    precision, recall = found / shares, found / inside.where(inside > 0, 1)
    width = shares[-1] - shares[0]
    return PrecisionRecall(
        torch.trapezoid(precision, shares) / width,
        torch.trapezoid(recall, shares) / width,
        torch.trapezoid(precision, recall),
    )


def _mass_inside(mass: Tensor, inside: Tensor, shares: Tensor) -> Tensor:
    """Mass in the mask among the strongest places that hold each share of the whole.

    Both sums run straight from one distinct value to the next, because equal places are kept in equal
    part.
    """
    values, group = mass.unique(return_inverse=True)  # ascending
    group = len(values) - 1 - group
    sums = mass.new_zeros(2, len(values)).index_add_(1, group, torch.stack([mass, inside]))
    held, found = torch.cat([mass.new_zeros(2, 1), sums.cumsum(1)], 1)
    after = torch.searchsorted(held, shares).clamp(1, len(values))
    step = held[after] - held[after - 1]
    part = ((shares - held[after - 1]) / step.where(step > 0, 1)).clamp(0, 1)
    return found[after - 1] + part * (found[after] - found[after - 1])
