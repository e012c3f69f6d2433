"""What can be counted exactly, on any machine: clips run through a network, and bytes held."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from captum_video.nn import FrameWise


@dataclass
class Passes:
    """Clips that a network has run through, forward and backward; of a frame-wise one in frames / T."""

    forward: float = 0
    backward: float = 0


@contextmanager
def counted_passes(model: nn.Module, frames: int) -> Iterator[Passes]:
    """Count the clips that a network runs through while the block lasts.

    A `FrameWise` network encodes frames, not clips: of it the encoder's frames are counted, as so
    many clips of ``frames`` frames.
    """
    found = Passes()
    counted, unit = (model.encoder, frames) if isinstance(model, FrameWise) else (model, 1)

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
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


class HeldBytes(TorchDispatchMode):
    """Bytes of the tensors that are made while the mode is on, and live at once; ``peak`` is the most.

    What an operator uses inside, and frees before it returns, is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._held = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        for one in tree_leaves((args, kwargs)):
            self._see(one, is_new=False)
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            self._see(one, is_new=True)
        return made

    def _see(self, value: object, is_new: bool) -> None:
        if not isinstance(value, Tensor):
            return
        storage = value.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes() if is_new else 0  # an argument that was there before
        self._known[key] = size
        self._held += size
        self.peak = max(self.peak, self._held)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._held -= self._known.pop(key)
