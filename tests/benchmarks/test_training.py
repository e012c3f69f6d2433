"""Training learns, is repeatable, says what it proves, and leaves the process as it was."""

import logging
import os
import random
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks_kth_mad.data.augmentation import augment
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import load_checkpoint
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.rendering.render import render_kth
from benchmarks_kth_mad.training import Recipe, Trained, resolve_device, train

REAL = Path(os.environ.get("CAPTUM_VIDEO_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
CLASSES = ("walking", "handwaving")
CLIP = ClipShape(frames=8, height=24, width=32, channels=1)
SHORT = Recipe(epochs=3, batch_size=4, learning_rate=5e-3, device="cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine, threads that wait for each other take most of the time of so small a net."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = RenderSettings(persons=6, sequences=2, frames=12, height=48, width=64)
    return render_kth(tmp_path_factory.mktemp("sets") / "set", CLASSES, settings)


def fit(root: Path, path: Path | None = None, recipe: Recipe = SHORT) -> Trained:
    training_set = KTH(root, CLIP, CLASSES, random_start=True)
    return train(
        "r3d_small", training_set, KTH(root, CLIP, CLASSES, "test"), path, recipe, None, False
    )


def test_loss_falls_and_checkpoint_holds_the_model(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(epochs=8, batch_size=4, learning_rate=5e-3, device="cpu")
    trained = fit(root, Path("model.pt"), recipe)
    assert len(trained.losses) == 8
    assert trained.losses[-1] < 0.85 * trained.losses[0]
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    loaded = load_checkpoint("model.pt")
    assert (loaded.classes, loaded.clip) == (CLASSES, CLIP)
    held_out = KTH(root, CLIP, CLASSES, "test")
    right = 0
    with torch.no_grad():
        for k in range(len(held_out)):
            logits = loaded.model(held_out[k]["clip"][None])
            right += int(logits.argmax()) == held_out[k]["label"]
    assert trained.clips == len(held_out) == 4
    assert trained.accuracy == pytest.approx(right / 4)


def test_same_seed_same_weights(root: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        recipe = Recipe(epochs=1, batch_size=8, seed=seed, device="cpu")
        return fit(root, recipe=recipe).checkpoint.model.network.fc.weight.detach()

    first = weights(1)
    torch.rand(5)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))


def test_the_process_is_left_as_it_was(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> tuple:
        return (
            torch.random.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            random.getstate(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.is_grad_enabled(),
            logging.getLogger("lightning.pytorch").level,
            {key: value for key, value in os.environ.items() if key.startswith(("PL_", "CUBLAS"))},
        )

    before = state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(root)
    assert state() == before
    assert [str(warning.message) for warning in caught] == []
    assert capsys.readouterr().out.strip() == ""


def test_held_out_persons_are_named(root: Path) -> None:
    assert fit(root).unseen_persons == (6,)
    by_sequence = [
        KTH(root, CLIP, CLASSES, split, "sequence", random_start=split == "train")
        for split in ("train", "test")
    ]
    recipe = Recipe(epochs=1, device="cpu")
    assert train("r3d_small", *by_sequence, None, recipe, None, False).unseen_persons == ()


def test_sets_must_match(root: Path) -> None:
    training_set = KTH(root, CLIP, CLASSES)
    with pytest.raises(BenchmarkError, match="held-out set: expected classes"):
        train("r3d_small", training_set, KTH(root, CLIP, CLASSES[::-1], "test"), recipe=SHORT)
    with pytest.raises(BenchmarkError, match="held-out set: expected classes"):
        train("r3d_small", training_set, KTH(root, ClipShape(), CLASSES, "test"), recipe=SHORT)


def test_a_loss_that_explodes_is_an_error(root: Path, tmp_path: Path) -> None:
    recipe = Recipe(epochs=4, batch_size=4, learning_rate=1e30, device="cpu")
    with pytest.raises(BenchmarkError, match=r"the loss became .*; lower --learning-rate"):
        fit(root, tmp_path / "a.pt", recipe)
    assert list(tmp_path.iterdir()) == []


def test_pan_learns(root: Path) -> None:
    recipe = Recipe(epochs=10, batch_size=4, learning_rate=5e-3, device="cpu")
    sets = [KTH(root, CLIP, CLASSES, split, random_start=True) for split in ("train", "test")]
    parts = {"segments": 4, "frames_per_segment": 2}
    trained = train("pan_lite_small", *sets, None, recipe, None, False, parts)
    assert trained.losses[-1] < 0.7 * trained.losses[0]
    assert trained.checkpoint.model.settings["segments"] == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pan_lite_small", r"PAN: expected clips .* of 32 frames, 8 segments of 4, got .*, 8, 24"),
        ("r3d_small_early", "r3d_small_early: takes the visible and the infrared clip of a scene"),
    ],
)
def test_networks_that_want_other_clips(root: Path, name: str, message: str) -> None:
    sets = [KTH(root, CLIP, CLASSES, split) for split in ("train", "test")]
    with pytest.raises(BenchmarkError, match=message):
        train(name, *sets, None, SHORT, None, False)


def test_interruption_comes_through(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks_kth_mad.training.classification.augment", interrupt)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(root, tmp_path / "a.pt")
    assert signal.getsignal(signal.SIGINT) is handler
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "training epochs: expected at least 1, got 0"),
        ({"batch_size": 0}, "training batch_size: expected at least 1, got 0"),
        ({"learning_rate": 0}, "training learning_rate: expected more than 0, got 0"),
        ({"device": "tpu"}, "device 'tpu': expected cpu, cuda or auto"),
    ],
)
def test_impossible_recipes(setting: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        Recipe(**setting)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(BenchmarkError, match="device cuda: this machine has none"):
        resolve_device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"
    assert resolve_device("cpu") == "cpu"


def test_augmentation_mirrors_about_half_and_stays_in_range() -> None:
    clips = torch.rand(200, 1, 2, 4, 6)
    before = clips.clone()
    (changed,) = augment((clips,), torch.Generator().manual_seed(0))
    assert torch.equal(clips, before)
    assert changed.shape == clips.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    same_side = [
        float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) > 0.8
        for a, b in zip(clips, changed, strict=True)
    ]
    assert 70 < sum(same_side) < 130
    (again,) = augment((clips,), torch.Generator().manual_seed(0))
    assert torch.equal(changed, again)


@pytest.mark.skipif(
    not (REAL / "kth").is_dir(), reason=f"no KTH at {REAL / 'kth'} (set CAPTUM_VIDEO_REAL_DATA)"
)
def test_real_footage_trains() -> None:
    """One person: it proves that the path works, and nothing about accuracy."""
    training_set, held_out = (
        KTH(REAL / "kth", CLIP, ("walking", "running"), split, "sequence", skip_missing=True)
        for split in ("train", "test")
    )
    trained = train("r3d_small", training_set, held_out, None, SHORT, None, False)
    assert trained.unseen_persons == ()
    assert trained.clips == 2
    assert np.isfinite(trained.losses).all()
