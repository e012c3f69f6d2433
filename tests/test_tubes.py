"""Tubes and regions as masks."""

import oracles_tubes
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import extents, windows

from captum_video import Extent
from captum_video.masks import Chosen, Regions, SlidingWindows, Tubes, labels_of, values_of

small = st.builds(Extent, st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))


def flow_of(extent, seed, speed=2.0):
    source = torch.Generator().manual_seed(seed)
    return speed * torch.randn(2, *extent, generator=source, dtype=torch.float64)


@given(st.data(), extents)
@settings(max_examples=40)
def test_without_motion_tubes_are_windows(data, extent):
    window, strides = data.draw(windows(extent))
    tubes = Tubes(extent, window, strides, torch.zeros(2, *extent))
    plain = SlidingWindows(extent, window, strides)
    assert torch.equal(tubes[:], plain[:])
    weights = torch.rand(2, len(plain))
    torch.testing.assert_close(tubes.hidden_sum(weights), plain.hidden_sum(weights))


@given(st.data(), small, st.integers(0, 99), st.sampled_from([0.3, 1.0, 4.0]))
@settings(max_examples=40)
def test_tubes_equal_a_slow_loop(data, extent, seed, speed):
    window, strides = data.draw(windows(extent))
    flow = flow_of(extent, seed, speed)
    masks = Tubes(extent, window, strides, flow)
    expected = torch.stack(oracles_tubes.tubes(extent, window, strides, flow))
    assert torch.equal(1 - masks[:][:, 0], expected)
    assert (expected.sum(0) >= 1).all()
    a = data.draw(st.integers(0, len(masks)))
    b = data.draw(st.integers(a, len(masks)))
    assert torch.equal(torch.cat([masks[:a], masks[a:b], masks[b:]]), masks[:])
    weights = torch.rand(2, len(masks))
    torch.testing.assert_close(
        masks.hidden_sum(weights), torch.einsum("nk,kthw->nthw", weights, expected)
    )


def test_a_tube_goes_where_everything_goes():
    """One pixel to the right and two down per frame, in closed form."""
    extent = Extent(3, 9, 8)
    flow = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).expand(2, *extent)
    tubes = Tubes(extent, (3, 3, 4), (3, 3, 4), flow)
    first = 1 - tubes[:1][0, 0]
    own = torch.zeros(extent)
    for t in range(3):
        own[t, 2 * t : 2 * t + 3, t : t + 4] = 1
    assert (first >= own).all()
    behind = first - own  # what opens up behind the first tube is nearest to it
    assert behind[0].sum() == 0
    assert behind[1].nonzero().tolist() == [[y, x] for y in (0, 1) for x in range(5)] + [
        [y, 0] for y in (2, 3, 4)
    ]
    assert torch.equal(1 - tubes[:][:, 0].prod(0), torch.ones(extent))


def test_squares_that_have_left_hide_nothing_and_come_back():
    extent = Extent(3, 1, 4)
    flow = torch.zeros(2, *extent)
    flow[0, 0], flow[0, 1] = 100.0, -100.0
    masks = Tubes(extent, (3, 1, 2), (3, 1, 2), flow)[:].reshape(2, 3, 4)
    assert masks[1].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]]
    assert masks[0].tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((2, 2, 2), (3, 1, 1), torch.zeros(2, 4, 6, 5)), ValueError, "exceeds window"),
        (((5, 2, 2), (1, 1, 1), torch.zeros(2, 4, 6, 5)), ValueError, "exceeds clip"),
        (((2, 2, 2), (0, 1, 1), torch.zeros(2, 4, 6, 5)), ValueError, "stride: expected sizes"),
        (((2, 2, 2), (1, 1, 1), torch.zeros(2, 3, 6, 5)), ValueError, r"flow: expected \(2, 4, 6"),
        (
            ((2, 2, 2), (1, 1, 1), torch.full((2, 4, 6, 5), torch.nan)),
            ValueError,
            "flow: .* finite",
        ),
        (((2, 2, 2), (1, 1, 1), torch.zeros(2, 4, 6, 5).int()), TypeError, "flow: .*floating"),
    ],
)
def test_bad_tubes_say_why(arguments, error, message):
    with pytest.raises(error, match=message):
        Tubes(Extent(4, 6, 5), *arguments)


