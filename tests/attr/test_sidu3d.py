import copy
import math

import oracles
import pytest
import torch
from captum.attr import LayerAttribution, PerturbationAttribution
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips
from torch import nn
from torch.nn import functional
from toy_models import FrameNet, LoopedFrameNet, TinyNet3D, TwoStreams, frame_wise, undeclared

from captum_video import Layout
from captum_video.attr import SIDU3D
from captum_video.attr._sidu_weights import uniqueness
from captum_video.baselines import frame_mean

RULES = {"threshold": 0.05, "quantile": 0.6, "soft": True}
each_rule = pytest.mark.parametrize(("rule", "level"), RULES.items(), ids=RULES)


def tiny(gain: float = 12.0) -> TinyNet3D:
    """Untrained, its scores far enough apart for masks to matter."""
    model = TinyNet3D().eval().double()
    model.head.weight.data *= gain
    return model


def one(model):
    """The model on a single clip per input."""

    def f(*inputs):
        with torch.no_grad():
            return model(*(x[None] for x in inputs))[0]

    return f


class Pixels(nn.Module):
    """Channels are the features; the classes weigh their sums."""

    def __init__(self, weights):
        super().__init__()
        self.features = nn.Identity()
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float64))

    def forward(self, clip):
        return self.features(clip).sum((2, 3, 4)) @ self.weights.to(clip)


