"""A training that is ended goes on to the network that it would have come to."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.data.augmentation import augment
from benchmarks_kth_mad.models import load_checkpoint
from benchmarks_kth_mad.training import classification


@pytest.fixture
def options(rendered: Path, steps, tmp_path: Path) -> list[str]:
    more = ["--epochs", "3", "--batch-size", "3"]
    return [
        "train",
        "--root",
        str(rendered),
        *steps["train"],
        *more,
        "--run",
        str(tmp_path / "run"),
    ]


@pytest.fixture
def ended(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder whose training was ended in the middle of its second epoch."""
    steps_done = 0

    def stop(clips: tuple, generator: torch.Generator) -> tuple:
        nonlocal steps_done
        steps_done += 1
        if steps_done == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return augment(clips, generator)

    with monkeypatch.context() as patch:
        patch.setattr(classification, "augment", stop)
        with pytest.raises(KeyboardInterrupt):
            main(options)
    return tmp_path / "run"


def test_the_same_network_after_an_end(
    ended: Path, options: list[str], command: Callable[..., str], tmp_path: Path
) -> None:
    assert [path.name for path in ended.iterdir()] == ["unfinished.ckpt"]
    said = command(*options)
    assert said.startswith("goes on after epoch 1 of 3 of a training that was ended\n")
    assert {path.name for path in ended.iterdir()} == {"checkpoint.pt", "run.json"}
    undisturbed = command(*options, "--run", tmp_path / "other")
    assert said.splitlines()[-1] == undisturbed.splitlines()[-1]
    states = [
        load_checkpoint(folder / "checkpoint.pt").model.state_dict()
        for folder in (ended, tmp_path / "other")
    ]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@pytest.mark.usefixtures("ended")
def test_other_conditions_are_refused(options: list[str], refused, set_copy: Path) -> None:
    line = refused(*options, "--learning-rate", 0.1)
    assert "recipe learning_rate 0.005 there, 0.1 asked for" in line
    assert "--fresh" in line
    line = refused(*options, "--model", "r3d_small_early")
    assert "model" in line
    video = set_copy / "walking" / "person01_walking_d1_uncomp.avi"
    video.write_bytes(video.read_bytes() + b"\0")
    line = refused(*options, "--root", set_copy)
    assert "source root" in line
    assert "; data " in line


def test_fresh_starts_over(ended: Path, options: list[str], command: Callable[..., str]) -> None:
    said = command(*options, "--fresh", "--seed", 1)
    assert said.startswith("trained")
    assert {path.name for path in ended.iterdir()} == {"checkpoint.pt", "run.json"}


@pytest.mark.usefixtures("ended")
def test_a_damaged_file_is_refused(options: list[str], refused, ended: Path) -> None:
    file = ended / "unfinished.ckpt"
    file.write_bytes(file.read_bytes()[:1000])
    assert "unfinished.ckpt: not a training that can go on" in refused(*options)
