"""Study A's checkpoints load by key and give the oracle's scores, or one line says why not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pan_oracle import pan_scores, random_state
from torch import Tensor, nn
from torchvision.models import resnet34, wide_resnet50_2
from torchvision.models.video import r3d_18

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import (
    foreign_states,
    load_c3d_checkpoint,
    load_checkpoint,
    load_full_pan_checkpoint,
    load_pan_checkpoint,
    save_checkpoint,
)

CLASSES = ("wave", "point", "kick")
CLIP = ClipShape(frames=32, height=32, width=40, channels=3)
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None, None]
State = dict[str, Tensor]


def write(path: Path, state: State) -> Path:
    """As the authors' training leaves it."""
    prefixed = {f"module.{key}": value for key, value in state.items()}
    torch.save({"epoch": 50, "arch": "resnet", "state_dict": prefixed, "best_prec1": 0.5}, path)
    return path


@pytest.fixture(scope="module")
def lite() -> State:
    return random_state("lite", 18, len(CLASSES))


@pytest.mark.parametrize(
    ("variant", "depth", "consensus"),
    [
        ("lite", 18, "vap"),
        ("lite", 18, "avg"),
        ("pa", 18, "vap"),
        ("rgb", 18, "avg"),
        ("lite", 50, "vap"),
    ],
)
def test_scores(tmp_path: Path, variant: str, depth: int, consensus: str) -> None:
    state = random_state(variant, depth, len(CLASSES), 8, consensus)
    before = torch.random.get_rng_state()
    loaded = load_pan_checkpoint(write(tmp_path / "a.pth", state), CLASSES, CLIP)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (loaded.name, loaded.classes, loaded.clip) == (f"pan_{variant}", CLASSES, CLIP)
    assert loaded.model.settings["encoder"] == f"resnet{depth}"
    assert loaded.model.settings["consensus"] == {"vap": "vap", "avg": "average"}[consensus]
    assert not loaded.model.training
    clips = torch.rand(1, 3, 32, 32, 40)
    wanted = pan_scores(state, (clips - MEAN) / STD, 8, 4)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(clips), wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("variant", "consensus", "segments", "per_segment"),
    [("lite", "vap", 4, 3), ("lite", "avg", 2, 7), ("rgb", "vap", 16, 1), ("pa", "avg", 3, 2)],
)
def test_segments(
    tmp_path: Path, variant: str, consensus: str, segments: int, per_segment: int
) -> None:
    state = random_state(variant, 18, len(CLASSES), segments, consensus, per_segment)
    clip = ClipShape(frames=segments * per_segment, height=32, width=32)
    told = {"segments": segments} if consensus == "avg" else {}
    loaded = load_pan_checkpoint(write(tmp_path / "a.pth", state), CLASSES, clip, **told)
    assert loaded.model.settings["segments"] == segments
    assert loaded.model.settings["frames_per_segment"] == per_segment
    clips = torch.rand(1, 3, segments * per_segment, 32, 32)
    wanted = pan_scores(state, (clips - MEAN) / STD, segments, per_segment)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(clips), wanted, rtol=1e-4, atol=1e-4)


def test_it_becomes_a_checkpoint_of_ours(tmp_path: Path, lite: State) -> None:
    loaded = load_pan_checkpoint(write(tmp_path / "a.pth", lite), CLASSES, CLIP)
    save_checkpoint(tmp_path / "ours.pt", loaded)
    again = load_checkpoint(tmp_path / "ours.pt")
    assert again.model.settings == loaded.model.settings
    clips = torch.rand(1, 3, 32, 32, 40)
    with torch.no_grad():
        assert torch.equal(again.model(clips), loaded.model(clips))


@pytest.mark.parametrize("consensus", ["vap", "avg"])
def test_the_full_network_from_its_two_files(tmp_path: Path, consensus: str) -> None:
    states = {v: random_state(v, 18, len(CLASSES), 4, consensus, 2) for v in ("rgb", "pa")}
    paths = [write(tmp_path / f"{variant}.pth", state) for variant, state in states.items()]
    clip = ClipShape(frames=8, height=32, width=32)
    loaded = load_full_pan_checkpoint(*paths, CLASSES, clip, segments=4)
    clips = torch.rand(1, 3, 8, 32, 32)
    scores = [pan_scores(state, (clips - MEAN) / STD, 4, 2) for state in states.values()]
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(clips), sum(scores) / 2, rtol=1e-4, atol=1e-4)
    with pytest.raises(BenchmarkError, match=r"pa\.pth: expected the stream rgb, got pa"):
        load_full_pan_checkpoint(*paths[::-1], CLASSES, clip, segments=4)


