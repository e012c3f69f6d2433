"""The commands in a row, as a user types them."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from benchmarks_kth_mad.cli import COMMANDS, main
from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE

NOTHING = "this accuracy proves nothing about other people"
REPOSITORY = Path(__file__).parents[2]


def test_help_of_the_module() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks_kth_mad", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert found.stderr == ""
    for name in COMMANDS:
        assert re.search(rf"^ +{name}\b", found.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert "--quiet" in capsys.readouterr().out


def test_without_a_command_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


def test_chain_leaves_its_files(rendered: Path, finished) -> None:
    assert (rendered / SEQUENCE_FILE).is_file()
    expected = ["checkpoint.pt", "run.json", "predictions.csv", "attributions", "evaluation"]
    expected += ["rows.parquet", "rows.csv", "report.md", "report.html", "pictures"]
    expected += ["report_summary.csv", "report_comparisons.csv"]
    assert sorted(path.name for path in finished.folder.iterdir()) == sorted(expected)
    pictures = {path.name for path in (finished.folder / "pictures").iterdir()}
    clips = {name.removesuffix(".png") for name in pictures if name.startswith("person")}
    assert pictures >= {"insertion.png", "deletion.png"}
    assert len({name.split(".")[0] for name in clips}) == 1
    assert len(pictures) == 2 + 3
    assert all(path.stat().st_size > 0 for path in (finished.folder / "pictures").iterdir())


def test_chain_says_what_it_did(finished) -> None:
    assert "trained r3d_small on 8 clips" in finished.said["train"]
    assert re.search(r"\d of 8 clips of split test right", finished.said["predict"])
    assert "explained 4 clips by gradcam, occlusion, rise, random" in finished.said["attribute"]
    assert "measured 32 areas" in finished.said["evaluate"]
    for name in ("train", "predict", "report"):
        assert "Accuracy on 8 test clips" in finished.said[name]
        assert "Persons not seen in training: 1." in finished.said[name]
        assert NOTHING not in finished.said[name]


def test_files_that_are_named_exist(finished) -> None:
    named = re.findall(r"^(?:report|picture) +(.+)$", finished.said["report"], re.MULTILINE)
    assert len(named) == 6
    assert all(Path(name).is_file() for name in named)
    links = re.findall(r"!\[.*?\]\((.+?)\)", (finished.folder / "report.md").read_text())
    assert len(links) == 4
    assert all((finished.folder / link).is_file() for link in links)


def test_the_random_map_is_in_the_table(finished) -> None:
    for table in (finished.said["report"], (finished.folder / "report.md").read_text()):
        assert len(re.findall(r"^\| \w+ \(\w+ is better\) +\| random ", table, re.MULTILINE)) == 2
    rows = pd.read_csv(finished.folder / "rows.csv")
    assert (rows["method"] == "random").sum() == 2 * 4


def test_demo_is_the_chain_to_the_digit(
    rendered: Path, finished, steps, command: Callable[..., str], tmp_path: Path
) -> None:
    options = [option for part in steps.values() for option in part]
    said = command("demo", "--root", rendered, "--run", tmp_path / "demo", *options)
    for name in ("rows.csv", "rows.parquet", "predictions.csv"):
        assert (tmp_path / "demo" / name).read_bytes() == (finished.folder / name).read_bytes()
    table = finished.said["report"].split("report  ")[0]
    assert table in said


def test_demo_renders_where_there_is_no_root(
    command: Callable[..., str], steps, tmp_path: Path
) -> None:
    small = ["--persons", 3, "--sequences", 1, "--actions", "walking", "boxing"]
    small += ["--methods", "random", "gradcam", "--clips", 1, "--steps", 2, "--pictures", 0]
    options = [option for option in steps["train"] if option not in ("walking", "handwaving")]
    options.remove("--classes")
    first = command("demo", "--run", tmp_path / "run", *small, *options)
    assert "rendered 3 persons x walking, boxing" in first
    rows = (tmp_path / "run" / "rows.csv").read_bytes()
    again = command("demo", "--run", tmp_path / "run", *small, *options)
    assert first == again
    assert (tmp_path / "run" / "rows.csv").read_bytes() == rows
    command("demo", "--run", tmp_path / "run", *small, *options, "--seed", 1)
    assert (tmp_path / "run" / "rows.csv").read_bytes() != rows


def test_one_person_proves_nothing(
    one_person: Path, command: Callable[..., str], steps, tmp_path: Path
) -> None:
    run = ["--run", tmp_path / "run"]
    data = ["--root", one_person, "--split-by", "sequence", "--skip-missing"]
    assert NOTHING in command("train", *data, *run, *steps["train"])
    assert NOTHING in command("predict", *run)
    command("attribute", *run, "--methods", "random", "--clips", 1)
    command("evaluate", *run, "--metrics", "insertion", "--steps", 2)
    assert NOTHING in command("report", *run, "--pictures", 0)
    assert NOTHING in (tmp_path / "run" / "report.md").read_text()


def test_a_missing_video_can_be_left_out(
    set_copy: Path, command: Callable[..., str], steps, tmp_path: Path
) -> None:
    (set_copy / "walking" / "person03_walking_d1_uncomp.avi").unlink()
    (set_copy / "handwaving" / "person03_handwaving_d1_uncomp.avi").unlink()
    data = ["--root", set_copy, "--split-by", "sequence", "--skip-missing"]
    assert "trained" in command("train", *data, "--run", tmp_path / "run", *steps["train"])


def test_new_maps_and_a_new_model_void_what_came_of_the_old(
    run_copy: Path, rendered: Path, command: Callable[..., str], steps
) -> None:
    def names() -> set[str]:
        return {path.name for path in run_copy.iterdir()} - {"pictures"}

    command("evaluate", "--run", run_copy, "--steps", 2, "--fresh")
    assert "report.md" not in names()
    assert "rows.csv" in names()
    few = ["--methods", "random", "--clips", 1]
    command("attribute", "--run", run_copy, *few, "--fresh")
    assert names() == {"checkpoint.pt", "run.json", "predictions.csv", "attributions"}
    command("train", "--root", rendered, "--run", run_copy, *steps["train"])
    assert names() == {"checkpoint.pt", "run.json"}


def test_splits_and_units_can_be_chosen(run_copy: Path, command: Callable[..., str]) -> None:
    assert "of 24 clips of split all" in command("predict", "--run", run_copy, "--split", "all")
    options = ["--unit", "frame", "--steps", 4, "--metrics", "insertion", "insertion"]
    assert "measured 16 areas" in command("evaluate", "--run", run_copy, *options, "--fresh")
    command("report", "--run", run_copy, "--pictures", 0)
    assert "while one frame after the other" in (run_copy / "report.md").read_text()


def test_a_frame_wise_network_goes_the_whole_way(
    rendered: Path, command: Callable[..., str], steps, tmp_path: Path
) -> None:
    run = ["--run", tmp_path / "run"]
    options = [*steps["train"], "--frames", 30, "--model", "cnn_lstm_small_attention"]
    command("train", "--root", rendered, *run, *options)
    command("predict", *run)
    methods = ["gradcam", "gradient", "frame_occlusion", "random"]
    command("attribute", *run, "--clips", 1, "--methods", *methods)
    command("evaluate", *run, "--unit", "frame", "--metrics", "insertion")
    rows = pd.read_csv(tmp_path / "run" / "rows.csv")
    assert set(rows["method"]) == set(methods)
    assert set(rows["unit"]) == {"frame"}
    assert "frame_occlusion" in command("report", *run, "--pictures", 0)


def test_a_checkpoint_of_the_study_becomes_a_run(
    rendered: Path, command: Callable[..., str], tmp_path: Path
) -> None:
    network = resnet18()
    network.fc = nn.Sequential(nn.Linear(512, 6))
    state = {f"resnet.{key}": value for key, value in network.state_dict().items()}
    for name, part in (("lstm", nn.LSTM(6, 5)), ("fc1", nn.Linear(5, 4)), ("fc2", nn.Linear(4, 2))):
        state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "b.pth")
    run = ["--run", tmp_path / "run"]
    clip = ["--frames", 4, "--height", 32, "--width", 32]
    source = ["--root", rendered, "--classes", "walking", "handwaving"]
    said = command("import-study", "--checkpoint", tmp_path / "b.pth", *source, *run, *clip)
    assert "took cnn_lstm (encoder resnet18, cell lstm, features 6, hidden 5, layers 1" in said
    assert NOTHING in said
    assert "of 8 clips of split test right" in command("predict", *run)
    command("attribute", *run, "--clips", 1, "--methods", "gradcam", "gradient")
