"""Two spectra of one scene: as channels of one network, or added up from two."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.video import r3d_18

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import (
    MODELS,
    Checkpoint,
    EarlyFusion,
    TwoStreamFusion,
    VideoClassifier,
    build_model,
    load_checkpoint,
    save_checkpoint,
)
from captum_video.attr import GradCAM3D

BASES = ("r3d_18", "r3d_small", "pan_lite", "pan_lite_small")
SMALL = ("r3d_small", "pan_lite_small")
FUSED = [f"{base}_{kind}" for base in SMALL for kind in ("early", "two_stream")]
LITTLE = {"segments": 4, "frames_per_segment": 2}


def fused(name: str, channels: int = 3, **changes: Any) -> VideoClassifier:
    torch.manual_seed(0)
    parts = {**LITTLE, **changes} if name.startswith("pan") else changes
    return build_model(name, 4, channels, settings=parts).eval()


def pair(n_clips: int = 2, channels: int = 3) -> tuple[Tensor, Tensor]:
    return torch.rand(n_clips, channels, 8, 24, 32), torch.rand(n_clips, 1, 8, 24, 32)


def test_every_base_comes_fused_both_ways() -> None:
    wanted = {f"{base}_{kind}" for base in BASES for kind in ("early", "two_stream")}
    assert wanted == {name for name in MODELS if name.endswith(("_early", "_two_stream"))}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", FUSED)
def test_two_clips_become_logits(name: str, channels: int) -> None:
    model = fused(name, channels)
    assert (model.input_channels, model.channels) == ((channels, 1), channels)
    visible, infrared = (x.requires_grad_() for x in pair(channels=channels))
    logits = model(visible, infrared)
    assert logits.shape == (2, 4)
    logits[:, 0].sum().backward()
    for clips in (visible, infrared):
        assert clips.grad is not None
        assert clips.grad.abs().amax((1, 2, 3, 4)).min() > 0


@pytest.mark.parametrize("name", [f"{base}_early" for base in ("r3d_18", "pan_lite")])
def test_the_large_ones_run(name: str) -> None:
    with torch.no_grad():
        assert fused(name)(*pair(1)).shape == (1, 4)


@pytest.mark.parametrize("base", SMALL)
def test_early_fusion_is_a_network_of_four_channels(base: str) -> None:
    model = fused(f"{base}_early")
    assert isinstance(model, EarlyFusion)
    visible, infrared = pair()
    with torch.no_grad():
        wanted = model.network(torch.cat([visible, infrared], dim=1))
        torch.testing.assert_close(model(visible, infrared), wanted)
    entrance = model.network.base_model if base.startswith("pan") else model.network.network
    assert entrance.stem[0].weight.shape[1] == (4 + 1 if base.startswith("pan") else 4)


def test_pan_measures_what_moves_in_both_spectra() -> None:
    model = fused("pan_lite_small_early")
    still = torch.rand(1, 3, 1, 24, 32).expand(-1, -1, 8, -1, -1)
    warm = torch.rand(1, 1, 1, 24, 32).expand(-1, -1, 8, -1, -1).clone()
    with torch.no_grad():
        before = model.network.pictures(torch.cat([still, warm], dim=1))
        warm[:, :, 3] = 1 - warm[:, :, 3]
        after = model.network.pictures(torch.cat([still, warm], dim=1))
    assert before.shape == (4, 4 + 1, 24, 32)
    assert (before - after).abs().amax((0, 2, 3)).tolist()[:4] == [0] * 4
    assert (before - after).abs().amax((1, 2, 3)).gt(0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("name", [name for name in FUSED if name.endswith("early")])
def test_each_spectrum_has_its_normalisation(name: str) -> None:
    normalize = fused(name).network.normalize
    colours = [0.43216, 0.394666, 0.37645] if name.startswith("r3d") else [0.485, 0.456, 0.406]
    torch.testing.assert_close(normalize.mean.flatten(), torch.tensor([*colours, 0.5]))
    assert normalize.std.flatten()[3] == 0.25


@pytest.mark.parametrize("consensus", ["vap", "average"])
@pytest.mark.parametrize("base", SMALL)
def test_two_streams_add_up(base: str, consensus: str) -> None:
    """What the infrared adds does not depend on what the visible shows, and is known exactly."""
    changes = {"consensus": consensus} if base.startswith("pan") else {}
    model = fused(f"{base}_two_stream", **changes).double()
    assert isinstance(model, TwoStreamFusion)
    visible, infrared = (x.double() for x in pair())
    other, dark = (x.double() for x in pair())
    with torch.no_grad():
        added = model(visible, infrared) - model(visible, dark)
        torch.testing.assert_close(model(other, infrared) - model(other, dark), added)
        assert added.abs().max() > 1e-3
        features = [s(x) for s, x in zip(model.streams, (visible, infrared), strict=True)]
        width = features[0].shape[1]
        weights = model.fc.weight.split(width, dim=1)
        parts = [x @ w.T for x, w in zip(features, weights, strict=True)]
        torch.testing.assert_close(model(visible, infrared), sum(parts) + model.fc.bias)


def test_early_fusion_does_not_add_up() -> None:
    """Or the test above would hold of anything."""
    model = fused("r3d_small_early")
    visible, infrared = pair()
    other, dark = pair()
    with torch.no_grad():
        added = model(visible, infrared) - model(visible, dark)
        assert not torch.allclose(model(other, infrared) - model(other, dark), added, atol=1e-3)


@pytest.mark.parametrize("base", SMALL)
def test_a_stream_s_map_explains_one_spectrum(base: str) -> None:
    model = fused(f"{base}_two_stream")
    assert model.last_stage is model.streams[0].last_stage
    layout = "(n t) c h w" if base.startswith("pan") else "n c t h w"
    (visible, infrared), (other, dark) = pair(), pair()
    for stream, same, differs in (
        (0, (visible, dark), (other, infrared)),
        (1, (other, infrared), (visible, dark)),
    ):
        cam = GradCAM3D(model, model.streams[stream].last_stage, activation_layout=layout)
        maps = cam.attribute((visible, infrared), 1)
        assert [m.shape for m in maps] == [visible.shape, infrared.shape]
        torch.testing.assert_close(cam.attribute(same, 1)[0], maps[0])
        assert not torch.equal(cam.attribute(differs, 1)[0], maps[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", FUSED)
def test_checkpoint_round_trip(tmp_path: Path, name: str, channels: int) -> None:
    model = fused(name, channels)
    clip = ClipShape(frames=8, height=24, width=32, channels=channels)
    save_checkpoint(tmp_path / "a.pt", Checkpoint(model, name, ("a", "b", "c", "d"), clip))
    loaded = load_checkpoint(tmp_path / "a.pt").model
    assert loaded.settings == model.settings
    clips = pair(channels=channels)
    with torch.no_grad():
        assert torch.equal(loaded(*clips), model(*clips))


def test_published_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours keep their filters; infrared, in one network or its own, gets their mean."""
    published = r3d_18()
    serve: Callable = lambda *_, **__: dict(published.state_dict())  # noqa: E731
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", serve)
    filters = published.stem[0].weight
    gray = filters.mean(1, keepdim=True)
    early = build_model("r3d_18_early", 4, weights="KINETICS400_V1")
    assert torch.equal(early.network.network.stem[0].weight, torch.cat([filters, gray], dim=1))
    apart = build_model("r3d_18_two_stream", 4, weights="KINETICS400_V1")
    for stream, wanted in zip(apart.streams, (filters, gray), strict=True):
        assert torch.equal(stream.network.stem[0].weight, wanted)
        assert torch.equal(
            stream.network.layer4[0].conv1[1].weight, published.layer4[0].conv1[1].weight
        )


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize(
    ("visible", "infrared", "message"),
    [
        ((2, 3, 8, 24, 32), (2, 1, 9, 24, 32), "infrared: expected clips .2, 1, 8, 24, 32., as"),
        ((2, 3, 8, 24, 32), (2, 1, 8, 24, 31), "infrared: expected clips .2, 1, 8, 24, 32., as"),
        ((2, 3, 8, 24, 32), (1, 1, 8, 24, 32), "infrared: expected clips .2, 1, 8, 24, 32., as"),
        ((2, 3, 8, 24, 32), (2, 3, 8, 24, 32), "infrared: expected clips .2, 1, 8, 24, 32., as"),
        ((2, 1, 8, 24, 32), (2, 1, 8, 24, 32), "visible: expected clips .2, 3, 8, 24, 32., as"),
        ((3, 8, 24, 32), (1, 8, 24, 32), "visible: expected clips"),
    ],
)
def test_clips_that_are_no_pair(name: str, visible: tuple, infrared: tuple, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        fused(name)(torch.rand(visible), torch.rand(infrared))


def test_full_pan_has_no_single_last_layer() -> None:
    parts = {**LITTLE, "variant": "full"}
    model = build_model("pan_lite_small_early", 4, settings=parts)  # four channels, two networks
    assert model(*pair()).shape == (2, 4)
    with pytest.raises(BenchmarkError, match=r"two-stream fusion: expected .* got FullPAN"):
        build_model("pan_lite_small_two_stream", 4, settings=parts)


def test_one_clip_is_the_rule() -> None:
    for name in ("r3d_small", "pan_lite_small", "cnn_lstm_small"):
        model = build_model(name, 4, 1)
        assert model.input_channels == (1,)
        assert isinstance(model, nn.Module)
