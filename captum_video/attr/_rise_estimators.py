"""Three estimators of RISE's map ``S(v) = E[f(x * m) m(v)] / p`` from the same masks and scores.

Each takes a stream of random grids and scores (R, M), a row per clip and class, and works at grid
resolution in float64. None of them keeps a mask.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from captum_video.masks import RandomGrids

_MASKS_AT_A_TIME = 64
_PENALTIES = torch.logspace(-10, 4, 113, dtype=torch.float64)
"""In units of the largest eigenvalue."""
_MOST_FREEDOM = 0.9


class Estimate(NamedTuple):
    """Maps (R, T, H, W), their standard errors where asked for, and the fit's R² (R,) if one."""

    maps: Tensor
    standard_errors: Tensor | None = None
    r_squared: Tensor | None = None


def expectation(masks: RandomGrids, scores: Tensor, with_errors: bool = False) -> Estimate:
    """``sum_i f_i m_i(v) / (M p)``, as published (arXiv 1806.07421, eq. 6)."""
    norm = len(masks) * masks.keep_probability
    sums = masks.kept_sum(scores)
    errors = _error_of_sum(masks, scores, sums) / norm if with_errors else None
    return Estimate(sums / norm, errors)


def coverage(masks: RandomGrids, scores: Tensor, with_errors: bool = False) -> Estimate:
    """``sum_i f_i m_i(v) / sum_i m_i(v)``: a constant score gives a constant map.

    A voxel that no mask kept carries no evidence: it gets the mean score, and the spread of the
    scores as its error.
    """
    cover = masks.kept_sum(torch.ones_like(scores[:1]))
    mean = scores.mean(1)[:, None, None, None]
    maps = torch.where(cover > 0, masks.kept_sum(scores) / cover.clamp_min(1e-300), mean)
    if not with_errors:
        return Estimate(maps)
    rows = len(scores)
    weights = torch.cat([scores.square(), scores, torch.ones_like(scores[:1])])
    second, first, zeroth = _squared_sum(masks, weights).split([rows, rows, 1])
    squares = (second - 2 * maps * first + maps.square() * zeroth).clamp_min(0)
    spread = scores.std(1, correction=0)[:, None, None, None]
    return Estimate(maps, torch.where(cover > 0, squares.sqrt() / cover.clamp_min(1e-300), spread))


def regression(masks: RandomGrids, scores: Tensor, with_errors: bool = False) -> Estimate:
    """The linear part of the score in closed form, and the sampled mean of what is not linear.

    Ridge regression of the scores on the masks' values at a lattice of voxels (three per two
    cells and axis; the penalty by generalised cross-validation) is a control variate: how its map looks
    is known exactly from the covariance of the masks, and only the leave-one-out residuals are left
    to be averaged. The expectation is RISE's own; the error is smaller the more linear the score.

    With ``f_i = a + b · phi_i + r_i`` and ``phi = m - p`` on the lattice,
    ``S(v) = a + (1 - p) sum_l b_l K_t K_h K_w + sum_i (r_i - mean r) m_i(v) / (M p)``.
    """
    p = masks.keep_probability
    points = masks.lattice()
    fit = _Ridge(masks, points, scores)
    frames, rows, columns = masks.covariances(points, scores.dtype)
    weights = fit.coefficients.unflatten(1, [len(axis) for axis in points])
    linear = torch.einsum("rabc,at,bh,cw->rthw", weights, frames, rows, columns)
    rest = fit.residuals - fit.residuals.mean(1, keepdim=True)
    sums = masks.kept_sum(rest)
    norm = len(masks) * p
    maps = fit.intercepts[:, None, None, None] + (1 - p) * linear + sums / norm
    errors = _error_of_sum(masks, rest, sums) / norm if with_errors else None
    return Estimate(maps, errors, fit.r_squared)


class _Ridge:
    """Ridge regression of scores (R, M) on mask values at lattice points, one penalty per row.

    Attributes:
        coefficients: (R, L), of mask value minus p.
        penalties: (R, 1), of the squared coefficients.
        intercepts: (R,), the fitted score of an average mask.
        residuals: (R, M), leave-one-out.
        r_squared: (R,), leave-one-out; 1 where scores do not vary.
    """

    def __init__(self, masks: RandomGrids, points: list[Tensor], scores: Tensor) -> None:
        count = scores.shape[1]
        center, eigenvalues, vectors, cross = self._spectrum(masks, points, scores)
        mean = scores.mean(1)
        rotated = (cross - count * torch.outer(mean, center)) @ vectors
        varies = (scores - mean[:, None]).square().sum(1)
        self.penalties = self._penalties(eigenvalues, rotated, varies, count)
        shrunk = 1 / (eigenvalues + self.penalties)
        rotated_coefficients = rotated * shrunk  # (R, L)
        self.coefficients = rotated_coefficients @ vectors.T
        self.intercepts = mean - self.coefficients @ center
        self.residuals = torch.empty_like(scores)
        for batch in _batches(masks):
            features = (_features(masks, points, batch, scores.dtype) - center) @ vectors
            leverage = shrunk @ features.square().T + 1 / count
            error = scores[:, batch] - mean[:, None] - rotated_coefficients @ features.T
            self.residuals[:, batch] = error / (1 - leverage).clamp_min(1e-6)
        unexplained = self.residuals.square().sum(1)
        constant = varies <= 1e-24 * scores.square().sum(1)
        self.r_squared = torch.where(constant, 1.0, 1 - unexplained / varies.clamp_min(1e-300))

    @staticmethod
    def _spectrum(
        masks: RandomGrids, points: list[Tensor], scores: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean of the features (L,), squared singular values (r,) and right singular vectors (L, r).

        Of the centred features, by the smaller of their two Gram matrices: nothing kept here grows
        with the number of masks beyond L. Last, the sums of score times feature (R, L).
        """
        batches = _batches(masks)
        size = math.prod(len(axis) for axis in points)
        if len(masks) < size:
            features = torch.cat([_features(masks, points, b, scores.dtype) for b in batches])
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
        for batch in batches:
            features = _features(masks, points, batch, scores.dtype)
            total += features.sum(0)
            gram.addmm_(features.T, features)
            cross.addmm_(scores[:, batch], features)
        center = total / len(masks)
        gram.addr_(center, center, alpha=-len(masks))
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


def _batches(masks: RandomGrids) -> list[slice]:
    return [
        slice(start, start + _MASKS_AT_A_TIME) for start in range(0, len(masks), _MASKS_AT_A_TIME)
    ]


def _features(masks: RandomGrids, points: list[Tensor], batch: slice, dtype: torch.dtype) -> Tensor:
    return masks.at(points, batch, dtype).flatten(1) - masks.keep_probability


def _error_of_sum(masks: RandomGrids, weights: Tensor, sums: Tensor) -> Tensor:
    """Standard error of ``sum_i w_i m_i(v)`` over independent masks."""
    variance = _squared_sum(masks, weights.square()) - sums.square() / len(masks)
    return variance.clamp_min(0).sqrt()


def _squared_sum(masks: RandomGrids, weights: Tensor) -> Tensor:
    """Sum of ``weights[r, i] * m_i(v)²`` over i: (R, T, H, W)."""
    result = torch.zeros((), dtype=weights.dtype, device=weights.device)
    for batch in _batches(masks):
        squares = masks[batch][:, 0].to(weights.dtype).square()
        result = result + torch.tensordot(weights[:, batch], squares, dims=1)
    return result
