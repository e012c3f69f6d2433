"""Rows of the command ``planted``: how much of each map lies on a text that a network relies on."""

from pathlib import Path

import pandas as pd

from benchmarks_kth_mad.checks.bench import RANDOM
from benchmarks_kth_mad.errors import BenchmarkError

PLANTED = "planted-text"
_READS = "text"
_SHARES = ["energy", "area"]
_NEEDED = ["trained on", "method", "clip", "person", *_SHARES]


def planted_rows(folder: Path) -> pd.DataFrame:
    """The share of each map's evidence that lies on the text, as rows of the check ``planted-text``.

    Of the two networks of that command, the one counts that was trained to read the text. Chance is
    the share of the area: it stands for the random map where the rows have none.

    Raises:
        BenchmarkError: no such rows, or not of that command.
    """
    path = folder / "rows.csv"
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file; run planted first")
    try:
        found = pd.read_csv(path)[_NEEDED]
        found = found[found["trained on"] == _READS]
        shares = found[_SHARES].to_numpy(dtype=float)
        if found.empty or not ((shares >= 0) & (shares <= 1)).all():  # nan is not
            raise ValueError("shares are missing, or none")
    except (ValueError, KeyError) as error:
        raise BenchmarkError(f"{path}: not rows of planted texts; run planted again") from error
    found = found.assign(check=PLANTED, value=found["energy"])
    if RANDOM not in set(found["method"]):
        chance = found.drop_duplicates("clip")
        found = pd.concat([found, chance.assign(method=RANDOM, value=chance["area"])])
    return found[["check", "method", "clip", "person", "value"]]
