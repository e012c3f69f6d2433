"""Random grids: smooth masks whose mean and covariance are known exactly."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from captum_video.clips import Extent, window_of

_MASKS_AT_A_TIME = 256


class RandomGrids:
    """Smooth random masks: coarse random grids, interpolated and shifted (RISE, arXiv 1806.07421).

    Mask i is ``m_i(v) = sum_k U(v, k; s_i) g_ik``: independent bits g on the nodes k of a coarse
    space-time grid, each kept with ``keep_probability``, a shift s drawn uniformly from one cell, and
    U the product of three linear interpolations. As the weights U of a voxel sum to 1, the mean of
    every mask at every voxel is exactly ``keep_probability``. RISE resizes images of masks instead;
    the separable form is the same family and needs no resize, and gives the adjoint below.

    Args:
        extent: size of the clip.
        grid_shape: cells over frames, height and width; at most one cell a voxel. None: masks do
            not vary along this axis.
        keep_probability: of a node, in (0, 1).
        n_masks: number of masks.
        generator: draws mask after mask, so that fewer masks of the same seed are the first of
            these (on a CPU; generators on a GPU do not promise it).
        device: where the masks are made; draws do not depend on it.

    Raises:
        ValueError: a grid finer than the clip, a probability outside (0, 1), fewer than one mask.

    Example:
        >>> import torch
        >>> from captum_video import Extent
        >>> masks = RandomGrids(Extent(4, 8, 8), (2, 2, 2), 0.5, 100, torch.Generator())
        >>> len(masks), masks[10:13].shape
        (100, torch.Size([3, 1, 4, 8, 8]))
    """

    def __init__(
        self,
        extent: Extent,
        grid_shape: Sequence[int | None],
        keep_probability: float,
        n_masks: int,
        generator: torch.Generator,
        device: torch.device | str | None = None,
    ) -> None:
        grid = _grid_of(grid_shape, extent)
        if not 0 < keep_probability < 1:
            raise ValueError(f"keep_probability: expected 0 < p < 1, got {keep_probability}")
        if n_masks < 1:
            raise ValueError(f"n_samples: expected at least 1 mask, got {n_masks}")
        self.keep_probability = keep_probability
        self._extent = extent
        self._axes = [
            _constant(length, device)
            if count is None
            else _interpolation(length, -(-length // count), device)
            for length, count in zip(extent, grid, strict=True)
        ]
        self._knots = [1 if count is None else -(-3 * count // 2) for count in grid]
        nodes = [axis.shape[2] for axis in self._axes]
        counts = torch.tensor([len(axis) for axis in self._axes], device=generator.device)
        bits, shifts = [], []
        for part in _parts(n_masks):  # numbers of all masks would take four times their bits
            size = (len(range(n_masks)[part]), len(nodes) + math.prod(nodes))
            chance = torch.rand(size, generator=generator, device=generator.device)
            shifts.append((chance[:, : len(nodes)] * counts).long().to(device))
            bits.append((chance[:, len(nodes) :] < keep_probability).to(device))
        self._bits = torch.cat(bits).unflatten(1, nodes)
        self._shifts = torch.cat(shifts)

    def __len__(self) -> int:
        return len(self._bits)

    def __getitem__(self, index: slice) -> Tensor:
        points = [slice(1) if knots == 1 else slice(None) for knots in self._knots]
        return self.at(points, index)[:, None].expand(-1, -1, *self._extent)

    def part(self, index: slice) -> "RandomGrids":
        """Some of these masks by themselves; nothing is drawn anew."""
        some = copy.copy(self)
        some._bits, some._shifts = self._bits[index], self._shifts[index]
        return some

    def lattice(self) -> list[Tensor]:
        """Evenly spaced voxels along T, H and W: three per two cells, at most every voxel.

        Twice as many as cells describe smooth masks hardly better, for four times the memory.
        """
        return [
            torch.linspace(0, length - 1, min(length, count)).round().long()
            for length, count in zip(self._extent, self._knots, strict=True)
        ]

    def at(
        self, points: Sequence[Tensor | slice], index: slice, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Masks on a sub-lattice of voxels.

        Args:
            points: indices along T, H and W.
            index: which masks.
            dtype: of the result.

        Returns:
            (masks, points along T, along H, along W).
        """
        shifts = self._shifts[index]
        frames, rows, columns = (
            axis[:, place].to(dtype)[shift]
            for axis, place, shift in zip(self._axes, points, shifts.T, strict=True)
        )
        grid = self._bits[index].to(dtype) @ columns[:, None].mT
        grid = rows[:, None] @ grid
        return (frames @ grid.flatten(2)).unflatten(2, grid.shape[2:])

    def kept_sum(self, weights: Tensor) -> Tensor:
        """Sum of ``weights[n, i] * mask i`` over i, at grid resolution: no mask is made.

        Args:
            weights: (N, number of masks).

        Returns:
            (N, T, H, W), in the dtype of ``weights``.
        """
        frames, rows, columns = (axis.to(weights) for axis in self._axes)
        first, second, third = self._shifts.T
        place, bits = second * len(columns) + third, self._bits.flatten(1)
        shifts, nodes = (len(rows), len(columns)), self._bits.shape[1:]
        sums = weights.new_zeros(len(weights), *self._extent)
        # one row and one shift in time after the other: their tables are the largest thing here
        for shift, ramp in enumerate(frames):
            own = (first == shift).nonzero()[:, 0]
            for row, total in zip(weights, sums, strict=True):
                table = weights.new_zeros(shifts[0] * shifts[1], bits.shape[1])
                for some in own.split(_MASKS_AT_A_TIME):
                    table.index_add_(0, place[some], bits[some] * row[some, None])
                grid = table.unflatten(0, shifts).unflatten(2, nodes)
                grid = torch.einsum("bcijk,cwk->bijw", grid, columns)
                grid = torch.einsum("bijw,bhj->ihw", grid, rows)
                total += torch.einsum("ihw,ti->thw", grid, ramp)
        return sums

    def covariances(self, points: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """How masks vary together, axis by axis.

        ``Cov(m(a), m(v)) = p (1 - p) K_t K_h K_w``, each K the mean over shifts of
        ``sum_k U(a, k) U(v, k)``.

        Returns:
            K_t, K_h, K_w, each (points on the axis, length of the axis).
        """
        return [
            torch.einsum("sak,svk->av", axis[:, place].to(dtype), axis.to(dtype)) / len(axis)
            for axis, place in zip(self._axes, points, strict=True)
        ]


def _parts(length: int) -> list[slice]:
    return [slice(start, start + _MASKS_AT_A_TIME) for start in range(0, length, _MASKS_AT_A_TIME)]


def _grid_of(shape: Sequence[int | None], extent: Extent) -> Sequence[int | None]:
    """Check the numbers of cells; an axis with None has no grid."""
    cells: object = shape
    if isinstance(shape, tuple | list):
        cells = [1 if count is None else count for count in shape]
    window_of(cells, "grid_shape", extent)
    return shape


def _constant(length: int, device: torch.device | str | None) -> Tensor:
    """Weights (shift, voxel, node) of an axis along which masks do not vary."""
    return torch.ones(1, length, 1, device=device)


def _interpolation(length: int, cell: int, device: torch.device | str | None) -> Tensor:
    """Linear weights (shift, voxel, node) of voxels whose grid nodes lie ``cell`` voxels apart."""
    shift = torch.arange(cell, device=device)[:, None, None]
    voxel = torch.arange(length, device=device)[None, :, None]
    node = torch.arange((length - 1 + cell - 1) // cell + 2, device=device)
    return (1 - ((voxel + shift) / cell - node).abs()).clamp_min(0)