@each_rule
@pytest.mark.parametrize("softmax", [True, False])
def test_equals_the_oracle(rule, level, softmax):
    model, clip = tiny(), torch.rand(2, 2, 4, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        features = model.body(model.stem(clip))
    found = SIDU3D(model, model.body).attribute(
        clip, 0.3, [0, 2], width=0.4, activation="softmax" if softmax else None, **{rule: level}
    )
    for n, target in enumerate((0, 2)):
        (expected,) = oracles.sidu(
            one(model), [clip[n]], features[n], target,
            rule=rule, level=level, width=0.4, softmax=softmax, baseline=0.3,
        )  # fmt: skip
        assert expected.std() > 1e-4
        expected = torch.from_numpy(expected).expand(2, -1, -1, -1)
        torch.testing.assert_close(found[n], expected, atol=1e-6, rtol=1e-5)


def test_is_captums():
    sidu = SIDU3D(tiny(), "body")
    assert isinstance(sidu, LayerAttribution)
    assert isinstance(sidu, PerturbationAttribution)


def test_closed_form():
    """Three channels keep 2, 2 and 1 pixels; the first two share one. Worked out by hand."""
    channels = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    clip = channels.reshape(1, 3, 1, 1, 4)
    model = Pixels([[1, 0], [0, 1], [0, 0]])
    # Scores (2, 2) whole; behind the masks (2, 1), (1, 2), (0, 0). So p = 1/2 and s(1), s(-1), 1/2.
    apart = 1 / (1 + math.exp(-1)) - 0.5
    # Distances over sqrt(2): 3, 3 and 2 times ``apart``; U is 1, 1, 0.
    similar = math.exp(-(apart**2) / (2 * 0.25**2))
    expected = similar / 3 * torch.tensor([1, 2, 1, 0], dtype=torch.float64)
    for target in (0, 1):
        found = SIDU3D(model, "features").attribute(clip, target=target, threshold=0.5)
        torch.testing.assert_close(found, expected.expand(1, 3, 1, 1, 4))
    # On scores, the sums of distances are sqrt(2) + sqrt(5), twice, and 2 sqrt(5): U is 0, 0, 1.
    found = SIDU3D(model, "features").attribute(
        clip, target=0, threshold=0.5, activation=None, width=1.0
    )
    expected = math.exp(-2) / 3 * torch.tensor([0, 0, 0, 1], dtype=torch.float64)
    torch.testing.assert_close(found, expected.expand(1, 3, 1, 1, 4))


@each_rule
def test_folded_and_looped_frames_equal_the_three_dimensional_twin(rule, level):
    clip = torch.rand(2, 2, 5, 8, 8, dtype=torch.float64)
    twin = FrameNet(folded=False).double()
    expected = SIDU3D(twin, twin.conv).attribute(clip, target=1, **{rule: level})
    with torch.no_grad():
        features = twin.conv(clip)
    for n in range(2):
        (slow,) = oracles.sidu(one(twin), [clip[n]], features[n], 1, rule=rule, level=level)
        slow = torch.from_numpy(slow).expand(2, -1, -1, -1)
        torch.testing.assert_close(expected[n], slow, atol=1e-6, rtol=1e-5)
    for model, layout in ((FrameNet(True), "(n t) c h w"), (LoopedFrameNet(), "n c h w")):
        sidu = SIDU3D(model.double(), "conv", activation_layout=layout)
        torch.testing.assert_close(sidu.attribute(clip, target=1, **{rule: level}), expected)


def test_a_declared_network_equals_the_undeclared_one():
    model, clip = frame_wise().eval().double(), torch.rand(2, 2, 4, 7, 6, dtype=torch.float64)
    plain = undeclared(model)
    found, expected = (
        SIDU3D(f, model.encoder.conv, activation_layout="(n t) c h w").attribute(
            clip, target=[0, 2]
        )
        for f in (model, plain)
    )
    assert expected.std() > 1e-4
    torch.testing.assert_close(found, expected)


def test_tokens_with_a_class_token():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Identity()

        def forward(self, clip):
            tokens = rearrange(clip, "n c t h w -> n (t h w) c")
            tokens = self.block(torch.cat([tokens.new_full((len(clip), 1, 3), 9.0), tokens], 1))
            return tokens[:, 1:].square().sum(1)

    clip = torch.rand(1, 3, 2, 3, 4, dtype=torch.float64)
    layout = Layout("n (t h w) c", skip_tokens=1, t=2, h=3)
    found = SIDU3D(Tokens(), "block", activation_layout=layout).attribute(clip, target=2)
    (expected,) = oracles.sidu(one(Tokens()), [clip[0]], clip[0], 2, rule="quantile", level=0.9)
    torch.testing.assert_close(found[0, 0], torch.from_numpy(expected), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("at_input", [True, False])
def test_a_layer_that_the_next_one_overwrites(at_input):
    """Batch norm before a ReLU in place: recorded is what it gave, not what became of it."""
    model, clip = tiny(), torch.rand(1, 2, 4, 7, 6, dtype=torch.float64)
    layer = model.body[2] if at_input else model.body[1]
    with torch.no_grad():
        features = model.body[1](model.body[0](model.stem(clip)))
    assert features.min() < -0.1
    found = SIDU3D(model, layer).attribute(
        clip, target=1, threshold=-0.1, attribute_to_layer_input=at_input
    )
    (expected,) = oracles.sidu(one(model), [clip[0]], features[0], 1, level=-0.1)
    torch.testing.assert_close(found[0, 0], torch.from_numpy(expected), atol=1e-6, rtol=1e-5)


def test_the_default_rule_does_not_know_the_scale_of_the_features():
    model, clip = tiny(), torch.rand(1, 2, 4, 7, 6, dtype=torch.float64)
    louder = copy.deepcopy(
        model
    )  # the same function of the clip, its features a thousand times as large
    louder.body[1].weight.data *= 1000
    louder.body[1].bias.data *= 1000
    louder.head.weight.data /= 1000
    by_default, quantile = (
        SIDU3D(model, "body").attribute(clip, target=1, **rule) for rule in ({}, {"quantile": 0.9})
    )
    assert torch.equal(by_default, quantile)
    torch.testing.assert_close(SIDU3D(louder, "body").attribute(clip, target=1), by_default)
    quiet, loud = (
        SIDU3D(m, "body").attribute(clip, target=1, threshold=0.1) for m in (model, louder)
    )
    assert not torch.allclose(quiet, loud)


@each_rule
def test_a_dead_channel_changes_nothing(rule, level):
    model, clip = tiny(), torch.rand(2, 2, 4, 7, 6, dtype=torch.float64)

    class WithDeadChannel(nn.Module):
        def __init__(self):
            super().__init__()
            self.network, self.maps = model, nn.Identity()

        def forward(self, clip):
            features = self.network.body(self.network.stem(clip))
            dead = torch.zeros_like(features[:, :1])
            features = self.maps(torch.cat([features[:, :2], dead, features[:, 2:]], 1))
            return self.network.head(features[:, [0, 1, 3, 4, 5, 6]].mean((2, 3, 4)))

    expected = SIDU3D(model, "body").attribute(clip, target=1, **{rule: level})
    found = SIDU3D(WithDeadChannel(), "maps").attribute(clip, target=1, **{rule: level})
    torch.testing.assert_close(found, expected)


def test_one_pass_per_mask_that_keeps_something_and_one_per_clip():
    clip = torch.zeros(3, 4, 2, 3, 3, dtype=torch.float64)
    for n, channel in ((0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 3)):
        clip[n, channel, 1, n, channel % 3] = 1
    model, rows = Pixels(torch.rand(4, 3)), []
    model.register_forward_hook(lambda module, args, out: rows.append(len(out)))
    SIDU3D(model, "features").attribute(clip, target=1, threshold=0.5, perturbations_per_eval=1)
    assert sum(rows) == 3 + 7
    assert max(rows) == 3  # one mask for each of three clips


@pytest.mark.parametrize("together", [True, False])
def test_inputs_of_different_sizes_equal_the_oracle(together):
    model = TwoStreams().eval().double()
    for stream in (model.visible, model.infrared):
        stream.head.weight.data *= 12
    inputs = torch.rand(2, 2, 4, 7, 6).double(), torch.rand(2, 1, 3, 5, 8).double()
    with torch.no_grad():
        features = model.infrared.body(model.infrared.stem(inputs[1]))
    maps = SIDU3D(model, model.infrared.body).attribute(
        inputs, (0.2, frame_mean), 1, threshold=0.05, inputs_together=together
    )
    base = [torch.full_like(inputs[0], 0.2), frame_mean(inputs[1])]
    for n in range(2):
        # the oracle knows one number as baseline: shift each clip so that its baseline is zero
        def shifted(visible, infrared, n=n):
            return one(model)(visible + base[0][n], infrared + base[1][n])

        clips = [x[n] - b[n] for x, b in zip(inputs, base, strict=True)]
        for i in range(2):
            expected = oracles.sidu(
                shifted, clips, features[n], 1, level=0.05, hides=None if together else i
            )[i]
            torch.testing.assert_close(
                maps[i][n], torch.from_numpy(expected).expand_as(maps[i][n]), atol=1e-6, rtol=1e-5
            )


def test_an_input_that_does_not_matter_gets_similarity_alone():
    """Hiding in it changes no prediction: similarity and uniqueness are 1, the map a mean of masks."""
    model = tiny()
    clip, other = (torch.rand(1, c, 4, 7, 6, dtype=torch.float64) for c in (2, 1))
    sidu = SIDU3D(lambda visible, infrared: model(visible), model.body)
    found = sidu.attribute((clip, other), target=1, threshold=0.05, inputs_together=False)
    with torch.no_grad():
        features = model.body(model.stem(clip))[0]
    kept = (features > 0.05).double()
    kept = kept[kept.flatten(1).any(1)].mean(0)
    expected = functional.interpolate(kept[None, None], (4, 7, 6), mode="trilinear")
    torch.testing.assert_close(found[1], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[0], sidu.attribute((clip, other), target=1, threshold=0.05)[0])
    assert not torch.allclose(found[0][:, :1], found[1])


@pytest.mark.parametrize("n_channels", [1, 2])
def test_one_mask_or_two_are_equally_unique(n_channels):
    clip = torch.zeros(1, n_channels, 1, 1, 3, dtype=torch.float64)
    clip[0, 0, 0, 0, 0] = 1
    clip[0, -1, 0, 0, 1] = 1
    weights = torch.tensor([[1.0, 0.0], [0.0, 2.0]])[:n_channels]
    found = SIDU3D(Pixels(weights), "features").attribute(clip, target=0, threshold=0.5)
    if n_channels == 1:  # the mask keeps all that counts
        expected = [1.0, 1.0, 0.0]
    else:
        whole, first, second = (1 / (1 + math.exp(d)) for d in (2 - 1, 0 - 1, 2 - 0))
        expected = [math.exp(-((p - whole) ** 2) / 0.125) / 2 for p in (first, second)] + [0.0]
    torch.testing.assert_close(found[0, 0, 0, 0], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_score_that_does_not_depend_on_the_clip_gives_the_mean_of_the_masks(scale):
    """What rounding leaves of distances is not blown up; so too where a softmax is saturated."""
    model = TinyNet3D().eval()
    constant = torch.tensor([scale, 0.0, -scale])

    def blind(clip):
        model(clip)
        return constant + 1e-8 * clip.sum((1, 2, 3, 4))[:, None] * torch.tensor([0.0, 1.0, 0.0])

    clip = torch.rand(1, 2, 4, 7, 6)
    found = SIDU3D(blind, model.body).attribute(clip, target=0, threshold=0.05)
    with torch.no_grad():
        kept = (model.body(model.stem(clip))[0] > 0.05).float()
    expected = kept[kept.flatten(1).any(1)].mean(0)
    expected = functional.interpolate(expected[None, None], (4, 7, 6), mode="trilinear")
    torch.testing.assert_close(found, expected.expand_as(found), atol=1e-5, rtol=1e-5)


def test_large_scores_underflow_as_they_are_but_not_as_probabilities():
    channels = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    clip = channels.reshape(1, 3, 1, 1, 4)
    sidu = SIDU3D(Pixels([[20, 0], [20, 0], [0, 20]]), "features")
    # Scores (80, 20) whole; behind the masks (60, 0), (60, 0), (0, 20): 80 widths away at least.
    with pytest.warns(UserWarning, match="no mask that stands apart comes within 14"):
        found = sidu.attribute(clip, target=0, threshold=0.5, activation=None)
    assert found.max() == 0
    # Probabilities are at most four widths apart. The first two masks predict the same: U is 0, 0, 1.
    found = sidu.attribute(clip, target=0, threshold=0.5)
    expected = math.exp(-8) / 3 * torch.tensor([0, 0, 0, 1], dtype=torch.float64)
    torch.testing.assert_close(found, expected.expand(1, 3, 1, 1, 4))


def test_near_and_many_predictions_keep_their_distances():
    generator = torch.Generator().manual_seed(3)
    vectors = 0.3 + 1e-5 * torch.rand(300, 4, generator=generator)
    rows = vectors.double().tolist()
    sums = [sum(math.dist(a, b) for b in rows) for a in rows]
    low, high = min(sums), max(sums)
    expected = torch.tensor([(s - low) / (high - low) for s in sums], dtype=torch.float64)
    torch.testing.assert_close(uniqueness(vectors), expected, atol=1e-4, rtol=0)


@given(
    clips(channels=(2, 2), n_clips=(1, 3)),
    st.sampled_from([{}, *({k: v} for k, v in RULES.items())]),
    st.data(),
)
@settings(max_examples=25)
def test_properties(clip, rule, data):
    clip = clip.double()
    torch.manual_seed(data.draw(st.integers(0, 99)))
    model = tiny()
    nn.init.uniform_(model.body[1].bias, 0.2, 0.6)  # so that some map keeps something
    sidu = SIDU3D(model, "body")
    target = data.draw(st.lists(st.integers(0, 2), min_size=len(clip), max_size=len(clip)))
    try:
        found = sidu.attribute(clip, target=target, **rule)
    except ValueError as error:  # a map of one place has nothing to compare
        assert "no map keeps anything" in str(error)  # noqa: PT017
        return
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-9
    chunk = data.draw(st.integers(1, 9))
    torch.testing.assert_close(
        sidu.attribute(clip, target=target, perturbations_per_eval=chunk, **rule), found
    )
    order = data.draw(st.permutations(range(len(clip))))
    moved = sidu.attribute(clip[order], target=[target[n] for n in order], **rule)
    torch.testing.assert_close(moved, found[order])
    # neither the order of the channels nor that of the classes matters
    channels, classes = torch.randperm(6), torch.randperm(3)
    shuffled = copy.deepcopy(model)
    shuffled.body[0].weight.data, shuffled.body[0].bias.data = (
        model.body[0].weight[channels].data, model.body[0].bias[channels].data,
    )  # fmt: skip
    shuffled.body[1].bias.data = model.body[1].bias[channels].data
    shuffled.head.weight.data = model.head.weight[classes][:, channels].data
    shuffled.head.bias.data = model.head.bias[classes].data
    there = [classes.tolist().index(k) for k in target]
    torch.testing.assert_close(
        SIDU3D(shuffled, "body").attribute(clip, target=there, **rule), found
    )


def test_bad_options_say_why():
    model, clip = tiny(), torch.rand(2, 2, 4, 7, 6, dtype=torch.float64)
    sidu = SIDU3D(model, "body")
    for options, message in [
        ({"threshold": 0.1, "quantile": 0.5}, "expected one rule, got threshold and quantile"),
        ({"soft": True, "quantile": 0.5}, "expected one rule, got quantile and soft"),
        ({"quantile": 1.0}, "clip 0: quantile: expected 0 <= quantile < 1, got 1.0"),
        ({"threshold": 1e9}, r"clip 0: feature maps: no map keeps .* expected one above 1e\+09"),
        ({"threshold": math.nan}, "threshold: expected a finite number"),
        ({"width": 0.0}, "width: expected a positive number, got 0.0"),
        ({"width": math.nan}, "width: expected a positive number"),
        ({"activation": "sigmoid"}, "activation: expected 'softmax' or None, got 'sigmoid'"),
        ({"perturbations_per_eval": 0}, "at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            sidu.attribute(clip, target=1, **options)
    with pytest.raises(ValueError, match="'layer4' is not in the model; it has stem, body"):
        SIDU3D(model, "layer4")


def test_bad_models_say_why():
    model, clip = tiny(), torch.rand(2, 2, 4, 7, 6, dtype=torch.float64)
    for score in (lambda x: model(x)[:, 1], lambda x: model(x)[:, 1:2]):
        with pytest.raises(ValueError, match=r"at least two classes, got .* pass activation=None"):
            SIDU3D(score, model.body).attribute(clip)
        found = SIDU3D(score, model.body).attribute(clip, activation=None, width=1.0)
        assert found.std() > 0
    with pytest.raises(ValueError, match="did not run"):
        SIDU3D(lambda x: model(x), nn.Identity()).attribute(clip, target=0)
    with pytest.raises(ValueError, match=r"expected layout '\(n t\) c h w' with n=2"):
        SIDU3D(model, model.body, activation_layout="(n t) c h w").attribute(clip, target=0)

    def breaks_on_masked_clips(x):
        return model(x) if torch.equal(x, clip) else model(x) * torch.nan

    with pytest.raises(ValueError, match="expected finite outputs, got NaN"):
        SIDU3D(breaks_on_masked_clips, model.body).attribute(clip, target=0)


def test_a_model_with_more_axes_than_classes():
    """Probabilities are over the second axis, distances over all."""
    model, clip = tiny(), torch.rand(1, 2, 4, 7, 6, dtype=torch.float64)

    def twice(x):
        scores = model(x)
        return torch.stack([scores, -scores], dim=2)

    def probabilities(x):
        scores = model(x)
        return torch.cat([scores.softmax(1), (-scores).softmax(1)], dim=1)

    found = SIDU3D(twice, model.body).attribute(clip, target=(1, 0), threshold=0.05)
    expected = SIDU3D(probabilities, model.body).attribute(
        clip, target=1, threshold=0.05, activation=None
    )
    assert expected.std() > 1e-4
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match="one per clip"):
        SIDU3D(twice, model.body).attribute(clip, target=1, threshold=0.05)
