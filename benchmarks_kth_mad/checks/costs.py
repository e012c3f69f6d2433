"""What an explanation of one clip costs: passes, counted, and memory, of every tensor that it makes."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks_kth_mad.checks.bench import Bench
from benchmarks_kth_mad.methods import attribute
from captum_video.nn import FrameWise

PLAIN = "(plain forward pass)"
_MIB = 2**20


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


def cost_table(bench: Bench, methods: Sequence[str]) -> pd.DataFrame:
    """Explain the first clip of a bench by every method, and count.

    Returns:
        One row per method, and one for a plain forward pass: passes forward and backward, MiB of
        tensors at the peak.
    """
    one = bench.first(1)
    rows = []
    for name in (PLAIN, *methods):

        def explain(name: str = name) -> object:
            if name == PLAIN:
                with torch.inference_mode():
                    return bench.model(*one.clips)
            return attribute(name, bench.model, one.clips, one.targets, bench.settings.options)

        with counted_passes(bench.model, one.clips[0].shape[2]) as passes, HeldBytes() as held:
            explain()
        rows.append(
            {
                "method": name,
                "forward passes": round(passes.forward, 3),
                "backward passes": round(passes.backward, 3),
                "MiB": round(held.peak / _MIB, 1),
            }
        )
    return pd.DataFrame(rows)
