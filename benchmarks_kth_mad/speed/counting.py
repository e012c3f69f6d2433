"""What can be counted exactly, on any machine: clips run through a network, and bytes held."""

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from captum_video.nn import FrameWise

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


@dataclass
class Passes:
    """Clips that a network has run through, forward and backward; of a frame-wise one in frames / T."""

    forward: float = 0
    backward: float = 0


@contextmanager
def counted_passes(model: torch.nn.Module, frames: int) -> Iterator[Passes]:
    """Count the clips that a network runs through while the block lasts.

    A `FrameWise` network encodes frames, not clips: of it the encoder's frames are counted, as so
    many clips of ``frames`` frames.
    """
    found = Passes()
    counted, unit = (model.encoder, frames) if isinstance(model, FrameWise) else (model, 1)

    def count(module: torch.nn.Module, inputs: Any, output: Tensor) -> None:
        found.forward += len(output) / unit
        if output.requires_grad:
            output.register_hook(back)

    def back(gradient: Tensor) -> None:
        found.backward += len(gradient) / unit

    handle = counted.register_forward_hook(count)
    try:
        yield found
    finally:
        handle.remove()


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
        self.by_operation: Counter[str] = Counter()
        self._seen = weakref.WeakSet(one.untyped_storage() for one in known)
        self._given = list(known)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        found = NotImplemented
        if _COMPOSITE not in func.py_kernels:  # those are for compilers, and do otherwise
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

    def _note(self, one: object, func: object) -> None:
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
