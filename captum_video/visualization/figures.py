"""Filmstrips: a clip and its evidence frame by frame, as Matplotlib figures outside pyplot."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from torch import Tensor

from captum_video.clips import CANONICAL, Layout, clip_of, named_inputs
from captum_video.visualization.overlay import (
    Denormalize,
    Sign,
    color_limit,
    overlay,
    pictures_of,
)
from captum_video.visualization.sheets import (
    BAR_INCHES,
    MARGIN_INCHES,
    color_scale,
    draw_bar,
    draw_rows,
    in_short,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Scale: TypeAlias = Literal["method", "shared", "frame"]

_SCALES = ("method", "shared", "frame")


def filmstrip(
    clip: Tensor | tuple[Tensor, ...],
    attributions: Mapping[str, Tensor | tuple[Tensor, ...]],
    *,
    layout: str | Layout = "n c t h w",
    rows: Mapping[str, Tensor] | None = None,
    input_names: Sequence[str] | None = None,
    n_frames: int = 8,
    scale: Scale = "method",
    sign: Sign = "positive",
    cmap: "str | Colormap | None" = None,
    alpha: float = 0.6,
    denormalize: Denormalize | Sequence[Denormalize | None] | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw a clip and the evidence of several methods: a row for each, a column for each frame.

    The frames are spread evenly over the clip, its first and last among them. Of several inputs
    (visible and infrared), every method has a row for each. ``figure.savefig`` writes the figure; a
    notebook shows it by itself after ``%matplotlib inline``.

    Args:
        clip: a batch of one clip, ``inputs[i : i + 1]``, or a tuple of them, of as many frames each;
            their sizes and channels (1 or 3) may differ.
        attributions: name of a method to its attributions of this clip, in the same layout: a
            tuple where the clip is one.
        layout: how the clip and the attributions are ordered.
        rows: name to a ready picture of the clip, (1, 3, T, H, W) in [0, 1], shown below the clip as
            it is: optical flow by :func:`flow_to_rgb`, another :func:`overlay`.
        input_names: what the inputs of a tuple are called; "input 0", "input 1" by default.
        n_frames: columns; fewer where the clip is shorter.
        scale: what one colour scale holds for. ``"method"``: a method, all of its inputs, so that
            their rows compare. ``"shared"``: all rows, for methods whose numbers mean the same.
            ``"frame"``: one frame of a row, which shows *where* in each frame but no longer *when*.
        sign: see :func:`overlay`, as for ``cmap``, ``alpha`` and ``denormalize``.
        cmap: a Matplotlib colour map or its name.
        alpha: opacity of the strongest evidence, in [0, 1].
        denormalize: ``(mean, std)`` or a function that brings the clip to colours in [0, 1]; of a
            tuple of clips, also a sequence of these, one per input.
        title: written above.

    Returns:
        A figure with (inputs + rows + methods x inputs) x columns axes, followed by those of the
        colour bars. A method without evidence is marked so and has no bar of its own.

    Raises:
        ValueError: not one clip, inputs of different lengths, another number of maps or names than of
            inputs, a row of another shape, ``n_frames`` below 1, an unknown ``scale``, or what
            :func:`overlay` refuses.

    Example:
        >>> import torch
        >>> visible, infrared = torch.rand(1, 3, 16, 32, 32), torch.rand(1, 1, 16, 32, 32)
        >>> len(filmstrip(visible, {"random": torch.rand_like(visible)}, n_frames=4).axes)
        9
        >>> maps = torch.rand_like(visible), torch.rand_like(infrared)
        >>> len(filmstrip((visible, infrared), {"random": maps}, n_frames=4).axes)
        17
    """
    if scale not in _SCALES:
        raise ValueError(f"scale: expected 'method', 'shared' or 'frame', got {scale!r}")
    layout = Layout.of(layout)
    pictures = _pictures_of_inputs(clip, layout, denormalize)
    inputs = _names_of(input_names, len(pictures))
    maps = {name: _maps_of(name, one, layout, len(pictures)) for name, one in attributions.items()}
    own = {name: [color_limit(m, sign=sign).item() for m in each] for name, each in maps.items()}
    limits = {name: max(each) for name, each in own.items()}
    if scale == "shared" and limits:
        limits = dict.fromkeys(limits, max(limits.values()))
    paint = partial(overlay, sign=sign, cmap=cmap, alpha=alpha)
    painted = [
        _by_frame(paint, shown, one) if scale == "frame" else paint(shown, one, limit=limits[name])
        for name, each in maps.items()
        for shown, one in zip(pictures, each, strict=True)
    ]
    ready = [_ready(name, one, pictures) for name, one in (rows or {}).items()]
    names = [*(of or "clip" for of in inputs), *(rows or {}), *_labels(own, inputs)]
    words = ["-max"] if scale == "frame" else [in_short(-limit) for limit in limits.values()]
    figure, axes = draw_rows(
        [*pictures, *ready, *painted],
        names,
        _spread(pictures[0].shape[2], n_frames),
        title,
        BAR_INCHES + width_of(words) if own else MARGIN_INCHES,
    )
    axes, k = axes[len(pictures) + len(ready) :], len(pictures)
    spans = [axes] if scale == "shared" else [axes[i : i + k] for i in range(0, len(axes), k)]
    # With a shared scale all limits are one; zip takes the first.
    for span, limit in zip(spans, limits.values(), strict=False):
        if limit:
            bar = color_scale(limit, sign, cmap, alpha)
            draw_bar(figure, span, bar, unit="max" if scale == "frame" else None)
    return figure