def test_streams_that_differ(tmp_path: Path) -> None:
    rgb = write(tmp_path / "rgb.pth", random_state("rgb", 18, len(CLASSES)))
    pa = write(tmp_path / "pa.pth", random_state("pa", 18, len(CLASSES), consensus="avg"))
    with pytest.raises(BenchmarkError, match=r"expected consensus vap as in .*, got average"):
        load_full_pan_checkpoint(rgb, pa, CLASSES, CLIP)


Damage = Callable[[State], object]


def without(prefix: str) -> Damage:
    return lambda s: [s.pop(key) for key in list(s) if key.startswith(prefix)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            without("base_model.bn1."),
            r"expected base_model\.bn1\.bias \(64,\), got absent; expected .*num_batches.*; "
            r"expected base_model\.bn1\.running_mean \(64,\), got absent; and 2 more; is it a",
        ),
        (lambda s: s.pop("PA.shallow_conv.bias"), r"PA\.shallow_conv\.bias \(8,\), got absent; is"),
        (
            lambda s: s.update(
                {"base_model.layer1.0.conv1.net.weight": torch.zeros(128, 64, 3, 3)}
            ),
            r"layer1\.0\.conv1\.net\.weight \(64, 64, 3, 3\), got \(128, 64, 3, 3\)",
        ),
        (lambda s: s.update(gate=torch.zeros(3)), r"expected gate absent, got \(3,\)"),
        (
            lambda s: s.update(
                {"base_model.layer2.0.conv1.weight": s.pop("base_model.layer2.0.conv1.net.weight")}
            ),
            r"layer2\.0\.conv1\.net\.weight \(128, 64, 3, 3\), got absent",
        ),
        (without("base_model.conv1"), r"expected base_model\.conv1\.weight of 4 axes, got absent"),
        (
            lambda s: s.update({"base_model.conv1.weight": torch.zeros(64, 9, 7, 7)}),
            r"to take 3 \(pa\) or 6 \(lite\) channels, with 8 segments of 4 frames, got 9; choose",
        ),
        (without("PA."), r"to take 3 \(rgb\) channels, .* got 6"),
        (
            without("base_model.layer4.1"),
            r"expected base_model\.\* of one of .*, got \(2, 2, 2, 1\)",
        ),
        (
            lambda s: s.update({"base_model.fc.TES.0.weight": torch.zeros(7)}),
            r"expected base_model\.fc\.TES\.0\.weight of 2 axes, got \(7,\)",
        ),
        (
            lambda s: s.update({"base_model.fc.TES.0.weight": torch.zeros(60, 15)}),
            r"TES\.0\.weight \(60, 15\), got|to take 1 \(pa\) or 4 \(lite\)",
        ),
        (
            lambda s: s.update({"base_model.fc.pred.bias": torch.zeros(174)}),
            r"expected 3 classes \(wave, point, kick\), got base_model\.fc\.pred of 174; name",
        ),
        (lambda s: s.update(epoch=3), "expected weights under the key 'state_dict'"),
    ],
)
def test_weights_that_do_not_fit(
    lite: State, monkeypatch: pytest.MonkeyPatch, damage: Damage, message: str
) -> None:
    state = dict(lite)
    damage(state)
    monkeypatch.setattr(foreign_states, "read_file", lambda _: {"state_dict": state})
    with pytest.raises(BenchmarkError, match=message) as caught:
        load_pan_checkpoint("a.pth", CLASSES, CLIP)
    assert str(caught.value).startswith("a.pth: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (30, "expected clips whose frames make 8 segments, got 30"),
        (16, r"to take 1 \(pa\) or 4 \(lite\) channels, with 8 segments of 2 frames, got 6"),
        (8, r"expected clips of more than one frame per segment"),
    ],
)
def test_clips_that_do_not_fit(
    lite: State, monkeypatch: pytest.MonkeyPatch, frames: int, message: str
) -> None:
    monkeypatch.setattr(foreign_states, "read_file", lambda _: {"state_dict": lite})
    with pytest.raises(BenchmarkError, match=message):
        load_pan_checkpoint("a.pth", CLASSES, ClipShape(frames=frames))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (resnet34, r"a\.pth: PAN encoder 'resnet34': expected one of small, resnet18, resnet50"),
        (wide_resnet50_2, r"expected base_model\.layer1\.0\.bn1\.bias \(64,\), got \(128,\)"),
    ],
)
def test_another_encoder(
    lite: State, monkeypatch: pytest.MonkeyPatch, build: Callable[[], nn.Module], message: str
) -> None:
    state = {key: value for key, value in lite.items() if not key.startswith("base_model.layer")}
    state |= {
        f"base_model.{key.replace('.conv1.', '.conv1.net.')}": value
        for key, value in build().state_dict().items()
        if key.startswith("layer")
    }
    monkeypatch.setattr(foreign_states, "read_file", lambda _: {"state_dict": state})
    with pytest.raises(BenchmarkError, match=message):
        load_pan_checkpoint("a.pth", CLASSES, CLIP)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Study A's 3-D network."""
    return r3d_18(num_classes=len(CLASSES)).eval()


