"""The data sets that everything above reads from."""

from typing import TypeAlias

from benchmarks_kth_mad.data.captioned import Captioned
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.errors import BenchmarkError

ActionSet: TypeAlias = KTH | MAD | Captioned
"""Labelled clips of persons; whichever it is, it has classes, records, and masks where something is known."""
_GIVES = {1: "one clip", 2: "the visible and the infrared clip of a scene (spectrum paired)"}


def check_inputs(dataset: ActionSet, n_inputs: int, model: str) -> None:
    """Raise BenchmarkError unless a set gives as many clips of a scene as a model takes."""
    given = dataset.n_inputs
    if given != n_inputs:
        raise BenchmarkError(
            f"model {model}: takes {_GIVES[n_inputs]}, the data set gives {_GIVES[given]}"
        )
