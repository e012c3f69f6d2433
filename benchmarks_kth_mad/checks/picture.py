"""One picture of all verdicts: methods x checks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks_kth_mad.checks.bench import RANDOM

_FAR = 4.0


def heat_map(means: pd.DataFrame, unreliable: list[str]) -> Figure:
    """How many standard errors each method is better than the random map, with its rank written in.

    Args:
        means: as `verdicts.summary` gives them.
        unreliable: checks whose names are marked.
    """
    checks = list(means["check"].unique())
    methods = [name for name in means["method"].unique() if name != RANDOM]
    table = means.set_index(["method", "check"])
    lead = np.full((len(methods), len(checks)), np.nan)
    figure = Figure(figsize=(2.2 + 0.55 * len(checks), 2.4 + 0.38 * len(methods)))
    axes = figure.add_subplot()
    for row, method in enumerate(methods):
        for column, check in enumerate(checks):
            if (method, check) in table.index:
                cell = table.loc[(method, check)]
                lead[row, column] = _standard_errors(cell)
                axes.text(
                    column,
                    row,
                    str(cell["rank"]),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if abs(lead[row, column]) > 0.6 * _FAR else "black",
                )
    image = axes.imshow(lead, cmap="RdBu", vmin=-_FAR, vmax=_FAR, aspect="auto")
    labels = [f"{name} (unreliable)" if name in unreliable else name for name in checks]
    axes.set_xticks(range(len(checks)), labels, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(methods)), methods, fontsize=8)
    for label, name in zip(axes.get_xticklabels(), checks, strict=True):
        label.set_color("tab:red" if name in unreliable else "black")
    for at, check in enumerate(checks[1:], start=1):
        if _kind(means, check) != _kind(means, checks[at - 1]):
            axes.axvline(at - 0.5, color="black", linewidth=1.2)
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("better than random,\nstandard errors", fontsize=8)
    axes.set_title("Number: rank, the random map among the methods", fontsize=9)
    figure.tight_layout()
    return figure


def _standard_errors(cell: pd.Series) -> float:
    """The difference to the random map over its standard error, positive where it is better."""
    direction = 1 if cell["better"] == "higher" else -1
    gain = direction * cell["difference"]
    error = (cell["difference high"] - cell["difference low"]) / (2 * 1.96)
    if error == 0:
        return float(np.sign(gain)) * _FAR
    return float(np.clip(gain / error, -_FAR, _FAR))


def _kind(means: pd.DataFrame, check: str) -> str:
    return str(means.loc[means["check"] == check, "kind"].iloc[0])
