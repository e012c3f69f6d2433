"""In which order a network likes to find its inputs in memory."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from captum_video.clips import Layout

_FOLDED = ("(n t) c h w", "(t n) c h w")


def memory_format_of(forward_func: Callable, layout: Layout) -> torch.memory_format:
    """Channels last where a convolutional network takes clips, or frames folded into the batch.

    Convolutions are faster so, and give the same to rounding. Other layouts stay contiguous, because
    a network that unfolds axes by ``view`` needs them so.
    """
    if layout.is_canonical and _has(nn.Conv3d, forward_func):
        return torch.channels_last_3d
    if layout.pattern in _FOLDED and not layout.skip_tokens and _has(nn.Conv2d, forward_func):
        return torch.channels_last
    return torch.contiguous_format


def as_read(inputs: Sequence[Tensor], forward_func: Callable, layout: Layout) -> tuple[Tensor, ...]:
    """These inputs as the network likes them; copies where they lie in memory otherwise.

    Args:
        inputs: in the layout.
        forward_func: the network.
        layout: of the inputs.

    Returns:
        The same values, without a graph.
    """
    wanted = memory_format_of(forward_func, layout)
    if wanted is torch.contiguous_format:  # others may come as they are
        return tuple(one.detach() for one in inputs)
    return tuple(one.detach().contiguous(memory_format=wanted) for one in inputs)


def seen_as(memory: Tensor, shape: Sequence[int], memory_format: torch.memory_format) -> Tensor:
    """The beginning of a flat piece of memory as a tensor of this shape and format."""
    flat = memory[: math.prod(shape)]
    if memory_format is torch.contiguous_format:
        return flat.view(tuple(shape))
    rows, channels, *places = shape
    return flat.view(rows, *places, channels).movedim(-1, 1)


def _has(kind: type[nn.Module], forward_func: Callable) -> bool:
    return isinstance(forward_func, nn.Module) and any(
        isinstance(module, kind) for module in forward_func.modules()
    )
