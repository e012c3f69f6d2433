"""Filmstrips: a clip and its evidence frame by frame, as Matplotlib figures outside pyplot."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from captum_video.clips import CANONICAL, Layout, clip_of
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

Scale: TypeAlias = Literal["method", "shared", "frame"]

_SCALES = ("method", "shared", "frame")
CELL_INCHES = 1.05
GAP_INCHES = 0.04
BAR_INCHES = 0.25
_MARGIN_INCHES = 0.05
_THREE_NUMBERS_INCHES = 0.4
INK = "#333333"
FONT_SIZE = 8


def filmstrip(
    clip: Tensor,
    attributions: Mapping[str, Tensor],
    *,
    layout: str | Layout = "n c t h w",
    rows: Mapping[str, Tensor] | None = None,
    n_frames: int = 8,
    scale: Scale = "method",
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
        rows: name to a ready picture of the clip, (1, 3, T, H, W) in [0, 1], shown below the clip as
            it is: optical flow by :func:`flow_to_rgb`, another :func:`overlay`.
        n_frames: columns; fewer where the clip is shorter.
        scale: what one colour scale holds for. ``"method"``: a row. ``"shared"``: all rows, for
            methods whose numbers mean the same. ``"frame"``: one frame of a row, which shows *where*
            in each frame but no longer *when*.
        sign: see :func:`overlay`, as for ``cmap``, ``alpha`` and ``denormalize``.
        cmap: a Matplotlib colour map or its name.
        alpha: opacity of the strongest evidence, in [0, 1].
        denormalize: ``(mean, std)`` or a function that brings the clip to colours in [0, 1].
        title: written above.

    Returns:
        A figure with (1 + rows + methods) x columns axes, followed by those of the colour bars. A
        method without evidence is marked so and has no bar of its own.

    Raises:
        ValueError: not one clip, a row of another shape, ``n_frames`` below 1, an unknown ``scale``,
            or what :func:`overlay` refuses.

    Example:
        >>> import torch
        >>> clip = torch.rand(1, 3, 16, 32, 32)
        >>> figure = filmstrip(clip, {"random": torch.rand_like(clip)}, n_frames=4)
        >>> len(figure.axes)
        9
    """
    if scale not in _SCALES:
        raise ValueError(f"scale: expected 'method', 'shared' or 'frame', got {scale!r}")
    layout = Layout.of(layout)
    pictures = one_clip(clip, layout, denormalize)
    maps = {name: clip_of(one, layout, "attributions") for name, one in attributions.items()}
    own = {name: color_limit(one, sign=sign).item() for name, one in maps.items()}
    limits = dict.fromkeys(own, max(own.values())) if scale == "shared" and own else own
    paint = partial(overlay, sign=sign, cmap=cmap, alpha=alpha)
    painted = [
        _by_frame(paint, pictures, one)
        if scale == "frame"
        else paint(pictures, one, limit=limits[name])
        for name, one in maps.items()
    ]
    ready = [_ready(name, one, pictures) for name, one in (rows or {}).items()]
    names = ["clip", *(rows or {}), *(label_of(*pair) for pair in own.items())]
    columns = _spread(pictures.shape[2], n_frames)
    words = ["-max"] if scale == "frame" else [in_short(-limit) for limit in limits.values()]
    right = BAR_INCHES + width_of(words) if own else _MARGIN_INCHES
    stack = torch.cat([pictures, *ready, *painted])
    figure, axes = _draw_rows(stack, names, columns, title, right)
    axes = axes[1 + len(ready) :]
    spans = [axes] if scale == "shared" else [[row] for row in axes]
    # With a shared scale all limits are one; zip takes the first.
    for span, limit in zip(spans, limits.values(), strict=False):
        if limit:
            bar = color_scale(limit, sign, cmap, alpha)
            draw_bar(figure, span, bar, unit="max" if scale == "frame" else None)
    return figure


def one_clip(clip: Tensor, layout: Layout, denormalize: Denormalize | None) -> Tensor:
    """Bring a batch of one clip to colours: (1, 3, T, H, W) in [0, 1].

    Raises:
        ValueError: several clips, or what :func:`pictures_of` refuses.
    """
    pictures = pictures_of(clip, layout, denormalize)
    if len(pictures) != 1:
        raise ValueError(
            f"clip: expected a batch of one clip, inputs[i : i + 1], got {len(pictures)} clips"
        )
    return pictures


def label_of(name: str, limit: float) -> str:
    """Mark the name of a method that has nothing to show."""
    return name if limit else f"{name}\n(no evidence)"


def _by_frame(paint: Callable[..., Tensor], pictures: Tensor, one: Tensor) -> Tensor:
    """Paint each frame as a clip of its own, with its own limit."""
    if one.shape[2:] != pictures.shape[2:]:
        return paint(pictures, one)  # which says what does not fit
    return paint(pictures.transpose(0, 2), one.transpose(0, 2)).transpose(0, 2)


def _ready(name: str, row: Tensor, pictures: Tensor) -> Tensor:
    """Check a picture that is shown as it is."""
    shown = pictures_of(row, Layout(CANONICAL), name=f"rows[{name!r}]")
    if shown.shape != pictures.shape:
        raise ValueError(
            f"rows[{name!r}]: expected (1, 3, T, H, W) = {tuple(pictures.shape)}, got "
            f"{tuple(row.shape)}"
        )
    return shown.to(pictures.device)


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
    left, bottom, top = width_of(names) + 0.15, _MARGIN_INCHES, 0.42 if title else 0.22
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
