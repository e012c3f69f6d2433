"""The paper's table beside ours."""

from collections.abc import Callable

import pandas as pd

from benchmarks_kth_mad.boxes.networks import NETWORKS
from benchmarks_kth_mad.boxes.series import LAYOUTS

# Ismail et al. 2019, table 1: weighted Jaccard, Euclidean distance, accuracy in per cent, in the order
# of LAYOUTS.
PAPER = {
    "lstm": (
        (0.000, 0.000, 0.019, 0.000, 0.000, 0.000),
        (1.006, 1.003, 0.985, 1.003, 1.003, 1.004),
        (53.4, 98.6, 100.0, 49.1, 52.2, 51.8),
    ),
    "bilstm": (
        (0.000, 0.000, 0.013, 0.000, 0.000, 0.000),
        (1.004, 1.003, 0.990, 1.002, 1.003, 1.003),
        (50.7, 53.2, 100.0, 51.5, 51.3, 51.3),
    ),
    "self-attention": (
        (0.048, 0.048, 0.045, 0.060, 0.025, 0.075),
        (0.973, 0.963, 0.973, 0.953, 0.985, 0.939),
        (100.0, 100.0, 100.0, 100.0, 100.0, 99.9),
    ),
    "input-cell": (
        (0.103, 0.124, 0.110, 0.104, 0.108, 0.106),
        (0.914, 0.891, 0.903, 0.912, 0.903, 0.905),
        (100.0, 100.0, 100.0, 77.6, 100.0, 100.0),
    ),
}
PAPER["input-cell-decay"] = PAPER["input-cell"]  # what it is to be compared with
CHANCE = 0.6

NOTES = """\
Ours, and the paper's in brackets. The random map is in expectation, of uniform noise.
Accuracy: "n epochs" were trained. A network near 50 % has learned nothing that holds for new series, and its
saliency explains nothing: * marks those at or under 60 %.
BiLSTM is read at the last step, as the paper's must have been: there its backward half has seen one input.
"... with weight decay" departs from the paper's recipe: decay 0.01 in Adam, and 500 steps more after the first
epoch without a mistake, where the paper stops. The classes are so easy to tell that the paper's recipe ends within a
few epochs, with most weights as they were drawn; decay removes those of features that carry nothing."""


def as_markdown(rows: pd.DataFrame) -> str:
    """Lay out the results as the paper does: a table per score, networks by layouts.

    Args:
        rows: one per layout and network, of the columns of `Scores` and ``layout``, ``network``.

    Returns:
        Tables and notes, in Markdown.
    """
    rows = rows.set_index(["network", "layout"])
    parts = [
        _table(
            rows, "Weighted Jaccard (higher is better)", _beside("weighted_jaccard", 0), _jaccard
        ),
        _table(rows, "Euclidean distance (lower is better)", _beside("euclidean", 1), _distance),
        _table(rows, "Accuracy, %", _accuracy),
        _table(rows, "Saliency of the first ten steps over that of the last ten", _vanishing),
        _table(
            rows, "Share of the saliency on the box", lambda row, *_: f"{row.in_box:.3f}", _share
        ),
        NOTES,
    ]
    return "\n\n".join(parts)


def _table(
    rows: pd.DataFrame,
    title: str,
    cell: Callable[[pd.Series, str, int], str],
    random: Callable[[float], float] | None = None,
) -> str:
    names = [name for name in NETWORKS if name in rows.index.get_level_values("network")]
    layouts = [name for name in LAYOUTS if name in rows.index.get_level_values("layout")]
    table: dict[str, dict[str, str]] = {NETWORKS[name].title: {} for name in names}
    for name in names:
        for place, layout in enumerate(LAYOUTS):
            if (name, layout) in rows.index:
                text = cell(rows.loc[(name, layout), :], name, place)
                table[NETWORKS[name].title][LAYOUTS[layout].title] = text
    if random is not None:
        areas = {one: LAYOUTS[one].masks().double().mean().item() for one in layouts}
        table["random map"] = {LAYOUTS[one].title: f"{random(areas[one]):.3f}" for one in layouts}
    columns = [LAYOUTS[one].title for one in layouts]
    frame = pd.DataFrame.from_dict(table, orient="index", columns=columns).fillna("")
    return f"### {title}\n\n{frame.to_markdown(disable_numparse=True)}"


def _beside(score: str, index: int) -> Callable[[pd.Series, str, int], str]:
    def cell(row: pd.Series, network: str, place: int) -> str:
        mark = "*" if row.accuracy <= CHANCE else ""
        return f"{row[score]:.3f}{mark} ({PAPER[network][index][place]:.3f})"

    return cell


def _accuracy(row: pd.Series, network: str, place: int) -> str:
    epochs = int(row.epochs)
    return (
        f"{100 * row.accuracy:.1f} ({PAPER[network][2][place]:.1f}), "
        f"{epochs} epoch{'s' if epochs > 1 else ''}"
    )


def _vanishing(row: pd.Series, network: str, place: int) -> str:
    return f"{row.first_over_last:.1e}"


def _jaccard(area: float) -> float:
    """Expected minima over expected maxima: uniform noise has a mean of 1/2."""
    return area / (1 + area)


def _distance(area: float) -> float:
    """Root of the mean squares: 1/3 inside as outside of the box."""
    return (1 / (3 * area)) ** 0.5


def _share(area: float) -> float:
    return area
