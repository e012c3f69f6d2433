"""Which frames a clip takes: PAN's closed form, every start possible, nothing out of range."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks_kth_mad.data.sampling import ClipShape, clip_tensor, frame_numbers, resize_frames
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import build_model, load_checkpoint
from benchmarks_kth_mad.models.checkpoints import FORMAT

PAN = ClipShape(frames=32, segments=8)


@st.composite
def shapes(draw) -> ClipShape:
    segments, length = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    return ClipShape(frames=segments * length, segments=segments, stride=draw(st.integers(1, 3)))


def segments_of(numbers: list[int], shape: ClipShape) -> list[list[int]]:
    length = shape.frames // shape.segments
    return [numbers[k : k + length] for k in range(0, len(numbers), length)]


def pan_offsets(n_frames: int, segments: int, length: int) -> list[int]:
    """The published evaluation sampling, in its own words, less one: we count from 0."""
    tick = (n_frames - length + 1) / float(segments)
    return [int(tick / 2.0 + tick * x) + 1 - 1 for x in range(segments)]


@pytest.mark.parametrize("n_frames", [32, 33, 36, 40, 47, 100, 1001])
def test_evaluation_takes_the_frames_that_pan_takes(n_frames: int) -> None:
    expected = [offset + k for offset in pan_offsets(n_frames, 8, 4) for k in range(4)]
    assert frame_numbers(n_frames, PAN) == expected


def test_closed_forms() -> None:
    assert frame_numbers(32, PAN)[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
    two = ClipShape(frames=4, segments=2)
    assert frame_numbers(9, two) == [2, 3, 6, 7]
    assert frame_numbers(9, ClipShape(frames=4, segments=2, stride=3)) == [1, 4, 4, 7]
    assert frame_numbers(1, two) == [0, 0, 0, 0]
    assert frame_numbers(3, ClipShape(frames=8, segments=2)) == [0, 1, 2, 2, 0, 1, 2, 2]


@given(shapes(), st.integers(1, 80), st.integers(0, 2**16), st.booleans())
def test_segments_run_on_stay_inside_and_follow_each_other(
    shape: ClipShape, available: int, seed: int, drawn: bool
) -> None:
    generator = torch.Generator().manual_seed(seed) if drawn else None
    numbers = frame_numbers(available, shape, generator)
    assert len(numbers) == shape.frames
    parts = segments_of(numbers, shape)
    for part in parts:
        steps = range(0, len(part) * shape.stride, shape.stride)
        assert part == [min(part[0] + step, available - 1) for step in steps]
        assert 0 <= part[0] <= max(available - shape.span, 0)
    starts = [part[0] for part in parts]
    assert starts == sorted(starts)


@given(shapes(), st.integers(1, 80), st.integers(0, 2**16))
def test_draws_stay_within_their_tick(shape: ClipShape, available: int, seed: int) -> None:
    numbers = frame_numbers(available, shape, torch.Generator().manual_seed(seed))
    places = max(available - shape.span + 1, 1)
    for x, part in enumerate(segments_of(numbers, shape)):
        low, high = places * x / shape.segments, places * (x + 1) / shape.segments
        assert low - 1 < part[0] < high


@pytest.mark.parametrize(
    ("available", "shape"),
    [
        (7, ClipShape(frames=4)),
        (16, ClipShape(frames=16)),
        (11, ClipShape(frames=6, segments=3)),
        (13, ClipShape(frames=8, segments=2, stride=2)),
        (5, ClipShape(frames=8, segments=4)),
    ],
)
def test_every_start_is_possible_and_the_last_one_too(available: int, shape: ClipShape) -> None:
    generator = torch.Generator().manual_seed(0)
    seen = {
        part[0]
        for _ in range(300)
        for part in segments_of(frame_numbers(available, shape, generator), shape)
    }
    assert seen == set(range(available - shape.span + 1))


def test_same_seed_same_frames() -> None:
    def draws(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [frame_numbers(50, PAN, generator) for _ in range(5)]

    assert draws(1) == draws(1) != draws(2)


def test_frames_that_the_segments_do_not_divide() -> None:
    with pytest.raises(BenchmarkError, match="expected a multiple of the 8 segments, got 30"):
        ClipShape(frames=30, segments=8)
    with pytest.raises(BenchmarkError, match="clip segments: expected a whole number of at least"):
        ClipShape(segments=0)


def test_checkpoints_from_before_segments_load(tmp_path) -> None:
    model = build_model("r3d_small", 2, 1)
    clip = asdict(ClipShape(channels=1))
    clip.pop("segments")
    content = {"format": FORMAT, "model": "r3d_small", "settings": {}, "classes": ["a", "b"]}
    torch.save(content | {"clip": clip, "state": model.state_dict()}, tmp_path / "old.pt")
    assert load_checkpoint(tmp_path / "old.pt").clip == ClipShape(channels=1)


def test_colours_become_channels_or_luma() -> None:
    frames = np.zeros((2, 4, 6, 3), np.uint8)
    frames[..., 0], frames[1, ..., 2] = 255, 51
    clip = clip_tensor(frames, 3)
    assert clip.shape == (3, 2, 4, 6)
    assert clip[:, 1, 0, 0].tolist() == pytest.approx([1, 0, 0.2])
    luma = clip_tensor(frames, 1)
    assert luma.shape == (1, 2, 4, 6)
    assert luma[0, :, 0, 0].tolist() == pytest.approx([0.299, 0.299 + 0.114 / 5], abs=0.5 / 255)


def test_colours_are_resized_one_by_one() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3), dtype=np.uint8)
    for size in ((12, 16), (48, 64)):
        together = resize_frames(frames, *size)
        for channel in range(3):
            alone = resize_frames(frames[..., channel].copy(), *size)
            np.testing.assert_array_equal(together[..., channel], alone)
