import oracles_metrics as oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, layouts

from captum_video.metrics import pointing


@st.composite
def cases(draw):
    """Maps on few levels, so that there are ties, and masks, hard or soft."""
    clip = draw(clips(n_clips=(1, 3)))
    source = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    maps = torch.randint(-3, 4, clip.shape, generator=source).float()
    shape = (len(clip), 1, *clip.shape[2:])
    mask = torch.randint(0, 5, shape, generator=source).float() / 4
    mask = (mask > 0.8).float() if draw(st.booleans()) else mask
    mask.flatten(1)[:, -1] = 1
    return maps, mask


def test_closed_forms():
    maps, mask = torch.zeros(1, 2, 3, 7, 7), torch.zeros(1, 1, 3, 7, 7, dtype=torch.bool)
    maps[0, 0, 1, 3, 3] = 1
    mask[0, 0, 2, 3, 5] = True
    assert pointing(maps, mask).item() == 0
    assert pointing(maps, mask, 2).item() == 0  # near in space, one frame late
    assert pointing(maps, mask, 1, frame_tolerance=1).item() == 0
    assert pointing(maps, mask, 2, frame_tolerance=1).item() == 1
    maps[0, :, 2, 3, 5] = 0.4  # 0.8 summed over channels
    assert pointing(maps, mask).item() == 0
    maps[0, 1, 2, 3, 5] = 0.7
    assert pointing(maps, mask).item() == 1


def test_ties_count_their_share_and_a_constant_map_has_chance():
    mask = torch.zeros(1, 1, 1, 5, 8)
    mask[..., 1:3, 0] = 1
    assert pointing(torch.zeros(1, 1, 1, 5, 8), mask).item() == pytest.approx(2 / 40)
    assert pointing(torch.ones(1, 3, 1, 5, 8), mask, 1).item() == pytest.approx(8 / 40)
    maps = torch.zeros(1, 1, 1, 5, 8)
    maps[..., 1, :4] = 1
    assert pointing(maps, mask).item() == pytest.approx(1 / 4)


@given(cases(), st.integers(0, 3), st.integers(0, 2))
@settings(max_examples=40)
def test_equals_a_slow_search(case, tolerance, frames):
    maps, mask = case
    found = pointing(maps, mask, tolerance, frame_tolerance=frames)
    assert found.dtype == torch.float64
    assert found.shape == maps.shape[:1]
    for n, one in enumerate(maps.double().sum(1)):
        expected = oracles.pointing(one.tolist(), mask[n, 0].tolist(), tolerance, frames)
        assert found[n].item() == pytest.approx(expected)


@given(st.data(), cases())
@settings(max_examples=25)
def test_knows_no_scale_no_order_of_clips_and_no_layout(data, case):
    maps, mask = case
    before = maps.clone(), mask.clone()
    found = pointing(maps, mask, 1)
    assert torch.equal(pointing(maps * 2.0**3, mask, 1), found)
    assert torch.equal(pointing(maps.flip(0), mask.flip(0), 1), found.flip(0))
    assert (pointing(maps, mask, 2, frame_tolerance=1) >= found).all()
    layout = data.draw(layouts(maps.shape[1]))
    if "(n c)" not in layout.pattern:
        assert torch.equal(pointing(layout.from_clip(maps), mask, 1, layout=layout), found)
    assert torch.equal(pointing(maps, mask.expand(-1, 3, -1, -1, -1), 1), found)
    assert torch.equal(maps, before[0])
    assert torch.equal(mask, before[1])


MAPS, MASK = torch.rand(2, 1, 2, 3, 3), torch.ones(2, 1, 2, 3, 3)


@pytest.mark.parametrize(
    ("maps", "mask", "options", "error", "message"),
    [
        (MAPS, MASK[:, :, :1], {}, ValueError, r"mask: expected \(2 or 1, channels, 2, 3, 3\)"),
        (MAPS, MASK[:, 0], {}, ValueError, r"mask: .* got \(2, 2, 3, 3\)"),
        (MAPS, MASK[[0, 0, 0]], {}, ValueError, r"got \(3, 1, 2, 3, 3\)"),
        (MAPS, MASK * 2, {}, ValueError, "mask: expected values in"),
        (MAPS, MASK * torch.nan, {}, ValueError, "mask: expected values in"),
        (MAPS, MASK * 0, {}, ValueError, r"mask: expected evidence .* got none in \[0, 1\]"),
        (MAPS, None, {}, TypeError, "mask: expected a tensor, got NoneType"),
        ((MAPS, MAPS), MASK, {}, TypeError, "maps of one input, got a tuple of 2"),
        (MAPS * torch.inf, MASK, {}, ValueError, "attributions: expected finite"),
        (MAPS.int(), MASK, {}, TypeError, "attributions: expected a floating-point"),
        (MAPS[0], MASK, {}, ValueError, "attributions: expected 5 axes"),
        (MAPS, MASK, {"tolerance": -1}, ValueError, "tolerance: expected at least 0, got -1"),
        (MAPS, MASK, {"tolerance": 1.5}, TypeError, "tolerance: expected a whole number, got 1.5"),
        (MAPS, MASK, {"frame_tolerance": -2}, ValueError, "frame_tolerance: expected at least 0"),
    ],
)
def test_bad_input_says_why(maps, mask, options, error, message):
    with pytest.raises(error, match=message):
        pointing(maps, mask, **options)
