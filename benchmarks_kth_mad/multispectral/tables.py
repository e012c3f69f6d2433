"""The tables of a study: means over persons with their intervals, a row per trained network."""

import pandas as pd

from benchmarks_kth_mad.intervals import Interval, bootstrap_mean, in_words
from benchmarks_kth_mad.multispectral.experiment import CELL, PAIRED
from benchmarks_kth_mad.multispectral.rows import ACTOR, HALF
from benchmarks_kth_mad.studies.claims import by_person

ACCURACY = "accuracy"
MAP_MEASURES = {"insertion": "higher", "deletion": "lower", ACTOR: "higher", HALF: "lower"}
"""Measures of maps, and which way is better; of the last, which way is more focused."""


def summary(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean of every measure, method and cell.

    Args:
        rows: as `experiment.run_study` gives them.
        seed: of the bootstrap.

    Returns:
        One row per cell, measure and method: scenes, persons, mean over persons, and the bounds of
        its 95 % bootstrap interval over persons.
    """
    table = []
    for key, group in rows.groupby([*CELL, "measure", "method"], sort=False):
        interval = bootstrap_mean(by_person(group), seed=seed)
        table.append(
            {
                **dict(zip([*CELL, "measure", "method"], key, strict=True)),
                "scenes": group["scene"].nunique(),
                "persons": group["person"].nunique(),
                **interval._asdict(),
            }
        )
    return pd.DataFrame(table)


def accuracy_table(means: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of every cell; one column for each test set."""
    found = means[means["measure"] == ACCURACY]
    return _wide(found, ["network", "trained on"], "tested on")


def maps_table(means: pd.DataFrame, tested_on: str) -> pd.DataFrame:
    """Measures of the maps on one test set; one column for each measure."""
    found = means[means["measure"].isin(MAP_MEASURES) & (means["tested on"] == tested_on)]
    named = found["measure"].map({name: f"{name} ({MAP_MEASURES[name]})" for name in MAP_MEASURES})
    return _wide(found.assign(measure=named), ["network", "trained on", "method"], "measure")


def modality_table(means: pd.DataFrame) -> pd.DataFrame:
    """What each spectrum adds to the probability, in networks that see both."""
    kinds = ("Shapley", "ablation")
    found = means[(means["tested on"] == PAIRED) & means["measure"].str.startswith(kinds)]
    return _wide(found, ["network"], "measure")


def _wide(means: pd.DataFrame, index: list[str], column: str) -> pd.DataFrame:
    """One row for each index, in order, one column for each value of a column."""
    numbers = means[["mean", "low", "high", "persons"]].itertuples(index=False, name=None)
    cells = [in_words(Interval(*bounds), persons) for *bounds, persons in numbers]
    wide = means.assign(cell=cells).pivot_table(
        index=index, columns=column, values="cell", aggfunc="first", sort=False
    )
    return means[index].drop_duplicates().merge(wide.fillna("").reset_index(), on=index)
