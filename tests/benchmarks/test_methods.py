"""Every method of the benchmark explains a clip of the benchmark's model."""

import pytest
import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import (
    BASELINES,
    METHODS,
    Options,
    attribute,
    last_spatiotemporal_layer,
)
from benchmarks_kth_mad.models import VideoClassifier, build_model
from captum_video.attr import SIDU3D

FEW = Options(n_samples=80)
TARGETS = torch.tensor([0, 1])


@pytest.fixture(scope="module")
def model() -> VideoClassifier:
    torch.manual_seed(0)
    return build_model("r3d_small", 2, 1).eval()


@pytest.fixture(scope="module")
def frame_wise() -> VideoClassifier:
    torch.manual_seed(0)
    return build_model("cnn_lstm_small", 2, 1).eval()


@pytest.fixture(scope="module")
def attentive() -> VideoClassifier:
    torch.manual_seed(0)
    return build_model("cnn_lstm_small_attention", 2, 1).eval()


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.rand(2, 1, 8, 24, 32)


@pytest.mark.filterwarnings("ignore:RISE3D")
@pytest.mark.parametrize(
    ("name", "network"),
    [
        (name, network)
        for name in METHODS
        for network in ("model", "frame_wise")
        if name != "input_cell"
    ]
    + [("input_cell", "attentive"), ("tsr", "attentive")],
)
def test_maps_fit_the_clips(
    name: str, network: str, clips: torch.Tensor, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(network)
    before, state = clips.clone(), torch.random.get_rng_state()
    (maps,) = attribute(name, model, clips, TARGETS, FEW)
    assert maps.shape == clips.shape
    assert maps.isfinite().all()
    assert not maps.requires_grad
    assert torch.equal(clips, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(maps, attribute(name, model, clips, TARGETS, FEW)[0])


@pytest.mark.filterwarnings("ignore:RISE3D")
@pytest.mark.parametrize("name", ["rise", "random"])
def test_the_seed_decides(name: str, model: VideoClassifier, clips: torch.Tensor) -> None:
    other = Options(n_samples=80, seed=1)
    (first,) = attribute(name, model, clips, TARGETS, FEW)
    assert not torch.allclose(first, attribute(name, model, clips, TARGETS, other)[0])


@pytest.mark.parametrize("baseline", BASELINES)
def test_baselines(baseline: str, model: VideoClassifier, clips: torch.Tensor) -> None:
    (maps,) = attribute("occlusion", model, clips, TARGETS, Options(baseline=baseline))
    assert maps.isfinite().all()
    assert maps.abs().max() > 0


def test_a_still_clip_hides_nothing_behind_its_mean_frame(model: VideoClassifier) -> None:
    still = torch.rand(1, 1, 1, 24, 32).expand(1, 1, 8, 24, 32)
    (maps,) = attribute("occlusion", model, still, TARGETS[:1], Options(baseline="frame-mean"))
    torch.testing.assert_close(maps, torch.zeros_like(maps), atol=1e-5, rtol=0)


def test_gradient_is_that_of_the_score_summed_over_channels(clips: torch.Tensor) -> None:
    model = build_model("cnn_lstm_small", 2, 3).eval()
    inputs = clips.expand(-1, 3, -1, -1, -1).clone().requires_grad_()
    with torch.inference_mode():
        targets = TARGETS.clone()  # as the commands make them
    (maps,) = attribute("gradient", model, inputs.detach(), targets, FEW)
    wanted = torch.autograd.grad(model(inputs)[[0, 1], TARGETS].sum(), inputs)[0].abs()
    torch.testing.assert_close(maps[:, 0], wanted.sum(1))
    assert torch.equal(maps[:, 0], maps[:, 2])


@pytest.mark.parametrize("baseline", ["black", "frame-mean", "freeze"])
def test_frame_occlusion_hides_one_frame_after_the_other(
    frame_wise: VideoClassifier, clips: torch.Tensor, baseline: str
) -> None:
    (maps,) = attribute("frame_occlusion", frame_wise, clips, TARGETS, Options(baseline=baseline))
    hides = BASELINES[baseline](clips)
    rows = torch.arange(2), TARGETS
    with torch.no_grad():
        whole = frame_wise(clips)[rows]
        for frame in range(8):
            hidden = clips.clone()
            hidden[:, :, frame] = hides[:, :, frame]
            drop = (whole - frame_wise(hidden)[rows])[:, None, None, None].expand(2, 1, 24, 32)
            torch.testing.assert_close(maps[:, :, frame], drop, atol=1e-5, rtol=1e-4)


def test_random_map_knows_neither_model_nor_clip(
    model: VideoClassifier, clips: torch.Tensor
) -> None:
    (maps,) = attribute("random", model, clips, TARGETS, FEW)
    assert torch.equal(maps, attribute("random", model, clips + 1, 1 - TARGETS, FEW)[0])
    assert not torch.equal(maps[0], maps[1])
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert abs(maps.mean() - 0.5) < 0.1


def test_grids_shrink_with_the_clip(model: VideoClassifier) -> None:
    tiny = torch.rand(1, 1, 2, 4, 4)
    for name in ("occlusion", "random"):
        assert attribute(name, model, tiny, TARGETS[:1], FEW)[0].shape == tiny.shape


@pytest.mark.parametrize("name", ["gradcam", "sidu"])
def test_the_last_layer_with_frames_and_pixels_is_taken(
    name: str, model: VideoClassifier, clips: torch.Tensor
) -> None:
    layer = last_spatiotemporal_layer(model, (clips[:1],))
    assert layer.startswith("network.layer3")
    (by_default,) = attribute(name, model, clips, TARGETS, FEW)
    (named,) = attribute(name, model, clips, TARGETS, Options(layer=layer))
    assert torch.equal(by_default, named)
    (other,) = attribute(name, model, clips, TARGETS, Options(layer="network.layer1"))
    assert not torch.equal(by_default, other)


@pytest.mark.parametrize("name", ["gradcam", "sidu"])
def test_a_clip_too_short_for_a_layer(name: str, model: VideoClassifier) -> None:
    with pytest.raises(BenchmarkError, match=f"{name}: no layer keeps frames and pixels apart"):
        attribute(name, model, torch.rand(1, 1, 1, 8, 8), TARGETS[:1], FEW)


@pytest.mark.parametrize(
    ("network", "layer", "layout"),
    [
        ("model", "network.layer3", "n c t h w"),
        ("frame_wise", "encoder.network.layer2", "(n t) c h w"),
    ],
)
def test_sidu_hides_behind_the_baseline(
    network: str, layer: str, layout: str, clips: torch.Tensor, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(network)
    options = Options(layer=layer, baseline="blur")
    (found,) = attribute("sidu", model, clips, TARGETS, options)
    sidu = SIDU3D(model, layer, activation_layout=layout)
    expected = sidu.attribute(clips, BASELINES["blur"], TARGETS)
    assert torch.equal(found, expected)
    assert not torch.equal(found, attribute("sidu", model, clips, TARGETS, Options(layer=layer))[0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nope", FEW, "method 'nope': expected one of gradcam, gradient, input_cell, tsr"),
        ("gradcam", Options(layer="nope"), "gradcam: layer 'nope' is not in the model; it has"),
        ("rise", Options(n_samples=0), "rise: n_samples: expected at least 1 mask, got 0"),
    ],
)
def test_refused(
    name: str, options: Options, message: str, model: VideoClassifier, clips: torch.Tensor
) -> None:
    with pytest.raises(BenchmarkError, match=message):
        attribute(name, model, clips, TARGETS, options)


def test_input_cell_attention_is_asked_for_by_name(
    frame_wise: VideoClassifier, clips: torch.Tensor
) -> None:
    with pytest.raises(BenchmarkError, match="has no input-cell attention; train cnn_lstm_small_a"):
        attribute("input_cell", frame_wise, clips, TARGETS, FEW)
