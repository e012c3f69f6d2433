"""What tables of speed look like."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks_kth_mad.speed.methods import OURS, PLAIN
from benchmarks_kth_mad.speed.subject import BACKWARD, BATCHED, SINGLE

_OWN, _OTHER = "#2a78b5", "#b9b9b9"
_COLORS = {"expectation": "#b9b9b9", "coverage": "#d98b2b", "regression": _OWN}


def ratios_figure(table: pd.DataFrame) -> Figure:
    """Bars of `benchmarks_kth_mad.speed.methods.ratio_table`: ours, and others doing the same work."""
    clock = "CPU / floor" if "CPU / floor" in table else "wall / floor"
    shown = table[(table["passes"] > 0) & (table["by"] != PLAIN)]
    groups = {
        f"{clock}: {words} is 1": shown[shown["floor"] == floor]
        for floor, words in (
            (BATCHED, "a clip of a plain batch"),
            (BACKWARD, "a clip of a plain batch, forward and backward,"),
            (SINGLE, "a plain pass of one clip"),
        )
        if (shown["floor"] == floor).any()
    }
    figure = Figure(figsize=(8, 1.6 + 0.26 * sum(map(len, groups.values()))), layout="constrained")
    heights = [len(rows) + 1 for rows in groups.values()]
    panels = figure.subplots(len(groups), squeeze=False, height_ratios=heights)[:, 0]
    for panel, (title, rows) in zip(panels, groups.items(), strict=True):
        _bars(panel, rows.iloc[::-1], clock, title)
    colors = [Patch(color=_OWN, label="captum_video"), Patch(color=_OTHER, label="others")]
    figure.legend(handles=colors, loc="outside lower right", ncols=2, fontsize=8, frameon=False)
    return figure


def _bars(panel: Axes, rows: pd.DataFrame, clock: str, title: str) -> None:
    colors = [_OWN if by == OURS else _OTHER for by in rows["by"]]
    spread = [
        (rows[clock] - rows["low"]).clip(lower=0).tolist(),
        (rows["high"] - rows[clock]).clip(lower=0).tolist(),
    ]
    bars = panel.barh(
        rows["work"], rows[clock], color=colors, xerr=spread, error_kw={"linewidth": 0.8}
    )
    panel.bar_label(bars, fmt="%.2f", padding=6, fontsize=8)
    panel.axvline(1, color="#333333", linewidth=0.8, linestyle=":")
    panel.set_title(title, fontsize=9, loc="left")
    panel.tick_params(labelsize=8)
    panel.margins(x=0.12)
    panel.spines[["top", "right"]].set_visible(False)


def masks_figure(table: pd.DataFrame) -> Figure:
    """Curves of `benchmarks_kth_mad.speed.convergence`: RISE's error over masks, by estimator."""
    networks, scores = table["network"].unique(), table["score"].unique()
    figure = Figure(figsize=(3.6 * len(scores), 2.7 * len(networks)), layout="constrained")
    panels = figure.subplots(len(networks), len(scores), squeeze=False, sharex=True)
    for i, network in enumerate(networks):
        for j, score in enumerate(scores):
            rows = table[(table["network"] == network) & (table["score"] == score)]
            _curves(panels[i, j], rows, f"{network}, {score}")
    panels[0, 0].legend(fontsize=8, frameon=False)
    for panel in panels[-1]:
        panel.set_xlabel("masks", fontsize=8)
    for panel in panels[:, 0]:
        panel.set_ylabel("squared error / variance", fontsize=8)
    return figure


def _curves(panel: Axes, rows: pd.DataFrame, title: str) -> None:
    counts = sorted(rows["masks"].unique())
    for estimator, color in _COLORS.items():
        own = rows[rows["estimator"] == estimator]
        panel.loglog(
            own["masks"], own["pooled"], marker="o", markersize=3, color=color, label=estimator
        )
    panel.set_title(title, fontsize=9, loc="left")
    panel.set_xticks(counts, labels=[str(count) for count in counts])
    panel.minorticks_off()
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
