"""Mask streams: what is kept of a clip in each of many perturbations.

A stream has a length and gives any stretch of its masks as ``masks[a:b] -> (b - a, 1, T, H, W)`` in
[0, 1], where **1 keeps the original and 0 puts the baseline in its place**. Whatever is random is
drawn once, when the stream is made, so that a mask does not depend on how the stream is cut.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.clips import Extent, window_of


class MaskStream(Protocol):
    """What the engine asks of a stream."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice) -> Tensor: ...


class Untouched:
    """One mask that keeps everything: the clip as it is.

    Example:
        >>> Untouched(Extent(2, 1, 1))[:].flatten()
        tensor([1., 1.])
    """

    def __init__(self, extent: Extent, device: torch.device | str | None = None) -> None:
        self._mask = torch.ones(1, 1, *extent, device=device)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: slice) -> Tensor:
        return self._mask[index]


class SlidingWindows:
    """Hides one window (frames, height, width) at a time, moved by strides.

    The last window of an axis starts inside the clip and is cut at its border, so that every voxel is
    hidden by at least one window and none wraps round.

    Args:
        extent: size of the clip.
        window: frames, height and width of what is hidden; at most the clip.
        strides: step along each axis; at most the window.
        device: where the masks are made.

    Raises:
        ValueError: a window larger than the clip, a stride below 1 or above the window.

    Example:
        >>> SlidingWindows(Extent(1, 1, 5), (1, 1, 2), (1, 1, 2))[:].reshape(3, 5)
        tensor([[0., 0., 1., 1., 1.],
                [1., 1., 0., 0., 1.],
                [1., 1., 1., 1., 0.]])
    """

    def __init__(
        self,
        extent: Extent,
        window: Sequence[int],
        strides: Sequence[int],
        device: torch.device | str | None = None,
    ) -> None:
        window = window_of(window, "window", extent)
        strides = window_of(strides, "stride")
        if any(step > size for step, size in zip(strides, window, strict=True)):
            raise ValueError(f"stride {strides} exceeds window {window}: voxels would be left out")
        self._inside = [
            _window_table(length, size, step, device)
            for length, size, step in zip(extent, window, strides, strict=True)
        ]
        self.counts = Extent(*(len(table) for table in self._inside))

    def __len__(self) -> int:
        return self.counts.frames * self.counts.height * self.counts.width

    def __getitem__(self, index: slice) -> Tensor:
        number = torch.arange(*index.indices(len(self)), device=self._inside[0].device)
        frames, rows, columns = (
            table[place]
            for table, place in zip(
                self._inside, torch.unravel_index(number, self.counts), strict=True
            )
        )
        hidden = frames[:, :, None, None] * rows[:, None, :, None] * columns[:, None, None, :]
        return 1 - hidden[:, None]

    def hidden_sum(self, weights: Tensor) -> Tensor:
        """Sum of ``weights[n, i] * (1 - mask i)`` over i, without making a mask.

        Args:
            weights: (N, number of windows).

        Returns:
            (N, T, H, W).
        """
        frames, rows, columns = (table.to(weights) for table in self._inside)
        grid = weights.reshape(len(weights), *self.counts)
        return torch.einsum("nijk,it,jh,kw->nthw", grid, frames, rows, columns)


