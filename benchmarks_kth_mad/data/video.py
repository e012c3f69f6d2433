"""Video files to arrays and back; the only file that knows PyAV."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import whole_file

Frames = NDArray[np.uint8]


def read_frames(path: Path, first: int, last: int, color: bool = False) -> Frames:
    """Decode frames ``first..last`` of a video, both included and counted from 0.

    Frames are counted by decoding from the beginning, because seeking is exact only where the
    container keeps an index that can be trusted.

    Args:
        path: any video file that FFmpeg reads.
        first: first frame wanted.
        last: last frame wanted.
        color: RGB frames; otherwise gray ones over the full range 0..255.

    Returns:
        uint8 (T, H, W), or (T, H, W, 3) with ``color``.

    Raises:
        ValueError: not ``0 <= first <= last``.
        BenchmarkError: the file is missing, is no video, or ends or breaks before ``last``.
    """
    pixel_format = "rgb24" if color else "gray"
    return np.stack(
        [frame.to_ndarray(format=pixel_format) for frame in _between(path, first, last)]
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
    for frame in _between(path, first, last):
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


def _between(path: Path, first: int, last: int) -> Iterator[av.VideoFrame]:
    """Frames first..last, which the caller turns into arrays before it asks for the next."""
    if not 0 <= first <= last:
        raise ValueError(f"frames: expected 0 <= first <= last, got first={first}, last={last}")
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such video; check the path, or fetch the data set")
    for number, frame in enumerate(_decode(path, last)):
        if number >= first:
            yield frame


def _decode(path: Path, last: int) -> Iterator[av.VideoFrame]:
    """Frames 0..last in order; anything short of that is an error."""
    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BenchmarkError(f"{path}: holds no video; fetch the file again")
            for frame in container.decode(video=0):
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
