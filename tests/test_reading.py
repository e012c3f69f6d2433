"""Video files to clips, beside a plain decode of every frame."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import PictureType
from hypothesis import assume, given
from hypothesis import strategies as st

from captum_video.reading import read_clip, video_properties
from captum_video.visualization import save_mp4

RATE = 10
N_FRAMES = 40
SECONDS = N_FRAMES / RATE
# one eighth of a second: containers and players may begin at any time
FIRST_SHOWN = 0.125


def distinct(path: Path, n_frames: int = N_FRAMES, start: float = FIRST_SHOWN) -> Path:
    """A video of which no two frames are alike, with B-frames and a key frame every 12."""
    draw = np.random.default_rng(0)
    background = draw.integers(0, 200, (16, 24, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 24, 16, "rgb24"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"x264-params": "qp=1:bframes=3:b-adapt=0:keyint=12:scenecut=0"}
        for i in range(n_frames):
            pixels = background.copy()
            pixels[i % 16, : 1 + i // 2] = 255 - 5 * i
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(1000 * (start + i / RATE)), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> torch.Tensor:
    """All frames (T, 3, H, W) in [0, 1], as a plain decode gives them."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2) / 255


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return distinct(tmp_path_factory.mktemp("video") / "distinct.mkv")


@pytest.fixture(scope="module")
def frames(video):
    return decoded(video)


def test_the_video_is_as_meant(video, frames):
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        kinds = [PictureType(frame.pict_type).name for frame in container.decode(stream)]
        assert stream.start_time * stream.time_base == pytest.approx(FIRST_SHOWN, abs=2e-3)
    assert {"I", "P", "B"} <= set(kinds)
    assert kinds.count("I") > 2
    assert len(frames.flatten(1).unique(dim=0)) == N_FRAMES


def test_all_frames_are_those_of_a_plain_decode(video, frames):
    clip = read_clip(video, N_FRAMES)
    assert clip.shape == (1, 3, N_FRAMES, 16, 24)
    assert clip.dtype == torch.float32
    torch.testing.assert_close(clip[0].transpose(0, 1), frames, rtol=0, atol=0)


@given(
    start=st.integers(0, round(1000 * SECONDS) - 1),
    rate=st.sampled_from([2, 3, 7.5, RATE, 15, 40]),
    n_frames=st.integers(1, 12),
)
def test_each_frame_is_the_one_on_show(video, frames, start, rate, n_frames):
    times = [start / 1000 + i / rate for i in range(n_frames)]
    assume(abs(times[-1] - SECONDS) > 1e-3)
    if times[-1] > SECONDS:
        with pytest.raises(ValueError, match=r"ends after 4\.00 s"):
            read_clip(video, n_frames, start=start / 1000, frame_rate=rate)
        return
    clip = read_clip(video, n_frames, start=start / 1000, frame_rate=rate)
    # a frame is on show from half a millisecond before its time, for clocks round
    expected = frames[[int((time + 5e-4) * RATE) for time in times]]
    torch.testing.assert_close(clip[0].transpose(0, 1), expected, rtol=0, atol=0)


@pytest.mark.parametrize("start", [0.1, 0.3, 1.1, 1.2, 1.3, 2.4, 3.9])
def test_a_frame_begins_at_its_time(video, frames, start):
    clip = read_clip(video, 1, start=start)
    torch.testing.assert_close(clip[0, :, 0], frames[round(start * RATE)], rtol=0, atol=0)


def test_a_higher_rate_repeats_frames(video, frames):
    clip = read_clip(video, 8, frame_rate=2 * RATE)
    torch.testing.assert_close(clip[0, :, ::2], clip[0, :, 1::2], rtol=0, atol=0)
    torch.testing.assert_close(clip[0, :, ::2].transpose(0, 1), frames[:4], rtol=0, atol=0)


def test_ends_before_the_last_frame(video):
    with pytest.raises(ValueError, match=r"distinct\.mkv: ends after 4\.00 s; 41 frames") as error:
        read_clip(video, 41)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="ends after"):
        read_clip(video, 1, start=60)


