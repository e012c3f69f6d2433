"""How sure a mean over clips is: bootstrap intervals, of one method and of a difference."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Resamples drawn at a time: the draws, not the result, would fill memory for thousands of clips.
_CHUNK = 500


class Interval(NamedTuple):
    """A mean, and the bounds between which it lies with the stated confidence."""

    mean: float
    low: float
    high: float


def bootstrap_mean(
    values: ArrayLike, confidence: float = 0.95, n_resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Bound a mean over clips by the percentile bootstrap (Efron and Tibshirani 1993, ch. 13).

    Whole clips are drawn with replacement, so the interval tells how far the mean might differ for
    other clips *of this kind*. Clips of one person are alike: where few people stand behind many
    clips, average per person first and give those means.

    Args:
        values: one number per clip.
        confidence: share of resampled means within the bounds, in (0, 1).
        n_resamples: at least 1; the bounds repeat to about a hundredth of their width at 10,000.
        seed: of the draws; the same seed, the same bounds.

    Returns:
        Mean, low and high, in the unit of the values. Of a single clip all three are its value, which
        says nothing of how sure it is.

    Raises:
        ValueError: no values, more than one axis, NaN or infinity, an option out of range.

    Example:
        >>> bootstrap_mean([0.25, 0.25, 0.25])
        Interval(mean=0.25, low=0.25, high=0.25)
    """
    numbers = _numbers(values, "values")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number in (0, 1), got {confidence}")
    if n_resamples < 1:
        raise ValueError(f"n_resamples: expected at least 1, got {n_resamples}")
    generator = np.random.default_rng(seed)
    center = numbers.mean()
    # Less the mean first, so that equal values have bounds equal to it, without rounding.
    spread = numbers - center
    means = np.concatenate(
        [
            spread[generator.integers(len(spread), size=(count, len(spread)))].mean(1)
            for count in _chunks(n_resamples)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(center), float(center + low), float(center + high))


def bootstrap_difference(
    first: ArrayLike,
    second: ArrayLike,
    confidence: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Bound the mean of ``first - second`` over the same clips, drawn in pairs.

    Clips differ more than methods do; what they share cancels in a pair, so two methods whose own
    intervals overlap can still differ surely. They do where 0 lies outside the bounds.

    Args:
        first: one number per clip.
        second: one number for each of the same clips, in the same order.
        confidence: as for `bootstrap_mean`, and so the rest.
        n_resamples: number of draws.
        seed: of the draws.

    Returns:
        Mean difference, low and high.

    Raises:
        ValueError: different numbers of clips, or what `bootstrap_mean` refuses.

    Example:
        >>> bootstrap_difference([3.0, 7.0], [2.0, 6.0])
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    ours, theirs = _numbers(first, "first"), _numbers(second, "second")
    if len(ours) != len(theirs):
        raise ValueError(
            f"second: expected one value for each of {len(ours)} clips, got {len(theirs)}"
        )
    return bootstrap_mean(ours - theirs, confidence, n_resamples, seed)


def in_words(interval: Interval, persons: int, signed: bool = False) -> str:
    """A mean with its bounds, where more persons than one make some."""
    form = "+.3f" if signed else ".3f"
    mean = f"{interval.mean:{form}}"
    if persons < 2:
        return mean
    return f"{mean} ({interval.low:{form}} to {interval.high:{form}})"


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"{name}: expected one number per clip, got shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return numbers


def _chunks(total: int) -> Sequence[int]:
    whole, rest = divmod(total, _CHUNK)
    return [_CHUNK] * whole + [rest] * (rest > 0)
