"""Which frames a clip takes, and how they become the tensor that a model sees."""

from dataclasses import asdict, dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError


@dataclass(frozen=True)
class ClipShape:
    """The clips that a model takes; kept in its checkpoint.

    Args:
        frames: frames of a clip.
        height: rows, in pixels.
        width: columns, in pixels.
        channels: 1 (gray) or 3 (gray, repeated for networks that expect RGB).
        stride: step between neighbouring frames of a clip, in frames of the video.

    Raises:
        BenchmarkError: a size below 1, or neither 1 nor 3 channels.

    Example:
        >>> ClipShape(frames=16, stride=2).span
        31
    """

    frames: int = 16
    height: int = 48
    width: int = 64
    channels: int = 3
    stride: int = 1

    def __post_init__(self) -> None:
        for name, size in asdict(self).items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise BenchmarkError(
                    f"clip {name}: expected a whole number of at least 1, got {size!r}"
                )
        if self.channels not in (1, 3):
            raise BenchmarkError(f"clip channels: expected 1 or 3, got {self.channels}")

    @property
    def span(self) -> int:
        """Frames of the video from a clip's first to its last, both counted."""
        return (self.frames - 1) * self.stride + 1


DEFAULT_CLIP = ClipShape()


def frame_numbers(
    available: int, shape: ClipShape, generator: torch.Generator | None = None
) -> list[int]:
    """Choose a clip's frames from a subsequence.

    Args:
        available: frames of the subsequence.
        shape: of the clip.
        generator: draws the start; without it the clip lies in the centre.

    Returns:
        Frame numbers within the subsequence, from 0. A subsequence shorter than the span gives
        all it has, and its last frame again for the rest.

    Example:
        >>> frame_numbers(10, ClipShape(frames=4, stride=2))
        [1, 3, 5, 7]
        >>> frame_numbers(3, ClipShape(frames=5))
        [0, 1, 2, 2, 2]
    """
    room = max(available - shape.span, 0)
    if generator is None:
        start = room // 2
    else:
        start = int(torch.randint(room + 1, (), generator=generator))
    return [min(start + k * shape.stride, available - 1) for k in range(shape.frames)]


def resize_frames(frames: Frames, height: int, width: int) -> Frames:
    """Resize gray frames (T, H, W): by area where they shrink, bilinearly where they grow."""
    if frames.shape[1:] == (height, width):
        return frames
    shrinks = height < frames.shape[1] and width < frames.shape[2]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (width, height), interpolation=method) for frame in frames])


def clip_tensor(frames: Frames, channels: int) -> Tensor:
    """Gray frames uint8 (T, H, W) as a clip float32 (C, T, H, W) in [0, 1]."""
    clip = torch.from_numpy(np.ascontiguousarray(frames)).float().div_(255)
    return clip.unsqueeze(0).repeat(channels, 1, 1, 1)
