"""Masks that are smooth by construction, and how far they are from the area and the shape asked for."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.clips import Extent

COLDNESS = 20.0
NEARLY_EQUAL = 1e-3
REACH = 1.0
"""Width of a node's kernel in distances between nodes: its flat top ends half-way to the next."""


class SmoothMasks:
    """Masks over a clip from values on a coarse grid, by a smooth maximum.

    Voxel u is ``smax_i k(u - u_i) p_i`` with ``k(z) = exp(-2 max(|z| - 1/2, 0)^2)``, z in distances
    between nodes, and ``smax(x) = sum x exp(20 x) / sum exp(20 x)`` (arXiv 1910.08485, sec. 3.3). The
    maximum is taken along one axis after the other, which for a hard maximum and such a kernel is
    the same, and divided by that of a grid of ones, so that ones give ones.

    Args:
        extent: of the clip.
        grid: nodes over frames, height and width; 1 does not vary along the axis. As many nodes as
            the axis is long are the mask itself there.
        like: device and dtype.
    """

    def __init__(self, extent: Extent, grid: Extent, like: Tensor) -> None:
        self.grid = grid
        self.shape = Extent(
            *(1 if nodes == 1 else size for size, nodes in zip(extent, grid, strict=True))
        )
        self._neighbours = [_neighbours(*pair, like) for pair in zip(self.shape, grid, strict=True)]

    def __call__(self, nodes: Tensor) -> Tensor:
        """From (R, t, h, w) to (R, 1, T, H, W), of size 1 along an axis that does not vary."""
        masks = nodes
        for axis in (
            3,
            2,
            1,
        ):  # frames last: their neighbours lie far apart in memory, in long runs
            found = self._neighbours[axis - 1]
            if found is not None:
                masks = smooth_maximum(masks, *found, axis)
        return masks[:, None]


def _neighbours(size: int, nodes: int, like: Tensor) -> tuple[Tensor, Tensor] | None:
    """The nodes that reach each voxel and their weights (size, 5); None where each has its own.

    A node further off than the second to each side has a weight below 0.02, and is left out.
    """
    if size == nodes:
        return None
    voxels = 2 * torch.arange(size, device=like.device) + 1  # whole numbers: no rounding at ties
    index = (voxels * nodes // (2 * size))[:, None] + torch.arange(-2, 3, device=like.device)
    places = voxels.to(like) * nodes / (2 * size) - 0.5
    apart = (places[:, None] - index).abs() / REACH
    weights = torch.exp(-2 * (apart - 0.5).clamp_min(0).square())
    inside = (index >= 0) & (index < nodes)
    return index.clamp(0, nodes - 1), weights * inside


def smooth_maximum(values: Tensor, index: Tensor, weights: Tensor, axis: int) -> Tensor:
    """``smax_i k[u, i] values[index[u, i]]`` along one axis, scaled so that ones give ones; at most 1."""
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    weighted = torch.stack(
        [
            values.index_select(axis, index[:, i]) * weights[:, i].view(shape)
            for i in range(index.shape[1])
        ]
    )
    found = ((COLDNESS * weighted).softmax(0) * weighted).sum(0)
    ones = (weights * (COLDNESS * weights).softmax(1)).sum(1)
    return (found / ones.view(shape)).clamp_max(1)


def area_loss(
    masks: Sequence[Tensor], areas: Tensor, slopes: Sequence[Tensor] | None = None
) -> Tensor:
    """Mean squared distance of the sorted mask from one that keeps just its area: (R,).

    ``|sort(m) - r_a|^2`` with r_a the ones of area a and then zeros (arXiv 1910.08485, eq. 2), of
    all masks of a row together, each of which is the same share of the whole. One value at least
    is kept. Of values that differ by less than a thousandth those whose slope is lower come first, and
    of equal ones the first: where a search has driven many places to 1, their order in
    memory says nothing.

    Args:
        masks: (R, ...) each.
        areas: (R,), shares.
        slopes: (R, ...) each, of what is to be small; None where nothing tells ties apart.
    """
    values = torch.cat([mask.flatten(1) for mask in masks], dim=1)
    ranked = values.detach()
    if slopes is not None:
        lower = torch.cat([slope.flatten(1) for slope in slopes], dim=1)
        largest = lower.abs().amax(1, keepdim=True).clamp_min(torch.finfo(lower.dtype).tiny)
        ranked = ranked - NEARLY_EQUAL / 2 * lower / largest
    sizes = [mask[0].numel() for mask in masks]
    if len(set(sizes)) == 1:
        wanted = _largest(ranked, areas).to(values)
        return (values - wanted).square().mean(1)
    shares = torch.cat(
        [areas.new_full((n,), 1 / (len(sizes) * n), dtype=torch.float64) for n in sizes]
    )
    order = ranked.argsort(dim=1, descending=True, stable=True)
    taken = shares[order].cumsum(1) - shares[order] / 2 < areas[:, None]
    taken[:, 0] = True
    wanted = torch.zeros_like(values).scatter_(1, order, taken.to(values))
    return ((values - wanted).square() * shares.to(values)).sum(1)


def _largest(values: Tensor, areas: Tensor) -> Tensor:
    """Which values (R, V) are the largest so many of their row; no sorting, a threshold will do."""
    counts = (areas * values.shape[1]).round().long().clamp(1, values.shape[1])
    threshold = torch.stack(
        [
            row.kthvalue(row.numel() + 1 - int(count)).values
            for row, count in zip(values, counts, strict=True)
        ]
    )[:, None]
    above, equal = values > threshold, values == threshold
    missing = counts[:, None] - above.sum(1, keepdim=True)
    return above | (equal & (equal.cumsum(1) <= missing))


def ellipsoid(core: Extent, like: Tensor) -> Tensor:
    """The voxels of a box that lie in the ellipsoid touching its sides: (1, 1, frames, h, w), 0 or 1."""
    radii = [
        ((torch.arange(size, dtype=like.dtype, device=like.device) + 0.5) * 2 / size - 1).square()
        for size in core
    ]
    inside = radii[0][:, None, None] + radii[1][:, None] + radii[2] <= 1
    return inside.to(like)[None, None]


def core_loss(masks: Tensor, areas: Tensor, core: Extent) -> Tensor:
    """How far the mask is from being made of whole ellipsoids: (R,).

    The share of an ellipsoid that is kept, at places that lie its height and width apart and at every
    frame; the largest shares should be 1, as many as there are ellipsoids in the area, and the
    others 0: the two mean squared distances are added (STEP, arXiv 2005.00375, sec. 3.2).

    Args:
        masks: (R, 1, T, H, W).
        areas: (R,), shares of the volume.
        core: frames, height and width; cut to those of the masks.
    """
    core = Extent(*map(min, core, masks.shape[2:]))
    kernel = ellipsoid(core, masks)
    shares = functional.conv3d(masks, kernel / kernel.sum(), stride=(1, *core[1:])).flatten(1)
    volume = math.prod(masks.shape[2:])
    counts = (areas * volume / kernel.sum()).ceil().clamp(1, shares.shape[1])
    best_first = shares.sort(dim=1, descending=True).values
    top = torch.arange(shares.shape[1], device=masks.device) < counts[:, None]
    kept = ((1 - best_first).square() * top).sum(1) / counts
    rest = (best_first.square() * ~top).sum(1) / (shares.shape[1] - counts).clamp_min(1)
    return kept + rest
