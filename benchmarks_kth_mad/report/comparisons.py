"""Which map is better, and how sure that is: paired tests over persons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks_kth_mad.intervals import bootstrap_difference
from benchmarks_kth_mad.report.areas import BETTER, RANDOM, areas_of, metrics_of, over_persons

LEVEL = 0.05
"""Below this corrected p-value, one map is called better than another."""
_RESAMPLES = 9999


def comparisons(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every method against the random map and against the best one, on the same clips.

    Clips of one person are averaged first, and persons are drawn and flipped whole. Clips on which
    either of the two failed are left out. The best is the one of the best mean over the same clips,
    so that what it is ahead by is somewhat flattered.

    Args:
        rows: one per metric, method and clip; see `evaluation.measure`.
        seed: of the bootstrap, and of the test where not all flips are tried.

    Returns:
        One row per comparison: metric, method, ``against`` ("random" or "best"), the reference,
        clips, persons, mean difference of method less reference, ``low`` and ``high`` of its 95 %
        bootstrap interval, ``p``, ``p holm`` (corrected over the methods that one metric compares
        with one reference) and the verdict: better, worse or undecided. Of one person there is
        neither interval nor p.
    """
    table: list[dict[str, object]] = []
    for metric in metrics_of(rows):
        areas = areas_of(rows, metric)
        for against, reference in _references(areas, metric).items():
            others = [
                name for name in _best_first(areas, metric) if name not in (reference, RANDOM)
            ]
            found = [_compare(areas, name, reference, seed) for name in others]
            corrected = holm([one["p"] for one in found])
            for name, one, p in zip(others, found, corrected, strict=True):
                named = {
                    "metric": metric,
                    "method": name,
                    "against": against,
                    "reference": reference,
                }
                table.append({**named, **one, "p holm": p, "verdict": _verdict(one, p, metric)})
    return pd.DataFrame(table, columns=_COLUMNS)


def sign_flip(differences: Sequence[float] | NDArray[np.float64], seed: int = 0) -> float:
    """Two-sided p-value of paired differences, of which each might as well have the other sign.

    The permutation test of Fisher (The Design of Experiments, 1935, sect. 21): the share of all
    flips of signs whose mean is as far from 0 as the observed. All are tried of up to 13
    differences, else 9999 drawn ones.

    Args:
        differences: one per person.
        seed: of the draws.

    Returns:
        In (0, 1]; NaN for fewer than two differences, which can not tell anything.
    """
    from scipy.stats import permutation_test  # half a second, and only a report needs it

    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        return float("nan")
    test = permutation_test(
        (values,),
        lambda flipped, axis: flipped.mean(axis),
        permutation_type="samples",
        n_resamples=_RESAMPLES,
        batch=500,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for how many there are (Holm 1979); NaN stays NaN and does not count.

    Example:
        >>> holm([0.25, 0.01, float("nan"), 0.03])
        [0.25, 0.03, nan, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p == p)
    corrected, largest = [float("nan")] * len(p_values), 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[place] = largest
    return corrected


def persons_needed(n_comparisons: int) -> int:
    """The fewest persons of whom so many comparisons could be decided at all.

    All flips alike, the p-value of n persons is at least 2 / 2**n.

    Example:
        >>> persons_needed(1), persons_needed(7)
        (6, 9)
    """
    count = 2
    while n_comparisons * 2 / 2**count >= LEVEL:
        count += 1
    return count


_COLUMNS = ["metric", "method", "against", "reference", "clips", "persons"]
_COLUMNS += ["difference", "low", "high", "p", "p holm", "verdict"]


def _references(areas: pd.DataFrame, metric: str) -> dict[str, str]:
    """With what the methods of a metric are compared: "random" and "best", and which these are."""
    names = _best_first(areas, metric)
    found = {"random": RANDOM} if RANDOM in names else {}
    if len(names) > 1 and names[0] != RANDOM:
        found["best"] = names[0]
    return found


def _best_first(areas: pd.DataFrame, metric: str) -> list[str]:
    """Methods with an area, by their mean over persons."""
    means = pd.Series({name: over_persons(areas[name]).mean() for name in areas}).dropna()
    return [*means.sort_values(ascending=BETTER[metric] == "lower", kind="stable").index]


def _compare(areas: pd.DataFrame, method: str, reference: str, seed: int) -> dict[str, float]:
    both = areas[[method, reference]].dropna()
    ours, theirs = (over_persons(both[name]) for name in (method, reference))
    nan = float("nan")
    found = {"clips": len(both), "persons": len(ours), "difference": nan, "low": nan, "high": nan}
    if len(ours):
        found["difference"] = float((ours - theirs).mean())
    if len(ours) > 1:
        _, found["low"], found["high"] = bootstrap_difference(ours, theirs, seed=seed)
    return {**found, "p": sign_flip((ours - theirs).to_numpy(), seed)}


def _verdict(found: dict[str, float], p: float, metric: str) -> str:
    if not p < LEVEL:
        return "undecided"
    return "better" if (found["difference"] > 0) == (BETTER[metric] == "higher") else "worse"