def test_what_save_mp4_writes_is_read_back(tmp_path):
    written = torch.zeros(3, 12, 32, 48)
    for i in range(12):
        written[i % 3, i, :, 4 * i : 4 * i + 8] = 1
    save_mp4(tmp_path / "clip.mp4", written, fps=12.5)
    assert video_properties(tmp_path / "clip.mp4") == pytest.approx((12.5, 12 / 12.5))
    torch.testing.assert_close(
        read_clip(tmp_path / "clip.mp4", 12)[0].transpose(0, 1),
        decoded(tmp_path / "clip.mp4"),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize(
    ("size", "expected"), [(8, (8, 12)), ((10, 6), (10, 6)), (32, (32, 48)), (None, (16, 24))]
)
def test_size(video, frames, size, expected):
    clip = read_clip(video, 2, size=size)
    assert clip.shape[3:] == expected
    assert 0 <= clip.min() <= clip.max() <= 1 + 1e-6
    torch.testing.assert_close(
        clip[0].mean((1, 2, 3)), frames[:2].mean((0, 2, 3)), atol=0.03, rtol=0
    )


def turned(path: Path, matrix: tuple[int, ...]) -> Path:
    """The same MP4, whose track header says how players are to turn its frames."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    # version and flags, times, ids, layer, volume: 40 bytes of version 0, then the matrix
    place = header + 4 + 40
    assert data[header + 4] == 0
    data[place : place + 36] = b"".join(one.to_bytes(4, "big", signed=True) for one in matrix)
    path.with_name("turned.mp4").write_bytes(data)
    return path.with_name("turned.mp4")


ONE, W = 1 << 16, 1 << 30


@pytest.mark.parametrize(
    ("matrix", "quarters_to_the_right"),
    [
        ((ONE, 0, 0, 0, ONE, 0, 0, 0, W), 0),
        ((0, ONE, 0, -ONE, 0, 0, 0, 0, W), 1),
        ((-ONE, 0, 0, 0, -ONE, 0, 0, 0, W), 2),
        ((0, -ONE, 0, ONE, 0, 0, 0, 0, W), 3),
    ],
)
def test_frames_of_a_telephone_are_turned(tmp_path, matrix, quarters_to_the_right):
    # (a, b, c, d) bring x to a x + c y and y to b x + d y, y pointing down
    written = torch.zeros(3, 2, 32, 48)
    written[0, :, :16, :16] = 1
    save_mp4(tmp_path / "held.mp4", written)
    straight = read_clip(tmp_path / "held.mp4", 2)
    found = read_clip(turned(tmp_path / "held.mp4", matrix), 2)
    expected = straight.rot90(-quarters_to_the_right, (3, 4))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_frames": 0}, "n_frames: expected at least 1, got 0"),
        ({"n_frames": 2.0}, "n_frames: expected at least 1, got 2.0"),
        ({"start": -1.0}, "start: expected seconds from 0 on"),
        ({"start": float("nan")}, "start: expected seconds from 0 on"),
        ({"frame_rate": 0.0}, "frame_rate: expected frames per second above 0"),
        ({"size": 0}, "size: expected"),
        ({"size": (8, 0)}, "size: expected"),
        ({"size": (8, 8, 8)}, "size: expected"),
    ],
)
def test_options_out_of_range(video, options, message):
    with pytest.raises(ValueError, match=message):
        read_clip(video, **options)


def test_no_such_file(tmp_path):
    for read in (read_clip, video_properties):
        with pytest.raises(FileNotFoundError, match=r"none\.mp4: no such video"):
            read(tmp_path / "none.mp4")


def test_not_a_video(tmp_path):
    (tmp_path / "text.mp4").write_text("no video " * 100)
    with pytest.raises(ValueError, match=r"text\.mp4: not a video that can be decoded"):
        read_clip(tmp_path / "text.mp4")


def test_a_playlist_opens_nothing(tmp_path, video):
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{video}'\n")
    with pytest.raises(ValueError, match=r"list\.mp4: not a video that can be decoded"):
        read_clip(tmp_path / "list.mp4", 1)


def test_sound_alone(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate, sound.pts = 8000, 0
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"sound\.mp4: holds no video"):
        read_clip(path)


def test_a_file_that_was_cut_off(tmp_path, video):
    (tmp_path / "cut.mkv").write_bytes(video.read_bytes()[:6000])
    with pytest.raises(ValueError, match=r"cut\.mkv: (ends after|can not be decoded|a frame is)"):
        read_clip(tmp_path / "cut.mkv", N_FRAMES)


def test_properties_do_not_count_the_delay(video):
    found = video_properties(video)
    assert found.frame_rate == RATE
    assert found.duration == pytest.approx(SECONDS, abs=0.01)


def test_without_pyav(video, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for read in (read_clip, video_properties):
        with pytest.raises(ImportError, match=r"pip install captum-video\[video\]"):
            read(video)
