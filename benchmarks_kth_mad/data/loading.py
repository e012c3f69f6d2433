"""What every data set of clips needs while it is read: random starts, and a bounded memory."""

from collections.abc import Callable, Hashable

import torch
from torch.utils.data import get_worker_info

from benchmarks_kth_mad import seeds
from benchmarks_kth_mad.data.video import Frames


class Starts:
    """The generator of random starts, the same for the same seed.

    Args:
        seed: in a worker of a ``DataLoader`` its generator's seed counts too, and where several
            processes train together, the rank.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def generator(self) -> torch.Generator:
        """One per process, or all of them would draw the same."""
        worker = get_worker_info()
        seed = seeds.of_rank(self._seed, _rank()) if worker is None else worker.seed + self._seed
        if self._generator.initial_seed() != seed:
            self._generator = torch.Generator().manual_seed(seed)
        return self._generator


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


class FrameCache:
    """Frames that were read, kept until they fill a number of bytes; then the rest is read anew."""

    def __init__(self) -> None:
        self._frames: dict[Hashable, Frames] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def fetch(self, key: Hashable, read: Callable[[], Frames], limit: int) -> Frames:
        """What was kept under ``key``, or else what ``read`` gives, kept within ``limit`` bytes."""
        if key in self._frames:
            return self._frames[key]
        frames = read()
        if self._bytes + frames.nbytes <= limit:
            self._frames[key] = frames
            self._bytes += frames.nbytes
        return frames
