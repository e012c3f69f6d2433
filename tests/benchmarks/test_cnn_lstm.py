"""The CNN-LSTM encodes each frame by itself; what is laid over it must know which frame is which."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import Options, attribute, last_spatiotemporal_layer
from benchmarks_kth_mad.models import (
    CNNLSTM,
    Checkpoint,
    CNNLSTMSettings,
    VideoClassifier,
    build_model,
    load_checkpoint,
    save_checkpoint,
)
from benchmarks_kth_mad.models.frame_encoders import build_encoder
from captum_video.nn import FrameWise

SMALL = ["cnn_lstm_small", "cnn_lstm_small_attention"]
TINY = {"features": 5, "hidden": 4, "layers": 2, "wide": 3}
TARGETS = torch.tensor([0, 1])


def small(name: str = "cnn_lstm_small", channels: int = 1) -> VideoClassifier:
    torch.manual_seed(0)
    return build_model(name, 2, channels).eval()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [*SMALL, "cnn_lstm", "cnn_lstm_attention"])
def test_clips_of_any_length_become_logits(name: str, channels: int) -> None:
    model = build_model(name, 4, channels).eval()
    assert isinstance(model, FrameWise)
    assert isinstance(model, VideoClassifier)
    assert model.channels == channels
    with torch.no_grad():
        for frames in (1, 5):
            assert model(torch.rand(2, channels, frames, 32, 40)).shape == (2, 4)


@pytest.mark.parametrize("name", SMALL)
def test_each_frame_is_encoded_by_itself(name: str) -> None:
    model = small(name)
    clips = torch.rand(2, 1, 6, 24, 32)
    with torch.no_grad():
        one_by_one = torch.stack([model.encoder(frame) for frame in clips.unbind(2)], dim=1)
        torch.testing.assert_close(model(clips), model.head(one_by_one))
        changed = clips.clone()
        changed[:, :, 3] = 0
        frames = changed.transpose(1, 2).flatten(0, 1)
        differs = (model.encoder(frames).unflatten(0, (2, 6)) - one_by_one).abs().amax(2) > 1e-4
    assert differs.tolist() == [[False] * 3 + [True] + [False] * 2] * 2


def test_study_sizes() -> None:
    model = build_model("cnn_lstm", 2)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes["encoder.network.fc.0.weight"] == (300, 512)
    assert shapes["head.lstm.weight_hh_l2"] == (1024, 256)
    assert shapes["head.fc1.weight"] == (128, 256)
    assert shapes["head.fc2.weight"] == (2, 128)


def test_head_is_study_b_s() -> None:
    """The plain head against its formula, step by step, with PyTorch's cells."""
    settings = CNNLSTMSettings(encoder="small", **TINY)
    head = CNNLSTM(3, 1, settings=settings).head
    cells = []
    for layer in range(2):
        cell = nn.LSTMCell(5 if layer == 0 else 4, 4)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, name).data.copy_(getattr(head.lstm, f"{name}_l{layer}"))
        cells.append(cell)
    features = torch.randn(2, 7, 5)
    states = [(torch.zeros(2, 4), torch.zeros(2, 4)) for _ in cells]
    for step in features.unbind(1):
        for layer, cell in enumerate(cells):
            states[layer] = cell(step, states[layer])
            step = states[layer][0]
    last = states[-1][0]
    logits = (last @ head.fc1.weight.T + head.fc1.bias).clamp_min(0) @ head.fc2.weight.T
    torch.testing.assert_close(head(features), logits + head.fc2.bias)


def test_attention_lets_the_end_see_the_beginning() -> None:
    """With all gates of memory shut, only attention carries the first frame to the last step."""
    clips = torch.rand(1, 1, 6, 24, 32)
    gains = {}
    for name in SMALL:
        model = small(name)
        cell = model.head.lstm if name == "cnn_lstm_small" else model.head.lstm.lstm
        with torch.no_grad():
            cell.weight_hh_l0.zero_()
            cell.bias_ih_l0[64:128] = -100  # the forget gate
        inputs = clips.clone().requires_grad_()
        model(inputs)[0, 0].backward()
        gains[name] = inputs.grad[0, 0, 0].abs().sum()
    assert gains["cnn_lstm_small"] == 0
    assert gains["cnn_lstm_small_attention"] > 0


