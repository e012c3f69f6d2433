"""Video files to clips; decoding is PyAV's."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Containers that hold their frames themselves: a playlist would have FFmpeg open what it lists.
_CONTAINERS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,ogg,gif"


class VideoProperties(NamedTuple):
    """What a video file says of itself.

    Attributes:
        frame_rate: frames per second.
        duration: seconds.
    """

    frame_rate: float
    duration: float


def video_properties(path: str | Path) -> VideoProperties:
    """Frame rate and duration of a video, as its file states them; no frame is decoded.

    Args:
        path: the video.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: PyAV is not installed.
        ValueError: it is no video, or does not say how long it is.

    Example:
        >>> video_properties("clip.mp4").frame_rate  # doctest: +SKIP
        25.0
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        if stream.duration is not None:
            duration = stream.duration * stream.time_base
        elif container.duration is not None:
            duration = container.duration / 1_000_000  # FFmpeg counts a container's microseconds
            if (
                "matroska" in container.format.name
            ):  # and Matroska what comes before the first frame
                duration -= float((stream.start_time or 0) * cast(Fraction, stream.time_base))
        else:
            raise ValueError(f"{path}: does not say how long it is; convert it to MP4")
        return VideoProperties(_rate_of(stream, path), float(duration))


def read_clip(
    path: str | Path,
    n_frames: int = 16,
    *,
    start: float = 0.0,
    frame_rate: float | None = None,
    size: int | tuple[int, int] | None = None,
) -> Tensor:
    """Read a clip from a video file: the frames that are shown at evenly spaced times.

    Frame i is the one that a player shows ``start + i / frame_rate`` seconds after the beginning.
    Where the file shows fewer in a second, frames come twice. Frames that the file says are to be
    turned (of a telephone held upright) are turned, as players do.

    Args:
        path: AVI, MP4, Matroska, WebM, MPEG, Ogg or GIF, with any codec that FFmpeg reads.
        n_frames: frames of the clip.
        start: seconds from the beginning of the video to the first frame.
        frame_rate: frames per second of the clip; the file's own by default. Networks expect that of
            their training (Kinetics weights of torchvision: 15 or 30).
        size: pixels (height, width) to which frames are resized, antialiased, or the length of
            their shorter side; as they are by default.

    Returns:
        Tensor (1, 3, T, H, W), float32, RGB in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: PyAV is not installed.
        ValueError: it is no video, ends before the last frame, or changes its size between frames;
            an option out of range.

    Cost:
        Decodes from the key frame before ``start``; keeps the frames of the clip only, resized.

    Example:
        >>> clip = read_clip("clip.mp4", 16, start=2.0, frame_rate=8, size=112)  # doctest: +SKIP
        >>> clip.shape  # doctest: +SKIP
        torch.Size([1, 3, 16, 112, 199])
    """
    if not isinstance(n_frames, int) or n_frames < 1:
        raise ValueError(f"n_frames: expected at least 1, got {n_frames!r}")
    if not start >= 0:
        raise ValueError(f"start: expected seconds from 0 on, got {start}")
    if frame_rate is not None and not frame_rate > 0:
        raise ValueError(f"frame_rate: expected frames per second above 0, got {frame_rate}")
    _check_size(size)
    with _opened(path) as container:
        own_rate = _rate_of(container.streams.video[0], path)
        times = [start + i / (frame_rate or own_rate) for i in range(n_frames)]
        frames = [
            _resized(frame, size) for frame in _shown_at(path, container, times, 1 / own_rate)
        ]
    if len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"{path}: its frames change their size; cut the video where they do")
    return torch.stack(frames, dim=1).unsqueeze(0)


def _check_size(size: int | tuple[int, int] | None) -> None:
    sides = () if size is None else (size,) if isinstance(size, int) else tuple(size)
    whole = all(isinstance(side, int) and side >= 1 for side in sides)
    if not whole or not (isinstance(size, int | None) or len(sides) == 2):
        raise ValueError(
            f"size: expected pixels of the shorter side or (height, width), got {size}"
        )


def _opened(path: str | Path) -> "InputContainer":
    """The container of a file that holds video."""
    try:
        import av
    except ImportError as error:
        raise ImportError("reading video needs PyAV: pip install captum-video[video]") from error

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such video")
    try:
        container = av.open(str(path), options={"format_whitelist": _CONTAINERS})
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: not a video that can be decoded ({error.strerror})") from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"{path}: holds no video")
    return container


def _rate_of(stream: "VideoStream", path: str | Path) -> float:
    rate = stream.average_rate or stream.base_rate
    if not rate:
        raise ValueError(f"{path}: does not say how many frames it shows in a second")
    return float(rate)


def _shown_at(
    path: str | Path, container: "InputContainer", times: list[float], last_shown: float
) -> Iterator["VideoFrame"]:
    """The frame on show at each of these ascending times; the last of a file stays on for a while."""
    wanted = iter(times)
    time = next(wanted, None)
    shown, begins = None, 0.0
    for frame, next_begins in _timed(path, container, times[0]):
        # half a millisecond: time stamps are rounded to the container's clock
        while shown is not None and time is not None and time < next_begins - 5e-4:
            yield shown
            time = next(wanted, None)
        if time is None:
            return
        shown, begins = frame, next_begins
    ends = begins + last_shown
    while shown is not None and time is not None and time < ends:
        yield shown
        time = next(wanted, None)
    if time is not None:
        raise ValueError(
            f"{path}: ends after {ends:.2f} s; {len(times)} frames from {times[0]:g} s on end at "
            f"{times[-1]:.2f} s; ask for fewer, an earlier start or a higher frame rate"
        )


def _timed(
    path: str | Path, container: "InputContainer", start: float
) -> Iterator[tuple["VideoFrame", float]]:
    """Frames from the key frame before ``start`` on, each with the second at which it appears."""
    import av

    stream = container.streams.video[0]
    clock = cast(Fraction, stream.time_base)  # None only where a file is being written
    origin = stream.start_time or 0
    try:
        if start > 0:
            container.seek(origin + int(start / clock), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None or frame.is_corrupt:
                raise ValueError(f"{path}: a frame is damaged or has no time; convert it to MP4")
            yield frame, float((frame.pts - origin) * clock)
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: can not be decoded to its end ({error.strerror})") from error


def _resized(frame: "VideoFrame", size: int | tuple[int, int] | None) -> Tensor:
    """A frame (3, H, W) in [0, 1], the right way up."""
    pixels = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1) / 255
    pixels = pixels.rot90(round(frame.rotation / 90), dims=(1, 2))
    if size is None:
        return pixels
    if isinstance(size, int):
        height, width = pixels.shape[1:]
        scale = size / min(height, width)
        size = round(height * scale), round(width * scale)
    resized = interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    return resized.clamp_(0, 1)  # weights that sum to 1, to rounding, leave the range
