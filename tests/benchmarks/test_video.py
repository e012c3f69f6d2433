"""Decoding returns exactly the frames asked for, or one line that says what is wrong with the file."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks_kth_mad.data.video import read_frames, write_video
from benchmarks_kth_mad.errors import BenchmarkError


def frames_that_count(count: int, height: int = 24, width: int = 32) -> np.ndarray:
    """Each frame is filled with its own number."""
    return np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None], (count, height, width)
    ).copy()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_gray_round_trip_is_lossless(tmp_path: Path) -> None:
    frames = noise(9, 24, 32)
    write_video(tmp_path / "a.avi", frames)
    np.testing.assert_array_equal(read_frames(tmp_path / "a.avi", 0, 8), frames)


def test_color_round_trip_is_lossless(tmp_path: Path) -> None:
    frames = noise(5, 24, 32, 3)
    write_video(tmp_path / "a.avi", frames)
    np.testing.assert_array_equal(read_frames(tmp_path / "a.avi", 0, 4, color=True), frames)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (3, 7), (19, 19), (0, 19)])
def test_both_ends_are_included(tmp_path: Path, first: int, last: int) -> None:
    write_video(tmp_path / "a.avi", frames_that_count(20))
    numbers = read_frames(tmp_path / "a.avi", first, last)[:, 0, 0]
    assert numbers.tolist() == list(range(first, last + 1))


def test_writing_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_video(path, noise(3, 24, 32))
    write_video(path, frames_that_count(4))
    assert read_frames(path, 0, 3)[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.avi"
    write_video(path, frames_that_count(4))

    class Interrupted:
        @staticmethod
        def from_ndarray(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks_kth_mad.data.video.av.VideoFrame", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_video(path, noise(8, 24, 32))
    monkeypatch.undo()
    assert read_frames(path, 0, 3)[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 24, 32), np.float32),
        np.zeros((0, 24, 32), np.uint8),
        np.zeros((3, 24, 32, 4), np.uint8),
        np.zeros((24, 32), np.uint8),
    ],
)
def test_unwritable_frames(tmp_path: Path, frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frames: expected uint8 \(T, H, W\)"):
        write_video(tmp_path / "a.avi", frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (4, 3)])
def test_impossible_range(tmp_path: Path, first: int, last: int) -> None:
    with pytest.raises(ValueError, match=r"expected 0 <= first <= last"):
        read_frames(tmp_path / "a.avi", first, last)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"gone\.avi: no such video"):
        read_frames(tmp_path / "gone.avi", 0, 3)


@pytest.mark.parametrize("content", [b"", b"these are words, not pictures"])
def test_not_a_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words.avi"
    path.write_bytes(content)
    with pytest.raises(BenchmarkError, match=r"words\.avi: not a video that can be decoded"):
        read_frames(path, 0, 3)


def test_too_short(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", frames_that_count(5))
    with pytest.raises(BenchmarkError, match=r"a\.avi: expected at least 8 frames, got 5"):
        read_frames(tmp_path / "a.avi", 2, 7)


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_video(path, noise(20, 48, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        BenchmarkError, match=r"a\.avi: expected at least 20 frames, got \d+: truncated"
    ):
        read_frames(path, 0, 19)
    assert read_frames(path, 0, 3).shape == (4, 48, 64)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_video(path, noise(20, 48, 64))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    for place in range(middle, middle + len(content) // 8):
        content[place] ^= 0x5A
    path.write_bytes(content)
    with pytest.raises(BenchmarkError, match=r"expected at least 20 frames, got \d+: truncated or"):
        read_frames(path, 0, 19)
