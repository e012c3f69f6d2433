"""Ranked prefixes: the first units of a ranking, more and more of them."""

import torch
from torch import Tensor

from captum_video.clips import Extent
from captum_video.masks.stream import unrepeated

_LARGEST_FLOAT32 = 2**24
"""Up to here float32 tells all whole numbers apart."""


class RankedPrefixes:
    """Masks that keep the first so many units of a ranking.

    Args:
        ranks: whole numbers, (T, H, W) or broadcastable to it; the unit kept first has rank 0.
        kept: (M,), how many units mask i keeps.
        extent: size of the clip.

    Example:
        >>> import torch
        >>> from captum_video import Extent
        >>> ranks = torch.tensor([2, 0, 1]).reshape(1, 1, 3)
        >>> RankedPrefixes(ranks, torch.tensor([0, 1, 2]), Extent(1, 1, 3))[:].reshape(3, 3)
        tensor([[0., 0., 0.],
                [0., 1., 0.],
                [0., 1., 1.]])
    """

    def __init__(self, ranks: Tensor, kept: Tensor, extent: Extent) -> None:
        largest = max(int(ranks.max()), int(kept.max()))
        number = torch.float32 if largest <= _LARGEST_FLOAT32 else torch.float64
        self._ranks, self._extent = unrepeated(ranks.expand(extent)).to(number), extent
        self._kept = kept.to(ranks.device, number)

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: slice) -> Tensor:
        kept = self._kept[index, None, None, None, None]
        masks = self._ranks.new_empty((len(kept), 1, *self._ranks.shape))
        # all of one dtype, so that neither truth values nor converted ranks are kept on the way
        torch.lt(self._ranks, kept, out=masks)
        return masks.expand(-1, -1, *self._extent)
