"""From the options and what the network expects to the clip that is read."""

import argparse
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from captum_video.app.errors import AppError
from captum_video.app.network import Expected
from captum_video.reading import read_clip, video_properties

# Where nothing is known of a network, clips last long enough that something happens in them.
_RATE = 8.0


class Clip(NamedTuple):
    """What is explained, and where it lies in the video.

    Attributes:
        pixels: (1, 3, T, H, W) in [0, 1].
        start: seconds from the beginning of the video to the first frame.
        frame_rate: frames per second.
        resized: height and width of the whole frame.
        place: top, left, height and width of the clip in the resized frame.
    """

    pixels: Tensor
    start: float
    frame_rate: float
    resized: tuple[int, int]
    place: tuple[int, int, int, int]

    @property
    def times(self) -> list[float]:
        """Seconds from the beginning of the video to each frame."""
        return [self.start + i / self.frame_rate for i in range(self.pixels.shape[2])]


def clip_of(video: Path, options: argparse.Namespace, expected: Expected) -> Clip:
    """Read the clip as the network expects it, or as the options say.

    Raises:
        AppError: no video, or not as long as the clip.
        ImportError: PyAV is not installed.
    """
    n_frames = expected.n_frames if options.frames is None else options.frames
    size, crop = _size_and_crop(options, expected)
    start = options.start or 0.0
    try:
        rate = options.rate or expected.frame_rate or _slow_enough(video, n_frames, start)
        frames = read_clip(video, n_frames, start=start, frame_rate=rate, size=size)
    except ValueError as error:
        raise AppError(f"{error} (see --frames, --start, --rate)") from error
    resized = frames.shape[3], frames.shape[4]
    top, left, height, width = place = _middle(resized, crop or resized)
    pixels = frames[..., top : top + height, left : left + width].contiguous()
    return Clip(pixels, start, rate, resized, place)


def _size_and_crop(
    options: argparse.Namespace, expected: Expected
) -> tuple[int | tuple[int, int], tuple[int, int] | None]:
    if options.size is not None:
        return options.size, None
    if options.whole_frame:
        side = min(expected.crop) if expected.crop else expected.resize
        return side, None
    return expected.resize, expected.crop


def _slow_enough(video: Path, n_frames: int, start: float) -> float:
    """8 frames a second, or as many as let the clip end with the video; at most the video's own."""
    found = video_properties(video)
    left = found.duration - start
    needed = n_frames / left if left > 0 else _RATE
    return min(found.frame_rate, max(_RATE, needed))


def _middle(size: tuple[int, int], crop: tuple[int, int]) -> tuple[int, int, int, int]:
    height, width = (min(one, cut) for one, cut in zip(size, crop, strict=True))
    return round((size[0] - height) / 2), round((size[1] - width) / 2), height, width
