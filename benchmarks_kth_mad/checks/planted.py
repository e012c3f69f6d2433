"""Rows of the command ``planted``: how much of each map lies on a text that a network relies on."""

from pathlib import Path

import pandas as pd

from benchmarks_kth_mad.checks.bench import RANDOM
from benchmarks_kth_mad.errors import BenchmarkError

PLANTED = "planted-text"
_SHARES = ["energy share", "area share"]
_NEEDED = ["method", "clip", *_SHARES]


def planted_rows(folder: Path) -> pd.DataFrame:
    """The share of each map's evidence that lies on the text, as rows of the check ``planted-text``.

    Chance is the share of the area: it stands for the random map where the rows have none.

    Raises:
        BenchmarkError: no such rows, or not of that command.
    """
    path = folder / "rows.csv"
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file; run planted first")
    try:
        found = pd.read_csv(path)
        shares = found[_NEEDED][_SHARES].astype(float)
        if found.empty or not shares.stack().between(0, 1).all() or shares.isna().any(axis=None):
            raise ValueError("shares are missing, or none")
    except (ValueError, KeyError) as error:
        raise BenchmarkError(f"{path}: not rows of planted texts; run planted again") from error
    person = found["person"] if "person" in found else found["clip"].str.split("_").str[0]
    found = found.assign(person=person, check=PLANTED, value=found["energy share"])
    if RANDOM not in set(found["method"]):
        chance = found.drop_duplicates("clip")
        found = pd.concat([found, chance.assign(method=RANDOM, value=chance["area share"])])
    return found[["check", "method", "clip", "person", "value"]]
