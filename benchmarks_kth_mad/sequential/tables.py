"""The tables of the study: means over persons with their intervals, and how far above chance."""

from collections.abc import Sequence

import pandas as pd

from benchmarks_kth_mad.intervals import Interval, bootstrap_mean, in_words
from benchmarks_kth_mad.sequential.claims import above_random
from benchmarks_kth_mad.sequential.rows import ACCURACY
from benchmarks_kth_mad.studies.claims import by_person

KEY = ["network", "measure", "method"]
ABOVE = "above random"


def summary(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean of every measure of every network and method.

    Args:
        rows: network, measure, method, clip, person, value.
        seed: of the bootstrap.

    Returns:
        One row per network, measure and method: clips, persons, mean over persons with the bounds
        of its 95 % bootstrap interval over persons, and the same of the difference to the random map
        (NaN where there is none).
    """
    table = []
    for key, group in rows.groupby(KEY, sort=False):
        interval = bootstrap_mean(by_person(group), seed=seed)
        table.append(
            {
                **dict(zip(KEY, key, strict=True)),
                "clips": group["clip"].nunique(),
                "persons": group["person"].nunique(),
                **interval._asdict(),
            }
        )
    beside = above_random(rows, seed).drop(columns="persons")
    beside = beside.rename(columns={name: f"{ABOVE}, {name}" for name in Interval._fields})
    return pd.DataFrame(table).merge(beside, on=KEY, how="left")


def accuracy_table(means: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of every network, on how many clips of how many persons."""
    found = means[means["measure"] == ACCURACY]
    return pd.DataFrame(
        {
            "network": found["network"],
            "clips right": [_in_words(one) for one in found.to_dict("records")],
            "clips": found["clips"],
            "persons": found["persons"],
        }
    )


def maps_table(
    means: pd.DataFrame, measures: Sequence[str], beside_random: bool = True
) -> pd.DataFrame:
    """Some measures of all maps: one row for each network and method, a column for each measure.

    With ``beside_random`` one more for each, which tells how far the map is above the random one.
    """
    index = ["network", "method"]
    table = means.loc[means["measure"].isin(measures), index].drop_duplicates()
    for measure in measures:
        found = means[means["measure"] == measure]
        records = found.to_dict("records")
        cells = found[index].assign(**{measure: [_in_words(one) for one in records]})
        if beside_random:
            cells[f"{measure}, {ABOVE}"] = [_in_words(one, f"{ABOVE}, ") for one in records]
        table = table.merge(cells, on=index, how="left")
    return table.fillna("")


def _in_words(record: dict, of: str = "") -> str:
    """A mean of a row with its bounds, or nothing where there is none."""
    interval = Interval(*(record[f"{of}{name}"] for name in Interval._fields))
    if pd.isna(interval.mean):
        return ""
    return in_words(interval, record["persons"], signed=bool(of))
