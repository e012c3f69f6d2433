import oracles_metrics as oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, layouts
from toy_models import Linear3D, TinyNet3D, TwoStreams

from captum_video import baselines
from captum_video.metrics import average_drop_and_increase


def total(x):
    return x.sum((1, 2, 3, 4))


def test_linear_model_closed_form():
    """The score of a sum is the sum of what is kept."""
    clip = torch.rand(3, 2, 3, 4, 5) + 0.1
    maps = torch.rand(3, 1, 3, 4, 5)
    maps.flatten(1)[:, 0], maps.flatten(1)[:, 1] = 0, 1  # already scaled
    expected = 1 - total(maps * clip) / total(clip)
    found = average_drop_and_increase(total, clip, maps, activation=None)
    torch.testing.assert_close(found.drop, expected)
    assert not found.increase.any()
    halved = average_drop_and_increase(total, clip, 5 * maps - 2, clip / 2, activation=None)
    torch.testing.assert_close(halved.drop, expected / 2)


def test_what_is_lost_and_what_rises():
    clip = torch.ones(1, 1, 4, 2, 2)
    weights = torch.tensor([3.0, -2, 0, 0]).view(1, 1, 4, 1, 1).expand(1, 1, 4, 2, 2)
    model = Linear3D(weights)
    keeps = {"good": [1.0, 0, 0, 0], "all": [1.0, 1, 1, 0]}
    found = {
        name: average_drop_and_increase(
            model,
            clip,
            torch.tensor(frames).view(1, 1, 4, 1, 1).expand_as(clip),
            target=0,
            activation=None,
        )
        for name, frames in keeps.items()
    }
    assert found["good"].increase.tolist() == [True]  # 12 of 4: the harm is hidden
    assert found["good"].drop.tolist() == [0]
    assert found["all"].increase.tolist() == [False]
    assert found["all"].drop.tolist() == [0]
    constant = average_drop_and_increase(
        model, clip, torch.ones_like(clip), target=0, activation=None
    )
    assert constant.drop.tolist() == [1]  # a map that singles nothing out hides everything


def test_a_score_of_zero_has_nothing_to_lose():
    clip = torch.zeros(2, 1, 2, 2, 2)
    found = average_drop_and_increase(total, clip, torch.rand_like(clip), activation=None)
    assert found.drop.tolist() == [0, 0]
    assert found.increase.tolist() == [False, False]


@given(st.data(), clips(), st.integers(0, 99), st.booleans())
@settings(max_examples=25)
def test_equals_a_slow_loop(data, clip, seed, softmax):
    source = torch.Generator().manual_seed(seed)
    maps = torch.randint(-3, 4, clip.shape, generator=source).float()
    baseline = torch.rand(clip.shape, generator=source)
    weights = torch.randn(3, *clip.shape[1:], generator=source) / clip[0].numel() ** 0.5
    target = torch.randint(0, 3, (len(clip),), generator=source).tolist()

    def score(x):
        outputs = torch.einsum("ncthw,kcthw->nk", x, weights.to(x))
        return outputs if softmax else outputs.exp()

    found = average_drop_and_increase(
        score,
        clip,
        maps,
        baseline,
        target=target,
        activation="softmax" if softmax else None,
        perturbations_per_eval=data.draw(st.sampled_from([1, 2, "auto"])),
    )
    for n in range(len(clip)):
        (shown,) = oracles.shown_through_maps([clip[n]], [maps[n]], [baseline[n]])
        both = score(torch.stack([clip[n].double(), shown]))
        both = both.softmax(1) if softmax else both
        whole, left = both[:, target[n]].tolist()
        assert found.drop[n].item() == pytest.approx(max(0, whole - left) / whole, abs=1e-5)
        if abs(left - whole) > 1e-4 * whole:
            assert found.increase[n].item() is (left > whole)


def test_several_inputs_share_one_scale():
    model, inputs = TwoStreams().eval(), (torch.rand(2, 2, 3, 4, 4), torch.rand(2, 1, 3, 6, 6))
    maps = tuple(torch.rand_like(one) for one in inputs)
    found = average_drop_and_increase(model, inputs, maps, target=1)
    for n in range(2):
        pair = [one[n] for one in inputs]
        shown = oracles.shown_through_maps(
            pair, [one[n] for one in maps], [torch.zeros_like(one) for one in pair]
        )
        whole = model(*(one[None] for one in pair)).softmax(1)[0, 1].item()
        left = model(*(one.float()[None] for one in shown)).softmax(1)[0, 1].item()
        assert found.drop[n].item() == pytest.approx(max(0, whole - left) / whole, abs=1e-5)
        assert found.increase[n].item() is (left > whole)
    # an input that its map calls worthless is hidden, however it looks by itself
    silent = (maps[0] + 5, maps[1] * 0)
    found = average_drop_and_increase(
        lambda a, b: total(b), inputs, silent, baselines=0, activation=None
    )
    assert found.drop.tolist() == [1, 1]


@given(st.data(), clips(channels=(3, 3)))
@settings(max_examples=15)
def test_layouts_do_not_matter(data, clip):
    layout = data.draw(layouts(3))
    if "(n c)" in layout.pattern:
        return
    maps = torch.randn(clip.shape, generator=torch.Generator().manual_seed(2))
    expected = average_drop_and_increase(total, clip, maps, baselines.freeze, activation=None)
    found = average_drop_and_increase(
        lambda x: total(layout.to_clip(x, t=clip.shape[2])),
        layout.from_clip(clip),
        layout.from_clip(maps),
        baselines.freeze,
        activation=None,
        layout=layout,
    )
    torch.testing.assert_close(found.drop, expected.drop, atol=1e-5, rtol=1e-4)


CLIP = torch.rand(1, 2, 4, 6, 6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"attributions": CLIP[..., :5]}, ValueError, r"attributions: expected \(1, 2, 4, 6, 6\)"),
        ({"attributions": CLIP * torch.nan}, ValueError, "attributions: expected finite"),
        ({"attributions": (CLIP, CLIP)}, ValueError, r"one per input \(1\), got 2"),
        ({"activation": "sigmoid"}, ValueError, "expected 'softmax' or None, got 'sigmoid'"),
        ({"baselines": "blur"}, TypeError, "expected None, a number, a tensor or a function"),
        ({"target": None}, ValueError, "one per clip"),
        ({"target": 7}, ValueError, "target 7: expected 0 <= target < 3"),
        ({"perturbations_per_eval": 0}, ValueError, "perturbations_per_eval: expected at least 1"),
    ],
)
def test_bad_input_says_why(options, error, message):
    options = {"inputs": CLIP, "attributions": CLIP, "target": 0} | options
    with pytest.raises(error, match=message):
        average_drop_and_increase(TinyNet3D(), **options)


def test_scores_below_zero_are_refused():
    with pytest.raises(ValueError, match=r"scores: expected at least 0.* got -.*softmax"):
        average_drop_and_increase(lambda x: -total(x), CLIP, CLIP, activation=None)
