"""Models take clips in [0, 1]; checkpoints come back exactly, or with one line that says why not."""

from pathlib import Path

import pytest
import torch

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import Checkpoint, build_model, load_checkpoint, save_checkpoint

CLASSES = ("walking", "running", "boxing")


def checkpoint(channels: int = 3) -> Checkpoint:
    clip = ClipShape(frames=8, height=24, width=32, channels=channels, stride=2)
    return Checkpoint(build_model("r3d_small", 3, channels).eval(), "r3d_small", CLASSES, clip)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["r3d_18", "r3d_small"])
def test_models_give_logits(name: str, channels: int) -> None:
    model = build_model(name, 5, channels).eval()
    clips = torch.rand(2, channels, 8, 32, 32)
    with torch.no_grad():
        logits = model(clips)
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()
    assert model.channels == channels


def test_small_model_keeps_time_at_its_last_stage() -> None:
    model = build_model("r3d_small", 4)
    shapes = []
    model.last_stage.register_forward_hook(lambda *args: shapes.append(tuple(args[2].shape)))
    model(torch.rand(1, 3, 16, 48, 64))
    assert shapes == [(1, 64, 4, 6, 8)]
    assert sum(weight.numel() for weight in model.parameters()) < 500_000


def test_normalisation_is_inside() -> None:
    model = build_model("r3d_small", 4).eval()
    clips = torch.rand(2, 3, 8, 24, 32)
    normalized = model.normalize(clips)
    assert torch.allclose(model(clips), model.network(normalized))
    assert normalized.mean().abs() < 0.6
    assert normalized.min() < -1


def test_small_model_starts_blind_to_what_stands_still() -> None:
    model = build_model("r3d_small", 4)
    still = torch.rand(1, 3, 1, 24, 32).expand(-1, -1, 12, -1, -1)
    response = model.network.stem[0](model.normalize(still))
    assert response[:, :, 2:-2].abs().max() < 1e-4


def test_gradients_reach_the_clip() -> None:
    clips = torch.rand(1, 3, 8, 24, 32, requires_grad=True)
    build_model("r3d_small", 4).eval()(clips)[0, 1].backward()
    assert clips.grad is not None
    assert clips.grad.abs().amax((0, 1, 3, 4)).min() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet", 4), "model 'resnet': expected one of r3d_18, r3d_small"),
        (("r3d_small", 1), "expected at least 2 classes, got 1"),
        (("r3d_small", 4, 2), "expected 1 or 3 channels, got 2"),
        (("r3d_small", 4, 3, "KINETICS400_V1"), "has no published weights"),
        (("r3d_18", 4, 3, "IMAGENET"), "expected weights KINETICS400_V1, got 'IMAGENET'"),
        (
            ("r3d_small", 4, 3, None, {"encoder": "resnet18"}),
            "model r3d_small: setting 'encoder': expected one of normalization",
        ),
        (
            ("r3d_18", 4, 3, None, {"normalization": "mnist"}),
            "'mnist': expected kinetics or imagen",
        ),
    ],
)
def test_impossible_models(arguments: tuple, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        build_model(*arguments)


def test_weights_that_can_not_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("torch.hub.get_dir", lambda: "/nowhere/at/all")
    monkeypatch.setattr("os.makedirs", lambda *_, **__: None)
    with pytest.raises(BenchmarkError, match=r"can not be fetched .*go online, or train without"):
        build_model("r3d_18", 4, weights="KINETICS400_V1")


@pytest.mark.parametrize("channels", [1, 3])
def test_checkpoint_round_trip(tmp_path: Path, channels: int) -> None:
    saved = checkpoint(channels)
    save_checkpoint(tmp_path / "deep" / "a.pt", saved)
    state = torch.random.get_rng_state()
    loaded = load_checkpoint(tmp_path / "deep" / "a.pt")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (loaded.name, loaded.classes, loaded.clip) == (saved.name, saved.classes, saved.clip)
    assert not loaded.model.training
    clips = torch.rand(2, channels, 8, 24, 32)
    with torch.no_grad():
        assert torch.equal(loaded.model(clips), saved.model(clips))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.pt"]


def test_interrupted_saving_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, checkpoint())
    before = path.read_bytes()

    def interrupt(content: object, target: Path) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("torch.save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, checkpoint())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"gone\.pt: no such checkpoint"):
        load_checkpoint(tmp_path / "gone.pt")


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"words")
    with pytest.raises(BenchmarkError, match=r"a\.pt: not a checkpoint that can be read"):
        load_checkpoint(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(BenchmarkError, match=r"a\.pt: not a checkpoint of this package"):
        load_checkpoint(path)
    torch.save(build_model("r3d_small", 3), path)  # a pickled module would run code
    with pytest.raises(BenchmarkError, match=r"a\.pt: not a checkpoint that can be read"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classes", ["walking", "running"], r"expected network\.fc\.bias \(2,\), got \(3,\)"),
        ("state", {}, r"expected network\.fc\.bias \(3,\), got absent"),
        ("model", "r3d_18", "does not fit its model"),
        ("model", "other", "model 'other': expected one of"),
        ("clip", {"frames": 0}, "clip frames: expected a whole number"),
        ("clip", {"depth": 3}, "not a checkpoint of this package"),
    ],
)
def test_a_checkpoint_that_does_not_fit(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, checkpoint())
    content = torch.load(path, weights_only=True)
    content[key] = value
    torch.save(content, path)
    with pytest.raises(BenchmarkError, match=message) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
