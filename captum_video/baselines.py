"""Baselines: what replaces the evidence that a mask takes away.

Every function here takes a clip (N, C, T, H, W) and returns one of the same shape, so it can be passed
as ``baselines=`` as it is, or with its options bound by ``functools.partial``. None is free of
artefacts: black and gray frames are unlike anything the network saw, a blur keeps the scene and
removes detail, a frozen frame keeps all but the motion.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from captum_video.clips import Layout, clip_of
from captum_video.modes import full_precision

_IMAGES_AT_A_TIME = 4

Baseline = int | float | Tensor | Callable[[Tensor], Tensor] | None


def zero(clip: Tensor) -> Tensor:
    """All zeros: black where clips are in [0, 1], the mean colour where they are normalised."""
    return torch.zeros_like(clip)


def constant(clip: Tensor, value: float = 0.5) -> Tensor:
    """One value everywhere."""
    return torch.full_like(clip, value)


def channel_mean(clip: Tensor) -> Tensor:
    """Each clip's mean colour: one value per clip and channel."""
    return clip.mean((2, 3, 4), keepdim=True).expand_as(clip)


def frame_mean(clip: Tensor) -> Tensor:
    """The average frame at every time: the scene stays, all motion goes."""
    return clip.mean(2, keepdim=True).expand_as(clip)


def freeze(clip: Tensor, frame: int = 0) -> Tensor:
    """One frame at every time.

    Args:
        clip: (N, C, T, H, W).
        frame: which one, counted from 0; negative from the end.

    Raises:
        ValueError: the clip has no such frame.
    """
    if not -clip.shape[2] <= frame < clip.shape[2]:
        raise ValueError(f"freeze: expected a frame of {clip.shape[2]}, got frame {frame}")
    return clip[:, :, frame, None].expand_as(clip)


def previous(clip: Tensor) -> Tensor:
    """Each frame replaced by the one before it, the first by the second.

    Put in the place of a single frame it freezes the video there for the time of one frame: the
    scene stays and nothing unseen is shown, only the motion to and from that frame goes. So does the
    freeze of Mänttäri et al. (arXiv 2002.00367) for a mask of one frame. In the place of several in
    a row it only delays them by one frame; there `freeze` hides more. Of one frame it is the clip.
    """
    return torch.cat([clip[:, :, 1:2], clip[:, :, :-1]], dim=2) if clip.shape[2] > 1 else clip


def reverse(clip: Tensor) -> Tensor:
    """The clip played backwards: every frame stays, the direction of motion turns."""
    return clip.flip(2)


def shuffle(clip: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The frames in random order: every frame stays, motion goes.

    Args:
        clip: (N, C, T, H, W).
        generator: draws one order, the same for all clips; None is a generator seeded with 0.
    """
    generator = generator or torch.Generator().manual_seed(0)
    order = torch.randperm(clip.shape[2], generator=generator, device=generator.device)
    return clip[:, :, order.to(clip.device)]


def spatial_blur(clip: Tensor, sigma: float = 5.0) -> Tensor:
    """Gaussian blur of every frame by itself, borders replicated.

    RISE's insertion game starts from such a blur (sigma 5; arXiv 1806.07421). The kernel reaches
    two sigma to each side.

    Args:
        clip: (N, C, T, H, W).
        sigma: standard deviation in pixels, above 0.
    """
    frames = clip.transpose(1, 2).flatten(0, 1)
    blurred = _gaussian(frames, (sigma, sigma))
    return blurred.unflatten(0, (clip.shape[0], clip.shape[2])).transpose(1, 2)


def temporal_blur(clip: Tensor, sigma: float = 2.0) -> Tensor:
    """Gaussian blur along time only: sharp scene, smeared motion.

    Args:
        clip: (N, C, T, H, W).
        sigma: standard deviation in frames, above 0.
    """
    return _gaussian(clip.flatten(3), (sigma, 0)).unflatten(3, clip.shape[3:])


def blur(clip: Tensor, sigma: tuple[float, float] = (2.0, 5.0)) -> Tensor:
    """Gaussian blur over space and time.

    Args:
        clip: (N, C, T, H, W).
        sigma: standard deviations in frames and in pixels, each above 0.
    """
    return spatial_blur(temporal_blur(clip, sigma[0]), sigma[1])


def _gaussian(images: Tensor, sigma: tuple[float, float]) -> Tensor:
    """Blur (N, C, H, W) along H and W; a sigma of 0 leaves an axis alone."""
    from kornia.filters import gaussian_blur2d  # kornia takes seconds to import

    if min(sigma) < 0 or max(sigma) <= 0:
        raise ValueError(
            f"blur: expected sigma > 0, got {max(sigma) if min(sigma) == 0 else sigma}"
        )
    size_h, size_w = (2 * max(round(2 * width), 1) + 1 if width else 1 for width in sigma)
    sigma_h, sigma_w = (width or 1.0 for width in sigma)  # of no effect where the size is 1
    size, widths = (size_h, size_w), (sigma_h, sigma_w)
    return torch.cat(
        [
            gaussian_blur2d(few, size, widths, border_type="replicate")
            for few in images.split(
                _IMAGES_AT_A_TIME
            )  # convolutions need memory of several times these
        ]
    )


def resolve(
    baselines: "Baseline | tuple[Baseline, ...]", clips: tuple[Tensor, ...], layout: Layout
) -> tuple[Tensor, ...]:
    """Turn what the user passed as ``baselines`` into one clip per input.

    Args:
        baselines: None (zeros), a number, a tensor in the layout of the input (for all clips, or
            for one), a function from clip to clip, or a tuple of these, one per input. One that is no
            tuple serves all inputs.
        clips: one (N, C, T, H, W) per input.
        layout: of the inputs.

    Returns:
        One per input, broadcastable to its clips.

    Raises:
        TypeError: none of these.
        ValueError: another number of baselines than of inputs, another shape, or NaN.
    """
    given = baselines if isinstance(baselines, tuple) else (baselines,) * len(clips)
    if len(given) != len(clips):
        raise ValueError(f"baselines: expected one per input ({len(clips)}), got {len(given)}")
    return tuple(_resolve_one(*pair, layout) for pair in zip(given, clips, strict=True))


def _resolve_one(baseline: Baseline, clip: Tensor, layout: Layout) -> Tensor:
    if callable(baseline):
        with full_precision(clip):
            made = baseline(clip)
        name = getattr(baseline, "__name__", type(baseline).__name__)
        made = clip_of(made, Layout("n c t h w"), f"baselines ({name})")
    elif isinstance(baseline, Tensor) and baseline.ndim > 0:
        made = clip_of(baseline, layout, "baselines")
    elif baseline is None or isinstance(baseline, int | float | Tensor):
        made = clip_of(
            clip.new_full((1, 1, 1, 1, 1), float(baseline or 0)), Layout("n c t h w"), "baselines"
        )
        made = made.expand(1, *clip.shape[1:])
    else:
        raise TypeError(
            f"baselines: expected None, a number, a tensor or a function, got {baseline!r}"
        )
    if made.shape[1:] != clip.shape[1:] or len(made) not in (1, len(clip)):
        raise ValueError(
            f"baselines: expected {tuple(clip.shape)} as (n, c, t, h, w), got {tuple(made.shape)}"
        )
    return made.detach().to(clip)
