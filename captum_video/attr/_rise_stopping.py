"""When RISE has seen enough masks: clip by clip, at counts that are fixed beforehand."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from captum_video.attr._rise_estimators import Estimate, Estimator
from captum_video.masks import RandomGrids

_FIRST_CHECK = 64
"""From here on doubled; what fewer masks say of their own error is too uncertain."""

Run = Callable[[list[list[RandomGrids]]], Tensor]
"""Scores (N, M) or (N, M, K) of every clip under masks of its own, one stream per input."""


@dataclass
class Found:
    """What is known of all clips, whatever number of masks each has seen.

    Attributes:
        estimates: one per stream, of rows (N * K).
        n_masks: (N,), how many each clip has seen.
        errors: (N, K), see `relative_errors`; None without a tolerance.
        n_outputs: K.
    """

    estimates: list[Estimate]
    n_masks: Tensor
    errors: Tensor | None
    n_outputs: int


def check_tolerance(tolerance: float | None) -> None:
    """None, or a number above 0.

    Raises:
        TypeError: something else than a number.
        ValueError: a number that is not above 0, or not finite.
    """
    if tolerance is None:
        return
    message = f"tolerance: expected None or a number above 0, got {tolerance!r}"
    if not isinstance(tolerance, int | float) or isinstance(tolerance, bool):
        raise TypeError(message)
    if not 0 < tolerance < math.inf:
        raise ValueError(message)


def estimate_until(
    tolerance: float | None,
    run: Run,
    streams: Sequence[RandomGrids],
    changes: Tensor,
    estimator: Estimator,
    with_errors: bool,
) -> Found:
    """Run masks until all maps of a clip are within the tolerance, or there are no more masks.

    A clip stops by its own scores alone, of its first 64, 128, 256 ... masks. Without a tolerance all
    masks are run at once. ``changes`` are those of `changes_of`, one row per clip.
    """
    counts, n_clips = _checks(len(streams[0]), tolerance), len(changes)
    active, n_masks = torch.ones(n_clips, dtype=torch.bool), torch.zeros(n_clips, dtype=torch.long)
    scores, errors = torch.empty(0), None
    estimates: list[Estimate] = []
    for start, stop in itertools.pairwise([0, *counts]):
        scores = _more_scores(scores, run, streams, active, slice(start, stop))
        rows = active.repeat_interleave(scores.shape[1]).to(scores.device)
        seen = scores.flatten(0, 1)[rows]
        used = [masks.part(slice(stop)) for masks in streams]
        own = changes[active.to(changes.device)]
        found = estimator(used, seen, with_errors or tolerance is not None, own)
        for one, latest in zip(estimates, found, strict=False):  # nothing is known at first
            one.put(rows, latest)
        estimates = estimates or found
        n_masks[active] = stop
        if tolerance is not None:
            relative = relative_errors(found, seen)
            errors = relative if errors is None else errors.masked_scatter(rows, relative)
            active = (errors > tolerance).unflatten(0, (n_clips, -1)).any(1).cpu()
        if not active.any():
            break
    if errors is not None:
        errors = errors.unflatten(0, (n_clips, -1))
    return Found(estimates, n_masks, errors, scores.shape[1])


def _more_scores(
    scores: Tensor, run: Run, streams: Sequence[RandomGrids], active: Tensor, index: slice
) -> Tensor:
    """Scores (N, K, masks) so far, with those of further masks; NaN for clips that have stopped."""
    further, none = ([masks.part(part) for masks in streams] for part in (index, slice(0)))
    new = run([further if goes_on else none for goes_on in active])
    new = new.reshape(*new.shape[:2], -1).mT.double()
    return torch.cat([scores, new], dim=2) if index.start else new


def relative_errors(found: Sequence[Estimate], scores: Tensor) -> Tensor:
    """Standard error of maps over their spread, root mean squares over the voxels of all inputs: (R,).

    The spread that is seen has the error in it, which is taken off: maps as flat as their error have
    none, and infinity is returned. An error that float32 can not tell from scores (R, M) is none.
    """
    maps = torch.cat([one.maps.flatten(1) for one in found], dim=1)
    errors = [one.standard_errors.flatten(1) for one in found if one.standard_errors is not None]
    error = torch.cat(errors, dim=1).square().mean(1)
    spread = (maps.var(1, correction=0) - error).clamp_min(0)
    resolution = torch.finfo(torch.float32).eps ** 2 * scores.square().mean(1)
    return torch.where(error <= resolution, 0, (error / spread).sqrt())


def _checks(n_masks: int, tolerance: float | None) -> list[int]:
    """After how many masks to look; the last is all of them."""
    doubled = (_FIRST_CHECK << step for step in itertools.count())
    early = itertools.takewhile(lambda count: count < n_masks, doubled)
    return [*(early if tolerance is not None else ()), n_masks]
