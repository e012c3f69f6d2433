"""What work is done: bytes of new tensors and passes of a network, counted, not timed."""

import weakref
from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


class Ledger(TorchDispatchMode):
    """Counts the bytes of every storage that is new while it watches.

    What an operation takes and gives back inside its own kernel is not seen; what it hands out is. A
    storage counts until nothing holds it any more, so that the peak is that of the program and not
    of an allocator: it is the same on every machine and in every run.

    Args:
        *known: tensors that are there before, and cost nothing.

    Attributes:
        allocated: bytes of all new storages together.
        alive: bytes of those that are still held.
        peak: the most bytes that were held at once.
        by_operation: bytes by the name of the operation that made them.
    """

    def __init__(self, *known: Tensor) -> None:
        super().__init__()
        self.allocated = self.alive = self.peak = 0
        self.by_operation: dict[str, int] = defaultdict(int)
        self._seen = weakref.WeakSet(one.untyped_storage() for one in known)
        self._given = list(known)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        found = NotImplemented
        if COMPOSITE not in func.py_kernels:  # those are for compilers, and do otherwise
            with self:  # the parts of an operation that is made of others
                found = func.decompose(*args, **kwargs)
        if found is NotImplemented:
            for one in tree_iter((args, kwargs)):
                self._meet(one)
            found = func(*args, **kwargs)
        for one in tree_iter(found):
            self._note(one, func)
        return found

    def _meet(self, one: object) -> None:
        """What an operation reads was there before, or has been counted."""
        if isinstance(one, Tensor):
            self._seen.add(one.untyped_storage())

    def _note(self, one: object, func) -> None:
        if not isinstance(one, Tensor) or one.is_meta:
            return
        storage = one.untyped_storage()
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.allocated += size
        self.by_operation[str(func)] += size
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._forget, size).atexit = False

    def _forget(self, size: int) -> None:
        self.alive -= size


class Counted(nn.Module):
    """A network that notes the rows of every call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.calls: list[int] = []

    def forward(self, clip: Tensor, *more: Tensor) -> Tensor:
        self.calls.append(len(clip))
        return self.network(clip, *more)

    def of_two(self, first: Tensor, second: Tensor) -> Tensor:
        """Scores of two inputs laid over each other."""
        return self(first + second)

    @property
    def rows(self) -> int:
        """Clips that it was shown."""
        return sum(self.calls)
