"""Overlay: evidence painted over the clip it came from, tensors in and tensors out."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from captum_video.clips import Layout, clip_of

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

Sign: TypeAlias = Literal["positive", "all"]
Channels: TypeAlias = float | Sequence[float] | Tensor
Denormalize: TypeAlias = Callable[[Tensor], Tensor] | tuple[Channels, Channels]

# Their order survives colour blindness, and their strong ends are bright: they show on dark clips.
_DEFAULT_CMAPS = {"positive": "plasma", "all": "bwr"}
# Resizing and rounding overshoot a little; a clip that still carries a model's mean and standard
# deviation misses [0, 1] by far more.
_TOLERANCE = 0.05


@torch.no_grad()
def overlay(
    clips: Tensor,
    attributions: Tensor,
    *,
    layout: str | Layout = "n c t h w",
    limit: float | Tensor | None = None,
    sign: Sign = "positive",
    cmap: "str | Colormap | None" = None,
    alpha: float = 0.6,
    denormalize: Denormalize | None = None,
) -> Tensor:
    """Paint attributions over their clips; the stronger the evidence, the more opaque its colour.

    With ``strength = min(|map| / limit, 1)`` every voxel is
    ``(1 - alpha * strength) * picture + alpha * strength * colour``: weak evidence leaves the
    picture as it was. The map is the mean of the attributions over channels (those of
    ``captum_video`` are equal over channels).

    Args:
        clips: the explained inputs, N clips in ``layout``, gray or RGB.
        attributions: in the same layout, of the same frames and pixels; one channel or several.
        layout: how both are ordered.
        limit: the evidence painted in full colour: one number, or (N,), one for each clip. By
            default the :func:`color_limit` of each clip.
        sign: ``"positive"`` paints evidence for the target only; ``"all"`` paints evidence
            against it as well, on a colour scale symmetric about 0.
        cmap: a Matplotlib colour map or its name; by default ``"plasma"``, and ``"bwr"`` (red
            for, blue against) where ``sign="all"``.
        alpha: opacity of the strongest evidence, in [0, 1].
        denormalize: brings the clips back to colours in [0, 1]: the ``(mean, std)`` by which they
            were normalised (numbers, or one per channel), or a function of clips (N, C, T, H, W).

    Returns:
        (N, 3, T, H, W) in [0, 1], float32, on the device of ``clips``. A clip whose map is zero
        comes back plain.

    Raises:
        TypeError: clips or attributions are no floating-point tensors.
        ValueError: shapes that do not fit; neither 1 nor 3 channels; colours outside [0, 1] by
            more than 0.05 (below that they are clamped); an option out of range.

    Example:
        >>> import torch
        >>> clips, attributions = torch.rand(2, 3, 8, 32, 32), torch.rand(2, 3, 8, 32, 32)
        >>> overlay(clips, attributions).shape
        torch.Size([2, 3, 8, 32, 32])
    """
    layout = Layout.of(layout)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: expected a number in [0, 1], got {alpha}")
    pictures = pictures_of(clips, layout, denormalize)
    evidence = evidence_of(attributions, layout, sign).to(pictures.device)
    if evidence[:, 0].shape != pictures[:, 0].shape:
        raise ValueError(
            f"attributions: expected the clips' (N, T, H, W) = {tuple(pictures[:, 0].shape)}, "
            f"got {tuple(evidence[:, 0].shape)}"
        )
    level = levels_of(evidence, limit).float()
    opacity = alpha * level.abs()
    colors = _paint(level[:, 0], palette_of(cmap, sign).to(level.device), sign)
    return torch.lerp(pictures, colors, opacity).clamp_(0, 1)


@torch.no_grad()
def color_limit(
    *attributions: Tensor,
    layout: str | Layout = "n c t h w",
    sign: Sign = "positive",
    percentile: float = 99.5,
    per_clip: bool = True,
) -> Tensor:
    """Evidence that fills the colour scale: a high percentile, so that one voxel can not dim the rest.

    The percentile is taken over the strengths that are not zero (a map of a single voxel is
    thus visible). Of several attributions, such as those of several methods, the largest limit
    counts: in none of them is more than the stated share of the evidence cut off.

    Args:
        *attributions: each of the same N clips, in ``layout``; they share the scale.
        layout: how they are ordered.
        sign: as in :func:`overlay`; ``"positive"`` looks at evidence above 0 only.
        percentile: above 0, at most 100 (the maximum).
        per_clip: one scale for each clip, or else one for all of them.

    Returns:
        (N,), in the unit of the attributions; 0 where there is no evidence. With
        ``per_clip=False`` all N are the same.

    Raises:
        ValueError: no attributions, of differing N, or a percentile out of range.

    Example:
        >>> import torch
        >>> attributions = torch.arange(200.0).view(2, 1, 1, 10, 10)
        >>> color_limit(attributions, percentile=100)
        tensor([ 99., 199.])
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile: expected a number in (0, 100], got {percentile}")
    maps = [evidence_of(one, Layout.of(layout), sign).flatten(1) for one in attributions]
    if len({len(one) for one in maps}) != 1:
        raise ValueError(
            f"attributions: expected at least one, each of the same clips, got N = "
            f"{[len(one) for one in maps]}"
        )
    device = maps[0].device
    if not per_clip:
        pooled = [_percentile(one, percentile).to(device) for one in maps]
        return torch.stack(pooled).amax(0).expand(len(maps[0]))
    each = [torch.stack([_percentile(row, percentile) for row in one]).to(device) for one in maps]
    return torch.stack(each).amax(0)


