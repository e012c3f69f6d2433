"""The tables that are read: methods as rows, checks as columns, a table for each theme."""

import pandas as pd

from benchmarks_kth_mad.intervals import Interval, in_words

THEMES: dict[str, tuple[str, ...]] = {
    "Insertion": ("insertion-",),
    "Deletion": ("deletion-",),
    "Seen through the map": ("average-", "minimal-"),
    "Where": ("energy-actor", "energy-limb", "pointing-", "jaccard-"),
    "Where, over thresholds": ("aup-", "aur-", "aupr-"),
    "When": ("energy-span", "temporal-"),
    "Sanity": ("random-", "planted-"),
}
"""Headings, and how the names of their checks begin."""
SIGNS = {"wins": " +", "loses": " -", "undecided": " ="}


def themed_tables(means: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A table for each theme that something was asked of, methods in one order.

    Args:
        means: as `verdicts.summary` gives them.

    Returns:
        By heading. A cell is the mean with its interval, + where the method wins against the random
        map, - where it loses, = where that is open; the best of a column is in bold.
    """
    tables = {}
    for heading, starts in THEMES.items():
        own = means[means["check"].str.startswith(starts)]
        if len(own):
            tables[heading] = _wide(own, list(means["method"].unique()))
    return tables


def _wide(means: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    columns: dict[str, list[str]] = {
        "method": [name for name in methods if name in set(means["method"])]
    }
    for (check, better), group in means.groupby(["check", "better"], sort=False):
        cells = {str(row["method"]): _cell(row) for _, row in group.iterrows()}
        columns[f"{check} ({better})"] = [cells.get(name, "") for name in columns["method"]]
    return pd.DataFrame(columns)


def _cell(row: pd.Series) -> str:
    words = in_words(Interval(row["mean"], row["low"], row["high"]), int(row["persons"]))
    mean, _, bounds = words.partition(" ")
    mean = f"**{mean}**" if row["rank"] == 1 else mean
    return f"{mean} {bounds}".strip() + SIGNS.get(str(row["verdict"]), "")
