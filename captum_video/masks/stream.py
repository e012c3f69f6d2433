"""What a mask stream is, the simplest one, and how streams are joined."""

from typing import Protocol

import torch
from torch import Tensor

from captum_video.clips import Extent


class MaskStream(Protocol):
    """What the engine asks of a stream."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice) -> Tensor: ...


def unrepeated(masks: Tensor) -> Tensor:
    """The same masks, each axis T, H, W along which they are a repeating view cut to one entry.

    Example:
        >>> unrepeated(torch.rand(2, 1, 5, 1, 1).expand(2, 1, 5, 64, 64)).shape
        torch.Size([2, 1, 5, 1, 1])
    """
    for axis in (-3, -2, -1):
        if masks.stride(axis) == 0:
            masks = masks.narrow(axis, 0, 1)
    return masks


class Untouched:
    """Masks that keep everything: the clip as it is, so many times.

    Example:
        >>> from captum_video import Extent
        >>> Untouched(Extent(2, 1, 1))[:].flatten()
        tensor([1., 1.])
    """

    def __init__(
        self, extent: Extent, count: int = 1, device: torch.device | str | None = None
    ) -> None:
        self._masks = torch.ones((), device=device).expand(count, 1, *extent)

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, index: slice) -> Tensor:
        return self._masks[index]


class Switched:
    """Masks that keep all of the clip or nothing of it.

    Args:
        extent: size of the clip.
        kept: (M,), bool: whether mask i keeps it.

    Example:
        >>> from captum_video import Extent
        >>> Switched(Extent(2, 1, 1), torch.tensor([True, False]))[:].reshape(2, 2)
        tensor([[1., 1.],
                [0., 0.]])
    """

    def __init__(self, extent: Extent, kept: Tensor) -> None:
        self._masks = kept.float().view(-1, 1, 1, 1, 1).expand(-1, -1, *extent)

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, index: slice) -> Tensor:
        return self._masks[index]


class Chosen:
    """Some masks of a stream.

    Args:
        stream: of which.
        numbers: (M,), which, in any order.

    Example:
        >>> from captum_video import Extent
        >>> from captum_video.masks import SlidingWindows
        >>> masks = SlidingWindows(Extent(1, 1, 3), (1, 1, 1), (1, 1, 1))
        >>> Chosen(masks, torch.tensor([2, 0]))[:].reshape(2, 3)
        tensor([[1., 1., 0.],
                [0., 1., 1.]])
    """

    def __init__(self, stream: MaskStream, numbers: Tensor) -> None:
        self._stream, self._numbers = stream, numbers.tolist()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: slice) -> Tensor:
        masks = [self._stream[number : number + 1] for number in self._numbers[index]]
        small = torch.cat([unrepeated(mask) for mask in masks])
        return small.expand(-1, -1, *masks[0].shape[-3:])


class Joined:
    """Several streams, one after the other.

    Example:
        >>> from captum_video import Extent
        >>> from captum_video.masks import SlidingWindows
        >>> extent = Extent(1, 1, 3)
        >>> masks = Joined(Untouched(extent), SlidingWindows(extent, (1, 1, 2), (1, 1, 2)))
        >>> len(masks), masks[:2].reshape(2, 3)
        (3, tensor([[1., 1., 1.],
                [0., 0., 1.]]))
    """

    def __init__(self, *streams: MaskStream) -> None:
        self._streams = streams

    def __len__(self) -> int:
        return sum(len(stream) for stream in self._streams)

    def __getitem__(self, index: slice) -> Tensor:
        start, stop, _ = index.indices(len(self))
        parts = []
        for stream in self._streams:
            if start < len(stream) and stop > 0:
                parts.append(stream[max(start, 0) : min(stop, len(stream))])
            start, stop = start - len(stream), stop - len(stream)
        if len(parts) == 1:
            return parts[0]
        # a repeating view stays one where all parts are
        sizes = [unrepeated(part).shape[-3:] for part in parts]
        t, h, w = (max(axis) for axis in zip(*sizes, strict=True))
        small = [part[..., :t, :h, :w] for part in parts]
        return torch.cat(small).expand(-1, -1, *parts[0].shape[-3:])
