"""How many rows a pass holds: found once for a network and its clips, and remembered."""

from collections.abc import Callable, Hashable, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from captum_video.perturb._job import most_rows

_FIRST_ROWS = 8
_SHARE = 0.8
"""Of the free memory that a pass may fill; the rest is for what differs from pass to pass."""

_found: WeakKeyDictionary[nn.Module, dict[Hashable, int]] = WeakKeyDictionary()


class ChunkSize:
    """Rows per pass for one network and clips of one shape; what was found to fit is remembered.

    It is remembered for as long as the network lives, by the shape and dtype of a row, the device and
    the dtype of autocast. A plain function is not remembered. On a CPU there is something to remember
    only after memory ran out. On a GPU the first pass is small, and what it takes tells how many
    rows fit; that resets the device's peak statistics (`torch.cuda.max_memory_allocated`).

    Args:
        forward_func: the network.
        row: what it takes for one row, a tensor per input.
        kind: of the pass; one with gradients needs more.
        measures: whether the memory of a pass grows with its rows alone, so that it can be measured.
    """

    def __init__(
        self, forward_func: Callable, row: Sequence[Tensor], kind: str, *, measures: bool = True
    ) -> None:
        self._device = row[0].device
        self._known = _known_of(forward_func)
        self._key = (
            kind,
            tuple((tuple(one.shape), one.dtype) for one in row),
            self._device,
            _autocast_dtype(self._device.type),
        )
        self._most = most_rows(row)
        self._measures = measures and self._device.type == "cuda" and self.remembered is None
        self._failed = False
        self._resting = 0

    @property
    def remembered(self) -> int | None:
        """What fitted before."""
        return self._known.get(self._key)

    def first(self, estimate: int) -> int:
        """Rows of the first pass, by what is remembered, or by an estimate of what fits."""
        self._rest()
        found = self.remembered or estimate
        return min(found, _FIRST_ROWS) if self._measures else found

    def failed(self) -> None:
        """A pass ran out of memory, and has given back what it took."""
        self._failed = True
        self._rest()

    def _rest(self) -> None:
        if self._measures:
            torch.cuda.reset_peak_memory_stats(self._device)
            self._resting = torch.cuda.memory_allocated(self._device)

    def after(self, rows: int, size: int) -> int:
        """Rows of the next pass, after one of so many rows, at most ``size``, has fitted."""
        if self._measures:
            size = self._measured(rows)
        if self._measures or self._failed:
            self._known[self._key] = size
        self._measures = self._failed = False
        return size

    def _measured(self, rows: int) -> int:
        taken = torch.cuda.max_memory_allocated(self._device) - self._resting
        free, _ = torch.cuda.mem_get_info(self._device)
        cached = torch.cuda.memory_reserved(self._device) - self._resting
        return rows_by_measure(rows, taken, free + cached, self._most)


def rows_by_measure(rows: int, taken: int, available: int, most: int) -> int:
    """Rows that fit, judged by a smaller pass.

    What a pass takes whatever its rows (workspaces) is counted as theirs, so that the answer errs to
    the low side.

    Args:
        rows: of the pass that was measured.
        taken: bytes that it took at most.
        available: bytes that there are when nothing of a pass is in memory.
        most: rows that are enough.

    Returns:
        At least 1.
    """
    per_row = max(1, -(-taken // rows))
    return max(1, min(int(_SHARE * available) // per_row, most))


def _known_of(forward_func: Callable) -> dict[Hashable, int]:
    if isinstance(forward_func, nn.Module) and isinstance(forward_func, Hashable):
        return _found.setdefault(forward_func, {})
    return {}


def _autocast_dtype(device_type: str) -> torch.dtype | None:
    if not torch.is_autocast_enabled(device_type):
        return None
    return torch.get_autocast_dtype(device_type)
