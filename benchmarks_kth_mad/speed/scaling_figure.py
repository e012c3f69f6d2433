"""The figure of a scaling table: small multiples, a column per axis."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OWN = "own ms per pass"
# Okabe and Ito's colours, told apart by colour-blind readers; markers for those who see none
_LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))


def scaling_figure(table: pd.DataFrame) -> Figure:
    """Draw what `scaling_table` found: above the ratio to the floor, below the method's own time.

    Args:
        table: as that function returns it.

    Returns:
        The figure, outside pyplot: a column per axis, a line per work. The ratio is that of CPU time
        where the table has it.
    """
    ratio = "CPU / floor" if "CPU / floor" in table else "wall / floor"
    axes = list(table["axis"].unique())
    figure = Figure(figsize=(2.6 * len(axes) + 0.6, 5), layout="constrained")
    panels = figure.subplots(2, len(axes), squeeze=False, sharex="col")
    names = list(table["work"].unique())
    lines = {}
    for column, axis in zip(panels.T, axes, strict=True):
        part = table[table["axis"] == axis]
        for panel, quantity, ideal in zip(column, (ratio, OWN), (1, 0), strict=True):
            for name, one in part.groupby("work", sort=False):
                color, marker = _LOOKS[names.index(name) % len(_LOOKS)]
                lines[name] = panel.plot(
                    one["value"], one[quantity], color=color, marker=marker, markersize=5
                )[0]
            _finish(panel, sorted(part["value"].unique()), ideal)
        column[1].set_xlabel(axis)
    panels[0, 0].set_ylabel(f"time per pass ({ratio})")
    panels[1, 0].set_ylabel(f"{OWN}, beyond the floor's")
    figure.legend(
        list(lines.values()),
        list(lines),
        loc="outside upper center",
        ncols=len(lines),
        frameon=False,
    )
    return figure


def _finish(panel: Axes, values: list[int], ideal: float) -> None:
    """Ticks where something was measured, and a line where nothing is lost."""
    panel.axhline(ideal, color="#333333", linewidth=0.8, linestyle=":")
    panel.set_xscale("log", base=2)
    panel.set_xticks(values, labels=[str(value) for value in values])
    panel.minorticks_off()
    panel.margins(x=0.12)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
