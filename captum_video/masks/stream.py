"""What a mask stream is, and the simplest one."""

from typing import Protocol

import torch
from torch import Tensor

from captum_video.clips import Extent


class MaskStream(Protocol):
    """What the engine asks of a stream."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice) -> Tensor: ...


class Untouched:
    """One mask that keeps everything: the clip as it is.

    Example:
        >>> from captum_video import Extent
        >>> Untouched(Extent(2, 1, 1))[:].flatten()
        tensor([1., 1.])
    """

    def __init__(self, extent: Extent, device: torch.device | str | None = None) -> None:
        self._mask = torch.ones(1, 1, *extent, device=device)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: slice) -> Tensor:
        return self._mask[index]
