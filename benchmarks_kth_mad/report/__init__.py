"""Tables, pictures and the page of a run."""

from benchmarks_kth_mad.report.comparisons import comparisons
from benchmarks_kth_mad.report.page import conditions_of, write_page
from benchmarks_kth_mad.report.pictures import draw
from benchmarks_kth_mad.report.tables import (
    as_text,
    comparison_table,
    mean_areas,
    mean_table,
    summary,
    write_report,
    write_tables,
)

__all__ = [
    "as_text",
    "comparison_table",
    "comparisons",
    "conditions_of",
    "draw",
    "mean_areas",
    "mean_table",
    "summary",
    "write_page",
    "write_report",
    "write_tables",
]
