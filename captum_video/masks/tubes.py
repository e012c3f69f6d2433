"""Tubes: windows that go along with what moves."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.clips import Extent, check_values, window_of
from captum_video.modes import full_precision


class Tubes:
    """Hides one tube at a time: a square of some frames that follows the optical flow.

    In its first frame a tube is a window of `SlidingWindows`, and there are as many, in the same
    order. Into each next frame it moves, unchanged in size, by the flow at its centre (read
    bilinearly, at the nearest pixel where the centre has left the frame), and is drawn at the nearest
    whole pixel; what of it lies outside the frame hides nothing. Squares that part leave gaps:
    there a voxel belongs to the nearest square among those that began in the same frame (of equal
    ones the earlier), so that every voxel is hidden by at least one tube. Without motion the masks are
    those of `SlidingWindows`.

    Args:
        extent: size of the clip.
        window: frames, height and width of a tube; at most the clip.
        strides: step between tubes where they begin, along each axis; at most the window.
        flow: (2, T, H, W) of one clip, in pixels per frame: dx to the right, then dy downwards, from
            each frame to the next, as `captum_video.flow.optical_flow` gives it. The masks are on its
            device.

    Raises:
        TypeError: a flow that is no floating-point tensor.
        ValueError: a window larger than the clip, a stride below 1 or above the window, a flow of
            another extent or not finite.

    Cost:
        Memory of ``window[0] * H * W`` numbers for each frame in which tubes begin.

    Example:
        >>> import torch
        >>> from captum_video import Extent
        >>> right = torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1).expand(2, 2, 1, 4)
        >>> Tubes(Extent(2, 1, 4), (2, 1, 2), (2, 1, 2), right)[:].reshape(2, 2, 4)
        tensor([[[0., 0., 1., 1.],
                 [0., 0., 0., 1.]],
        <BLANKLINE>
                [[1., 1., 0., 0.],
                 [1., 1., 1., 0.]]])
    """

    def __init__(
        self, extent: Extent, window: Sequence[int], strides: Sequence[int], flow: Tensor
    ) -> None:
        window = window_of(window, "window", extent)
        strides = window_of(strides, "stride")
        if any(step > size for step, size in zip(strides, window, strict=True)):
            raise ValueError(f"stride {strides} exceeds window {window}: voxels would be left out")
        check_values(flow, "flow")
        if flow.shape != (2, *extent):
            raise ValueError(f"flow: expected {(2, *extent)}, got shape {tuple(flow.shape)}")
        self.device = flow.device
        self._extent = extent
        corners = [
            _starts(length, size, step).to(self.device)
            for length, size, step in zip(extent, window, strides, strict=True)
        ]
        self._begins = corners[0]
        corner = torch.cartesian_prod(*corners[1:]).double()
        size = torch.tensor(window[1:], device=self.device)
        self._size = torch.minimum(size, torch.tensor(extent[1:], device=self.device) - corner)
        self._corners = self._followed(corner, window.frames, flow.detach().double())
        self._owners = self._owners_of_gaps()

    def __len__(self) -> int:
        return len(self._begins) * len(self._size)

    def __getitem__(self, index: slice) -> Tensor:
        number = torch.arange(*index.indices(len(self)), device=self.device)
        masks = torch.ones(len(number), 1, *self._extent, device=self.device)
        groups, squares = number // len(self._size), number % len(self._size)
        for group in groups.unique().tolist():
            row = (groups == group).nonzero()[:, 0]
            for step, frame in self._frames(group):
                rows, columns = self._inside(group, step)
                square = squares[row]
                hidden = rows[square, :, None] * columns[square, None, :]
                hidden += self._owners[group, step] == square[:, None, None]
                masks[row, 0, frame] -= hidden
        return masks

    def hidden_sum(self, weights: Tensor) -> Tensor:
        """Sum of ``weights[n, i] * (1 - mask i)`` over i, without making a mask.

        Args:
            weights: (N, number of tubes).

        Returns:
            (N, T, H, W).
        """
        total = weights.new_zeros(len(weights), *self._extent)
        for group, share in enumerate(weights.split(len(self._size), dim=1)):
            share = functional.pad(share, (0, 1))  # a last tube of no weight owns what is no gap
            for step, frame in self._frames(group):
                rows, columns = (one.to(weights) for one in self._inside(group, step))
                with full_precision(weights):
                    squares = torch.einsum("nk,kh,kw->nhw", share[:, :-1], rows, columns)
                total[:, frame] += squares + share[:, self._owners[group, step]]
        return total

    def _frames(self, group: int) -> list[tuple[int, int]]:
        """Steps of tubes of one beginning, and the frames of the clip on which they fall."""
        begin = int(self._begins[group])
        steps = min(self._corners.shape[1], self._extent.frames - begin)
        return [(step, begin + step) for step in range(steps)]

    def _inside(self, group: int, step: int) -> tuple[Tensor, Tensor]:
        """Which rows (K, H) and columns (K, W) each square covers, as 0 and 1."""
        tables = []
        for axis, length in enumerate(self._extent[1:]):
            first = self._corners[group, step, :, axis, None]
            place = torch.arange(length, device=self.device)
            inside = (place >= first) & (place < first + self._size[:, axis, None])
            tables.append(inside.float())
        return tables[0], tables[1]

    def _followed(self, corner: Tensor, frames: int, flow: Tensor) -> Tensor:
        """Row and column of every square at every step: (beginnings, steps, K, 2), whole numbers."""
        now = corner.expand(len(self._begins), -1, -1)
        middle = (self._size - 1) / 2
        path = [now]
        for step in range(frames - 1):
            # past the end of the clip tubes hide nothing, whatever moves them there
            frame = (self._begins + step).clamp_max(self._extent.frames - 1)
            now = now + _read(flow[:, frame].transpose(0, 1), now + middle)
            path.append(now)
        return (torch.stack(path, dim=1) + 0.5).floor()

    def _owners_of_gaps(self) -> Tensor:
        """The square nearest to each voxel that none covers, K elsewhere: (beginnings, steps, H, W)."""
        shape = (*self._corners.shape[:2], *self._extent[1:])
        owners = torch.full(shape, len(self._size), device=self.device)
        for group in range(len(self._begins)):
            for step, _ in self._frames(group):
                rows, columns = self._inside(group, step)
                gaps = (torch.einsum("kh,kw->hw", rows, columns) == 0).nonzero()
                first = self._corners[group, step]
                last = first + self._size - 1
                for part in gaps.split(1024):
                    away = torch.maximum(first - part[:, None], part[:, None] - last).clamp_min(0)
                    owner = away.square().sum(-1).argmin(1)
                    owners[group, step, part[:, 0], part[:, 1]] = owner
        return owners


def _starts(length: int, size: int, step: int) -> Tensor:
    return step * torch.arange(-(-(length - size) // step) + 1)


def _read(flow: Tensor, places: Tensor) -> Tensor:
    """Flow (G, 2, H, W), dx first, at (row, column) of (G, K, 2): dy and dx, (G, K, 2)."""
    size = torch.tensor(flow.shape[2:], device=flow.device)
    grid = (2 * places / (size - 1).clamp_min(1) - 1).flip(-1)
    read = functional.grid_sample(flow, grid[:, None], padding_mode="border", align_corners=True)
    return read[:, :, 0].transpose(1, 2).flip(-1)
