"""Training on several devices: one network, one manifest, and the accuracy of one process."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE
from benchmarks_kth_mad.data.loading import Starts
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import load_checkpoint
from benchmarks_kth_mad.processes.together import Place, _loopback
from benchmarks_kth_mad.training import Recipe, shares, train

REPOSITORY = Path(__file__).parents[2]
CLASSES = ("walking", "handwaving")
CLIP = ClipShape(frames=8, height=24, width=32, channels=1)


@pytest.fixture
def odd_set(set_copy: Path) -> Path:
    """Seven test clips, which two devices can not share evenly."""
    file = set_copy / SEQUENCE_FILE
    text, count = re.subn(r"(person03_walking_d1\t.*), \d+-\d+", r"\1", file.read_text())
    assert count == 1
    file.write_text(text)
    return set_copy


def by_torchrun(arguments: list[str]) -> str:
    """What a command says that torchrun runs in two processes."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    found = subprocess.run(
        [sys.executable, *torchrun, "benchmarks_kth_mad", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": _loopback()},
    )
    return found.stdout


def test_two_processes_train_one_network(
    odd_set: Path, command: Callable[..., str], steps, tmp_path: Path
) -> None:
    options = ["train", "--root", str(odd_set), *steps["train"], "--batch-size", "4"]
    folders = [tmp_path / "ours", tmp_path / "torchrun"]
    said = command(*options, "--run", folders[0], "--devices", 2)
    assert said.count("trained r3d_small on 8 clips") == 1
    there = by_torchrun([*options, "--run", str(folders[1])])
    assert there == said.replace(str(folders[0]), str(folders[1]))
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "run.json"}
    models = [load_checkpoint(folder / "checkpoint.pt").model for folder in folders]
    for one, other in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)
    right = re.match(r"(\d) of 7 clips", command("predict", "--run", folders[0]))
    assert right is not None
    accuracy = json.loads((folders[0] / "run.json").read_text())["accuracy"]
    assert accuracy == pytest.approx(int(right[1]) / 7)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_shares_cover_the_test_once_and_every_batch_evenly(odd_set: Path, world: int) -> None:
    training_set, held_out = (KTH(odd_set, CLIP, CLASSES, split) for split in ("train", "test"))
    tested, trained = [], []
    for rank in range(world):
        place = Place(rank, world)
        for batch in shares.testing_loader(held_out, 6, 0, 0, place):
            assert len(batch["name"]) <= 6 // world
            tested += batch["name"]
        trained += [
            len(one["name"]) for one in shares.training_loader(training_set, 6, 0, 0, place)
        ]
    assert sorted(tested) == sorted(record.name for record in held_out.records)
    assert len(tested) == 7
    assert sum(trained) == -(-8 // world) * world


def test_the_shares_of_an_epoch_are_drawn_by_the_seed(rendered: Path) -> None:
    dataset = KTH(rendered, CLIP, CLASSES)

    def order(seed: int, rank: int) -> list[str]:
        loader = shares.training_loader(dataset, 4, 0, seed, Place(rank, 2))
        return [name for batch in loader for name in batch["name"]]

    assert order(0, 0) == order(0, 0)
    assert not set(order(0, 0)) & set(order(0, 1))
    assert order(0, 0) != order(1, 0)


def test_each_process_draws_starts_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def draws(rank: int | None) -> list[int]:
        monkeypatch.setattr("torch.distributed.is_initialized", lambda: rank is not None)
        monkeypatch.setattr("torch.distributed.get_rank", lambda: rank)
        generator = Starts(5).generator()
        return torch.randint(1000, (8,), generator=generator).tolist()

    assert draws(None) == draws(0)
    assert draws(1) == draws(1)
    assert draws(0) != draws(1) != draws(2)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"batch_size": 3}, r"batch_size: 3 clips .* among 2 devices; choose a multiple of 2"),
        ({"devices": 9, "batch_size": 9}, r"training set: 8 clips for 9 devices"),
    ],
)
def test_clips_that_can_not_be_shared(rendered: Path, recipe: dict, message: str) -> None:
    sets = [KTH(rendered, CLIP, CLASSES, split) for split in ("train", "test")]
    with pytest.raises(BenchmarkError, match=message):
        train("r3d_small", *sets, recipe=Recipe(device="cpu", **{"devices": 2, **recipe}))


def test_torchrun_and_the_option_must_agree(
    rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [KTH(rendered, CLIP, CLASSES, split) for split in ("train", "test")]
    monkeypatch.setattr(
        "benchmarks_kth_mad.training.trainer.launched", lambda: Place(0, 2, 1, "torchrun")
    )
    with pytest.raises(BenchmarkError, match="--devices 4: torchrun has started 2 processes"):
        train("r3d_small", *sets, recipe=Recipe(device="cpu", devices=4))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"devices": 0}, "training devices: expected at least 1, got 0"),
        ({"precision": "float64"}, "precision 'float64': expected one of float32, bfloat16"),
        (
            {"precision": "float16", "device": "cpu"},
            "precision float16: not on a CPU; use bfloat16",
        ),
    ],
)
def test_impossible_recipes(setting: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        Recipe(**setting)


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert Recipe(device="cuda", devices=2).devices == 2
    with pytest.raises(BenchmarkError, match="devices 3: this machine has 2"):
        Recipe(device="cuda", devices=3)


def test_half_precision_trains_and_is_tested_in_full(rendered: Path) -> None:
    def sets() -> list[KTH]:
        return [KTH(rendered, CLIP, CLASSES, split) for split in ("train", "test")]

    full, half = (
        train("r3d_small", *sets(), None, Recipe(1, device="cpu", precision=name), None, False)
        for name in ("float32", "bfloat16")
    )
    assert half.losses[0] == pytest.approx(full.losses[0], rel=0.1)
    assert half.losses != full.losses
    for weight in half.checkpoint.model.state_dict().values():
        assert weight.dtype in (torch.float32, torch.int64)
    held_out = sets()[1]
    with torch.no_grad():
        answers = [half.checkpoint.model(item["clip"][None]).argmax() for item in held_out]
    right = [int(one) == item["label"] for one, item in zip(answers, held_out, strict=True)]
    assert half.accuracy == pytest.approx(sum(right) / len(right))
