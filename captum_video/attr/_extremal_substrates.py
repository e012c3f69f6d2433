"""What a differentiable mask puts in the place of what it takes away."""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from captum_video.baselines import Baseline, resolve, spatial_blur
from captum_video.clips import Layout

SubstrateName = Literal["fade", "blur", "freeze", "reverse"]
LEVELS = 8
LARGEST_SIGMA = 20 / 112
HIDDEN = 0.1


class Substrate(Protocol):
    """Perturbed clips of one input, differentiable in the masks."""

    def __call__(self, clips: Tensor, rows: Sequence[int], masks: Tensor) -> Tensor:
        """Clips (N, C, T, H, W), the clip of each row, masks (R, 1, T, H, W): (R, C, T, H, W)."""


class Fade:
    """``m x + (1 - m) b`` with a baseline b."""

    def __init__(self, baseline: Tensor) -> None:
        self._baseline = baseline.clone() if baseline.is_inference() else baseline

    def __call__(self, clips: Tensor, rows: Sequence[int], masks: Tensor) -> Tensor:
        """See `Substrate`."""
        hidden = self._baseline[rows] if len(self._baseline) > 1 else self._baseline
        return torch.lerp(hidden.expand(len(rows), *clips.shape[1:]), clips[rows], masks)


class BlurPyramid:
    """Every frame the more blurred the lower the mask: 8 levels, linear between them.

    At 0 sigma is 20/112 of the shorter side, as in STEP's code, and it falls linearly.
    """

    def __init__(self, clips: Tensor) -> None:
        largest = LARGEST_SIGMA * min(clips.shape[-2:])
        levels = [spatial_blur(clips, largest * (1 - i / (LEVELS - 1))) for i in range(LEVELS - 1)]
        self._levels = torch.stack([*levels, clips], dim=1)

    def __call__(self, clips: Tensor, rows: Sequence[int], masks: Tensor) -> Tensor:
        """See `Substrate`."""
        places = masks.expand(-1, -1, *clips.shape[2:]) * (LEVELS - 1)
        below = places.detach().floor().clamp(0, LEVELS - 2)
        index = below.long()[:, None].expand(-1, -1, clips.shape[1], -1, -1, -1)
        levels = self._levels[rows]
        lower, upper = levels.gather(1, index)[:, 0], levels.gather(1, index + 1)[:, 0]
        return torch.lerp(lower, upper, places - below)


class Freeze:
    """``x'_t = m_t x_t + (1 - m_t) x'_{t-1}``: time stands still where the mask is 0.

    Of masks over time (Mänttäri et al., arXiv 2002.00367, eq. 1, where m hides). The first frame has
    none before it and stays.
    """

    def __call__(self, clips: Tensor, rows: Sequence[int], masks: Tensor) -> Tensor:
        """See `Substrate`."""
        kept = masks[:, 0, :, 0, 0]
        every = torch.eye(kept.shape[1], dtype=kept.dtype, device=kept.device)
        sources = [every[0].expand(len(kept), -1)]
        for t in range(1, kept.shape[1]):
            m = kept[:, t, None]
            sources.append(m * every[t] + (1 - m) * sources[-1])
        return _mixed(clips[rows], torch.stack(sources, dim=1))


class Reverse:
    """Stretches of frames that the mask hides are played backwards, as far as it hides them.

    A stretch is a run of frames with m < 0.9; inside, ``x'_t = m_t x_t + (1 - m_t) x_s`` with s the
    frame as far from its end as t from its start (Mänttäri et al., arXiv 2002.00367, sec. 3.1).
    """

    def __call__(self, clips: Tensor, rows: Sequence[int], masks: Tensor) -> Tensor:
        """See `Substrate`."""
        kept = masks[:, 0, :, 0, 0]
        every = torch.eye(kept.shape[1], dtype=kept.dtype, device=kept.device)
        mirrored = every[_mirrored(1 - kept.detach() > HIDDEN)]
        return _mixed(clips[rows], kept[..., None] * every + (1 - kept[..., None]) * mirrored)


def _mirrored(hidden: Tensor) -> Tensor:
    """The frame that takes each one's place (R, T) where hidden runs are turned round."""
    places = torch.arange(hidden.shape[1], device=hidden.device).expand(hidden.shape)
    first = torch.where(hidden, -1, places).cummax(1).values + 1
    last = torch.where(hidden, hidden.shape[1], places).flip(1).cummin(1).values.flip(1) - 1
    return torch.where(hidden, first + last - places, places)


def _mixed(clips: Tensor, sources: Tensor) -> Tensor:
    """Frames as mixtures (R, T, T) of the frames of clips (R, C, T, H, W)."""
    return torch.einsum("rst,rcthw->rcshw", sources, clips)


def substrates_of(
    name: SubstrateName,
    baselines: Baseline | tuple[Baseline, ...],
    clips: tuple[Tensor, ...],
    layout: Layout,
) -> list[Substrate]:
    """One for each input.

    Raises:
        TypeError: a baseline of a wrong kind.
        ValueError: an unknown name, or baselines that it has no use for.
    """
    if name == "fade":
        return [Fade(baseline) for baseline in resolve(baselines, clips, layout)]
    if name not in ("blur", "freeze", "reverse"):
        raise ValueError(f"substrate: expected 'fade', 'blur', 'freeze' or 'reverse', got {name!r}")
    if baselines is not None:
        raise ValueError(f"baselines: only substrate 'fade' shows them, got substrate {name!r}")
    if name == "blur":
        return [BlurPyramid(clip) for clip in clips]
    return [Freeze() if name == "freeze" else Reverse() for _ in clips]
