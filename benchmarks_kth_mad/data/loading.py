"""What every data set of clips needs while it is read: random starts, and a bounded memory."""

from collections.abc import Callable, Hashable

import torch
from torch.utils.data import get_worker_info

from benchmarks_kth_mad.data.video import Frames


class Starts:
    """The generator of random starts, the same for the same seed.

    Args:
        seed: in a worker of a ``DataLoader`` its generator's seed counts too.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def generator(self) -> torch.Generator:
        """One per worker and epoch, or all workers would draw the same."""
        worker = get_worker_info()
        if worker is not None and self._generator.initial_seed() != worker.seed + self._seed:
            self._generator = torch.Generator().manual_seed(worker.seed + self._seed)
        return self._generator


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
