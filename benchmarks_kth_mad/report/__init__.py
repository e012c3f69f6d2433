"""Tables and pictures of a run."""

from benchmarks_kth_mad.report.pictures import draw
from benchmarks_kth_mad.report.tables import summary, write_report

__all__ = ["draw", "summary", "write_report"]
