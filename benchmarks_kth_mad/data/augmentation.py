"""Clips varied at random, so that a network learns what does not vary."""

import torch
from torch import Tensor


def augment(clips: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
    """Mirror half of the clips, and vary contrast and brightness of each.

    Args:
        clips: (N, C, T, H, W) in [0, 1], one for each input of the model. What is mirrored is so in
            all of them; contrast and brightness are each input's own.
        generator: on the CPU; decides everything.

    Returns:
        Clips of the same shape, in [0, 1].
    """
    numbers = torch.rand(1 + 2 * len(clips), len(clips[0]), 1, 1, 1, 1, generator=generator)
    mirrored, *levels = numbers.to(clips[0].device)
    seen = []
    for clip, contrast, brightness in zip(clips, levels[::2], levels[1::2], strict=True):
        turned = torch.where(mirrored < 0.5, clip.flip(-1), clip)
        center = clip.mean(dim=(1, 2, 3, 4), keepdim=True)
        varied = (turned - center) * (0.6 + 0.8 * contrast) + center + 0.3 * (brightness - 0.5)
        seen.append(varied.clamp_(0, 1))
    return tuple(seen)
