"""Filmstrips: a clip and its evidence frame by frame, as Matplotlib figures outside pyplot."""

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from captum_video.clips import Layout
from captum_video.visualization.overlay import (
    Denormalize,
    Sign,
    color_limit,
    overlay,
    palette_of,
    pictures_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_CELL_INCHES = 1.05
_GAP_INCHES = 0.04
_BAR_INCHES = 0.25
_INK = "#333333"
_FONT_SIZE = 8


def filmstrip(
    clip: Tensor,
    attributions: Mapping[str, Tensor],
    *,
    layout: str | Layout = "n c t h w",
    n_frames: int = 8,
    shared_scale: bool = False,
    sign: Sign = "positive",
    cmap: "str | Colormap | None" = None,
    alpha: float = 0.6,
    denormalize: Denormalize | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw a clip and the evidence of several methods: a row for each, a column for each frame.

    The frames are spread evenly over the clip, its first and last among them. ``figure.savefig``
    writes the figure; a notebook shows it by itself after ``%matplotlib inline``.

    Args:
        clip: a batch of one clip, ``inputs[i : i + 1]``.
        attributions: name of a method to its attributions of this clip, in the same layout.
        layout: how the clip and the attributions are ordered.
        n_frames: columns; fewer where the clip is shorter.
        shared_scale: whether one colour scale holds for all rows, for methods whose numbers mean
            the same. Otherwise each row has its own.
        sign: see :func:`overlay`, as for ``cmap``, ``alpha`` and ``denormalize``.
        cmap: a Matplotlib colour map or its name.
        alpha: opacity of the strongest evidence, in [0, 1].
        denormalize: ``(mean, std)`` or a function that brings the clip to colours in [0, 1].
        title: written above.

    Returns:
        A figure with (1 + methods) x columns axes, followed by those of the colour bars. A method
        without evidence is marked so and has no bar of its own.

    Raises:
        ValueError: not one clip, ``n_frames`` below 1, or what :func:`overlay` refuses.

    Example:
        >>> import torch
        >>> clip = torch.rand(1, 3, 16, 32, 32)
        >>> figure = filmstrip(clip, {"random": torch.rand_like(clip)}, n_frames=4)
        >>> len(figure.axes)
        9
    """
    layout = Layout.of(layout)
    pictures = pictures_of(clip, layout, denormalize)
    if len(pictures) != 1:
        raise ValueError(
            f"clip: expected a batch of one clip, inputs[i : i + 1], got {len(pictures)} clips"
        )
    own = {
        name: color_limit(one, layout=layout, sign=sign).item()
        for name, one in attributions.items()
    }
    limits = dict.fromkeys(own, max(own.values())) if shared_scale and own else own
    paint = partial(
        overlay, clip, layout=layout, sign=sign, cmap=cmap, alpha=alpha, denormalize=denormalize
    )
    painted = [paint(one, limit=limits[name]) for name, one in attributions.items()]
    names = ["clip", *(name if own[name] else f"{name}\n(no evidence)" for name in own)]
    columns = _spread(pictures.shape[2], n_frames)
    right = _BAR_INCHES + _width_of([f"{-limit:.2g}" for limit in limits.values()])
    figure, (_, *rows) = _draw_rows(torch.cat([pictures, *painted]), names, columns, title, right)
    spans = [rows] if shared_scale else [[row] for row in rows]
    # With a shared scale all limits are one; zip takes the first.
    for span, limit in zip(spans, limits.values(), strict=False):
        if limit:
            _draw_bar(figure, span, _scale(limit, sign, cmap, alpha))
    return figure


def _spread(n_total: int, n_frames: int) -> list[int]:
    """Spread frame numbers evenly, the first and the last among them."""
    if isinstance(n_frames, bool) or not isinstance(n_frames, int) or n_frames < 1:
        raise ValueError(f"n_frames: expected a whole number of at least 1, got {n_frames!r}")
    if n_frames == 1:
        return [n_total // 2]
    count = min(n_frames, n_total)
    return [round(i * (n_total - 1) / max(1, count - 1)) for i in range(count)]


def _draw_rows(
    rows: Tensor, names: list[str], frames: list[int], title: str | None, right: float
) -> tuple["Figure", list[list["Axes"]]]:
    """Lay clips (rows, 3, T, H, W) out, with names to the left and frame numbers above."""
    figure, axes = _grid(names, len(frames), rows.shape[4] / rows.shape[3], title, right)
    images = rows[:, :, frames].permute(0, 2, 3, 4, 1).cpu().numpy()
    for i, name in enumerate(names):
        for j, frame in enumerate(frames):
            axes[i][j].imshow(images[i, j], aspect="auto")
            axes[i][j].set(xticks=[], yticks=[])
            axes[i][j].spines[:].set_visible(False)
            if i == 0:
                number = f"frame {frame}" if j == 0 else f"{frame}"
                axes[i][j].set_title(number, fontsize=_FONT_SIZE, color=_INK, pad=3)
        axes[i][0].set_ylabel(
            name, rotation=0, ha="right", va="center", fontsize=_FONT_SIZE, color=_INK, labelpad=4
        )
    return figure, axes


def _grid(
    names: list[str], n_columns: int, aspect: float, title: str | None, right: float
) -> tuple["Figure", list[list["Axes"]]]:
    """Make a figure that just holds the cells, the names and ``right`` inches of colour bars.

    The sizes are known beforehand, so none of Matplotlib's layout engines is needed: they draw
    such a figure several times over to find them.
    """
    from matplotlib.figure import Figure

    width, height = _CELL_INCHES * math.sqrt(aspect), _CELL_INCHES / math.sqrt(aspect)
    left, bottom, top = _width_of(names) + 0.15, 0.05, 0.42 if title else 0.22
    n_rows = len(names)
    inner = (
        n_columns * width + (n_columns - 1) * _GAP_INCHES,
        n_rows * height + (n_rows - 1) * _GAP_INCHES,
    )
    total = (left + inner[0] + right, top + inner[1] + bottom)
    figure = Figure(figsize=total)
    axes = figure.subplots(
        n_rows,
        n_columns,
        squeeze=False,
        gridspec_kw={
            "left": left / total[0],
            "right": (left + inner[0]) / total[0],
            "bottom": bottom / total[1],
            "top": (bottom + inner[1]) / total[1],
            "wspace": _GAP_INCHES / width,
            "hspace": _GAP_INCHES / height,
        },
    )
    if title:
        x, y = (left + inner[0] / 2) / total[0], 1 - 0.06 / total[1]
        figure.text(x, y, title, ha="center", va="top", fontsize=_FONT_SIZE + 2, color=_INK)
    return figure, [list(row) for row in axes]


def _width_of(names: list[str]) -> float:
    """Inches of the widest line."""
    from matplotlib.textpath import TextPath

    lines = [line for name in names for line in name.split("\n") if line.strip()]
    widths = [TextPath((0, 0), line, size=_FONT_SIZE).get_extents().width for line in lines]
    return max(widths, default=0.0) / 72


def _scale(
    limit: float, sign: Sign, cmap: "str | Colormap | None", alpha: float
) -> "ScalarMappable":
    """Rebuild the colours as :func:`overlay` blends them: fading out where evidence is weak."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    palette = palette_of(cmap, sign)
    low = -1.0 if sign == "all" else 0.0
    opacity = alpha * torch.linspace(low, 1, len(palette)).abs()
    blended = torch.lerp(torch.ones_like(palette), palette, opacity[:, None])
    return ScalarMappable(Normalize(low * limit, limit), ListedColormap(blended.numpy()))


def _draw_bar(figure: "Figure", rows: list[list["Axes"]], scale: "ScalarMappable") -> None:
    """Stand a colour bar to the right of rows of frames, as high as they are."""
    upper, lower = rows[0][-1].get_position(), rows[-1][-1].get_position()
    inch = 1 / figure.get_figwidth()
    place = (upper.x1 + 0.07 * inch, lower.y0, 0.09 * inch, upper.y1 - lower.y0)
    bar = figure.colorbar(scale, cax=figure.add_axes(place))
    low, high = scale.get_clim()
    ticks = [low, high] if not low else [low, 0, high]
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    bar.ax.tick_params(length=0, pad=2, labelsize=_FONT_SIZE - 1, labelcolor=_INK)
    # Numbers at the ends stay within the row, clear of the bars above and below.
    labels = bar.ax.get_yticklabels()
    labels[0].set_verticalalignment("bottom")
    labels[-1].set_verticalalignment("top")
    bar.outline.set_visible(False)
