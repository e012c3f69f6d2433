"""What a data set gives for one clip."""

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor


class Item(TypedDict):
    """One clip; the default collation of a ``DataLoader`` batches it.

    ``clip`` is (C, T, H, W) in [0, 1], or the visible and the infrared clip of one scene.
    """

    clip: Tensor | tuple[Tensor, ...]
    label: int
    name: str


def inputs_of(clip: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The model's inputs, of an item or of a batch: one clip, or visible and infrared."""
    return (clip,) if isinstance(clip, Tensor) else tuple(clip)


def batch_of(items: Sequence[Item]) -> tuple[Tensor, ...]:
    """The clips of some items as a batch (N, C, T, H, W) for each of the model's inputs."""
    every = zip(*(inputs_of(item["clip"]) for item in items), strict=True)
    return tuple(torch.stack(clips) for clips in every)