def _window_table(length: int, size: int, step: int, device: torch.device | str | None) -> Tensor:
    count = -(-(length - size) // step) + 1
    starts = step * torch.arange(count, device=device)[:, None]
    place = torch.arange(length, device=device)
    return ((place >= starts) & (place < starts + size)).float()


class RandomGrids:
    """Smooth random masks: coarse random grids, interpolated and shifted (RISE, arXiv 1806.07421).

    Mask i is ``m_i(v) = sum_k U(v, k; s_i) g_ik``: independent bits g on the nodes k of a coarse
    space-time grid, each kept with ``keep_probability``, a shift s drawn uniformly from one cell, and
    U the product of three linear interpolations. As the weights U of a voxel sum to 1, the mean of
    every mask at every voxel is exactly ``keep_probability``. RISE resizes images of masks instead;
    the separable form is the same family and needs no resize, and gives the adjoint below.

    Args:
        extent: size of the clip.
        grid_shape: cells over frames, height and width; at most one cell a voxel.
        keep_probability: of a node, in (0, 1).
        n_masks: number of masks.
        generator: draws bits, then shifts.
        device: where the masks are made; draws do not depend on it.

    Raises:
        ValueError: a grid finer than the clip, a probability outside (0, 1), fewer than one mask.

    Example:
        >>> masks = RandomGrids(Extent(4, 8, 8), (2, 2, 2), 0.5, 100, torch.Generator())
        >>> len(masks), masks[10:13].shape
        (100, torch.Size([3, 1, 4, 8, 8]))
    """

    def __init__(
        self,
        extent: Extent,
        grid_shape: Sequence[int],
        keep_probability: float,
        n_masks: int,
        generator: torch.Generator,
        device: torch.device | str | None = None,
    ) -> None:
        grid_shape = window_of(grid_shape, "grid_shape", extent)
        if not 0 < keep_probability < 1:
            raise ValueError(f"keep_probability: expected 0 < p < 1, got {keep_probability}")
        if n_masks < 1:
            raise ValueError(f"n_samples: expected at least 1 mask, got {n_masks}")
        self.keep_probability = keep_probability
        self._extent, self._grid_shape = extent, grid_shape
        cells = [-(-length // cells) for length, cells in zip(extent, grid_shape, strict=True)]
        self._axes = [
            _interpolation(length, cell, device) for length, cell in zip(extent, cells, strict=True)
        ]
        source = generator.device
        nodes = [axis.shape[2] for axis in self._axes]
        chance = torch.rand((n_masks, *nodes), generator=generator, device=source)
        self._bits = (chance < keep_probability).to(device)
        shifts = [
            torch.randint(cell, (n_masks,), generator=generator, device=source) for cell in cells
        ]
        self._shifts = torch.stack(shifts, dim=1).to(device)

    def __len__(self) -> int:
        return len(self._bits)

    def __getitem__(self, index: slice) -> Tensor:
        return self.at([slice(None)] * 3, index)[:, None]

    def lattice(self) -> list[Tensor]:
        """Evenly spaced voxels along T, H and W: two per cell, at most every voxel."""
        return [
            torch.linspace(0, length - 1, min(length, 2 * cells)).round().long()
            for length, cells in zip(self._extent, self._grid_shape, strict=True)
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
        shifts = tuple(len(axis) for axis in self._axes)
        first, second, third = self._shifts.T
        place = (first * shifts[1] + second) * shifts[2] + third
        bits = self._bits.flatten(1)
        sums = []
        for row in weights:  # one at a time: the table is the largest thing here
            table = weights.new_zeros(shifts[0] * shifts[1] * shifts[2], bits.shape[1])
            for part in _parts(len(bits)):
                table.index_add_(0, place[part], bits[part] * row[part, None])
            grid = table.unflatten(0, shifts).unflatten(3, self._bits.shape[1:])
            grid = torch.einsum("abcijk,cwk->abijw", grid, columns)
            grid = torch.einsum("abijw,bhj->aihw", grid, rows)
            sums.append(torch.einsum("aihw,ati->thw", grid, frames))
        return torch.stack(sums)

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


def _parts(length: int, size: int = 256) -> list[slice]:
    return [slice(start, start + size) for start in range(0, length, size)]


def _interpolation(length: int, cell: int, device: torch.device | str | None) -> Tensor:
    """Linear weights (shift, voxel, node) of voxels whose grid nodes lie ``cell`` voxels apart."""
    shift = torch.arange(cell, device=device)[:, None, None]
    voxel = torch.arange(length, device=device)[None, :, None]
    node = torch.arange((length - 1 + cell - 1) // cell + 2, device=device)
    return (1 - ((voxel + shift) / cell - node).abs()).clamp_min(0)


class FeatureMaps:
    """Masks from the feature maps of one clip (SIDU, arXiv 2101.10710): one mask per channel.

    Args:
        activations: (K, T', H', W') of one clip.
        extent: size of the clip, to which masks are upsampled (trilinear).
        threshold: hard masks keep where a map exceeds this value; its scale is the network's.
        quantile: or where it exceeds this quantile of all maps of the clip, in [0, 1).
        soft: or the maps themselves, each scaled to [0, 1]. Give exactly one of the three.

    Maps that keep nothing are dropped; ``channels`` tells which are left.

    Raises:
        ValueError: not exactly one rule, a quantile out of range, or no map that keeps anything.

    Example:
        >>> maps = torch.tensor([0.0, 2.0, 0.0, 0.0]).reshape(2, 1, 1, 2)
        >>> masks = FeatureMaps(maps, Extent(1, 1, 2), threshold=1.0)
        >>> masks.channels, masks[:].flatten()
        (tensor([0]), tensor([0., 1.]))
    """

    def __init__(
        self,
        activations: Tensor,
        extent: Extent,
        *,
        threshold: float | None = None,
        quantile: float | None = None,
        soft: bool = False,
    ) -> None:
        if (threshold is not None) + (quantile is not None) + soft != 1:
            raise ValueError("feature maps: expected exactly one of threshold, quantile and soft")
        if activations.ndim != 4:
            raise ValueError(
                f"activations: expected (K, T, H, W) of one clip, got {tuple(activations.shape)}"
            )
        if soft:
            low, high = activations.amin((1, 2, 3), True), activations.amax((1, 2, 3), True)
            maps = (activations - low) / (high - low).clamp_min(torch.finfo(low.dtype).tiny)
        else:
            if quantile is not None:
                threshold = _quantile(activations, quantile)
            maps = (activations > activations.new_tensor(threshold)).float()
        self.channels = maps.flatten(1).any(1).nonzero().flatten()
        if len(self.channels) == 0:
            raise ValueError("feature maps: no map keeps anything; lower the threshold")
        self._maps = maps[self.channels].float()
        self._extent = extent

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, index: slice) -> Tensor:
        return functional.interpolate(
            self._maps[index, None], tuple(self._extent), mode="trilinear", align_corners=False
        )

    def kept_sum(self, weights: Tensor) -> Tensor:
        """Sum of ``weights[n, i] * mask i`` over i, taken at the size of the maps.

        Args:
            weights: (N, number of masks).

        Returns:
            (N, T, H, W).
        """
        small = torch.einsum("ni,ithw->nthw", weights, self._maps.to(weights))
        return functional.interpolate(
            small[:, None], tuple(self._extent), mode="trilinear", align_corners=False
        )[:, 0]


def _quantile(activations: Tensor, quantile: float) -> float:
    if not 0 <= quantile < 1:
        raise ValueError(f"quantile: expected 0 <= quantile < 1, got {quantile}")
    rank = int(quantile * (activations.numel() - 1)) + 1
    return activations.flatten().kthvalue(rank).values.item()


class RankedPrefixes:
    """Masks that keep the first so many units of a ranking.

    Args:
        ranks: whole numbers, (T, H, W) or broadcastable to it; the unit kept first has rank 0.
        kept: (M,), how many units mask i keeps.
        extent: size of the clip.

    Example:
        >>> ranks = torch.tensor([2, 0, 1]).reshape(1, 1, 3)
        >>> RankedPrefixes(ranks, torch.tensor([0, 1, 2]), Extent(1, 1, 3))[:].reshape(3, 3)
        tensor([[0., 0., 0.],
                [0., 1., 0.],
                [0., 1., 1.]])
    """

    def __init__(self, ranks: Tensor, kept: Tensor, extent: Extent) -> None:
        self._ranks = ranks.expand(extent)
        self._kept = kept.to(ranks.device)

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: slice) -> Tensor:
        kept = self._kept[index]
        return (self._ranks < kept[:, None, None, None]).float()[:, None]
