"""The figure of a scaling table: a panel per axis."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks_kth_mad.speed.scaling import REAL

OWN = "own ms per pass"
_NEAR = (0.8, 1.3)
# Okabe and Ito's colours, told apart by colour-blind readers; markers for those who see none
_LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))


def scaling_figure(table: pd.DataFrame) -> Figure:
    """Draw what `scaling_table` found.

    Of the real network the ratio to the floor, which says little of a network that costs next to
    nothing; of that one the method's own time, which drowns in the noise of the real one's.

    Args:
        table: as that function returns it.

    Returns:
        The figure, outside pyplot: a panel per axis, a line per work, a dotted line where nothing is
        lost. The ratio is that of CPU time where the table has it.
    """
    ratio = "CPU / floor" if "CPU / floor" in table else "wall / floor"
    axes, names = list(table["axis"].unique()), list(table["work"].unique())
    figure = Figure(figsize=(2.6 * len(axes) + 0.4, 3.2), layout="constrained")
    panels = figure.subplots(1, len(axes), squeeze=False)[0]
    lines = {}
    for panel, axis in zip(panels, axes, strict=True):
        part = table[table["axis"] == axis]
        network = part["network"].iloc[0]
        quantity = ratio if network == REAL else OWN
        for name, one in part.groupby("work", sort=False):
            color, marker = _LOOKS[names.index(name) % len(_LOOKS)]
            lines[name] = panel.plot(
                one["value"], one[quantity], color=color, marker=marker, markersize=5
            )[0]
        _finish(panel, sorted(part["value"].unique()), near_one=quantity == ratio)
        panel.set(
            xlabel=axis, ylabel=quantity, title=f"{network} network" if network != REAL else REAL
        )
        panel.title.set_fontsize("medium")
    figure.legend(
        list(lines.values()),
        list(lines),
        loc="outside upper center",
        ncols=len(lines),
        frameon=False,
    )
    return figure


def _finish(panel: Axes, values: list[int], near_one: bool) -> None:
    """Ticks where something was measured, and never so fine a scale that noise fills it."""
    low, high = panel.get_ylim()
    if near_one:
        panel.set_ylim(min(low, _NEAR[0]), max(high, _NEAR[1]))
    else:
        panel.set_ylim(min(low, 0), 1.05 * high)
    panel.axhline(1 if near_one else 0, color="#333333", linewidth=0.8, linestyle=":")
    panel.set_xscale("log", base=2)
    panel.set_xticks(values, labels=[str(value) for value in values])
    panel.minorticks_off()
    panel.margins(x=0.12)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