def pictures_of(
    clips: Tensor, layout: Layout, denormalize: Denormalize | None = None, name: str = "clips"
) -> Tensor:
    """Bring clips to colours: (N, 3, T, H, W) in [0, 1], float32; gray becomes RGB.

    Raises:
        ValueError: neither 1 nor 3 channels, or colours plainly outside [0, 1].
    """
    pictures = clip_of(clips, layout, name)
    if pictures.shape[1] not in (1, 3):
        raise ValueError(
            f"{name}: expected 1 channel (gray) or 3 (RGB), got {pictures.shape[1]}; choose the "
            f"channels to show first"
        )
    if denormalize is not None:
        pictures = _denormalized(pictures, denormalize)
    low, high = pictures.min().item(), pictures.max().item()
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise ValueError(
            f"{name}: expected colours in [0, 1], got values from {low:.3g} to {high:.3g}; give "
            f"denormalize=(mean, std) as the clips were normalised, or a function"
        )
    n, _, t, h, w = pictures.shape
    return pictures.float().clamp(0, 1).expand(n, 3, t, h, w)


def evidence_of(attributions: Tensor, layout: Layout, sign: Sign) -> Tensor:
    """Average attributions over channels: (N, 1, T, H, W), in float32 or better.

    Raises:
        ValueError: ``sign`` is unknown, or the attributions do not fit the layout.
    """
    if sign not in _DEFAULT_CMAPS:
        raise ValueError(f"sign: expected 'positive' or 'all', got {sign!r}")
    maps = clip_of(attributions, layout, "attributions")
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32)).mean(1, keepdim=True)
    return maps.clamp(min=0) if sign == "positive" else maps


def levels_of(evidence: Tensor, limit: float | Tensor | None = None) -> Tensor:
    """Scale evidence (N, 1, T, H, W) to its place on the colour scale, in [-1, 1].

    Raises:
        ValueError: limits that are no number, or not one for each clip, or below 0.
    """
    limits = _limits_of(evidence, limit)
    # A limit of 0 means that there is nothing to paint: dividing by infinity leaves 0.
    divisor = torch.where(limits > 0, limits, math.inf).view(-1, 1, 1, 1, 1)
    return (evidence / divisor).clamp(-1, 1)


def palette_of(cmap: "str | Colormap | None", sign: Sign) -> Tensor:
    """Sample a colour map: (256, 3) in [0, 1], from weak to strong or from against to for.

    Raises:
        ValueError: Matplotlib knows no colour map of that name.
    """
    import matplotlib
    import numpy as np

    cmap = cmap if cmap is not None else _DEFAULT_CMAPS[sign]
    if isinstance(cmap, str):
        if cmap not in matplotlib.colormaps:
            raise ValueError(f"cmap: expected the name of a Matplotlib colour map, got {cmap!r}")
        cmap = matplotlib.colormaps[cmap]
    return torch.from_numpy(cmap(np.linspace(0, 1, 256))[:, :3]).float()


def _paint(level: Tensor, palette: Tensor, sign: Sign) -> Tensor:
    """Look levels (N, T, H, W) in [-1, 1] up: colours (N, 3, T, H, W)."""
    position = level if sign == "positive" else (level + 1) / 2
    return palette[(position * (len(palette) - 1)).round().long()].movedim(-1, 1)


def _limits_of(evidence: Tensor, limit: float | Tensor | None) -> Tensor:
    """One limit for each clip: (N,), in the dtype of the evidence."""
    if limit is None:
        return torch.stack([_percentile(row, 99.5) for row in evidence.flatten(1)])
    limits = torch.as_tensor(limit, dtype=evidence.dtype, device=evidence.device)
    if limits.ndim and limits.shape != evidence.shape[:1]:
        raise ValueError(
            f"limit: expected one number or one for each of {len(evidence)} clips, got shape "
            f"{tuple(limits.shape)}"
        )
    if not ((limits >= 0) & limits.isfinite()).all():
        raise ValueError(f"limit: expected finite numbers of at least 0, got {limit}")
    return limits.expand(len(evidence))


def _percentile(evidence: Tensor, percentile: float) -> Tensor:
    """The smallest strength that at least this share of the non-zero strengths does not exceed."""
    strengths = evidence[evidence != 0].abs()
    if not len(strengths):
        return evidence.new_zeros(())
    # Not torch.quantile, which refuses more than 2 ** 24 values.
    return strengths.kthvalue(max(1, math.ceil(len(strengths) * percentile / 100))).values


def _denormalized(clips: Tensor, denormalize: Denormalize) -> Tensor:
    """Undo a normalisation of clips (N, C, T, H, W)."""
    if callable(denormalize):
        pictures = denormalize(clips)
        if pictures.shape != clips.shape:
            raise ValueError(
                f"denormalize: expected it to keep the shape {tuple(clips.shape)}, got "
                f"{tuple(pictures.shape)}"
            )
        return pictures
    if not isinstance(denormalize, tuple | list) or len(denormalize) != 2:
        raise TypeError(f"denormalize: expected a function or (mean, std), got {denormalize!r}")
    mean, std = (torch.as_tensor(one, dtype=clips.dtype).flatten() for one in denormalize)
    if any(len(one) not in (1, clips.shape[1]) for one in (mean, std)):
        raise ValueError(
            f"denormalize: expected a mean and a std for each of {clips.shape[1]} channels, got "
            f"{len(mean)} and {len(std)}"
        )
    mean, std = (one.to(clips.device).view(1, -1, 1, 1, 1) for one in (mean, std))
    return clips * std + mean
