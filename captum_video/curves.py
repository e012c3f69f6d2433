"""Curve: how a score moves while evidence is added or taken away."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Curve:
    """Scores of a batch of clips over the fraction of evidence changed.

    Attributes:
        fractions: (S+1,), from 0 to 1, increasing: share of the units inserted or deleted. Or
            (N, S+1), each clip's own, not decreasing: share of its voxels in the regions inserted
            or deleted.
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

    def aligned(self) -> "Curve":
        """The curve at fractions that all clips share: evenly spaced, scores linearly between.

        Fractions that are shared already stay as they are. The area may change a little: take it from
        the curve itself.

        Example:
            >>> own = torch.tensor([[0.0, 0.2, 1.0], [0.0, 0.8, 1.0]])
            >>> curve = Curve(own, torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.8, 1.0]])).aligned()
            >>> curve.fractions, curve.scores
            (tensor([0.0000, 0.5000, 1.0000]), tensor([[0.0000, 1.0000, 1.0000],
                [0.0000, 0.5000, 1.0000]]))
        """
        if self.fractions.ndim == 1:
            return self
        n_points = self.fractions.shape[1]
        shared = torch.linspace(0, 1, n_points).to(self.fractions)
        wanted = shared.expand(len(self.fractions), -1).contiguous()
        after = torch.searchsorted(self.fractions.contiguous(), wanted).clamp(1, n_points - 1)
        low, high = (self.fractions.gather(1, place) for place in (after - 1, after))
        share = ((wanted - low) / (high - low).clamp_min(torch.finfo(low.dtype).tiny)).clamp(0, 1)
        before, then = (self.scores.gather(1, place) for place in (after - 1, after))
        return Curve(shared, torch.lerp(before, then, share.to(before)))