@given(small, st.integers(0, 99), st.integers(1, 6))
@settings(max_examples=30)
def test_regions_hide_one_label_at_a_time(extent, seed, n_labels):
    source = torch.Generator().manual_seed(seed)
    labels = 3 * torch.randint(n_labels, tuple(extent), generator=source) - 4
    masks = Regions(labels)
    assert masks.values.tolist() == sorted(set(labels.flatten().tolist()))
    hidden = 1 - masks[:][:, 0]
    assert torch.equal(hidden.sum(0), torch.ones(extent))
    for one, value in zip(hidden, masks.values, strict=True):
        assert torch.equal(one == 1, labels == value)
    weights = torch.rand(2, len(masks))
    expected = torch.einsum("nk,kthw->nthw", weights, hidden)
    torch.testing.assert_close(masks.hidden_sum(weights), expected)
    more = Regions(labels, torch.tensor([-5, *masks.values.tolist(), 99]))
    assert more[:1].min() == more[-1 + len(more) :].min() == 1
    padded = torch.cat([torch.rand(2, 1), weights, torch.rand(2, 1)], dim=1)
    torch.testing.assert_close(more.hidden_sum(padded), expected)


def test_runs_of_frames_stay_views():
    labels = torch.tensor([0, 0, 1]).reshape(3, 1, 1).expand(3, 4, 5)
    (of_clips,) = labels_of(labels, (torch.rand(2, 1, 3, 4, 5),))
    masks = Regions(of_clips[1])[:]
    assert masks.shape == (2, 1, 3, 4, 5)
    assert masks.stride()[-2:] == (0, 0)
    assert masks[:, 0, :, 0, 0].tolist() == [[0, 0, 1], [1, 1, 0]]


def test_labels_of_all_clips_or_each_and_of_inputs():
    clips = torch.rand(2, 3, 2, 2, 2), torch.rand(2, 1, 2, 2, 2)
    one = torch.arange(8).reshape(2, 2, 2)
    each = torch.stack([one, one + 5])[:, None]
    for given_, expected in ((one, [one, one]), (one[None, None], [one, one]), (each, each[:, 0])):
        for labels in labels_of(given_, clips):
            assert labels.dtype == torch.int64
            assert torch.equal(labels, torch.stack(list(expected)))
    first, second = labels_of((one > 3, each.to(torch.uint8)), clips)
    assert first.unique().tolist() == [0, 1]
    assert torch.equal(second, each[:, 0])
    assert values_of([first[0], second[1]]).tolist() == [0, 1, *range(5, 13)]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([[1]], TypeError, "feature_mask: expected a tensor of labels, got list"),
        (
            torch.zeros(2, 2, 2),
            TypeError,
            "feature_mask: expected whole numbers, got torch.float32",
        ),
        (torch.zeros(2, 2, 3).long(), ValueError, r"expected \(2, 2, 2\) or \(3, 1, 2, 2, 2\)"),
        (torch.zeros(2, 1, 2, 2, 2).long(), ValueError, r"got \(2, 1, 2, 2, 2\)"),
        (torch.zeros(3, 2, 2, 2).long(), ValueError, r"got \(3, 2, 2, 2\)"),
        ((torch.zeros(2, 2, 2).long(),) * 2, ValueError, r"one per input \(1\), got 2"),
        ((), ValueError, r"one per input \(1\), got 0"),
    ],
)
def test_bad_labels_say_why(labels, error, message):
    with pytest.raises(error, match=message):
        labels_of(labels, (torch.rand(3, 1, 2, 2, 2),))


def test_chosen_masks_of_a_stream():
    stream = SlidingWindows(Extent(2, 3, 3), (1, 2, 2), (1, 1, 1))
    numbers = torch.tensor([5, 0, 3])
    masks = Chosen(stream, numbers)
    assert len(masks) == 3
    assert torch.equal(masks[:], stream[:][numbers])
    assert torch.equal(masks[1:3], stream[:][numbers[1:]])
    frames = SlidingWindows(Extent(2, 3, 3), (1, 3, 3), (1, 3, 3))
    assert Chosen(frames, numbers[1:2])[:].stride()[-2:] == (0, 0)
