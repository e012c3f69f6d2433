"""Areas of a run side by side: a line per clip, a column per method; and who acts in a clip."""

import pandas as pd

from captum_video.metrics import Deletion, Insertion

BETTER = {
    "insertion": "higher" if Insertion.higher_is_better else "lower",
    "deletion": "higher" if Deletion.higher_is_better else "lower",
}
RANDOM = "random"


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without an area, with what went wrong in a column ``error``."""
    failed = rows[rows["area"].isna()]
    if "error" not in failed:
        return failed.assign(error="no area")
    said = failed["error"].fillna("").astype(str)
    return failed.assign(error=said.where(said.str.strip() != "", "no area"))


def metrics_of(rows: pd.DataFrame) -> list[str]:
    """The metrics that were measured, insertion first."""
    return [metric for metric in BETTER if (rows["metric"] == metric).any()]


def areas_of(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One line per clip, by person and clip, one column per method; NaN where a clip failed.

    Where nobody knows the persons, every clip counts as one of its own.
    """
    own = rows[rows["metric"] == metric]
    if "person" not in own:
        own = own.assign(person=own["clip"])
    return own.pivot(index=["person", "clip"], columns="method", values="area")


def over_persons(areas: pd.Series) -> pd.Series:
    """Mean of each person, who is the unit of intervals and tests: clips of one person are alike."""
    return areas.dropna().groupby(level="person", sort=False).mean()
