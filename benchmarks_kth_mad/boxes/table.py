"""The paper's table beside ours."""

from collections.abc import Callable

import pandas as pd
from torch import Tensor

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
EPOCHS = 400

NOTES = {
    None: "Ours, the paper's in brackets; the random map is uniform noise, in expectation.",
    "bilstm": (
        "The BiLSTM is read at the last step, where its backward half has seen one input; the paper's "
        "zeros on Earlier say that theirs was too."
    ),
    "input-cell-decay": (
        "Weight decay departs from the paper's recipe: 0.01 in Adam, and 500 steps more after the "
        "first epoch without a mistake, where the paper stops. The classes are so far apart that the "
        "paper's recipe ends within a few epochs, with most weights about as they were drawn; decay "
        "takes away those of features that carry nothing. Beside it stands the paper's row of "
        "input-cell attention."
    ),
}


def as_markdown(rows: pd.DataFrame) -> str:
    """Lay out the results as the paper does: a table per score, networks by layouts.

    Args:
        rows: as `Results` has them, one per layout and network.

    Returns:
        Tables and notes, in Markdown.
    """
    notes = _notes(rows)
    rows = rows.set_index(["network", "layout"])
    parts = [
        _table(
            rows, "Weighted Jaccard (higher is better)", _beside("weighted_jaccard", 0), _jaccard
        ),
        _table(rows, "Euclidean distance (lower is better)", _beside("euclidean", 1), _distance),
        _table(rows, "Accuracy, %", _accuracy),
        _table(rows, "Saliency of the first ten steps over that of the last ten", _vanishing),
        _table(rows, "Share of the saliency on the steps of the box", _plain("in_time"), _steps),
        _table(rows, "Share of the saliency on the box itself", _plain("in_box"), _area),
        notes,
    ]
    return "\n\n".join(parts)


def _table(
    rows: pd.DataFrame,
    title: str,
    cell: Callable[[pd.Series, str, int], str],
    random: Callable[[Tensor], float] | None = None,
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
        table["random map"] = {
            LAYOUTS[one].title: f"{random(LAYOUTS[one].masks()):.3f}" for one in layouts
        }
    columns = [LAYOUTS[one].title for one in layouts]
    frame = pd.DataFrame.from_dict(table, orient="index", columns=columns).fillna("")
    return f"### {title}\n\n{frame.to_markdown(disable_numparse=True)}"


def _notes(rows: pd.DataFrame) -> str:
    """What a reader has to know of these rows."""
    notes = [text for name, text in NOTES.items() if name is None or name in set(rows["network"])]
    if (rows["accuracy"] <= CHANCE).any():
        notes.append(
            f"The asterisk: at most {CHANCE:.0%} of the test series are labelled right: the network has learned "
            f"nothing that holds for them, and its saliency explains nothing."
        )
    cut = rows[(rows["epochs"] == rows["most_epochs"]) & (rows["epochs"] < EPOCHS)]
    if len(cut):
        cells = [
            f"{NETWORKS[row.network].title} on {LAYOUTS[row.layout].title} ({row.epochs}, "
            f"training accuracy {row.train_accuracy:.0%})"
            for row in cut.itertuples()
        ]
        notes.append(
            f"Stopped by the limit of epochs, short of the paper's {EPOCHS}: {'; '.join(cells)}."
        )
    return "\n".join(f"- {note}" for note in notes)


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


def _plain(score: str) -> Callable[[pd.Series, str, int], str]:
    return lambda row, network, place: f"{row[score]:.3f}"


def _area(masks: Tensor) -> float:
    return masks.double().mean().item()


def _steps(masks: Tensor) -> float:
    return masks.any(2).double().mean().item()


def _jaccard(masks: Tensor) -> float:
    """Expected minima over expected maxima: uniform noise has a mean of 1/2."""
    return _area(masks) / (1 + _area(masks))


def _distance(masks: Tensor) -> float:
    """Root of the mean squares: 1/3 inside as outside of the box."""
    return (1 / (3 * _area(masks))) ** 0.5
