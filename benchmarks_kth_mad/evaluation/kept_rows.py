"""The rows that a run keeps: one per metric, method and clip, with its curve."""

from itertools import product

import numpy as np
import pandas as pd
import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.measuring import METRICS
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.runs import Run, require
from captum_video import Curve

TEXTS = ["metric", "method", "clip", "person", "label", "explained", "baseline", "unit", "error"]
CURVE = ["fractions", "scores"]
COLUMNS = [*TEXTS[:-1], "area", "error", *CURVE]


def save_rows(run: Run, rows: pd.DataFrame) -> None:
    """Write ``rows.parquet``, and beside it ``rows.csv``, which has no curves."""
    with whole_file(run.rows) as path:
        rows.to_parquet(path, index=False)
    with whole_file(run.rows_as_text) as path:
        rows.drop(columns=CURVE).to_csv(path, index=False)


def load_rows(run: Run) -> pd.DataFrame:
    """Read the rows of a run, without their curves.

    Returns:
        One row per metric, method and clip. Of a clip that failed, ``area`` is NaN and ``error`` says
        why; of the others ``error`` is empty.

    Raises:
        BenchmarkError: no such file, not one of ours, or one that lacks rows.
    """
    return _load(run).drop(columns=CURVE)


def load_curves(run: Run) -> dict[str, dict[str, Curve]]:
    """Read the curves of a run, by metric and method, over the clips that did not fail.

    Raises:
        BenchmarkError: as `load_rows`.
    """
    rows = _load(run)
    rows = rows[rows["error"] == ""]
    return {
        metric: {method: _curve(one) for method, one in of_metric.groupby("method", sort=False)}
        for metric, of_metric in rows.groupby("metric", sort=False)
    }


def _load(run: Run) -> pd.DataFrame:
    require(run.rows, "evaluate")
    try:
        rows = pd.read_parquet(run.rows)[COLUMNS]
        _check(rows)
    except Exception as error:  # whatever a foreign file gives
        raise BenchmarkError(
            f"{run.rows}: not rows that can be read; run evaluate again with --fresh"
        ) from error
    return rows


def _check(rows: pd.DataFrame) -> None:
    """Raise ValueError unless these are whole rows of ours."""
    keys = [rows[name].unique() for name in ("metric", "method", "clip")]
    found = set(zip(rows["metric"], rows["method"], rows["clip"], strict=True))
    if rows.empty or len(rows) != len(found) or found != set(product(*keys)):
        raise ValueError("rows are missing, or there twice")
    if not set(rows["metric"]) <= set(METRICS):
        raise ValueError("rows of another metric")
    if not all(isinstance(text, str) for name in TEXTS for text in rows[name]):
        raise ValueError("names that are no text")
    measured = rows[rows["error"] == ""]
    if not np.isfinite(measured["area"].to_numpy(float)).all():
        raise ValueError("an area that is no number")
    for fractions, scores in zip(measured["fractions"], measured["scores"], strict=True):
        if len(fractions) != len(scores) or len(scores) < 2:
            raise ValueError("a curve in parts")


def _curve(rows: pd.DataFrame) -> Curve:
    """The curves of some clips as one: fractions of each where they differ, steps as of the longest."""
    fractions = [np.asarray(one, dtype=np.float32) for one in rows["fractions"]]
    scores = [np.asarray(one, dtype=np.float32) for one in rows["scores"]]
    longest = max(map(len, scores))
    every, values = (
        torch.from_numpy(np.stack([np.pad(one, (0, longest - len(one)), "edge") for one in part]))
        for part in (fractions, scores)
    )
    return Curve(every[0] if bool((every == every[0]).all()) else every, values)
