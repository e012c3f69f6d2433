"""Temporal pointing: two actions joined, and whether a map finds the time of the one asked for."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from captum_video.clips import Layout, clip_of
from captum_video.metrics._best import known_places, share_of_best, summed_maps


class JoinedClips(NamedTuple):
    """Two actions in one clip, and when the first of them is shown.

    Attributes:
        clips: in the layout of those that were joined.
        frame_mask: (N, T), bool: the frames of the target.
    """

    clips: Tensor
    frame_mask: Tensor


def join_clips(
    first: Tensor,
    second: Tensor,
    frames: int | None = None,
    generator: torch.Generator | None = None,
    *,
    lengths: tuple[Sequence[int], Sequence[int]] | None = None,
    layout: str | Layout = "n c t h w",
) -> JoinedClips:
    """Show two actions one after the other, in random order; the first given is the target.

    Of T joined frames the target gets ``int(T n / (n + m))``, at least one and at most T - 1, where n
    and m are the original lengths of both videos (the released code of Li et al., arXiv 2005.00375);
    without ``lengths``, half. Each part shows the whole of its clip, frames evenly spaced: part i of k
    is frame ``floor((i + 1/2) length / k)``. Of clips of one length it therefore runs about twice as
    fast.

    Args:
        first: N clips in ``layout`` of the action that maps are asked for.
        second: N clips of another class, as large; the number of frames may differ.
        frames: T, at least 2; None for as many as ``first`` has.
        generator: draws, clip by clip, whether the target comes first; None: one seeded with 0.
        lengths: the original numbers of frames of both, N each.
        layout: how the clips order their axes.

    Returns:
        Joined clips and the frames of the target, which are chance for `temporal_pointing`:
        ``frame_mask.double().mean(1)``.

    Raises:
        TypeError: no floating-point tensors.
        ValueError: clips of different number, channels or size; fewer than 2 frames; lengths that are
            not one positive number per clip.

    Randomness:
        One draw per clip, in order.

    Example:
        >>> import torch
        >>> joined = join_clips(torch.ones(1, 1, 4, 1, 1), torch.zeros(1, 1, 4, 1, 1))
        >>> joined.clips.flatten(), joined.frame_mask
        (tensor([1., 1., 0., 0.]), tensor([[ True,  True, False, False]]))
    """
    layout = Layout.of(layout)
    target, other = clip_of(first, layout, "first"), clip_of(second, layout, "second")
    if [*target.shape[:2], *target.shape[3:]] != [*other.shape[:2], *other.shape[3:]]:
        raise ValueError(
            f"second: expected the clips, channels and size of first {tuple(target.shape)} as "
            f"(n, c, t, h, w), got {tuple(other.shape)}"
        )
    total = target.shape[2] if frames is None else frames
    if not isinstance(total, int) or total < 2:
        raise ValueError(f"frames: expected a whole number, at least 2, got {total}")
    generator = generator or torch.Generator().manual_seed(0)
    leads = torch.rand(len(target), generator=generator, device=generator.device) < 0.5
    joined, inside = [], []
    for clip, rest, count, lead in zip(
        target, other, _counts(lengths, len(target), total), leads.tolist(), strict=True
    ):
        parts = [_evenly(clip, count), _evenly(rest, total - count)]
        kept = torch.arange(total) < count
        joined.append(torch.cat(parts if lead else parts[::-1], 1))
        inside.append(kept if lead else kept.flip(0))
    return JoinedClips(layout.from_clip(torch.stack(joined)), torch.stack(inside).to(target.device))


def temporal_pointing(
    attributions: Tensor, frame_mask: Tensor, *, layout: str | Layout = "n c t h w"
) -> Tensor:
    """Whether the frame with the most evidence belongs to the action asked for. Higher is better.

    The map is summed per frame, over channels and pixels; 1 where the arg-max frame lies in the part
    of the target, 0 where not (Li et al., arXiv 2005.00375). `join_clips` makes such clips. Its smooth
    companion is `energy_in_mask` of the same maps, which asks for the share of the evidence instead
    of one frame: ``energy_in_mask(maps, frame_mask[:, None, :, None, None])``.

    Args:
        attributions: maps of N clips in ``layout``, summed with their sign; higher is more important.
        frame_mask: (N or 1, T), bool, or numbers in [0, 1]: the frames of the target.
        layout: how the attributions order their axes.

    Returns:
        (N,), float64, in [0, 1]. Of several equally high frames each counts its share, so a map that
        is alike in all frames has ``frame_mask.mean(1)``, which is chance.

    Raises:
        TypeError: an argument is no tensor.
        ValueError: shapes that do not fit, values that are not finite, a mask outside [0, 1] or empty
            in a clip.

    Note:
        It lies where the network does not know the target in the joined clip: look only at clips
        whose class it still gives, or read a miss as its fault. The cut itself is a
        sudden motion that draws maps to the middle, and each part runs faster than in training. A map
        with most evidence in any one frame of the part hits, wherever it points inside the frame.

    Example:
        >>> import torch
        >>> joined = join_clips(torch.ones(2, 1, 4, 1, 1), torch.zeros(2, 1, 4, 1, 1))
        >>> temporal_pointing(joined.clips, joined.frame_mask)
        tensor([1., 1.], dtype=torch.float64)
    """
    if not isinstance(frame_mask, Tensor):
        raise TypeError(f"frame_mask: expected a tensor, got {type(frame_mask).__name__}")
    maps = summed_maps(attributions, layout).sum((2, 3))
    if frame_mask.ndim != 2 or len(frame_mask) not in (1, len(maps)):
        raise ValueError(
            f"frame_mask: expected ({len(maps)} or 1, {maps.shape[1]}), got "
            f"{tuple(frame_mask.shape)}"
        )
    inside = known_places(frame_mask[:, None, :, None, None], maps[..., None, None])
    return share_of_best(maps, inside[..., 0, 0])


def _counts(
    lengths: tuple[Sequence[int], Sequence[int]] | None, n_clips: int, total: int
) -> list[int]:
    """Frames of the target in each joined clip."""
    if lengths is None:
        return [total // 2] * n_clips
    own, others = ([int(length) for length in one] for one in lengths)
    if len(own) != n_clips or len(others) != n_clips or min(own + others) < 1:
        raise ValueError(
            f"lengths: expected two times {n_clips} positive numbers of frames, got {own} and "
            f"{others}"
        )
    counts = [total * n // (n + m) for n, m in zip(own, others, strict=True)]
    return [min(max(count, 1), total - 1) for count in counts]


def _evenly(clip: Tensor, count: int) -> Tensor:
    """So many frames of a clip (C, T, H, W), in the middle of equal stretches."""
    place = (2 * torch.arange(count, device=clip.device) + 1) * clip.shape[1] // (2 * count)
    return clip[:, place]