@pytest.mark.parametrize(
    ("wrap", "prefix"), [("plain", ""), ("state_dict", "module."), ("model", "")]
)
def test_the_3d_network(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, wrap: str, prefix: str
) -> None:
    state = {prefix + key: value for key, value in network.state_dict().items()}
    content = state if wrap == "plain" else {wrap: state, "epoch": 15}
    monkeypatch.setattr(foreign_states, "read_file", lambda _: content)
    loaded = load_c3d_checkpoint("C3D_IR_15.pth", CLASSES)
    assert (loaded.name, loaded.classes) == ("r3d_18", CLASSES)
    assert (loaded.clip.frames, loaded.clip.height, loaded.clip.width) == (16, 224, 224)
    clips = torch.rand(2, 3, 8, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(clips), network((clips - MEAN) / STD))


def test_the_3d_network_stays_study_a_s(network: nn.Module, tmp_path: Path) -> None:
    """Its normalisation is not that of the r3d_18 that is trained here."""
    torch.save(network.state_dict(), tmp_path / "C3D_IR_15.pth")
    save_checkpoint(tmp_path / "ours.pt", load_c3d_checkpoint(tmp_path / "C3D_IR_15.pth", CLASSES))
    again = load_checkpoint(tmp_path / "ours.pt")
    assert again.model.settings == {"normalization": "imagenet"}
    clips = torch.rand(1, 3, 8, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again.model(clips), network((clips - MEAN) / STD))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.update({"fc.bias": torch.zeros(8)}), r"expected 3 classes .*, got fc of 8"),
        (lambda s: s.pop("fc.weight"), r"expected network\.fc\.weight \(3, 512\), got absent; is"),
        (lambda s: s.clear(), "expected weights under the key 'state_dict'"),
    ],
)
def test_a_3d_network_that_does_not_fit(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, damage: Damage, message: str
) -> None:
    state = dict(network.state_dict())
    damage(state)
    monkeypatch.setattr(foreign_states, "read_file", lambda _: state)
    with pytest.raises(BenchmarkError, match=message) as caught:
        load_c3d_checkpoint("C3D_IR_15.pth", CLASSES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", [load_pan_checkpoint, load_c3d_checkpoint])
def test_another_file(tmp_path: Path, load: Callable) -> None:
    path = tmp_path / "a.pth"
    with pytest.raises(BenchmarkError, match=r"a\.pth: no such checkpoint"):
        load(path, CLASSES)
    torch.save([torch.zeros(3)], path)
    with pytest.raises(BenchmarkError, match=r"a\.pth: expected weights under the key"):
        load(path, CLASSES)
    torch.save({"state_dict": nn.Linear(2, 2)}, path)  # a pickled module would run code
    with pytest.raises(BenchmarkError, match=r"a\.pth: not a checkpoint that can be read"):
        load(path, CLASSES)
