"""Lines: curves and temporal profiles of several methods, as Matplotlib figures outside pyplot."""

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from captum_video.clips import Layout
from captum_video.curves import Curve
from captum_video.visualization.overlay import evidence_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Band: TypeAlias = Literal["quantile", "bootstrap"]

# Okabe and Ito's colours, told apart by colour-blind readers; less their yellow, too pale on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = [(color, dash) for dash, color in product(("-", "--", ":", "-."), _COLORS)]
_LEVELS = {"quantile": 0.5, "bootstrap": 0.95}
_RESAMPLES = 1000
_INK = "#333333"


def plot_curves(
    curves: Mapping[str, Curve],
    *,
    band: Band | None = "quantile",
    level: float | None = None,
    generator: torch.Generator | None = None,
    x_label: str = "fraction of evidence changed",
    y_label: str = "score",
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw the mean curve of each method over its clips, and its mean area in the legend.

    Args:
        curves: name of a method to its curve; the methods may differ in their fractions. Where clips
            do, they are read between their points (see `captum_video.Curve.aligned`).
        band: what is shaded: ``"quantile"``, where the middle share of the clips lies;
            ``"bootstrap"``, an interval of the mean over clips (percentile bootstrap, 1000
            resamples of whole clips); None, nothing. Of a single clip nothing is.
        level: share of clips, or confidence, in (0, 1); by default 0.5 (the quartiles) for
            quantiles and 0.95 for the bootstrap.
        generator: draws the resamples; by default one of seed 0, so that a figure comes out the
            same each time.
        x_label: under the axis of fractions.
        y_label: beside the axis of scores.
        title: written above.
        ax: where to draw; by default on a new figure.

    Returns:
        The figure. Which area is better, the smaller or the larger, is up to the metric.

    Raises:
        ValueError: no curves, or ``band`` or ``level`` unknown.

    Example:
        >>> import torch
        >>> fractions = torch.linspace(0, 1, 11)
        >>> curve = Curve(fractions, torch.rand(20, 11).cumsum(1) / 11)
        >>> figure = plot_curves({"random": curve}, title="Insertion")
    """
    if not curves:
        raise ValueError("curves: expected at least one, got none")
    if band is not None and band not in _LEVELS:
        raise ValueError(f"band: expected 'quantile', 'bootstrap' or None, got {band!r}")
    if level is not None and not 0 < level < 1:
        raise ValueError(f"level: expected a number in (0, 1), got {level}")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    axes = _axes(ax)
    for i, (name, curve) in enumerate(curves.items()):
        shared = curve.aligned()
        fractions, scores = (
            one.detach().float().cpu() for one in (shared.fractions, shared.scores)
        )
        label = f"{name}  {curve.area.float().mean():.3f}"
        color = _draw_line(axes, i, fractions, scores.mean(0), label)
        if band is not None and len(scores) > 1:
            low, high = _band_of(scores, band, level or _LEVELS[band], generator)
            axes.fill_between(
                fractions.numpy(), low.numpy(), high.numpy(), color=color, alpha=0.15, lw=0
            )
    if all(c.scores.min() >= 0 and c.scores.max() <= 1 for c in curves.values()):
        axes.set_ylim(bottom=0)
    axes.set_xlim(0, 1)
    _finish(axes, x_label, y_label, title, "mean area")
    return figure_of(axes)


def temporal_profile(
    attributions: Mapping[str, Tensor],
    *,
    layout: str | Layout = "n c t h w",
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw when the evidence is: each frame's share of the positive evidence, a line per method.

    Shares sum to 1 over the frames, so methods of differing units compare. The dotted line is
    evidence spread evenly. Of several clips the mean share is drawn; a clip without positive
    evidence counts as 0 everywhere.

    Args:
        attributions: name of a method to its attributions, (N clips) in ``layout``.
        layout: how they are ordered.
        title: written above.
        ax: where to draw; by default on a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: no attributions, or of differing frame counts.

    Example:
        >>> import torch
        >>> figure = temporal_profile({"random": torch.rand(1, 3, 16, 32, 32)})
    """
    profiles = {
        name: _shares(evidence_of(one.detach(), Layout.of(layout), "positive")).cpu()
        for name, one in attributions.items()
    }
    counts = {len(profile) for profile in profiles.values()}
    if len(counts) != 1:
        raise ValueError(
            f"attributions: expected at least one, all of as many frames, got {sorted(counts)}"
        )
    axes = _axes(ax)
    (n_frames,) = counts
    for i, (name, profile) in enumerate(profiles.items()):
        _draw_line(axes, i, torch.arange(n_frames), profile, name)
    axes.axhline(1 / n_frames, color=_INK, lw=1, ls=(0, (1, 2)), zorder=1, label="spread evenly")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.locator_params(axis="x", integer=True)
    _finish(axes, "frame", "share of evidence", title, None)
    return figure_of(axes)


def _shares(evidence: Tensor) -> Tensor:
    """Each frame's share of the evidence (N, 1, T, H, W), averaged over clips: (T,)."""
    per_frame = evidence.sum(dim=(1, 3, 4))
    total = per_frame.sum(1, keepdim=True)
    return (per_frame / total.where(total > 0, 1)).mean(0)


def _band_of(
    scores: Tensor, band: Band, level: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Lower and upper edge of the middle ``level`` of the clips, or of their resampled means."""
    if band == "bootstrap":
        n = len(scores)
        drawn = torch.randint(n, (_RESAMPLES, n), generator=generator, device=generator.device)
        counts = torch.zeros(_RESAMPLES, n).scatter_add_(1, drawn.cpu(), torch.ones(_RESAMPLES, n))
        scores = counts @ scores / n
    low, high = scores.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2]), dim=0)
    return low, high


def _axes(ax: "Axes | None") -> "Axes":
    from matplotlib.figure import Figure

    return ax if ax is not None else Figure(figsize=(6, 3.2), layout="constrained").add_subplot()


def figure_of(axes: "Axes") -> "Figure":
    """Find the figure that holds axes, also where they sit in a part of it."""
    from matplotlib.figure import Figure

    figure = axes.figure
    while not isinstance(figure, Figure):
        figure = figure.figure
    return figure


def _draw_line(axes: "Axes", i: int, x: Tensor, y: Tensor, label: str) -> str:
    """Draw the i-th method's line and tell its colour."""
    color, dash = _STYLES[i % len(_STYLES)]
    axes.plot(x.numpy(), y.numpy(), color=color, ls=dash, lw=1.8, label=label)
    return color


def _finish(
    axes: "Axes", x_label: str, y_label: str, title: str | None, legend_title: str | None
) -> None:
    """Label the axes and stand the legend beside them, where it covers no data."""
    axes.set_xlabel(x_label, color=_INK)
    axes.set_ylabel(y_label, color=_INK)
    if title:
        axes.set_title(title, color=_INK, fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(color="#999999", labelcolor=_INK, labelsize=9)
    axes.legend(
        title=legend_title,
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        borderaxespad=0,
        frameon=False,
        fontsize=9,
        title_fontsize=9,
        alignment="left",
        labelcolor=_INK,
    )
