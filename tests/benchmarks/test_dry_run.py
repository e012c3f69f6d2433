"""A dry run says what a command would do, by what is there, and leaves everything as it was."""

import re
from collections.abc import Callable
from math import prod
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.methods import METHODS, Options
from benchmarks_kth_mad.multispectral.config import load_config
from benchmarks_kth_mad.planning.cost import Cost, Subject
from benchmarks_kth_mad.planning.of_multispectral import study_plan
from benchmarks_kth_mad.planning.of_run import attribution_plan, evaluation_plan
from benchmarks_kth_mad.planning.of_sequential import clips_in as clips_in_sequential
from benchmarks_kth_mad.planning.plan import Devices, Part, Plan, plan_table, plan_text
from benchmarks_kth_mad.planning.sizes import clip_bytes, in_words, map_bytes, row_bytes
from benchmarks_kth_mad.rendering.render_mad import render_mad
from benchmarks_kth_mad.rendering.thermal import MADSettings
from benchmarks_kth_mad.sequential.config import load_config as load_sequential

CLIP = ClipShape(frames=8, height=24, width=32, channels=1)


def rows_of(said: str) -> dict[str, list[str]]:
    """The cells behind the name of each row of a Markdown table."""
    lines = [line.strip("|").split("|") for line in said.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_attribute_says_what_it_would_take(run_copy, command):
    before = files_in(run_copy)
    methods = ["--methods", "frame_occlusion", "rise", "extremal", "--samples", 7]
    asked = ["attribute", "--dry-run", "--fresh", "--run", run_copy, *methods, "--clips", 99]
    said = command(*asked)
    rows = rows_of(said)
    assert rows["(predicted class)"] == ["8", "1", "0", "8", "0"]
    assert rows["frame_occlusion"] == ["8", "9", "0", "72", "0"]
    assert rows["rise"] == ["8", "7", "0", "56", "0"]
    assert rows["extremal"] == ["8", "≤ 130", "≤ 120", "≤ 1,040", "≤ 960"]
    assert rows["all"][-2:] == ["≤ 1,176", "≤ 960"]
    assert "24 maps, float32, 24,576 bytes each: 590 kB" in said
    assert "8 clips, uint8, 6,144 bytes each: 49.2 kB" in said
    assert "extremal: at most so many (" in said
    assert "no hours without --rate" in said
    assert "needs their rate as well" in command(*asked, "--rate", 2)
    assert "hours: 0.2 of each of 2 devices" in command(*asked, "--rate", 1, 2, "--shards", 2)
    assert files_in(run_copy) == before


def test_evaluate_says_what_it_would_take(run_copy, command):
    before = files_in(run_copy)
    asked = ["evaluate", "--dry-run", "--fresh", "--run", run_copy]
    said = command(*asked, "--unit", "frame", "--steps", 99)
    rows = rows_of(said)
    assert rows["deletion of random"] == ["4", "9", "0", "36", "0"]
    assert rows["all"][-2:] == [str(2 * 4 * 36), "0"]
    assert "32 rows with curves of 9 points" in said
    assert files_in(run_copy) == before


def test_what_a_run_keeps_is_finished(run_copy, command, steps, refused):
    before = files_in(run_copy)
    for name in ("attribute", "evaluate"):
        said = command(name, "--dry-run", "--run", run_copy, *steps[name])
        assert rows_of(said)["all"][-2:] == ["0", "0"]
        assert {cells[1] for what, cells in rows_of(said).items() if what.endswith("random")} == {
            "4"
        }
    assert "options n_samples 60 there, 500" in refused("attribute", "--dry-run", "--run", run_copy)
    assert "played n_steps 5 there, 50" in refused("evaluate", "--dry-run", "--run", run_copy)
    assert files_in(run_copy) == before


def test_a_plan_of_groups_is_a_bound(run_copy, command):
    for name in ("attribute", "evaluate"):
        for size, told in ((1, 0), (3, 1)):
            asked = [name, "--dry-run", "--fresh", "--run", run_copy, "--clips-per-pass", size]
            assert command(*asked).count("computed together") == told


def test_a_network_can_be_planned_for_by_name(command):
    said = command("plan", "--clips", 3, "--methods", "occlusion", "--steps", 2)
    assert rows_of(said)["occlusion"] == ["3", "344", "0", "1,032", "0"]
    assert rows_of(said)["insertion of occlusion"] == ["3", "3", "0", "9", "0"]


@pytest.mark.parametrize("asked", [["--rate", "0"], ["--rate", "inf"], ["--rate", 1, 2, 3]])
def test_rates_that_say_nothing_are_refused(refused, asked):
    assert "--rate" in refused("plan", *asked)


def test_what_is_finished_is_not_planned_again():
    subject = Subject.named("r3d_small", CLIP)
    methods = ["gradient", "random"]
    plan = attribution_plan(subject, methods, Options(), 10, {"gradient": 4, "random": 10})
    table = plan_table(plan).set_index("what")
    assert list(table["finished"]) == ["4", "4", "10", ""]
    assert list(table["forward"]) == ["6", "6", "0", "12"]
    maps = dict.fromkeys(methods, 10)
    played = Played("frame", 50, "gray")
    measured = evaluation_plan(subject, maps, ["deletion"], played, {("deletion", "random"): 7})
    assert list(plan_table(measured)["forward"]) == ["90", "27", "117"]


def test_hours_are_those_of_the_device_with_most_clips():
    parts = [Part("a", 10, Cost(forward=3 * one(), backward=one())), Part("b", 4, Cost(one()))]
    assert Devices(2, 4).hours(parts) == pytest.approx((30 / 2 + 10 / 4 + 4 / 2) / 3600)
    assert Devices(2, 4, 3).hours(parts) == pytest.approx((12 / 2 + 4 / 4 + 2 / 2) / 3600)
    assert Devices(2).hours(parts) is None
    assert Devices(2).hours(parts[1:]) == pytest.approx(2 / 3600)
    assert "17.0 of one device" in plan_text(Plan("t", parts[1:]), Devices(4 / 17 / 3600))


def one():
    return Subject.named("r3d_small", CLIP).plain(1).forward


def test_bytes_are_those_of_what_is_kept():
    both = Subject.named("r3d_small_two_stream", ClipShape(frames=4, height=20, width=30))
    assert map_bytes(both) == 2 * 4 * 4 * 20 * 30
    assert clip_bytes(both) == (3 + 1) * 4 * 20 * 30
    one_tensor = torch.zeros(4, dtype=torch.uint8)
    assert one_tensor.element_size() * prod((4, 4, 20, 30)) == clip_bytes(both)
    few, many, own = row_bytes(11, "voxel"), row_bytes(101, "voxel"), row_bytes(101, "superpixel")
    assert 4 * 11 < few < 4 * 101 < many < 2 * 4 * 101 < own < 4 * 4 * 101
    assert [in_words(count) for count in (7, 1234, 12.34e6, 2e15)] == [
        "7 bytes",
        "1.23 kB",
        "12.3 MB",
        "2e+03 TB",
    ]


@pytest.mark.parametrize(
    "name", ["r3d_18", "pan_lite", "cnn_lstm_small_attention", "r3d_small_two_stream"]
)
def test_networks_are_planned_for_without_their_weights(name: str):
    clip = ClipShape(frames=32, height=64, width=64, segments=8)
    subject = Subject.named(name, clip)
    methods = [method for method in METHODS if method != "input_cell" or "attention" in name]
    plan = attribution_plan(subject, methods, Options(), 1)
    assert all(parameter.is_meta for parameter in subject.model.parameters())
    assert all(part.cost.forward > 0 for part in plan.parts if part.what != "random")
    assert {bool(part.cost.heads) for part in plan.parts[:1]} == {name.startswith("cnn_lstm")}


SET = {"persons": 4, "sequences": 1, "frames": 4, "height": 24, "width": 32}
CHANGES = {
    "networks": {"r3d_small": {"clip": {"frames": 4, "height": 24, "width": 32}}},
    "render": SET,
    "methods": ["gradcam", "random"],
    "maps": {"clips": 3, "steps": 6},
    "fusion": ["early"],
}


def test_a_study_is_planned_as_one(tmp_path):
    config = load_config("multispectral_small", CHANGES).of_networks(["r3d_small"])
    table = plan_table(study_plan(config, None)).set_index(["network", "what"])
    epochs, scenes = config.networks["r3d_small"].recipe.epochs, 8
    learned = 3 * scenes
    training = table.loc[("r3d_small", "training")]
    assert training["clips"] == str((1 + 1 + 2) * learned)
    assert training["forward"] == training["backward"] == f"{4 * learned * epochs:,}"
    assert table.loc[("r3d_small", "accuracy"), "forward"] == str(3 * 2 * scenes)
    assert table.loc[("r3d_small", "gradcam"), "forward"] == str(3 * 2 * 3 * 2)
    assert table.loc[("r3d_small", "insertion"), "forward"] == str(3 * 2 * 2 * 3 * 7)
    paired = table.loc[("r3d_small_early", "modality score")]
    assert (paired["clips"], paired["forward"]) == (str(scenes), str(scenes * (1 + 4)))
    render_mad(tmp_path / "set", settings=MADSettings(**SET))
    read = plan_table(study_plan(config, tmp_path / "set"))
    pd.testing.assert_frame_equal(read, plan_table(study_plan(config, None)))


def test_multispectral_says_what_it_would_take(tmp_path, command):
    asked = ["multispectral", "--dry-run", "--networks", "r3d_small", "--out", tmp_path / "out"]
    said = command(*asked, "--set", "fusion=[]", "methods=[random]")
    assert "3 trainings, 6 tests of what they learned" in said
    assert rows_of(said)["r3d_small"][-2:] == ["1,632", "0"]  # deletion, the last row of it
    assert not any(tmp_path.iterdir())


def test_rates_are_measured_of_each_batch(command):
    tiny = ["--model", "r3d_small_early", "--frames", 4, "--size", 16, "--rounds", 1]
    said = command("speed", "--of", "rate", *tiny, "--batches", 1, 2)
    rates = [line for line in said.splitlines() if line.startswith("| r3d_small")]
    batches = [line.split("|")[2].strip() for line in rates]
    assert batches == ["1", "2"]
    assert all(float(rate) != 0 for rate in rows_of(said)["r3d_small_early"][1:])


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("split_by", ["person", "sequence"])
def test_a_set_to_be_rendered_has_as_many_clips_as_are_planned(
    rendered: Path, split: str, split_by: str
) -> None:
    data = {"classes": ["handwaving", "walking"], "split_by": split_by}
    changes = {"data": data, "render": {"persons": 3, "sequences": 4}}
    config = load_sequential("sequential_small", changes)
    plan = next(iter(config.networks.values()))
    planned = clips_in_sequential(config, plan, None, split)
    assert planned == clips_in_sequential(config, plan, str(rendered), split) > 0


def test_study_b_is_planned_and_nothing_written(
    command: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = command("sequential", "--dry-run", "--out", out, "--rate", 10, 5, "--shards", 2)
    assert not out.exists()
    for text in ("cnn_lstm_small", "cnn_lstm_small_attention", "training", "tsr", "hours"):
        assert text in said
    networks = set(re.findall(r"^\| (\w+) +\| input_cell ", said, re.MULTILINE))
    assert networks == {"cnn_lstm_small_attention"}
