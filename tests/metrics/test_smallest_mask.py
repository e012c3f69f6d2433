import oracles_metrics as oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_models import Linear3D

from captum_video import Curve
from captum_video.metrics import insertion, minimal_mask

QUARTERS = torch.linspace(0, 1, 5)


def test_closed_forms():
    scores = torch.tensor(
        [
            [0.0, 0.2, 0.4, 0.6, 0.8],
            [0.0, 0.75, 0.1, 0.2, 0.8],  # the first time counts
            [0.5, 0.5, 0.5, 0.5, 0.5],  # the baseline alone is enough
            [0.9, 0.0, 0.0, 0.0, 0.0],  # nothing to give back
            [0.0, 0.0, 0.0, 0.0, 0.3],
        ]
    )
    curve = Curve(QUARTERS, scores)
    assert minimal_mask(curve).tolist() == [1, 0.25, 0, 0, 1]
    assert minimal_mask(curve, 0.5).tolist() == [0.5, 0.25, 0, 0, 1]
    assert minimal_mask(curve, 0.5, floor=0.5).tolist() == [0.75, 0.25, 0, 0, 1]
    assert minimal_mask(curve, 1.0).tolist() == [1, 1, 0, 0, 1]


def test_of_a_model_whose_answer_is_known():
    """Three of ten frames carry the score: a right map needs them alone, a wrong one everything."""
    clip = torch.ones(1, 1, 10, 2, 2)
    weights = torch.zeros(1, 1, 10, 2, 2)
    weights[:, :, 4:7] = 1
    options = {"baselines": 0, "target": 0, "activation": None, "unit": "frame"}
    right = insertion(Linear3D(weights), clip, weights, **options)
    wrong = insertion(Linear3D(weights), clip, -weights, **options)
    assert minimal_mask(right).item() == pytest.approx(0.3)
    assert minimal_mask(right, 0.6).item() == pytest.approx(0.2)
    assert minimal_mask(wrong).item() == 1


def test_of_regions_each_clip_has_fractions_of_its_own():
    """A clip of two regions beside one of three: the share of its voxels, whatever the other has."""
    clip = torch.ones(2, 1, 6, 1, 1)
    weights = torch.tensor([1.0, 1, 0, 0, 0, 0]).view(1, 1, 6, 1, 1)
    labels = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 2]]).view(2, 1, 6, 1, 1)
    options = {"baselines": 0, "target": 0, "activation": None, "feature_mask": labels}
    for sign, expected in ((1, [2 / 6, 2 / 6]), (-1, [1, 1])):
        maps = sign * weights.expand(2, -1, -1, -1, -1)
        curve = insertion(Linear3D(weights), clip, maps, **options)
        assert curve.fractions.shape == curve.scores.shape
        assert minimal_mask(curve).tolist() == pytest.approx(expected)
    falling = Curve(torch.tensor([[0.0, 0.6, 0.5, 1.0]]), torch.ones(1, 4))
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        minimal_mask(falling)


@given(
    st.integers(1, 12), st.integers(1, 3), st.integers(0, 999), st.floats(0.01, 1), st.floats(0, 1)
)
def test_equals_a_slow_search(steps, n_clips, seed, share, floor):
    scores = torch.rand(n_clips, steps + 1, generator=torch.Generator().manual_seed(seed)).double()
    curve = Curve(torch.arange(steps + 1).double() / steps, scores)
    found = minimal_mask(curve, share, floor)
    for n, row in enumerate(scores.tolist()):
        expected = oracles.first_enough(curve.fractions.tolist(), row, share, floor)
        assert found[n].item() == expected
    assert (minimal_mask(curve, share * 0.5, floor) <= found).all()


@pytest.mark.parametrize(
    ("curve", "options", "error", "message"),
    [
        (Curve(QUARTERS, torch.zeros(1, 5)), {"share": 0.0}, ValueError, "share: expected 0 < "),
        (Curve(QUARTERS, torch.zeros(1, 5)), {"share": 1.1}, ValueError, "got 1.1"),
        (Curve(QUARTERS, torch.zeros(1, 5)), {"floor": -1.0}, ValueError, "floor: .* got -1.0"),
        (Curve(QUARTERS, -torch.ones(1, 5)), {}, ValueError, "score at least 0, got -1"),
        (
            Curve(QUARTERS.flip(0), torch.zeros(1, 5)),
            {},
            ValueError,
            "rise from 0 to 1, got 1 to 0",
        ),
        (Curve(QUARTERS / 2, torch.zeros(1, 5)), {}, ValueError, "got 0 to 0.5"),
        (torch.zeros(1, 5), {}, TypeError, "curve: expected a Curve of insertion, got Tensor"),
    ],
)
def test_bad_input_says_why(curve, options, error, message):
    with pytest.raises(error, match=message):
        minimal_mask(curve, **options)
