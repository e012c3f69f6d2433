"""What one network's run gives: one row per measure, method and clip."""

import pandas as pd
from torch import Tensor

from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.methods import above_zero

ACCURACY = "accuracy"
FIRST, LAST = "first third of the frames", "last third of the frames"
ENERGY, CORRELATION = "energy on what moves", "rank correlation with speed"
MOVING = "share that moves"
COLUMNS = ["measure", "method", "clip", "person", "value"]
_MOTION = {"energy": ENERGY, "correlation": CORRELATION, "moving area": MOVING}


def played(metric: str, unit: str) -> str:
    """The measure that an area is: ``"insertion by frame"``."""
    return f"{metric} by {unit}"


def accuracy_rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """Whether each clip is labelled right, 1 or 0, from rows of the command predict."""
    right = (predictions["label"] == predictions["predicted"]).astype(float)
    return _rows(ACCURACY, "", predictions["clip"], right)


def time_rows(explained: Explained) -> pd.DataFrame:
    """How much of its evidence each map has in the first, and in the last third of the frames.

    Of T frames a third is ``T // 3``. What is against the class counts as nothing; a map with nothing
    for it counts as spread evenly, which is what chance is.
    """
    found = []
    for method, maps in explained.of_only_input()[1].items():
        shares = shares_over_time(above_zero(method, maps))
        third = shares.shape[1] // 3
        for name, part in ((FIRST, shares[:, :third]), (LAST, shares[:, -third:])):
            found.append(_rows(name, method, explained.names, part.sum(1).tolist()))
    return pd.concat(found, ignore_index=True)


def shares_over_time(maps: Tensor) -> Tensor:
    """Each frame's share of the evidence of maps (N, C, T, H, W): (N, T), float64."""
    evidence = maps.double().clamp(min=0).sum((1, 3, 4))
    total = evidence.sum(1, keepdim=True)
    even = evidence.new_full((), 1 / evidence.shape[1])
    return (evidence / total.where(total > 0, 1)).where(total > 0, even)


def motion_rows(agreement: pd.DataFrame) -> pd.DataFrame:
    """Agreement with optical flow, from rows of the command motion."""
    return pd.concat(
        [
            _rows(name, agreement["method"], agreement["clip"], agreement[column])
            for column, name in _MOTION.items()
        ],
        ignore_index=True,
    )


def area_rows(areas: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Areas of insertion and deletion, from rows of the command evaluate; failed ones are NaN."""
    names = areas["metric"].map(lambda metric: played(metric, unit))
    return _rows(names, areas["method"], areas["clip"], areas["area"])


def _rows(measure: object, method: object, clips: object, values: object) -> pd.DataFrame:
    """Rows of clips, whose persons are the first part of their names."""
    table = pd.DataFrame({"clip": clips, "value": values})
    named = table.assign(measure=measure, method=method, person=table["clip"].str.split("_").str[0])
    return named[COLUMNS]