def _labels(limits: Mapping[str, list[float]], inputs: list[str]) -> list[str]:
    """The name of a method's row for each input."""
    return [
        label_of(f"{name}\n{of}" if of else name, limit)
        for name, each in limits.items()
        for of, limit in zip(inputs, each, strict=True)
    ]


def _pictures_of_inputs(
    clip: Tensor | tuple[Tensor, ...],
    layout: Layout,
    denormalize: Denormalize | Sequence[Denormalize | None] | None,
) -> list[Tensor]:
    """Colours of every input, (1, 3, T, H, W), of one length."""
    _, named = named_inputs(clip)
    each = _denormalize_each(denormalize, len(named)) if isinstance(clip, tuple) else [denormalize]
    pictures = [one_clip(one, layout, way) for one, way in zip(named.values(), each, strict=True)]
    lengths = [one.shape[2] for one in pictures]
    if len(set(lengths)) > 1:
        raise ValueError(f"clip: expected as many frames of each input, got {lengths}")
    return pictures


def _denormalize_each(denormalize: Any, n_inputs: int) -> list[Any]:
    """One way back to colours per input.

    A sequence of pairs is one per input: a ``(mean, std)`` of two numbers each would be of two
    channels, which no picture has.
    """
    if (
        isinstance(denormalize, tuple | list)
        and len(denormalize) == n_inputs
        and all(
            one is None or callable(one) or (isinstance(one, tuple | list) and len(one) == 2)
            for one in denormalize
        )
    ):
        return list(denormalize)
    return [denormalize] * n_inputs


def _names_of(names: Sequence[str] | None, n_inputs: int) -> list[str]:
    if names is None:
        return [f"input {i}" for i in range(n_inputs)] if n_inputs > 1 else [""]
    if isinstance(names, str) or len(names) != n_inputs:
        raise ValueError(f"input_names: expected one per input ({n_inputs}), got {names!r}")
    return list(names)


def _maps_of(name: str, given: Any, layout: Layout, n_inputs: int) -> list[Tensor]:
    each = given if isinstance(given, tuple) else (given,)
    if len(each) != n_inputs:
        raise ValueError(
            f"attributions[{name!r}]: expected one map per input ({n_inputs}), got {len(each)}"
        )
    return [clip_of(one, layout, "attributions") for one in each]


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


def _ready(name: str, row: Tensor, pictures: list[Tensor]) -> Tensor:
    """Check a picture that is shown as it is."""
    shown = pictures_of(row, Layout(CANONICAL), name=f"rows[{name!r}]")
    if shown.shape not in [one.shape for one in pictures]:
        raise ValueError(
            f"rows[{name!r}]: expected (1, 3, T, H, W) = {tuple(pictures[0].shape)}, got "
            f"{tuple(row.shape)}"
        )
    return shown.to(pictures[0].device)


def _spread(n_total: int, n_frames: int) -> list[int]:
    """Spread frame numbers evenly, the first and the last among them."""
    if isinstance(n_frames, bool) or not isinstance(n_frames, int) or n_frames < 1:
        raise ValueError(f"n_frames: expected a whole number of at least 1, got {n_frames!r}")
    if n_frames == 1:
        return [n_total // 2]
    count = min(n_frames, n_total)
    return [round(i * (n_total - 1) / max(1, count - 1)) for i in range(count)]
