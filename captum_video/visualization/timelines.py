"""Timelines: evidence over time alone, or over time and features, as Matplotlib figures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from captum_video.clips import Layout, clip_of
from captum_video.visualization.figures import label_of, one_clip
from captum_video.visualization.lines import figure_of
from captum_video.visualization.overlay import Denormalize, Sign, color_limit, palette_of
from captum_video.visualization.sheets import (
    BAR_INCHES,
    CELL_INCHES,
    FONT_SIZE,
    GAP_INCHES,
    INK,
    draw_bar,
    in_short,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_STRIP_INCHES = 0.3
_BOTTOM_INCHES = 0.05
_FINE_FIELDS = 1000


def time_strip(
    clip: Tensor,
    contributions: Mapping[str, Tensor],
    *,
    layout: str | Layout = "n c t h w",
    n_frames: int = 8,
    shared_scale: bool = False,
    sign: Sign = "positive",
    cmap: "str | Colormap | None" = None,
    denormalize: Denormalize | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw when the evidence is: frames of the clip, and under them a strip per method.

    Time runs from left to right, alike in frames and strips: the frames shown are those in the
    middle of equal stretches of the clip, and each stands above its stretch. A strip has one field
    per frame of the clip. Its colours are those of an overlay, undiluted: dark is none.

    Args:
        clip: a batch of one clip, ``inputs[i : i + 1]``.
        contributions: name of a method to one number per frame of the clip, (T,).
        layout: how the clip orders its axes.
        n_frames: frames shown above; fewer where the clip is shorter.
        shared_scale: whether one colour scale holds for all strips, for methods whose numbers mean
            the same. Otherwise each strip has its own.
        sign: ``"positive"`` shows evidence for the target only, ``"all"`` that against it as well.
        cmap: a Matplotlib colour map or its name; by default as for :func:`overlay`.
        denormalize: see :func:`overlay`.
        title: written above.

    Returns:
        A figure with the axes of the frames, then those of the strips, then those of the colour
        bars, whose numbers are in the unit of the contributions. A method without evidence is marked
        so and has no bar of its own.

    Raises:
        TypeError: contributions that are no floating-point tensors.
        ValueError: not one clip, no contributions, not one number per frame, not finite, ``n_frames``
            below 1, or what :func:`overlay` refuses.

    Example:
        >>> import torch
        >>> figure = time_strip(torch.rand(1, 3, 16, 32, 32), {"random": torch.rand(16)}, n_frames=4)
        >>> len(figure.axes)
        6
    """
    pictures = one_clip(clip, Layout.of(layout), denormalize)
    frames = _centers(pictures.shape[2], n_frames)
    strips = {name: _strip_of(name, one, pictures.shape[2]) for name, one in contributions.items()}
    if not strips:
        raise ValueError("contributions: expected at least one, got none")
    own = {name: color_limit(one, layout="n t", sign=sign).item() for name, one in strips.items()}
    limits = dict.fromkeys(own, max(own.values())) if shared_scale else own
    names = [label_of(*pair) for pair in own.items()]
    figure, rows = _axes_of(pictures[0, :, frames], frames, names, limits, title)
    images = [
        _paint(axes, values, limit, sign, cmap)
        for axes, values, limit in zip(rows, strips.values(), limits.values(), strict=True)
    ]
    spans = [rows] if shared_scale else [[row] for row in rows]
    # With a shared scale all limits are one; zip takes the first.
    for span, image, limit in zip(spans, images, limits.values(), strict=False):
        if limit:
            draw_bar(figure, [[row] for row in span], image)
    return figure


