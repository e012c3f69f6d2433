"""Video files to arrays and back; the only file that knows PyAV."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from benchmarks_kth_mad.data.limits import MOST_PIXELS, check_bytes, check_pixels
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import is_file, whole_file

Frames = NDArray[np.uint8]

# Containers that hold their frames themselves: a playlist would have FFmpeg open what it lists.
_CONTAINERS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,ogg"


def read_frames(path: Path, first: int, last: int, color: bool = False) -> Frames:
    """Decode frames ``first..last`` of a video, both included and counted from 0.

    Frames are counted by decoding from the beginning, because seeking is exact only where the
    container keeps an index that can be trusted.

    Args:
        path: AVI, or MP4, Matroska, MPEG or Ogg, with any codec that FFmpeg reads.
        first: first frame wanted.
        last: last frame wanted.
        color: RGB frames; otherwise gray ones over the full range 0..255.

    Returns:
        uint8 (T, H, W), or (T, H, W, 3) with ``color``.

    Raises:
        ValueError: not ``0 <= first <= last``.
        BenchmarkError: the file is missing, is no video, or ends or breaks before ``last``; its
            frames change their size, or are larger, alone or together, than `data.limits` allows
            (said before memory is taken for them).
    """
    pixel_format, channels = ("rgb24", 3) if color else ("gray", 1)
    return np.stack(
        [frame.to_ndarray(format=pixel_format) for frame in _between(path, first, last, channels)]
    )


def read_as_stored(path: Path, first: int, last: int) -> Frames:
    """Decode frames as `read_frames` does, in colour only where one of them has any.

    The pixels decide, not the file's format: KTH's own videos are gray in a format for colours.

    Returns:
        uint8 (T, H, W, 3) in RGB, or the (T, H, W) of `read_frames` where all channels are equal.

    Raises:
        ValueError: as `read_frames`.
        BenchmarkError: as `read_frames`.
    """
    gray, color = [], []
    for frame in _between(path, first, last, channels=1 + 3):
        gray.append(frame.to_ndarray(format="gray"))
        color.append(frame.to_ndarray(format="rgb24"))
    if all((frame == frame[..., :1]).all() for frame in color):
        return np.stack(gray)
    return np.stack(color)


def write_video(path: Path, frames: Frames, fps: int = 25) -> None:
    """Write frames losslessly (FFV1 in AVI), complete or not at all.

    Args:
        path: the ``.avi`` file; one already there is replaced.
        frames: uint8 (T, H, W) gray or (T, H, W, 3) RGB.
        fps: frames per second.

    Raises:
        ValueError: another dtype or shape, or no frame.
    """
    gray = frames.ndim == 3
    if frames.dtype != np.uint8 or frames.size == 0 or not (gray or frames.shape[3:] == (3,)):
        raise ValueError(
            f"frames: expected uint8 (T, H, W) or (T, H, W, 3), got {frames.dtype} {frames.shape}"
        )
    with whole_file(path) as partial, av.open(str(partial), "w", format="avi") as container:
        stream = container.add_stream("ffv1", rate=Fraction(fps))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "gray" if gray else "bgr0"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="gray" if gray else "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _between(path: Path, first: int, last: int, channels: int) -> Iterator[av.VideoFrame]:
    """Frames first..last, which the caller turns into arrays before it asks for the next.

    Of each it keeps so many bytes a pixel as there are channels.
    """
    if not 0 <= first <= last:
        raise ValueError(f"frames: expected 0 <= first <= last, got first={first}, last={last}")
    if not is_file(path):
        raise BenchmarkError(f"{path}: no such video; check the path, or fetch the data set")

    def check(height: int, width: int) -> None:
        check_pixels(path, height, width)
        check_bytes(f"{path}, frames {first} to {last}", last - first + 1, height, width, channels)

    for number, frame in enumerate(_decode(path, last, check)):
        if number >= first:
            yield frame


def _decode(path: Path, last: int, check: Callable[[int, int], None]) -> Iterator[av.VideoFrame]:
    """Frames 0..last in order, of one size that passes the check; anything else is an error."""
    count = 0
    try:
        # opened without any decoder: FFmpeg would decode a frame only to look what the file is
        container_options = {"codec_whitelist": "none", "format_whitelist": _CONTAINERS}
        with av.open(str(path), container_options=container_options) as container:
            for frame in _decode_stream(path, container, check):
                if frame.is_corrupt:
                    break
                yield frame
                count += 1
                if count > last:
                    return
    except av.error.FFmpegError as error:
        if count == 0:
            raise BenchmarkError(
                f"{path}: not a video that can be decoded ({error.strerror}); fetch the file again"
            ) from error
    if count == 0:
        raise BenchmarkError(f"{path}: holds no video frames; fetch the file again")
    raise BenchmarkError(
        f"{path}: expected at least {last + 1} frames, got {count}: truncated or damaged; fetch "
        f"the file again"
    )


def _decode_stream(
    path: Path, container: InputContainer, check: Callable[[int, int], None]
) -> Iterator[av.VideoFrame]:
    """All frames of one size; the check comes before decoding, and again where frames differ."""
    if not container.streams.video:
        raise BenchmarkError(f"{path}: holds no video; fetch the file again")
    codec = container.streams.video[0].codec_context
    check(abs(codec.height), abs(codec.width))
    # the decoder's own guard: frames may be larger than the file's header says
    codec.options = {"max_pixels": str(MOST_PIXELS)}
    first, number = None, 0
    try:
        for frame in container.decode(video=0):
            size = frame.height, frame.width
            if first is None:
                check(*size)
                first = size
            if size != first:
                raise BenchmarkError(
                    f"{path}: expected frames of {first[0]} x {first[1]} pixels, as the first, got "
                    f"{size[0]} x {size[1]} at frame {number}; cut the video where its size changes"
                )
            yield frame
            number += 1
    except av.error.ArgumentError as error:  # what the guard gives
        raise BenchmarkError(
            f"{path}: frame {number} can not be decoded: damaged, or larger than its file says "
            f"and than the {MOST_PIXELS} pixels that a frame may have; fetch the file again"
        ) from error
