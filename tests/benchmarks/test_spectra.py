"""The commands of a run on the multispectral set: one spectrum, both pooled, both at once."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torchvision.models.video import r3d_18

from benchmarks_kth_mad.evaluation import load_explained
from benchmarks_kth_mad.models import build_model
from benchmarks_kth_mad.runs import Run

TINY = ["--frames", 8, "--height", 24, "--width", 32, "--epochs", 1, "--device", "cpu"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., str]) -> Path:
    """Four persons (one for testing), two actions, one scene of each."""
    root = tmp_path_factory.mktemp("scenes") / "set"
    sizes = ["--persons", 4, "--sequences", 1, "--sequence-frames", 16, "--video-width", 64]
    actions = ["--actions", "walking", "kicking"]
    command("render", "--layout", "mad", "--root", root, *sizes, *actions)
    return root


@pytest.fixture(scope="module")
def pooled(
    scenes: Path, tmp_path_factory: pytest.TempPathFactory, command: Callable[..., str]
) -> Path:
    run = tmp_path_factory.mktemp("runs") / "pooled"
    command("train", "--root", scenes, "--spectrum", "IRTV", "--run", run, *TINY)
    return run


def test_what_learned_from_both_is_tested_on_each(
    scenes: Path, pooled: Path, command: Callable[..., str]
) -> None:
    manifest = json.loads((pooled / "run.json").read_text())
    assert manifest["source"]["spectrum"] == "IRTV"
    assert manifest["source"]["classes"] == ["walking", "kicking"]
    assert manifest["test_clips"] == 4
    assert "4 clips" in command("predict", "--run", pooled)
    for spectrum in ("IR", "TV"):
        said = command("predict", "--run", pooled, "--spectrum", spectrum)
        assert "2 clips of split test" in said
        rows = pd.read_csv(pooled / "predictions.csv")
        assert sorted(rows["label"]) == ["kicking", "walking"]


@pytest.mark.filterwarnings("ignore:RISE3D")
def test_a_network_of_both_spectra_at_once(
    scenes: Path, tmp_path: Path, command: Callable[..., str]
) -> None:
    run = tmp_path / "run"
    options = ["--model", "r3d_small_two_stream", "--spectrum", "paired"]
    command("train", "--root", scenes, "--run", run, *options, *TINY)
    assert "of 2 clips" in command("predict", "--run", run)
    methods = ["gradcam", "gradient", "rise", "sidu", "random"]
    few = ["--clips", 2, "--samples", 60, "--methods", *methods]
    command("attribute", "--run", run, *few)
    explained = load_explained(Run(run))
    assert [tuple(clip.shape) for clip in explained.clips] == [(2, 3, 8, 24, 32), (2, 1, 8, 24, 32)]
    assert list(explained.maps) == methods
    for maps in explained.maps.values():
        assert [tuple(one.shape) for one in maps] == [(2, 1, 8, 24, 32)] * 2
    # each stream of the network has a map of its own
    for name in ("gradcam", "sidu"):
        visible, infrared = explained.maps[name]
        assert not torch.allclose(visible, infrared)
    command("evaluate", "--run", run, "--steps", 4, "--unit", "cell")
    said = command("report", "--run", run, "--pictures", 1)
    stem = explained.names[0]
    for spectrum in ("visible", "infrared"):
        assert str(run / "pictures" / f"{stem}_{spectrum}.png") in said
        assert (run / "pictures" / f"{stem}_{spectrum}.gif").is_file()


def test_a_checkpoint_of_the_study_becomes_a_run(
    scenes: Path, tmp_path: Path, command: Callable[..., str]
) -> None:
    network = r3d_18()
    network.fc = nn.Linear(512, 2)
    torch.save(network.state_dict(), tmp_path / "C3D_IR_15.pth")
    pan = build_model("pan_lite", 2, settings={"encoder": "resnet18"})
    state = {f"module.{key}": value for key, value in pan.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "pan.pth")
    size = ["--height", 32, "--width", 32, "--device", "cpu"]
    for name, file in (("3d-resnet", "C3D_IR_15.pth"), ("pan", "pan.pth")):
        source = ["--root", scenes, "--spectrum", "IR", "--run", tmp_path / name]
        options = ["--network", name, "--checkpoint", tmp_path / file, *size]
        said = command("import-study", *options, *source)
        assert "Whom it was trained on, its file does not tell" in said
        assert "of 2 clips" in command("predict", "--run", tmp_path / name)
    clip = torch.load(tmp_path / "pan" / "checkpoint.pt", weights_only=True)["clip"]
    assert (clip["frames"], clip["segments"]) == (32, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--spectrum", "IR", "--model", "r3d_small_early"], "takes the visible and the infrared"),
        (
            ["--spectrum", "paired"],
            "model r3d_small: takes one clip, the data set gives the visible",
        ),
        (["--spectrum", "IR", "--skip-missing"], "--split-by and --skip-missing are for KTH"),
        (["--spectrum", "IR", "--split-by", "person"], "--split-by and --skip-missing are for KTH"),
        (["--spectrum", "IR", "--classes", "swimming"], "swimming"),
        (["--spectrum", "IR", "--segments", "3"], "segments"),
        (
            ["--spectrum", "IR", "--model", "pan_lite_small", "--frames", "32", "--segments", "4"],
            "cuts a clip into 8 segments, the data set gives 4; use --segments 8",
        ),
        ([], "00sequences.txt"),
    ],
)
def test_refused(
    options: list, message: str, scenes: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    line = refused("train", "--root", scenes, "--run", tmp_path / "run", *TINY, *options)
    assert message in line


def test_a_model_of_kth_needs_the_folder_of_the_other_set(
    run_copy: Path, refused: Callable[..., str]
) -> None:
    line = refused("predict", "--run", run_copy, "--spectrum", "IR")
    assert "name the folder of the multispectral set by --root" in line


def test_a_run_of_both_spectra_is_not_shown_one(
    scenes: Path, pooled: Path, refused: Callable[..., str]
) -> None:
    assert "takes one clip" in refused("predict", "--run", pooled, "--spectrum", "paired")


def test_studies_files_are_counted(scenes: Path, refused: Callable[..., str]) -> None:
    source = ["--root", scenes, "--spectrum", "IR"]
    options = ["--network", "pan-full", "--checkpoint", "a.pth"]
    assert "expected 2 of pan-full, got 1" in refused("import-study", *source, *options)
    options = ["--network", "pan", "--checkpoint", "a.pth", "--mean", "0"]
    assert "are of cnn-lstm, not of pan" in refused("import-study", *source, *options)
