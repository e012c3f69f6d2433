import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captum_video.metrics import half_energy_area

shares = st.floats(0.05, 1)


@st.composite
def maps(draw):
    """Maps of any sign, some of few distinct values, some without positive mass."""
    shape = draw(st.sampled_from([(1, 1), (2, 7), (2, 3, 4, 5), (3, 2, 2, 4, 3)]))
    found = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 999))))
    found = found.round() if draw(st.booleans()) else found
    found[0] = -found[0].abs() if draw(st.booleans()) else found[0]
    return found * 10.0 ** draw(st.integers(-3, 3))


def test_closed_forms():
    cases = {
        (1.0, 0, 0, 0): (0.25, 0.25),
        (1.0, 1, 1, 1): (0.5, 1),
        (3.0, 1, 1, 1): (0.25, 1),
        (2.0, 1, 1, 1): (0.5, 1),
        (3.0, 2, 0, -9): (0.25, 0.5),
        (0.0, 0, 0, 0): (0.5, 1),  # singles nothing out, as a uniform map
        (-1.0, 0, -3, -2): (0.5, 1),
    }
    for values, expected in cases.items():
        given_ = torch.tensor([values])
        found = [half_energy_area(given_, share).item() for share in (0.5, 1)]
        assert found == pytest.approx(expected), values


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_noise_and_ramps_score_what_the_docstring_says(share):
    noise = torch.rand(2, 200_000, generator=torch.Generator().manual_seed(0))
    expected = 1 - (1 - share) ** 0.5
    assert half_energy_area(noise, share).tolist() == pytest.approx([expected] * 2, rel=0.01)
    constant = torch.full((1, 1000), 0.1)
    assert half_energy_area(constant, share).item() == pytest.approx(share)


@given(maps(), shares)
def test_equals_a_slow_loop(given_, share):
    found = half_energy_area(given_, share)
    assert found.shape == given_.shape[:1]
    assert found.dtype == torch.float64
    for n, row in enumerate(given_.double()):
        expected = oracles.area_of_energy(row.flatten().tolist(), share)
        assert found[n].item() == pytest.approx(expected)


@given(maps(), shares, st.floats(0.01, 100), st.integers(0, 99))
def test_knows_no_scale_no_place_and_no_channels(given_, share, scale, seed):
    given_ = given_.double()
    before, found = given_.clone(), half_energy_area(given_, share)
    place = torch.randperm(given_[0].numel(), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(half_energy_area(given_.flatten(1)[:, place], share), found)
    torch.testing.assert_close(half_energy_area(given_ * scale, share), found)
    assert torch.equal(half_energy_area(given_.flip(0), share), found.flip(0))
    assert ((found > 0) & (found <= 1)).all()
    assert (half_energy_area(given_, min(1, share * 1.5)) >= found).all()
    channels = half_energy_area(given_[:, None].expand(-1, 3, *given_.shape[1:]), share)
    assert (channels <= found + 1e-12).all()
    assert (channels > found - 1 / given_[0].numel()).all()
    assert torch.equal(given_, before)


@pytest.mark.parametrize(
    ("given_", "share", "error", "message"),
    [
        (torch.rand(1, 4), 0.0, ValueError, "share: expected 0 < share <= 1, got 0.0"),
        (torch.rand(1, 4), 1.1, ValueError, "got 1.1"),
        (torch.rand(1, 4), float("nan"), ValueError, "got nan"),
        (torch.rand(4), 0.5, ValueError, r"\(N, ...\) and not empty, got \(4,\)"),
        (torch.rand(0, 4), 0.5, ValueError, "not empty"),
        (torch.tensor([[1.0, torch.nan]]), 0.5, ValueError, "NaN or infinity"),
        (torch.ones(1, 4).int(), 0.5, TypeError, "expected floating-point, got torch.int32"),
        ((torch.rand(1, 4),), 0.5, TypeError, "expected a tensor, got tuple"),
    ],
)
def test_bad_input_says_why(given_, share, error, message):
    with pytest.raises(error, match=message):
        half_energy_area(given_, share)
