"""Predictions, maps and rows of a run: made by several processes, kept as they come, found again."""

from benchmarks_kth_mad.evaluation.explained import Explained, explain, predict, to_device
from benchmarks_kth_mad.evaluation.kept_maps import load_explained
from benchmarks_kth_mad.evaluation.kept_rows import load_curves, load_rows
from benchmarks_kth_mad.evaluation.measuring import METRICS, UNITS, Unit, measure

__all__ = [
    "METRICS",
    "UNITS",
    "Explained",
    "Unit",
    "explain",
    "load_curves",
    "load_explained",
    "load_rows",
    "measure",
    "predict",
    "to_device",
]
