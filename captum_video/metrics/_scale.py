"""Scale: maps of different methods made to span the same numbers."""

from torch import Tensor


def min_max(maps: Tensor) -> Tensor:
    """Scale every map of a batch by itself, so that its least value is 0 and its largest 1.

    Args:
        maps: (N, ...), finite.

    Returns:
        The same shape, in [0, 1]; a constant map becomes 0 everywhere.

    Example:
        >>> import torch
        >>> min_max(torch.tensor([[2., 4., 3.], [5., 5., 5.]]))
        tensor([[0.0000, 1.0000, 0.5000],
                [0.0000, 0.0000, 0.0000]])
    """
    flat = maps.flatten(1)
    least = flat.amin(1, keepdim=True)
    spread = flat.amax(1, keepdim=True) - least
    return ((flat - least) / spread.where(spread > 0, 1)).view(maps.shape)
