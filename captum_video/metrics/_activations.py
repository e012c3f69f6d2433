"""What is done to a model's outputs before a metric reads its score."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor

Activation = Literal["softmax"] | None


def activation_of(name: Activation) -> Callable[[Tensor], Tensor] | None:
    """The function of this name, on outputs (rows, classes).

    Raises:
        ValueError: an unknown name.
    """
    if name not in ("softmax", None):
        raise ValueError(f"activation: expected 'softmax' or None, got {name!r}")
    return None if name is None else partial(torch.softmax, dim=1)
