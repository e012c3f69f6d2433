"""Sliding windows: one place hidden at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from captum_video.clips import Extent, window_of
from captum_video.modes import full_precision


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
        >>> from captum_video import Extent
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
        self._extent = extent
        self._shown = [table[:, :1] if table.all() else table for table in self._inside]
        self.device = self._inside[0].device
        self.counts = Extent(*(len(table) for table in self._inside))

    def __len__(self) -> int:
        return self.counts.frames * self.counts.height * self.counts.width

    def __getitem__(self, index: slice) -> Tensor:
        number = torch.arange(*index.indices(len(self)), device=self.device)
        frames, rows, columns = (
            table[place]
            for table, place in zip(
                self._shown, torch.unravel_index(number, self.counts), strict=True
            )
        )
        lines = (frames[:, :, None] * rows[:, None])[:, None, :, :, None]
        columns = columns[:, None, None, None]
        masks = torch.addcmul(columns.new_ones(()), lines, columns, value=-1)  # in one tensor
        return masks.expand(-1, -1, *self._extent)

    def hidden_sum(self, weights: Tensor) -> Tensor:
        """Sum of ``weights[n, i] * (1 - mask i)`` over i, without making a mask.

        Args:
            weights: (N, number of windows).

        Returns:
            (N, T, H, W).
        """
        frames, rows, columns = (table.to(weights) for table in self._inside)
        grid = weights.reshape(len(weights), *self.counts)
        with full_precision(weights):
            return torch.einsum("nijk,it,jh,kw->nthw", grid, frames, rows, columns)


def _window_table(length: int, size: int, step: int, device: torch.device | str | None) -> Tensor:
    count = -(-(length - size) // step) + 1
    starts = step * torch.arange(count, device=device)[:, None]
    place = torch.arange(length, device=device)
    return ((place >= starts) & (place < starts + size)).float()