def feature_heatmap(
    attributions: Tensor,
    *,
    sign: Sign = "positive",
    cmap: "str | Colormap | None" = None,
    feature_label: str = "feature (index)",
    time_label: str = "time (frames)",
    value_label: str = "attribution",
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw evidence at the features of a sequence, such as those an LSTM is fed: features x time.

    Time runs from left to right and features from top to bottom. The colours are those of an
    overlay, undiluted, over the :func:`color_limit` of the whole.

    Args:
        attributions: (T, F) of one sequence; of gradients, their absolute value.
        sign: ``"positive"`` shows evidence for the target only, ``"all"`` that against it as well.
        cmap: a Matplotlib colour map or its name; by default as for :func:`overlay`.
        feature_label: beside the features.
        time_label: under the frames.
        value_label: beside the colour bar, with the unit: ``"|gradient|"``, say.
        title: written above.
        ax: where to draw; by default on a new figure, high enough for a line per feature.

    Returns:
        The figure. Without evidence it is of one colour, and the bar's label says so.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: not (T, F), empty, not finite, or an option out of range.

    Example:
        >>> import torch
        >>> figure = feature_heatmap(torch.rand(30, 300), value_label="|gradient|")
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['time (frames)', '']
    """
    if isinstance(attributions, Tensor) and attributions.ndim != 2:
        raise ValueError(f"attributions: expected (T, F), got shape {tuple(attributions.shape)}")
    values = clip_of(attributions, Layout("n f"), "attributions")[:, 0, 0, 0]
    limit = color_limit(values[None], layout="n t f", sign=sign).item()
    axes = ax if ax is not None else _tall_axes(values.shape[1])
    image = _paint(axes, values.T, limit, sign, cmap)
    axes.set_xlabel(time_label, color=INK)
    axes.set_ylabel(feature_label, color=INK)
    axes.locator_params(axis="both", integer=True)
    axes.spines[:].set_visible(False)
    axes.tick_params(color="#999999", labelcolor=INK, labelsize=FONT_SIZE + 1)
    if title:
        axes.set_title(title, color=INK, fontsize=11, loc="left")
    bar = figure_of(axes).colorbar(image, ax=axes, pad=0.02, fraction=0.05)
    if not limit:
        bar.set_ticks([0.0], labels=["0"])
    bar.set_label(value_label if limit else f"{value_label}: no evidence", color=INK)
    bar.ax.tick_params(color="#999999", labelcolor=INK, labelsize=FONT_SIZE + 1)
    bar.outline.set_visible(False)
    return figure_of(axes)


def _centers(n_total: int, n_frames: int) -> list[int]:
    """Frames in the middle of equal stretches."""
    if isinstance(n_frames, bool) or not isinstance(n_frames, int) or n_frames < 1:
        raise ValueError(f"n_frames: expected a whole number of at least 1, got {n_frames!r}")
    count = min(n_frames, n_total)
    return [(2 * i + 1) * n_total // (2 * count) for i in range(count)]


def _strip_of(name: str, values: Tensor, n_total: int) -> Tensor:
    """Check one number per frame: (1, T)."""
    name = f"contributions[{name!r}]"
    if isinstance(values, Tensor) and values.shape != (n_total,):
        raise ValueError(
            f"{name}: expected one number for each of {n_total} frames, got shape "
            f"{tuple(values.shape)}"
        )
    return clip_of(values, Layout("n"), name)[:, 0, 0, 0].T


def _axes_of(
    frames: Tensor,
    numbers: list[int],
    names: list[str],
    limits: Mapping[str, float],
    title: str | None,
) -> tuple["Figure", list["Axes"]]:
    """Make a figure that just holds frames (3, n, H, W), strips, names and bars; fill the frames in."""
    from matplotlib.figure import Figure

    aspect = frames.shape[3] / frames.shape[2]
    width, height = CELL_INCHES * aspect**0.5, CELL_INCHES / aspect**0.5
    left, top = width_of(names) + 0.15, 0.42 if title else 0.22
    right = BAR_INCHES + width_of([in_short(-limit) for limit in limits.values()])
    inner = len(numbers) * width
    total = (
        left + inner + right,
        top + height + len(names) * (_STRIP_INCHES + 2 * GAP_INCHES) + _BOTTOM_INCHES,
    )
    figure = Figure(figsize=total)

    def place(x: float, y: float, w: float, h: float) -> "Axes":
        """Add axes in inches from the upper left corner."""
        box = (x / total[0], 1 - (y + h) / total[1], w / total[0], h / total[1])
        axes = figure.add_axes(box)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes

    for i, number in enumerate(numbers):
        axes = place(left + i * width + GAP_INCHES / 2, top, width - GAP_INCHES, height)
        axes.imshow(frames[:, i].permute(1, 2, 0).cpu().numpy(), aspect="auto")
        text = f"frame {number}" if i == 0 else f"{number}"
        axes.set_title(text, fontsize=FONT_SIZE, color=INK, pad=3)
    rows = []
    for i, name in enumerate(names):
        y = top + height + i * (_STRIP_INCHES + 2 * GAP_INCHES) + 2 * GAP_INCHES
        rows.append(place(left, y, inner, _STRIP_INCHES))
        rows[-1].set_ylabel(
            name, rotation=0, ha="right", va="center", fontsize=FONT_SIZE, color=INK, labelpad=4
        )
    if title:
        x, y = (left + inner / 2) / total[0], 1 - 0.06 / total[1]
        figure.text(x, y, title, ha="center", va="top", fontsize=FONT_SIZE + 2, color=INK)
    return figure, rows


def _paint(
    axes: "Axes", values: Tensor, limit: float, sign: Sign, cmap: "str | Colormap | None"
) -> "AxesImage":
    """Show values (rows, columns) in the colours of an overlay, undiluted."""
    from matplotlib.colors import ListedColormap

    limit = limit or 1.0  # all is at the zero of any scale
    n_rows, n_columns = values.shape
    # Matplotlib blends where there are few pixels per value, along both axes alike. Finer fields
    # leave it no reason to blend frames because there are many features.
    for axis, length in enumerate((n_rows, n_columns)):
        values = values.repeat_interleave(-(-_FINE_FIELDS // length), axis)
    return axes.imshow(
        values.detach().float().cpu().numpy(),
        aspect="auto",
        extent=(-0.5, n_columns - 0.5, n_rows - 0.5, -0.5),
        cmap=ListedColormap(palette_of(cmap, sign).numpy()),
        vmin=-limit if sign == "all" else 0.0,
        vmax=limit,
    )


def _tall_axes(n_features: int) -> "Axes":
    from matplotlib.figure import Figure

    height = min(max(3.0, 0.8 + 0.012 * n_features), 9.0)
    return Figure(figsize=(6, height), layout="constrained").add_subplot()
