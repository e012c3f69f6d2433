"""The data sets that everything above reads from."""

from typing import TypeAlias

from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.mad import MAD

ActionSet: TypeAlias = KTH | MAD
"""Labelled clips of persons; whichever it is, it has classes, records, and masks if rendered."""
