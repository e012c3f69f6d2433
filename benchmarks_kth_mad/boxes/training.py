"""Training one small classifier of series, by a plain loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks_kth_mad.boxes.series import Series
from benchmarks_kth_mad.errors import BenchmarkError


@dataclass(frozen=True)
class BoxRecipe:
    """How to train: the paper's recipe by default.

    Args:
        epochs: passes over the training set, at most.
        extra_steps: steps to go on after the first epoch without a mistake, where the paper stops;
            the last epoch is finished.
        batch_size: series per step.
        learning_rate: of Adam.
        weight_decay: of Adam, added to the gradient.

    Raises:
        BenchmarkError: a number out of range.
    """

    epochs: int = 400
    extra_steps: int = 0
    batch_size: int = 50
    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "extra_steps": 0, "batch_size": 1, "weight_decay": 0}
        for name, minimum in least.items():
            if not getattr(self, name) >= minimum:  # nan is not
                raise BenchmarkError(
                    f"{name}: expected at least {minimum}, got {getattr(self, name)}"
                )
        if not 0 < self.learning_rate <= 1:
            raise BenchmarkError(
                f"learning_rate: expected more than 0 and at most 1, got {self.learning_rate}"
            )


PAPER = BoxRecipe()
# A network that may stop at its first epoch without a mistake keeps the random weights of features that
# carry nothing, and their gradients with them. Decay takes away what the classes do not need.
DECAY = BoxRecipe(extra_steps=500, weight_decay=1e-2)


def fit(
    network: nn.Module,
    series: Series,
    recipe: BoxRecipe,
    generator: torch.Generator,
    on_epoch: Callable[[int, float], None],
) -> list[float]:
    """Train by cross-entropy until an epoch makes no mistake, or the epochs are over.

    A plain loop, shorter than what Lightning would need to be quiet, draw this order and stop here;
    nothing else of it would be used, and it was measured to add a tenth to a fifth of CPU time.

    Args:
        network: series to logits; left in training mode, where its dropout uses torch's global
            generator.
        series: on the network's device.
        recipe: how long, and how.
        generator: of the order; on the CPU.
        on_epoch: told of each epoch's number, from 1, and its accuracy.

    Returns:
        Accuracy counted during each epoch, as many as there were.

    Raises:
        BenchmarkError: the loss is not finite.
    """
    optimizer = torch.optim.Adam(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    network.train()
    accuracies: list[float] = []
    last = recipe.epochs
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(series.labels), generator=generator)
        batches = order.split(recipe.batch_size)
        right = _epoch(network, optimizer, series, batches)
        accuracies.append(right / len(order))
        on_epoch(epoch, accuracies[-1])
        if right == len(order):
            last = min(last, epoch + math.ceil(recipe.extra_steps / len(batches)))
        if epoch >= last:
            break
    return accuracies


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    series: Series,
    batches: tuple[Tensor, ...],
) -> int:
    """One step per batch; how many series were labelled right on the way."""
    right = torch.zeros((), dtype=torch.long)
    for batch in batches:
        labels = series.labels[batch]
        logits = network(series.inputs[batch])
        loss = functional.cross_entropy(logits, labels)
        if not torch.isfinite(loss):
            raise BenchmarkError(f"training: the loss became {loss.item()}; lower --learning-rate")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right += (logits.argmax(1) == labels).sum().cpu()
    return int(right)