@pytest.mark.parametrize(
    ("name", "last"),
    [("resnet18", "layer4"), ("mobilenet_v2", "features"), ("squeezenet1_1", "features")],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_encoders_of_torchvision(name: str, last: str, channels: int) -> None:
    encoder = build_encoder(name, 7, channels).eval()
    shapes = []
    assert encoder.last_stage is getattr(encoder.network, last)
    encoder.last_stage.register_forward_hook(lambda *args: shapes.append(args[2].shape))
    with torch.no_grad():
        assert encoder(torch.rand(2, channels, 64, 64)).shape == (2, 7)
    assert shapes[0][2:].numel() > 1
    assert not hasattr(encoder.network, "fc") or isinstance(encoder.network.fc, nn.Sequential)


def test_normalisation_is_inside_the_encoder() -> None:
    encoder = build_encoder("small", 7, 3).eval()
    frames = torch.rand(4, 3, 24, 32)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    torch.testing.assert_close(encoder(frames), encoder.network((frames - mean) / std))


@pytest.mark.parametrize("name", SMALL)
def test_checkpoint_round_trip(tmp_path: Path, name: str) -> None:
    clip = ClipShape(frames=6, height=24, width=32, channels=1)
    model = build_model(name, 2, 1, settings=TINY).eval()
    model.encoder.normalize.mean.fill_(0.25)  # kept with the weights
    saved = Checkpoint(model, name, ("walking", "running"), clip)
    save_checkpoint(tmp_path / "a.pt", saved)
    loaded = load_checkpoint(tmp_path / "a.pt")
    assert loaded.model.settings == model.settings
    assert loaded.model.settings["features"] == 5
    clips = torch.rand(2, 1, 6, 24, 32)
    with torch.no_grad():
        assert torch.equal(loaded.model(clips), model(clips))


def test_a_checkpoint_from_before_there_were_settings(tmp_path: Path) -> None:
    clip = ClipShape(channels=1)
    saved = Checkpoint(small(), "cnn_lstm_small", ("walking", "running"), clip)
    save_checkpoint(tmp_path / "a.pt", saved)
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    del content["settings"]
    torch.save(content, tmp_path / "a.pt")
    assert load_checkpoint(tmp_path / "a.pt").model.settings == saved.model.settings


def test_gradcam_finds_the_encoder_s_last_map() -> None:
    model, clips = small(), torch.rand(2, 1, 6, 24, 32)
    layer = last_spatiotemporal_layer(model, (clips[:1],))
    assert model.get_submodule(layer) is model.last_stage
    (maps,) = attribute("gradcam", model, clips, TARGETS, Options())
    (named,) = attribute("gradcam", model, clips, TARGETS, Options(layer=layer))
    assert torch.equal(maps, named)
    assert maps.max() > 0


def test_gradcam_is_the_gradient_weighted_map_of_each_frame() -> None:
    model, clips = small(), torch.rand(1, 1, 4, 24, 32)
    kept = []
    hook = model.last_stage.register_forward_hook(lambda *args: kept.append(args[2]))
    slopes = torch.autograd.grad(model(clips)[0, 1], kept[0])[0]
    hook.remove()
    weights = slopes.mean((0, 2, 3))
    cam = torch.einsum("k,tkhw->thw", weights, kept[0].detach()).relu()
    wanted = nn.functional.interpolate(cam[None, None], (4, 24, 32), mode="trilinear")
    (found,) = attribute("gradcam", model, clips, torch.tensor([1]), Options())
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": {"encoder": "resnet17"}}, "encoder 'resnet17': expected one of small, alex"),
        ({"settings": {"encoder": "vit_b_16"}}, "encoder 'vit_b_16': expected one of small, alex"),
        ({"settings": {"cell": "gru"}}, "cell 'gru': expected lstm or input_cell"),
        ({"settings": {"depth": 3}}, "setting 'depth': expected one of encoder, cell, features"),
        ({"settings": {"hidden": 0}}, "hidden: expected a whole number of at least 1, got 0"),
        ({"settings": {"hops": "2"}}, "hops: expected a whole number of at least 1, got '2'"),
        ({"weights": "IMAGENET1K_V1"}, "encoder small: has no published weights"),
        (
            {"weights": "nope", "settings": {"encoder": "resnet18"}},
            "encoder resnet18: expected weights IMAGENET1K_V1, got 'nope'",
        ),
        ({"n_classes": 1}, "expected at least 2 classes, got 1"),
    ],
)
def test_impossible_models(arguments: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        build_model("cnn_lstm_small", **{"n_classes": 2, **arguments})


def test_published_filters_see_gray_by_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    published = resnet18()
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url",
        lambda *_, **__: dict(published.state_dict()),
    )
    for channels, wanted in (
        (1, published.conv1.weight.mean(1, keepdim=True)),
        (3, published.conv1.weight),
    ):
        network = build_encoder("resnet18", 7, channels, "IMAGENET1K_V1").network
        assert torch.equal(network.conv1.weight, wanted)
        assert torch.equal(network.layer4[1].bn2.weight, published.layer4[1].bn2.weight)


def test_weights_that_can_not_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("torch.hub.get_dir", lambda: "/nowhere/at/all")
    monkeypatch.setattr("os.makedirs", lambda *_, **__: None)
    with pytest.raises(BenchmarkError, match=r"can not be fetched .*go online, or train without"):
        build_model("cnn_lstm", 2, weights="IMAGENET1K_V1")
