"""Sheets: rows of frames with names, numbers and colour bars, as Matplotlib figures outside pyplot."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from captum_video.visualization.overlay import Sign, palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

CELL_INCHES = 1.05
GAP_INCHES = 0.04
BAR_INCHES = 0.25
MARGIN_INCHES = 0.05
_THREE_NUMBERS_INCHES = 0.4
INK = "#333333"
FONT_SIZE = 8


def draw_rows(
    rows: Sequence[Tensor], names: list[str], frames: list[int], title: str | None, right: float
) -> tuple["Figure", list[list["Axes"]]]:
    """Lay clips (1, 3, T, H, W) out, with names to the left and frame numbers above.

    Cells have the shape of the first clip's frames; others keep their own within it.
    """
    first = rows[0].shape[4] / rows[0].shape[3]
    figure, axes = _grid(names, len(frames), first, title, right)
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        images = row[0, :, frames].permute(1, 2, 3, 0).cpu().numpy()
        fits = math.isclose(row.shape[4] / row.shape[3], first)
        for j, frame in enumerate(frames):
            axes[i][j].imshow(images[j], aspect="auto")
            if not fits:  # the cell stays as it is, and so do the names beside it
                axes[i][j].set_aspect("equal", adjustable="datalim")
            axes[i][j].set(xticks=[], yticks=[])
            axes[i][j].spines[:].set_visible(False)
            if i == 0:
                number = f"frame {frame}" if j == 0 else f"{frame}"
                axes[i][j].set_title(number, fontsize=FONT_SIZE, color=INK, pad=3)
        axes[i][0].set_ylabel(
            name, rotation=0, ha="right", va="center", fontsize=FONT_SIZE, color=INK, labelpad=4
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

    width, height = CELL_INCHES * math.sqrt(aspect), CELL_INCHES / math.sqrt(aspect)
    left, bottom, top = width_of(names) + 0.15, MARGIN_INCHES, 0.42 if title else 0.22
    n_rows = len(names)
    inner = (
        n_columns * width + (n_columns - 1) * GAP_INCHES,
        n_rows * height + (n_rows - 1) * GAP_INCHES,
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
            "wspace": GAP_INCHES / width,
            "hspace": GAP_INCHES / height,
        },
    )
    if title:
        x, y = (left + inner[0] / 2) / total[0], 1 - 0.06 / total[1]
        figure.text(x, y, title, ha="center", va="top", fontsize=FONT_SIZE + 2, color=INK)
    return figure, [list(row) for row in axes]


def width_of(names: list[str]) -> float:
    """Inches of the widest line."""
    from matplotlib.textpath import TextPath

    lines = [line for name in names for line in name.split("\n") if line.strip()]
    widths = [TextPath((0, 0), line, size=FONT_SIZE).get_extents().width for line in lines]
    return max(widths, default=0.0) / 72


def in_short(number: float) -> str:
    """Two digits, or all that stand before the point: a hundred is no power of ten to readers."""
    return f"{number:.0f}" if 100 <= abs(number) < 1e5 else f"{number:.2g}"


def color_scale(
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


def draw_bar(
    figure: "Figure", rows: list[list["Axes"]], scale: "ScalarMappable", unit: str | None = None
) -> None:
    """Stand a colour bar to the right of rows of frames, as high as they are.

    ``unit`` is written at its end in place of the number, where each frame has another.
    """
    upper, lower = rows[0][-1].get_position(), rows[-1][-1].get_position()
    inch = 1 / figure.get_figwidth()
    place = (upper.x1 + 0.07 * inch, lower.y0, 0.09 * inch, upper.y1 - lower.y0)
    bar = figure.colorbar(scale, cax=figure.add_axes(place))
    low, high = scale.get_clim()
    ticks = {low: in_short(low), high: in_short(high)}
    if unit is not None:
        ticks = {low: f"-{unit}" if low else "0", high: unit}
    if place[3] * figure.get_figheight() > _THREE_NUMBERS_INCHES:
        ticks[0.0] = "0"
    bar.set_ticks(sorted(ticks), labels=[ticks[tick] for tick in sorted(ticks)])
    bar.ax.tick_params(length=0, pad=2, labelsize=FONT_SIZE - 1, labelcolor=INK)
    # Numbers at the ends stay within the row, clear of the bars above and below.
    labels = bar.ax.get_yticklabels()
    labels[0].set_verticalalignment("bottom")
    labels[-1].set_verticalalignment("top")
    bar.outline.set_visible(False)
