"""Which frames a clip takes, and how they become the tensor that a model sees."""

from dataclasses import asdict, dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks_kth_mad.data.limits import check_bytes, check_pixels
from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError


@dataclass(frozen=True)
class ClipShape:
    """The clips that a model takes; kept in its checkpoint.

    Args:
        frames: frames of a clip.
        height: rows, in pixels.
        width: columns, in pixels.
        channels: 1 (gray) or 3 (RGB; gray is repeated for networks that expect RGB).
        stride: step between neighbouring frames of a segment, in frames of the video.
        segments: 1 takes all frames from one place. More spread them over the whole video, as TSN
            (Wang et al., ECCV 2016) and PAN (Zhang et al., ACM MM 2020) do: so many segments,
            each of ``frames / segments`` frames that follow one another.

    Raises:
        BenchmarkError: a size below 1, neither 1 nor 3 channels, frames that the segments do not
            divide, or more than `data.limits` allows.

    Example:
        >>> ClipShape(frames=16, stride=2).span
        31
        >>> ClipShape(frames=32, segments=8).span
        4
    """

    frames: int = 16
    height: int = 48
    width: int = 64
    channels: int = 3
    stride: int = 1
    segments: int = 1

    def __post_init__(self) -> None:
        for name, size in asdict(self).items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise BenchmarkError(
                    f"clip {name}: expected a whole number of at least 1, got {size!r}"
                )
        if self.channels not in (1, 3):
            raise BenchmarkError(f"clip channels: expected 1 or 3, got {self.channels}")
        check_pixels("clip", self.height, self.width)
        check_bytes("clip", self.frames, self.height, self.width, self.channels)
        if self.frames % self.segments:
            raise BenchmarkError(
                f"clip frames: expected a multiple of the {self.segments} segments, got {self.frames}"
            )

    @property
    def segment_frames(self) -> int:
        """Frames of a segment; all of them where there is one."""
        return self.frames // self.segments

    @property
    def span(self) -> int:
        """Frames of the video from a segment's first to its last, both counted."""
        return (self.segment_frames - 1) * self.stride + 1


DEFAULT_CLIP = ClipShape()


def frame_numbers(
    available: int, shape: ClipShape, generator: torch.Generator | None = None
) -> list[int]:
    """Choose a clip's frames from a subsequence.

    The n places at which a segment may begin are cut into equal ticks, one per segment, and each
    segment begins within its own: at ``int(tick / 2 + tick * x)`` for segment x = 0, 1, ... in
    PAN's evaluation, anywhere in it when drawn.

    Args:
        available: frames of the subsequence.
        shape: of the clip.
        generator: draws each start, every place possible; without it a single segment lies in the
            centre of the subsequence, and several lie in the centre of their ticks.

    Returns:
        Frame numbers within the subsequence, from 0, segment after segment. A subsequence shorter
        than the span gives all it has, and its last frame again for the rest, in each segment;
        segments overlap where the subsequence is too short for all of them.

    Example:
        >>> frame_numbers(10, ClipShape(frames=4, stride=2))
        [1, 3, 5, 7]
        >>> frame_numbers(3, ClipShape(frames=5))
        [0, 1, 2, 2, 2]
        >>> frame_numbers(20, ClipShape(frames=6, segments=3))
        [3, 4, 9, 10, 15, 16]
    """
    places = max(available - shape.span + 1, 1)
    if shape.segments == 1:
        starts = [_one_start(places, generator)]
    else:
        starts = _spread_starts(places, shape.segments, generator)
    steps = range(0, shape.segment_frames * shape.stride, shape.stride)
    return [min(start + step, available - 1) for start in starts for step in steps]


def _one_start(places: int, generator: torch.Generator | None) -> int:
    if generator is None:
        return (places - 1) // 2
    return int(torch.randint(places, (), generator=generator))


def _spread_starts(places: int, segments: int, generator: torch.Generator | None) -> list[int]:
    if generator is None:
        within = [0.5] * segments
    else:
        within = torch.rand(segments, generator=generator, dtype=torch.float64).tolist()
    # divided last: then no rounding lifts or lowers a centre that is a whole number
    starts = (int(places * (x + share) / segments) for x, share in enumerate(within))
    return [min(start, places - 1) for start in starts]


def resize_frames(frames: Frames, height: int, width: int) -> Frames:
    """Resize frames (T, H, W) or (T, H, W, 3): by area where they shrink, else bilinearly."""
    if frames.shape[1:3] == (height, width):
        return frames
    shrinks = height < frames.shape[1] and width < frames.shape[2]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (width, height), interpolation=method) for frame in frames])


def clip_tensor(frames: Frames, channels: int) -> Tensor:
    """Frames uint8 (T, H, W), or (T, H, W, 3) as RGB, as a clip float32 (C, T, H, W) in [0, 1].

    Gray is repeated for three channels, and RGB becomes its luma (ITU-R BT.601) for one.
    """
    if frames.ndim == 4 and channels == 1:
        frames = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    clip = torch.from_numpy(np.ascontiguousarray(frames)).float().div_(255)
    if frames.ndim == 4:
        return clip.permute(3, 0, 1, 2).contiguous()
    return clip.unsqueeze(0).repeat(channels, 1, 1, 1)
