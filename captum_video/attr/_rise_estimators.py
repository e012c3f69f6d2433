"""Three estimators of RISE's map ``S(v) = E[f(x * m) m(v)] / p`` from the same masks and scores.

Each takes streams of random grids, one per input that has masks of its own, and scores (R, M), a
row per clip and class; it gives one estimate per stream. It works at grid resolution in float64,
and keeps no mask.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from captum_video.masks import RandomGrids

_MASKS_AT_A_TIME = 64
_PENALTIES = torch.logspace(-10, 4, 113, dtype=torch.float64)
"""In units of the largest eigenvalue."""
_MOST_FREEDOM = 0.9


class Estimate(NamedTuple):
    """Maps (R, T, H, W), their standard errors where asked for, and of a fit (R,) its R² and use."""

    maps: Tensor
    standard_errors: Tensor | None = None
    r_squared: Tensor | None = None
    fell_back: Tensor | None = None

    def put(self, rows: Tensor, other: "Estimate") -> None:
        """Put what another estimate knows in the place of these rows."""
        for mine, new in zip(self, other, strict=True):
            if mine is not None and new is not None:
                mine[rows] = new


Estimator = Callable[[Sequence[RandomGrids], Tensor, bool], list[Estimate]]


def named(name: str) -> Estimator:
    """The estimator of this name.

    Raises:
        ValueError: there is none.
    """
    known = {"regression": regression_if_useful, "coverage": coverage, "expectation": expectation}
    if name not in known:
        raise ValueError(f"estimator: expected one of {', '.join(known)}, got {name!r}")
    return known[name]


def expectation(
    streams: Sequence[RandomGrids], scores: Tensor, with_errors: bool = False
) -> list[Estimate]:
    """``sum_i f_i m_i(v) / (M p)``, as published (arXiv 1806.07421, eq. 6)."""
    return [_expectation(masks, scores, with_errors) for masks in streams]


def _expectation(masks: RandomGrids, scores: Tensor, with_errors: bool) -> Estimate:
    norm = len(masks) * masks.keep_probability
    sums = masks.kept_sum(scores)
    errors = _error_of_sum(masks, scores, sums) / norm if with_errors else None
    return Estimate(sums / norm, errors)


def coverage(
    streams: Sequence[RandomGrids], scores: Tensor, with_errors: bool = False
) -> list[Estimate]:
    """``sum_i f_i m_i(v) / sum_i m_i(v)``: a constant score gives a constant map.

    A voxel that no mask kept carries no evidence: it gets the mean score, and the spread of the
    scores as its error.
    """
    return [_coverage(masks, scores, with_errors) for masks in streams]


def _coverage(masks: RandomGrids, scores: Tensor, with_errors: bool) -> Estimate:
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


def regression(
    streams: Sequence[RandomGrids], scores: Tensor, with_errors: bool = False
) -> list[Estimate]:
    """The linear part of the score in closed form, and the sampled mean of what is not linear.

    Ridge regression of the scores on the masks' values at a lattice of voxels (three per two
    cells and axis; the penalty by generalised cross-validation) is a control variate: how its map looks
    is known exactly from the covariance of the masks, and only the leave-one-out residuals are left
    to be averaged. The expectation is RISE's own; the error is smaller the more linear the score.

    With ``f_i = a + b · phi_i + r_i`` and ``phi = m - p`` on the lattice,
    ``S(v) = a + (1 - p) sum_l b_l K_t K_h K_w + sum_i (r_i - mean r) m_i(v) / (M p)``.

    Inputs with masks of their own are fitted together. As their masks are independent, the map of
    one has no part in another's ``b · phi``, which therefore drops out of the residuals too: what
    other inputs add to the score is not noise to it.
    """
    lattice = _Lattice(streams)
    fit = _Ridge(lattice, scores)
    rest = fit.residuals - fit.residuals.mean(1, keepdim=True)
    level = fit.intercepts[:, None, None, None]
    found = []
    for masks, points, weights in zip(
        streams, lattice.points, fit.coefficients.split(lattice.sizes, dim=1), strict=True
    ):
        p = masks.keep_probability
        frames, rows, columns = masks.covariances(points, scores.dtype)
        grid = weights.unflatten(1, [len(axis) for axis in points])
        linear = torch.einsum("rabc,at,bh,cw->rthw", grid, frames, rows, columns)
        sums, norm = masks.kept_sum(rest), len(masks) * p
        errors = _error_of_sum(masks, rest, sums) / norm if with_errors else None
        found.append(Estimate(level + (1 - p) * linear + sums / norm, errors, fit.r_squared))
    return found


def regression_if_useful(
    streams: Sequence[RandomGrids], scores: Tensor, with_errors: bool = False
) -> list[Estimate]:
    """The regression, or coverage for scores of which the fit explains nothing."""
    found = regression(streams, scores, with_errors)
    useless = torch.zeros_like(scores[:, 0]) if found[0].r_squared is None else found[0].r_squared
    useless = useless < 0
    found = [one._replace(fell_back=useless) for one in found]
    if useless.any():
        instead = coverage(streams, scores[useless], with_errors)
        for one, other in zip(found, instead, strict=True):
            one.put(useless, other)
    return found


class _Lattice:
    """What the regression sees of mask i: values minus p at lattice points, of all inputs in a row.

    Attributes:
        points: for each input, voxels along T, H and W.
        sizes: for each input, how many points.
    """

    def __init__(self, streams: Sequence[RandomGrids]) -> None:
        self._streams = streams
        self.points = [masks.lattice() for masks in streams]
        self.sizes = [math.prod(len(axis) for axis in points) for points in self.points]

    def __len__(self) -> int:
        return len(self._streams[0])

    def batches(self) -> list[slice]:
        """Few masks at a time."""
        return _batches(self._streams[0])

    def at(self, batch: slice, dtype: torch.dtype) -> Tensor:
        """Features of these masks: (masks, L)."""
        parts = [
            masks.at(points, batch, dtype).flatten(1) - masks.keep_probability
            for masks, points in zip(self._streams, self.points, strict=True)
        ]
        return torch.cat(parts, dim=1)


class _Ridge:
    """Ridge regression of scores (R, M) on mask values at lattice points, one penalty per row.

    Attributes:
        coefficients: (R, L), of the features of a `_Lattice`.
        penalties: (R, 1), of the squared coefficients.
        intercepts: (R,), the fitted score of an average mask.
        residuals: (R, M), leave-one-out.
        r_squared: (R,), leave-one-out; 1 where scores do not vary.
    """

    def __init__(self, lattice: _Lattice, scores: Tensor) -> None:
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
    def _spectrum(lattice: _Lattice, scores: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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


def _batches(masks: RandomGrids) -> list[slice]:
    return [
        slice(start, start + _MASKS_AT_A_TIME) for start in range(0, len(masks), _MASKS_AT_A_TIME)
    ]


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
