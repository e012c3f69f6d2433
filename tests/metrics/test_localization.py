import math

import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captum_video.metrics import (
    energy_in_mask,
    euclidean_distance,
    min_max,
    weighted_jaccard,
)

BOTH = (weighted_jaccard, euclidean_distance)
SHAPES = st.sampled_from([(1, 1), (1, 7), (3, 4, 5), (2, 3, 2, 4, 3)])


@st.composite
def cases(draw):
    """Maps of any sign and scale, some of few distinct values, and masks, hard or soft."""
    shape = draw(SHAPES)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    maps = torch.randn(shape, generator=generator)
    if draw(st.booleans()):
        maps = maps.round()
    mask = torch.rand(shape, generator=generator)
    if draw(st.booleans()):
        mask = mask.round()
    mask.flatten(1)[:, 0] = 1
    return maps * 10.0 ** draw(st.integers(-3, 3)), mask


def test_closed_forms():
    mask = torch.tensor([[1, 1, 0, 0]], dtype=torch.bool)
    cases = {
        (3.0, 3, 1, 1): (1, 0),  # the mask itself, on another scale
        (0.0, 0, 2, 2): (0, math.sqrt(2)),  # all of it elsewhere
        (2.0, 1, 0, 0): (0.75, math.sqrt(0.25 / 2)),
        (0.0, 4, 2, 4): (1 / 3.5, math.sqrt((1 + 0.25 + 1) / 2)),
    }
    for values, expected in cases.items():
        maps = torch.tensor([values])
        found = [score(maps, mask).item() for score in BOTH]
        assert found == pytest.approx(expected)


def test_a_constant_map_says_nothing():
    mask = torch.ones(2, 3, 4)
    for value in (0.0, 1.0, -7.0):
        maps = torch.full((2, 3, 4), value)
        assert min_max(maps).eq(0).all()
        assert weighted_jaccard(maps, mask).tolist() == [0, 0]
        assert euclidean_distance(maps, mask).tolist() == [1, 1]


@pytest.mark.parametrize("share", [0.1, 0.24, 0.6])
def test_uniform_noise_scores_what_the_docstrings_warn_of(share):
    maps = torch.rand(4, 50_000, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(50_000) < 50_000 * share).expand(4, -1)
    jaccard, distance = (score(maps, mask).mean().item() for score in BOTH)
    assert jaccard == pytest.approx(share / (1 + share), rel=0.01)
    assert distance == pytest.approx((1 / (3 * share)) ** 0.5, rel=0.01)


@given(cases())
def test_equals_a_slow_loop(case):
    maps, mask = case
    for n, pair in enumerate(zip(*(score(maps, mask).tolist() for score in BOTH), strict=True)):
        expected = oracles.box_scores(
            maps[n].double().flatten().tolist(), mask[n].double().flatten().tolist()
        )
        assert pair == pytest.approx(expected)


@given(cases(), st.floats(0.01, 100), st.floats(-5, 5))
def test_scale_offset_order_and_range(case, scale, offset):
    maps, mask = case[0].double(), case[1]
    before = maps.clone()
    for score in BOTH:
        found = score(maps, mask)
        assert found.shape == maps.shape[:1]
        assert found.dtype == torch.float64
        assert (found >= 0).all()
        torch.testing.assert_close(score(maps * scale + offset, mask), found, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(score(maps.flip(0), mask.flip(0)), found.flip(0))
    assert (weighted_jaccard(maps, mask) <= 1).all()
    assert torch.equal(maps, before)


def test_energy_closed_forms():
    mask = torch.tensor([[1.0, 1, 0.5, 0]])
    cases = {
        (2.0, 1, 0, 0): 1,
        (0.0, 0, 0, 3): 0,
        (1.0, 1, 1, 1): 2.5 / 4,  # chance: the mask's area
        (1.0, 0, 2, 1): 0.5,
        (1.0, -9, 0, 1): 0.5,  # evidence against has no mass
        (0.0, 0, 0, 0): 2.5 / 4,
        (-1.0, -2, -3, -4): 2.5 / 4,
    }
    for values, expected in cases.items():
        assert energy_in_mask(torch.tensor([values]), mask).item() == pytest.approx(expected)
    noise = torch.rand(1, 50_000, generator=torch.Generator().manual_seed(0))
    quarter = (torch.arange(50_000) < 12_500)[None]
    assert energy_in_mask(noise, quarter).item() == pytest.approx(0.25, rel=0.02)


@given(cases(), st.floats(0.01, 100))
def test_energy_equals_a_slow_loop_and_knows_no_scale(case, scale):
    maps, mask = case
    before = maps.clone()
    found = energy_in_mask(maps, mask)
    assert found.dtype == torch.float64
    for n, row in enumerate(maps.double()):
        expected = oracles.energy_inside(row.flatten().tolist(), mask[n].flatten().tolist())
        assert found[n].item() == pytest.approx(expected)
    torch.testing.assert_close(energy_in_mask(maps.double() * scale, mask), found)
    torch.testing.assert_close(energy_in_mask(maps.flip(0), mask.flip(0)), found.flip(0))
    inside, outside = mask.round(), 1 - mask.round()
    if outside.flatten(1).amax(1).min() > 0:
        parts = energy_in_mask(maps, inside) + energy_in_mask(maps, outside)
        torch.testing.assert_close(parts, torch.ones_like(parts))
    assert torch.equal(maps, before)


@pytest.mark.parametrize("score", [*BOTH, energy_in_mask])
def test_one_mask_serves_all_channels_and_clips(score):
    maps, mask = torch.rand(2, 3, 4, 5, 5), torch.rand(1, 1, 4, 5, 5)
    torch.testing.assert_close(score(maps, mask), score(maps, mask.expand_as(maps).contiguous()))


@pytest.mark.parametrize("score", [*BOTH, energy_in_mask])
@pytest.mark.parametrize(
    ("maps", "mask", "error", "message"),
    [
        (torch.rand(2, 3), torch.ones(2, 4), ValueError, r"got \(2, 4\) for \(2, 3\)"),
        (torch.rand(3), torch.ones(3), ValueError, r"\(N, ...\)"),
        (torch.rand(2, 3), torch.ones(3), ValueError, r"got \(3,\) for \(2, 3\)"),
        (torch.rand(0, 3), torch.ones(0, 3), ValueError, "not empty"),
        (
            torch.tensor([[1.0, math.nan]]),
            torch.ones(1, 2),
            ValueError,
            "attributions: expected fi",
        ),
        (
            torch.tensor([[1.0, math.inf]]),
            torch.ones(1, 2),
            ValueError,
            "attributions: expected fi",
        ),
        (torch.rand(1, 2), torch.tensor([[1.0, math.nan]]), ValueError, "mask: expected values in"),
        (torch.rand(1, 2), torch.tensor([[1.0, 2.0]]), ValueError, "got 1.0 to 2.0"),
        (torch.rand(1, 2), torch.tensor([[1.0, -1.0]]), ValueError, "got -1.0 to 1.0"),
        (torch.rand(2, 2), torch.tensor([[1, 1], [0, 0]]), ValueError, r"got none in \[1\]"),
        (torch.ones(1, 2).int(), torch.ones(1, 2), TypeError, "expected floating-point"),
        ([[1.0]], torch.ones(1, 1), TypeError, "attributions: expected a tensor, got list"),
        (torch.rand(1, 1), None, TypeError, "mask: expected a tensor, got NoneType"),
    ],
)
def test_refuses(score, maps, mask, error, message):
    with pytest.raises(error, match=message):
        score(maps, mask)
