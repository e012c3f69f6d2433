"""Noise with boxes in it: series whose class lies in known places, so that a map can be judged."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

STEPS = 100
FEATURES = 100


class Box(NamedTuple):
    """Steps ``start`` to ``stop`` (exclusive) of features ``low`` to ``high`` (exclusive)."""

    start: int
    stop: int
    low: int
    high: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Index of the box in (steps, features)."""
        return slice(self.start, self.stop), slice(self.low, self.high)


@dataclass(frozen=True)
class BoxLayout:
    """Where the boxes of a data set lie.

    Args:
        title: as in the paper's table.
        alternatives: sets of boxes, of which each series has one, drawn uniformly.
        n_train: series to learn from.
        n_test: series to test on and to explain.
    """

    title: str
    alternatives: tuple[tuple[Box, ...], ...]
    n_train: int = 1000
    n_test: int = 300

    def masks(self) -> Tensor:
        """True inside the boxes of each alternative: (alternatives, steps, features)."""
        masks = torch.zeros(len(self.alternatives), STEPS, FEATURES, dtype=torch.bool)
        for mask, boxes in zip(masks, self.alternatives, strict=True):
            for box in boxes:
                mask[box.place] = True
        return masks


class Series(NamedTuple):
    """Series (N, steps, features), their classes (N,), and where these lie (N, steps, features)."""

    inputs: Tensor
    labels: Tensor
    reference: Tensor


def draw(layout: BoxLayout, count: int, generator: torch.Generator) -> Series:
    """Draw series: normal noise of variance 1, of mean +1 or -1 by class inside the boxes.

    Args:
        layout: where the boxes lie.
        count: number of series; one more of class 0 than of class 1 where it is odd.
        generator: decides everything; on the CPU.

    Returns:
        Inputs float32, labels 0 (mean -1) and 1 (mean +1) in turn, reference bool.
    """
    masks = layout.masks()
    reference = masks[torch.randint(len(masks), (count,), generator=generator)]
    labels = torch.arange(count) % 2
    inputs = torch.randn(count, STEPS, FEATURES, generator=generator)
    inputs.add_(reference * (2 * labels - 1)[:, None, None])
    return Series(inputs, labels, reference)


def _three(start: int, stop: int) -> tuple[Box, ...]:
    return tuple(Box(start, stop, low, high) for low, high in ((0, 30), (35, 65), (70, 100)))


def _mixed() -> Iterator[tuple[Box]]:
    """Seven boxes of 60 x 60, as in the authors' code: of the last span one range of features only."""
    for (start, stop), (low, high) in product(((5, 65), (35, 95)), ((5, 65), (35, 95), (20, 80))):
        yield (Box(start, stop, low, high),)
    yield (Box(20, 80, 20, 80),)


LAYOUTS = {
    "earlier": BoxLayout("Earlier", ((Box(0, 30, 10, 90),),)),
    "middle": BoxLayout("Middle", ((Box(20, 80, 20, 80),),)),
    "latter": BoxLayout("Latter", ((Box(70, 100, 10, 90),),)),
    "mixed": BoxLayout("Mixed", tuple(_mixed()), n_train=8000, n_test=1000),
    "3-earlier": BoxLayout("3 Earlier", (_three(0, 40),)),
    "3-middle": BoxLayout("3 Middle", (_three(25, 65),)),
}
