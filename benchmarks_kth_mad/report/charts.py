"""Curves as lines of a picture that the page draws: mean over persons, and a bootstrap band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks_kth_mad.errors import BenchmarkError
from captum_video import Curve

_RESAMPLES = 2000
# In the units of the picture: its size, and what is left free for words on each side.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 320, 46, 14, 10, 50


@dataclass(frozen=True)
class Line:
    """One method in one chart; ``path`` and ``band`` are those of an SVG."""

    method: str
    path: str
    band: str


@dataclass(frozen=True)
class Chart:
    """The curves of one metric.

    ``lines`` are the methods'; ``ticks`` of both axes are places in the picture and what is written
    there.
    """

    metric: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def chart_of(
    metric: str,
    curves: Mapping[str, Curve],
    rows: pd.DataFrame,
    methods: Sequence[str],
    seed: int = 0,
) -> Chart:
    """Lay the curves of a metric out.

    Args:
        metric: its name.
        curves: of each method, its clips in the order of the rows.
        rows: see `evaluation.measure`; they tell whose clips these are.
        methods: in the order of the lines; those without a curve are left out.
        seed: of the bands.

    Raises:
        BenchmarkError: curves of other clips than the rows.
    """
    lines = []
    for method in methods:
        own = rows[(rows["metric"] == metric) & (rows["method"] == method)]
        if method in curves and own["area"].notna().any():
            shares, scores = _by_person(curves[method], own, f"{metric} of {method}")
            low, high = band_of(scores, seed)
            edge = [*zip(shares, high, strict=True), *zip(shares[::-1], low[::-1], strict=True)]
            band = f"{_path(edge)}Z" if len(scores) > 1 else ""
            mean = zip(shares, scores.mean(0), strict=True)
            lines.append(Line(method, _path([*mean]), band))
    quarters = [0, 0.25, 0.5, 0.75, 1]
    return Chart(
        metric,
        lines,
        [(round(x_of(one), 1), f"{one:.0%}") for one in quarters],
        [(round(y_of(one), 1), f"{one:g}") for one in quarters],
    )


def measured_only(curve: Curve) -> Curve:
    """The curve without the clips that failed, whose scores are NaN."""
    fine = curve.scores.isfinite().all(-1)
    own = curve.fractions if curve.fractions.ndim == 1 else curve.fractions[fine]
    return replace(curve, fractions=own, scores=curve.scores[fine])


def band_of(
    scores: NDArray[np.float64], seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the mean of (N, S) at each of S places: 95 %, whole lines drawn again (S,), (S,)."""
    count = len(scores)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    low, high = np.quantile(drawn / count @ scores, [0.025, 0.975], axis=0)
    return low, high


def x_of(share: float) -> float:
    """Place of a share of units in the picture."""
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def y_of(score: float) -> float:
    """Place of a probability in the picture."""
    return TOP + (1 - score) * (HEIGHT - TOP - BOTTOM)


def _by_person(
    curve: Curve, rows: pd.DataFrame, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares (S,), and each person's mean scores (P, S)."""
    measured = rows[rows["area"].notna()]
    aligned = measured_only(curve).aligned()
    if len(aligned.scores) != len(measured):
        raise BenchmarkError(
            f"{name}: expected the curves of {len(measured)} clips, got {len(aligned.scores)}; run "
            f"evaluate again"
        )
    scores = pd.DataFrame(aligned.scores.double().numpy())
    whose = measured["person" if "person" in measured else "clip"].to_numpy()
    return aligned.fractions.double().numpy(), scores.groupby(whose, sort=False).mean().to_numpy()


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Points of shares and scores, joined."""
    return "M" + "L".join(f"{x_of(share):.2f} {y_of(score):.2f}" for share, score in points)
