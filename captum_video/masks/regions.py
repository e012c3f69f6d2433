"""Regions: places that labels name, such as superpixels or runs of frames, hidden one at a time."""

from typing import Any

import torch
from torch import Tensor

from captum_video.clips import extent_of
from captum_video.masks.stream import unrepeated


class Regions:
    """Hides one region at a time: all voxels of one label.

    Args:
        labels: whole numbers, (T, H, W); equal ones are one region, wherever they lie.
        values: the labels to hide, one after the other, ascending; one that does not occur hides
            nothing. None: those that occur.

    Example:
        >>> import torch
        >>> Regions(torch.tensor([7, 2, 7]).reshape(1, 1, 3))[:].reshape(2, 3)
        tensor([[1., 0., 1.],
                [0., 1., 0.]])
    """

    def __init__(self, labels: Tensor, values: Tensor | None = None) -> None:
        self._extent, self._labels = extent_of(labels), unrepeated(labels)
        self.values = self._labels.unique() if values is None else values.to(labels.device)
        self.device = labels.device

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: slice) -> Tensor:
        hidden = self.values[index, None, None, None, None]
        return (self._labels != hidden).float().expand(-1, -1, *self._extent)

    def hidden_sum(self, weights: Tensor) -> Tensor:
        """Sum of ``weights[n, i] * (1 - mask i)`` over i, without making a mask.

        Args:
            weights: (N, number of regions).

        Returns:
            (N, T, H, W).
        """
        place = torch.searchsorted(self.values, self._labels.contiguous())
        known = place.clamp_max(len(self) - 1)
        found = weights[:, known] * (self.values[known] == self._labels)
        return found.expand(-1, *self._extent)


def labels_of(feature_mask: Any, clips: tuple[Tensor, ...]) -> list[Tensor]:
    """Turn what the user passed as ``feature_mask`` into labels of every clip of each input.

    Args:
        feature_mask: (T, H, W), or (N, 1, T, H, W) or (1, 1, T, H, W), of whole numbers or bool, or a
            tuple of these, one per input. One that is no tuple serves all inputs.
        clips: one (N, C, T, H, W) per input.

    Returns:
        One (N, T, H, W) int64 per input, on its device.

    Raises:
        TypeError: no tensor, or of a floating dtype.
        ValueError: another number of them than of inputs, or another shape.
    """
    given = feature_mask if isinstance(feature_mask, tuple) else (feature_mask,) * len(clips)
    if len(given) != len(clips):
        raise ValueError(f"feature_mask: expected one per input ({len(clips)}), got {len(given)}")
    return [_labels_of_one(*pair) for pair in zip(given, clips, strict=True)]


def _labels_of_one(labels: Any, clip: Tensor) -> Tensor:
    if not isinstance(labels, Tensor):
        raise TypeError(f"feature_mask: expected a tensor of labels, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"feature_mask: expected whole numbers, got {labels.dtype}")
    n_clips, extent = len(clip), extent_of(clip)
    if labels.shape not in (extent, (1, 1, *extent), (n_clips, 1, *extent)):
        raise ValueError(
            f"feature_mask: expected {tuple(extent)} or {(n_clips, 1, *extent)} as (n, 1, t, h, w), "
            f"got {tuple(labels.shape)}"
        )
    return labels.to(clip.device, torch.int64).reshape(-1, *extent).expand(n_clips, *extent)


def values_of(labels: list[Tensor]) -> Tensor:
    """The labels that occur in one clip, in any of its inputs, the lowest first.

    Args:
        labels: one (T, H, W) per input.
    """
    return torch.cat([unrepeated(one).flatten() for one in labels]).unique()
