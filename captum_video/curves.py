"""Curve: how a score moves while evidence is added or taken away."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Curve:
    """Scores of a batch of clips over the fraction of evidence changed.

    Attributes:
        fractions: (S+1,), from 0 to 1, increasing: share of the units inserted or deleted.
        scores: (N, S+1): the score of each clip at each fraction.

    Example:
        >>> import torch
        >>> Curve(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0.0, 1.0, 1.0]])).area
        tensor([0.7500])
    """

    fractions: Tensor
    scores: Tensor

    @property
    def area(self) -> Tensor:
        """(N,): area under each clip's curve by the trapezoid rule, on the fraction axis [0, 1]."""
        return torch.trapezoid(self.scores, self.fractions, dim=-1)
