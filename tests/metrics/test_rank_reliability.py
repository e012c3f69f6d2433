import math

import oracles_metrics as oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captum_video.metrics import reliability


@st.composite
def tables(draw, levels=4):
    """Values of videos and methods, with ties."""
    shape = draw(st.integers(2, 7)), draw(st.integers(2, 6))
    source = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    return torch.randint(0, levels, shape, generator=source).double()


def test_closed_forms():
    agree = torch.tensor([[0.0, 1, 2, 3]]).repeat(5, 1)
    assert reliability(agree, 0, True) == pytest.approx((1, 1))
    assert reliability(-agree, 0, False) == pytest.approx((1, 1))
    assert reliability(agree, -1, True) == (0, 0)  # random is best everywhere: no video has weight
    assert reliability(torch.zeros(3, 4), 0, True) == (0, 1)  # a metric that tells nothing apart
    # two videos that are each other's reverse but for random, which is worst on both
    split = torch.tensor([[0.0, 1, 2, 3], [0.0, 3, 2, 1]])
    assert reliability(split, 0, True) == pytest.approx((1 - 6 * 8 / 60, 1))
    # the video on which random is best has no weight
    third = torch.tensor([[9.0, 5, 1, 3]])
    assert reliability(torch.cat([split, third]), 0, True).alpha == pytest.approx(0.2)
    assert reliability(torch.cat([split, third]), 0, True).random_is_worst == pytest.approx(2 / 3)
    # half its weight where one of two others is worse: (1 * 1 * r12 + .5 (r13 + r23)) / 2
    rows = torch.tensor([[0.0, 1, 2], [0.0, 2, 1], [1.0, 0, 2]])
    expected = (0.5 + 0.5 * 0.5 + 0.5 * -0.5) / 2
    assert reliability(rows, 0, True) == pytest.approx((expected, 2 / 3))


@given(tables(), st.data(), st.booleans())
def test_equals_a_slow_count_of_pairs(values, data, higher):
    random = data.draw(st.integers(-values.shape[1], values.shape[1] - 1))
    before = values.clone()
    found = reliability(values, random, higher)
    expected = oracles.alpha(values.tolist(), random, higher)
    assert found == pytest.approx(expected, abs=1e-9)
    assert torch.equal(values, before)


@given(tables(), st.integers(0, 99))
def test_knows_no_order_and_no_scale(values, seed):
    found = reliability(values, 0, True)
    source = torch.Generator().manual_seed(seed)
    videos = torch.randperm(len(values), generator=source)
    others = 1 + torch.randperm(values.shape[1] - 1, generator=source)
    mixed = values[videos][:, [0, *others.tolist()]]
    assert reliability(mixed, 0, True) == pytest.approx(found, abs=1e-9)
    assert reliability((values * 0.1).exp(), 0, True) == pytest.approx(found, abs=1e-9)
    assert reliability(-values, 0, False) == pytest.approx(found, abs=1e-9)
    assert -1 <= found.alpha <= 1


def test_equals_scipy_with_the_weights_of_the_released_code():
    stats = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(30, 5, generator=generator).double()
    values[:, 1:] += 0.5
    rho, _ = stats.spearmanr(values.numpy(), axis=1)
    weight = 1 - (values < values[:, :1]).sum(1).double() / 4
    cross = torch.outer(weight, weight).triu(1)
    expected = (cross * torch.from_numpy(rho)).sum() / cross.sum()
    assert reliability(values, 0, True).alpha == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("values", "random", "error", "message"),
    [
        (torch.ones(2, 3).int(), 0, TypeError, "values: expected a floating-point .* torch.int32"),
        ([[1.0]], 0, TypeError, "got list"),
        (torch.ones(1, 3), 0, ValueError, r"at least two of each, got \(1, 3\)"),
        (torch.ones(3, 1), 0, ValueError, r"got \(3, 1\)"),
        (torch.ones(3), 0, ValueError, r"got \(3,\)"),
        (torch.full((2, 2), math.nan), 0, ValueError, "NaN or infinity"),
        (torch.ones(2, 3), 3, ValueError, "random: expected a column of 3, got 3"),
        (torch.ones(2, 3), 1.0, TypeError, "random: expected the number of a column, got 1.0"),
    ],
)
def test_bad_input_says_why(values, random, error, message):
    with pytest.raises(error, match=message):
        reliability(values, random, True)
