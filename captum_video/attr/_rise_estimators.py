"""Three estimators of RISE's map ``S(v) = E[f(x * m) m(v)] / p`` from the same masks and scores.

Each takes streams of random grids, one per input that has masks of its own, and scores (R, M), a
row per clip and class; it gives one estimate per stream. It works at grid resolution in float64,
and keeps no mask.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from captum_video.attr._rise_ridge import Lattice, Ridge, batches_of
from captum_video.masks import RandomGrids


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


Estimator = Callable[[Sequence[RandomGrids], Tensor, bool, Tensor], list[Estimate]]
"""Of streams, scores, whether errors are wanted, and what masks change: see `regression`."""


def named(name: str) -> Estimator:
    """The estimator of this name.

    Raises:
        ValueError: there is none.
    """
    known: dict[str, Estimator] = {
        "regression": regression_if_useful,
        "coverage": lambda streams, scores, with_errors, _: coverage(streams, scores, with_errors),
        "expectation": lambda streams, scores, with_errors, _: expectation(
            streams, scores, with_errors
        ),
    }
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
    streams: Sequence[RandomGrids],
    scores: Tensor,
    with_errors: bool = False,
    changes: Tensor | None = None,
) -> list[Estimate]:
    """The linear part of the score in closed form, and the sampled mean of what is not linear.

    Ridge regression of the scores on the masks' values at a lattice of voxels (three per two
    cells and axis; the penalty by generalised cross-validation) is a control variate: how its map looks
    is known exactly from the covariance of the masks, and only the leave-one-out residuals are left
    to be averaged. The expectation is RISE's own; the error is smaller the more linear the score.

    With ``f_i = a + b · phi_i + r_i`` and ``phi = m - p`` on the lattice,
    ``S(v) = a + (1 - p) sum_l b_l K_t K_h K_w + sum_i (r_i - mean r) m_i(v) / (M p)``.

    A place where hidden and shown look alike can hardly matter. So coefficients are expected to be as
    large as ``sqrt(changes)``: of a score ``w · (b + m (x - b))`` with weights of any sign that is the
    size of ``b``. It leaves the expectation as it is, and needs fewer masks for the same fit.

    Inputs with masks of their own are fitted together. As their masks are independent, the map of
    one has no part in another's ``b · phi``, which therefore drops out of the residuals too: what
    other inputs add to the score is not noise to it.

    Args:
        streams: one for each input that has masks of its own.
        scores: (R, M), rows of the first clip, then of the second, and so on.
        with_errors: standard errors too.
        changes: (clips, points), how much masks change there: see `changes_of`. None: alike.
    """
    if changes is None:
        return _regression(Lattice(streams), scores, with_errors)
    rows = scores.unflatten(0, (len(changes), -1))
    found = [
        _regression(Lattice(streams, change.sqrt()), own, with_errors)
        for own, change in zip(rows, changes, strict=True)
    ]
    return [_joined(one) for one in zip(*found, strict=True)]


def _joined(estimates: Sequence[Estimate]) -> Estimate:
    """The rows of all."""

    def rows(name: str) -> Tensor | None:
        parts = [getattr(one, name) for one in estimates]
        return None if parts[0] is None else torch.cat(parts)

    maps = torch.cat([one.maps for one in estimates])
    return Estimate(maps, rows("standard_errors"), rows("r_squared"))


def _regression(lattice: Lattice, scores: Tensor, with_errors: bool) -> list[Estimate]:
    """Of rows that have one prior."""
    fit = Ridge(lattice, scores)
    rest = fit.residuals - fit.residuals.mean(1, keepdim=True)
    level = fit.intercepts[:, None, None, None]
    found = []
    for masks, points, weights in zip(
        lattice.streams, lattice.points, lattice.weights(fit.coefficients), strict=True
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
    streams: Sequence[RandomGrids],
    scores: Tensor,
    with_errors: bool = False,
    changes: Tensor | None = None,
) -> list[Estimate]:
    """The regression, or coverage for scores of which the fit explains nothing."""
    found = regression(streams, scores, with_errors, changes)
    fit = found[0].r_squared
    useless = torch.zeros_like(scores[:, 0], dtype=torch.bool) if fit is None else fit.lt(0)
    found = [one._replace(fell_back=useless.clone()) for one in found]
    if useless.any():
        instead = coverage(streams, scores[useless], with_errors)
        for one, other in zip(found, instead, strict=True):
            one.put(useless, other)
    return found


def _error_of_sum(masks: RandomGrids, weights: Tensor, sums: Tensor) -> Tensor:
    """Standard error of ``sum_i w_i m_i(v)`` over independent masks."""
    variance = _squared_sum(masks, weights.square()) - sums.square() / len(masks)
    return variance.clamp_min(0).sqrt()


def _squared_sum(masks: RandomGrids, weights: Tensor) -> Tensor:
    """Sum of ``weights[r, i] * m_i(v)²`` over i: (R, T, H, W)."""
    result = torch.zeros((), dtype=weights.dtype, device=weights.device)
    for batch in batches_of(masks):
        squares = masks[batch][:, 0].to(weights.dtype).square()
        result = result + torch.tensordot(weights[:, batch], squares, dims=1)
    return result
