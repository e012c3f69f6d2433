"""The fit of RISE's regression: scores by masks' values, at a lattice of places."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from captum_video.masks import RandomGrids

_MASKS_AT_A_TIME = 64
_PENALTIES = torch.logspace(-10, 4, 113, dtype=torch.float64)
"""In units of the largest eigenvalue."""
_MOST_FREEDOM = 0.9


class Lattice:
    """What the regression sees of mask i: values minus p at lattice points, of all inputs in a row.

    Args:
        streams: one per input.
        scale: (L,), what values are multiplied by; None: nothing.

    Attributes:
        streams: one per input.
        points: for each input, voxels along T, H and W.
        sizes: for each input, how many points.
    """

    def __init__(self, streams: Sequence[RandomGrids], scale: Tensor | None = None) -> None:
        self.streams = streams
        self._scale = scale
        self.points = [masks.lattice() for masks in streams]
        self.sizes = [math.prod(len(axis) for axis in points) for points in self.points]

    def __len__(self) -> int:
        return len(self.streams[0])

    def batches(self) -> list[slice]:
        """Few masks at a time."""
        return batches_of(self.streams[0])

    def at(self, batch: slice, dtype: torch.dtype) -> Tensor:
        """Features of these masks: (masks, L)."""
        parts = [
            masks.at(points, batch, dtype).flatten(1) - masks.keep_probability
            for masks, points in zip(self.streams, self.points, strict=True)
        ]
        features = torch.cat(parts, dim=1)
        return features if self._scale is None else features.mul_(self._scale)

    def weights(self, coefficients: Tensor) -> tuple[Tensor, ...]:
        """Of the masks' values themselves, from those of the features (R, L): one part per input."""
        unscaled = coefficients if self._scale is None else coefficients * self._scale
        return unscaled.split(self.sizes, dim=1)


class Ridge:
    """Ridge regression of scores (R, M) on mask values at lattice points, one penalty per row.

    Attributes:
        coefficients: (R, L), of the features of a `Lattice`.
        penalties: (R, 1), of the squared coefficients.
        intercepts: (R,), the fitted score of an average mask.
        residuals: (R, M), leave-one-out.
        r_squared: (R,), leave-one-out; 1 where scores do not vary.
    """

    def __init__(self, lattice: Lattice, scores: Tensor) -> None:
        count = scores.shape[1]
        center, eigenvalues, vectors, cross = self._spectrum(lattice, scores)
        mean = scores.mean(1)
        rotated = (cross - count * torch.outer(mean, center)) @ vectors
        varies = (scores - mean[:, None]).square().sum(1)
        self.penalties = self._penalties(eigenvalues, rotated, varies, count)
        shrunk = 1 / (eigenvalues + self.penalties)
        rotated_coefficients = rotated * shrunk  # (R, L)
        self.coefficients = rotated_coefficients @ vectors.T
        self.intercepts = mean - self.coefficients @ center
        self.residuals = torch.empty_like(scores)
        for batch in lattice.batches():
            features = (lattice.at(batch, scores.dtype) - center) @ vectors
            leverage = shrunk @ features.square().T + 1 / count
            error = scores[:, batch] - mean[:, None] - rotated_coefficients @ features.T
            self.residuals[:, batch] = error / (1 - leverage).clamp_min(1e-6)
        unexplained = self.residuals.square().sum(1)
        constant = varies <= 1e-24 * scores.square().sum(1)
        self.r_squared = torch.where(constant, 1.0, 1 - unexplained / varies.clamp_min(1e-300))

    @staticmethod
    def _spectrum(lattice: Lattice, scores: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean of the features (L,), squared singular values (r,) and right singular vectors (L, r).

        Of the centred features, by the smaller of their two Gram matrices: nothing kept here grows
        with the number of masks beyond L. Last, the sums of score times feature (R, L).
        """
        size = sum(lattice.sizes)
        if len(lattice) < size:
            features = torch.cat([lattice.at(b, scores.dtype) for b in lattice.batches()])
            cross = scores @ features
            center = features.mean(0)
            features -= center
            eigenvalues, vectors = torch.linalg.eigh(features @ features.T)
            used = eigenvalues >= 1e-12 * eigenvalues[-1]
            eigenvalues = eigenvalues[used].clamp_min(0)
            vectors = features.T @ (vectors[:, used] / eigenvalues.clamp_min(1e-300).sqrt())
            return center, eigenvalues, vectors, cross
        total, gram = scores.new_zeros(size), scores.new_zeros(size, size)
        cross = scores.new_zeros(len(scores), size)
        for batch in lattice.batches():
            features = lattice.at(batch, scores.dtype)
            total += features.sum(0)
            gram.addmm_(features.T, features)
            cross.addmm_(scores[:, batch], features)
        center = total / len(lattice)
        gram.addr_(center, center, alpha=-len(lattice))
        eigenvalues, vectors = torch.linalg.eigh(gram)
        return center, eigenvalues.clamp_min(0), vectors, cross

    @staticmethod
    def _penalties(eigenvalues: Tensor, rotated: Tensor, varies: Tensor, count: int) -> Tensor:
        """For each row the penalty of least generalised cross-validation error: (R, 1).

        The least of a grid is refined by the parabola through its neighbours, so that the penalty
        moves smoothly with the scores. Fits that use up nearly all degrees of freedom are left out:
        there the criterion is 0 / 0.
        """
        penalties = _PENALTIES.to(eigenvalues)
        largest = eigenvalues.amax().clamp_min(1e-100)
        damped = eigenvalues + penalties[:, None] * largest  # (P, L)
        freedom = (eigenvalues / damped).sum(1)
        explained = rotated.square() @ ((2 * damped - eigenvalues) / damped.square()).T
        errors = (varies[:, None] - explained).clamp_min(1e-300)
        criterion = errors.log() - 2 * (count - 1 - freedom).clamp_min(1e-300).log()  # (R, P)
        criterion[:, freedom > _MOST_FREEDOM * (count - 1)] = torch.inf
        best = criterion.argmin(1)
        inner = best.clamp(1, len(penalties) - 2)[:, None]
        left, middle, right = (criterion.gather(1, inner + step)[:, 0] for step in (-1, 0, 1))
        bend = left - 2 * middle + right
        shift = torch.where(bend > 0, (left - right) / (2 * bend), 0).clamp(-1, 1)
        shift = torch.where((inner[:, 0] == best) & shift.isfinite(), shift, 0)
        step = (penalties[1] / penalties[0]).log()
        return (penalties[best] * (shift * step).exp() * largest)[:, None]


def batches_of(masks: RandomGrids) -> list[slice]:
    """Few masks at a time."""
    return [
        slice(start, start + _MASKS_AT_A_TIME) for start in range(0, len(masks), _MASKS_AT_A_TIME)
    ]
