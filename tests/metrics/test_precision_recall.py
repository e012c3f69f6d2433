import oracles_metrics as oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captum_video.metrics import energy_in_mask, precision_and_recall


@st.composite
def cases(draw):
    """Maps of any sign, some of few distinct values, some without positive mass; masks, hard or soft."""
    shape = draw(st.sampled_from([(1, 1), (2, 7), (3, 4, 5), (2, 1, 2, 4, 3)]))
    source = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    maps = torch.randn(shape, generator=source).double()
    maps = maps.round() if draw(st.booleans()) else maps
    maps[0] = -maps[0].abs() if draw(st.booleans()) else maps[0]
    mask = torch.rand(shape, generator=source).double()
    mask = mask.round() if draw(st.booleans()) else mask
    mask.flatten(1)[:, -1] = 1
    return maps, mask


def test_closed_forms():
    mask = torch.zeros(1, 10)
    mask[:, :4] = 1
    cases = {
        "all inside": (mask, (1, 0.5, 0.8)),
        "none inside": (1 - mask, (0, 0, 0)),
        "uniform": (torch.ones(1, 10), (0.4, 0.5, 0.32)),
        "silent": (-torch.ones(1, 10), (0.4, 0.5, 0.32)),
    }
    for name, (maps, expected) in cases.items():
        found = [area.item() for area in precision_and_recall(maps, mask)]
        assert found == pytest.approx(expected), name
    # half of the mass inside, all of it first: precision 1 to x = .5, then .5 / x
    maps = torch.tensor([[5.0, 1, 1, 1, 1, 1]])
    mask = torch.tensor([[1.0, 0, 0, 0, 0, 0]])
    x = [k / 10 for k in range(1, 10)]
    precision, recall = [min(1, 0.5 / s) for s in x], [min(1, 2 * s) for s in x]
    expected = [
        sum((y[i] + y[i + 1]) / 2 for i in range(8)) / 8 for y in (precision, recall)
    ]  # the axis is divided by its width
    found = precision_and_recall(maps, mask)
    assert [found.aup.item(), found.aur.item()] == pytest.approx(expected)
    assert found.aupr.item() == pytest.approx(0.8)  # recall .2 to 1 at precision 1


def test_some_mass_outside_can_rank_above_none():
    """What the docstring warns of."""
    mask = torch.tensor([[1.0, 1, 0]])
    right, more = torch.tensor([[1.0, 1, 0]]), torch.tensor([[4.5, 4.5, 1]])
    assert precision_and_recall(more, mask).aupr > precision_and_recall(right, mask).aupr + 0.05


@given(cases())
@settings(max_examples=50)
def test_equals_a_slow_loop(case):
    maps, mask = case
    found = precision_and_recall(maps, mask)
    for n in range(len(maps)):
        expected = oracles.precision_and_recall(
            maps[n].flatten().tolist(), mask[n].flatten().tolist()
        )
        assert [one[n].item() for one in found] == pytest.approx(expected, abs=1e-9)
    for one in found:
        assert one.dtype == torch.float64
        assert one.shape == maps.shape[:1]
        assert ((one >= 0) & (one <= 1 + 1e-9)).all()


@given(cases(), st.integers(0, 99))
@settings(max_examples=30)
def test_knows_no_scale_no_place_and_no_channels(case, seed):
    maps, mask = case
    before = maps.clone(), mask.clone()
    found = torch.stack(precision_and_recall(maps, mask))
    place = torch.randperm(maps[0].numel(), generator=torch.Generator().manual_seed(seed))
    mixed = precision_and_recall(maps.flatten(1)[:, place], mask.flatten(1)[:, place])
    torch.testing.assert_close(torch.stack(mixed), found)
    torch.testing.assert_close(torch.stack(precision_and_recall(8 * maps, mask)), found)
    torch.testing.assert_close(
        torch.stack(precision_and_recall(maps.flip(0), mask.flip(0))), found.flip(1)
    )
    wide = maps[:, None].expand(-1, 3, *maps.shape[1:])
    torch.testing.assert_close(torch.stack(precision_and_recall(wide, mask[:, None])), found)
    assert torch.equal(maps, before[0])
    assert torch.equal(mask, before[1])


def test_random_maps_have_chance():
    source = torch.Generator().manual_seed(0)
    maps = torch.rand(4, 20_000, generator=source)
    mask = (torch.arange(20_000) < 5_000).float()[None]
    found = precision_and_recall(maps, mask)
    assert found.aup.tolist() == pytest.approx([0.25] * 4, abs=0.02)
    assert found.aur.tolist() == pytest.approx([0.5] * 4, abs=0.02)
    assert found.aupr.tolist() == pytest.approx([0.2] * 4, abs=0.02)
    assert energy_in_mask(maps, mask).tolist() == pytest.approx([0.25] * 4, abs=0.02)


@pytest.mark.parametrize(
    ("maps", "mask", "error", "message"),
    [
        (torch.rand(2, 3), torch.ones(2, 4), ValueError, r"mask: .* got \(2, 4\) for \(2, 3\)"),
        (torch.rand(2, 3), torch.zeros(2, 3), ValueError, r"mask: .* got none in \[0, 1\]"),
        (torch.rand(2, 3) * torch.nan, torch.ones(2, 3), ValueError, "attributions: expected fin"),
        (torch.rand(2, 3), torch.full((2, 3), 2.0), ValueError, "mask: expected values in"),
        (torch.ones(2, 3).int(), torch.ones(2, 3), TypeError, "expected floating-point"),
        (torch.rand(2, 3), None, TypeError, "mask: expected a tensor"),
    ],
)
def test_bad_input_says_why(maps, mask, error, message):
    with pytest.raises(error, match=message):
        precision_and_recall(maps, mask)
