"""Study B: its numbers where the answer is known, and the command as a user types it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmarks_kth_mad import commands
from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.errors import BenchmarkError, ClipsFailed
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.multispectral.config import load_config as load_other
from benchmarks_kth_mad.sequential.claims import above_random, verdicts
from benchmarks_kth_mad.sequential.config import load_config
from benchmarks_kth_mad.sequential.rows import (
    ACCURACY,
    ENERGY,
    FIRST,
    LAST,
    accuracy_rows,
    area_rows,
    motion_rows,
    time_rows,
)
from benchmarks_kth_mad.sequential.tables import accuracy_table, maps_table, summary
from benchmarks_kth_mad.studies.claims import verdict_table
from benchmarks_kth_mad.studies.config_files import presets

PLAIN, ATTENTION = "cnn_lstm_small", "cnn_lstm_small_attention"
CLIP = "{frames: 4, height: 16, width: 24, channels: 1}"
TINY = [
    "render={persons: 8, sequences: 1, frames: 8, width: 64, height: 48}",
    "methods=[gradient, input_cell, random]",
    "metrics=[insertion]",
    "maps={clips: 4, pictures: 1, steps: {frame: 2, voxel: 3}}",
    *(
        f"networks.{name}.{part}"
        for name in (PLAIN, ATTENTION)
        for part in (f"clip={CLIP}", "recipe.epochs=1")
    ),
]
OPTIONS = ["--networks", PLAIN, ATTENTION, "--device", "cpu"]


def rows_of(values: dict[tuple[str, str, str], dict[str, list[float]]]) -> pd.DataFrame:
    """By (network, measure, method) and person, the values of clips."""
    return pd.DataFrame(
        [
            [network, measure, method, f"{person}_{clip}", person, value]
            for (network, measure, method), persons in values.items()
            for person, found in persons.items()
            for clip, value in enumerate(found)
        ],
        columns=["network", "measure", "method", "clip", "person", "value"],
    )


def about(mean: float) -> dict[str, list[float]]:
    """Three persons who hardly differ."""
    return {"a": [mean, mean + 0.01], "b": [mean + 0.02, mean], "c": [mean + 0.01]}


@pytest.mark.parametrize(
    ("measure", "plain", "attention", "outcome"),
    [
        (FIRST, 0.01, 0.3, "supported"),
        (FIRST, 0.3, 0.01, "contradicted"),
        (LAST, 0.9, 0.3, "supported"),
        (LAST, 0.3, 0.9, "contradicted"),
    ],
)
def test_cells_are_compared_clip_by_clip(
    measure: str, plain: float, attention: float, outcome: str
) -> None:
    rows = rows_of(
        {
            (PLAIN, measure, "gradient"): about(plain),
            (ATTENTION, measure, "gradient"): about(attention),
        }
    )
    (found,) = verdicts(rows, [PLAIN, ATTENTION])
    assert (found.first, found.second, found.on, found.persons) == (ATTENTION, PLAIN, measure, 3)
    assert found.difference.mean == pytest.approx(attention - plain)
    assert found.outcome == outcome
    assert verdicts(rows, [ATTENTION]) == []


def test_methods_are_compared_within_a_network() -> None:
    persons = {"a": [0.5, 0.7], "b": [0.4]}
    rows = rows_of(
        {
            (PLAIN, ENERGY, "tsr"): persons,
            (PLAIN, ENERGY, "gradient"): {"a": [0.2, 0.2], "b": [0.2]},
            (ATTENTION, ENERGY, "tsr"): persons,
        }
    )
    (found,) = verdicts(rows, [PLAIN, ATTENTION])
    # 0.4 for one person, 0.2 for the other, who has fewer clips
    assert found.difference.mean == pytest.approx(0.3)
    assert (found.network, found.outcome) == (PLAIN, "supported")
    (row,) = verdict_table([found]).to_dict("records")
    assert row["claim"] == "tsr lies more on what moves than gradient"
    assert row["difference"].startswith("+0.300 (+0.200 to +0.400)")


def test_one_person_and_persons_who_differ_decide_nothing() -> None:
    key = (PLAIN, ENERGY)
    differ = {(*key, "tsr"): {"a": [0.9], "b": [0.1]}, (*key, "gradient"): {"a": [0.1], "b": [0.9]}}
    one = {(*key, "tsr"): {"a": [0.9]}, (*key, "gradient"): {"a": [0.1]}}
    for values in (differ, one):
        assert verdicts(rows_of(values), [PLAIN])[0].outcome == "undecided"


def test_the_random_map_is_taken_off_clip_by_clip() -> None:
    rows = rows_of(
        {
            (PLAIN, ENERGY, "tsr"): {"a": [0.5], "b": [0.7]},
            (PLAIN, ENERGY, "random"): {"a": [0.1], "b": [0.2]},
            (PLAIN, FIRST, "tsr"): {"a": [1.0]},
        }
    )
    (found,) = above_random(rows).to_dict("records")
    assert (found["method"], found["persons"]) == ("tsr", 2)
    assert found["mean"] == pytest.approx(0.45)
    table = maps_table(summary(rows), [ENERGY, FIRST])
    assert list(table.columns) == [
        *("network", "method", ENERGY, f"{ENERGY}, above random"),
        *(FIRST, f"{FIRST}, above random"),
    ]
    assert table[f"{ENERGY}, above random"].tolist() == ["+0.450 (+0.400 to +0.500)", ""]
    assert table[FIRST].tolist() == ["1.000", ""]


def test_shares_of_the_first_and_the_last_third() -> None:
    late, early, nothing = (torch.zeros(1, 1, 6, 2, 2) for _ in range(3))
    late[:, :, 4:] = 3
    early[:, :, 0], early[:, :, 3], early[:, :, 5] = 3, 1, -9
    explained = Explained(
        ["person01_walking"],
        ["1"],
        (torch.rand(1, 3, 6, 2, 2),),
        torch.tensor([0]),
        torch.tensor([0]),
        {"gradient": (late,), "tsr": (early,), "gradcam": (nothing,), "rise": (late + 7,)},
    )
    rows = time_rows(explained).set_index(["method", "measure"])["value"]
    assert (rows["gradient", FIRST], rows["gradient", LAST]) == (0, 1)
    # evidence against the class is none for it
    assert (rows["tsr", FIRST], rows["tsr", LAST]) == (0.75, 0)
    # a map with nothing in it is spread evenly
    assert rows["gradcam", FIRST] == rows["gradcam", LAST] == pytest.approx(1 / 3)
    # the level that RISE puts under all of its map is no evidence
    assert rows["rise", LAST] == 1


def test_rows_of_the_run_commands_become_measures() -> None:
    predictions = pd.DataFrame(
        {
            "clip": ["person01_a", "person02_a"],
            "label": ["running", "walking"],
            "predicted": ["running", "running"],
        }
    )
    right = accuracy_rows(predictions)
    assert right["value"].tolist() == [1, 0]
    assert right["person"].tolist() == ["person01", "person02"]
    areas = pd.DataFrame(
        {"metric": ["deletion"], "method": ["tsr"], "clip": ["person01_a"], "area": [0.25]}
    )
    assert area_rows(areas, "frame")["measure"].tolist() == ["deletion by frame"]
    agreement = pd.DataFrame(
        {"method": ["tsr"], "clip": ["person01_a"], "correlation": [0.1], "energy": [0.5]}
    ).assign(**{"moving area": 0.2})
    found = motion_rows(agreement).set_index("measure")["value"]
    assert found[ENERGY] == 0.5
    table = accuracy_table(summary(right.assign(network=PLAIN)))
    assert table[["clips", "persons"]].to_numpy().tolist() == [[2, 2]]
    assert summary(right.assign(network=PLAIN))["measure"].tolist() == [ACCURACY]


def test_presets_can_be_read_and_are_of_their_own_command() -> None:
    assert presets("sequential") == ["sequential", "sequential_small"]
    full = load_config("sequential", {"seed": 5})
    assert list(full.networks) == ["cnn_lstm", "cnn_lstm_attention"]
    assert {plan.recipe.seed for plan in full.networks.values()} == {5}
    assert full.render.seed == full.options().seed == 5
    with pytest.raises(BenchmarkError, match=r"config multispectral: is for the command multispec"):
        load_config("multispectral")
    with pytest.raises(BenchmarkError, match=r"sequential_small: is for the command sequential"):
        load_other("sequential_small")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": {"r3d_99": {}}}, "networks: expected .*r3d_18.*got 'r3d_99'"),
        ({"networks": {"r3d_18_early": {}}}, "networks: expected .*got 'r3d_18_early'"),
        ({"networks": {PLAIN: {"clip": {"frames": 2}}}}, "clip frames: expected at least 3, got 2"),
        ({"networks": {PLAIN: {"settings": 3}}}, "settings: expected names with values, got 3"),
        ({"methods": []}, "methods: expected at least one of"),
        ({"metrics": ["beauty"]}, "metrics: expected insertion, deletion, got 'beauty'"),
        ({"data": {"classes": ["running"]}}, "data classes: expected at least two"),
        ({"data": {"classes": ["running", "flying"]}}, "data classes: .*got 'flying'"),
        ({"data": {"split_by": "luck"}}, "data split_by: expected person, sequence, got 'luck'"),
        ({"maps": {"clips": 0}}, "maps clips: expected at least 1, got 0"),
        ({"maps": {"steps": 3}}, "maps steps: expected names with values, got 3"),
        ({"maps": {"steps": {"frame": 0}}}, "maps steps frame: expected at least 1, got 0"),
        ({"maps": {"steps": {"hour": 4}}}, "maps steps: expected voxel, .*got 'hour'"),
        ({"motion": {"flow": "wind"}}, "motion flow: expected farneback.*got 'wind'"),
        ({"motion": {"threshold": -1}}, "motion threshold: expected at least 0, got -1"),
        ({"motion": {"treshold": 1}}, "motion: entry: expected flow, threshold, got 'treshold'"),
        ({"render": {"persons": 1}}, "render persons: expected at least 3, got 1"),
        ({"colour": "red"}, "study: entry: expected networks, .*got 'colour'"),
    ],
)
def test_studies_that_can_not_be(changes: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=f"config sequential_small: .*{message}"):
        load_config("sequential_small", changes)


def test_files_that_are_no_study(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    for content, message in (
        (b"\xff\xfe\xfa", "not a text file"),
        (b"seed: 2026-06-31", "not YAML"),
        (b"[" * 500, "not YAML"),
        (b"trained_on: [IR]", "study: entry: expected networks, .*got 'trained_on'"),
    ):
        file.write_bytes(content)
        with pytest.raises(BenchmarkError, match=f"bad.yaml: {message}"):
            load_config(str(file))


@pytest.fixture(scope="module")
def study(
    tmp_path_factory: pytest.TempPathFactory, command: Callable[..., str]
) -> tuple[Path, str]:
    """The small preset, shrunk, on persons that it renders itself."""
    out = tmp_path_factory.mktemp("study") / "out"
    return out, command("sequential", *OPTIONS, "--out", out, "--set", *TINY)


def test_the_command_prints_tables_and_verdicts_and_keeps_all(study: tuple[Path, str]) -> None:
    out, said = study
    assert f"{PLAIN} is not explained by input_cell, which needs input-cell attention" in said
    assert "maps of 4 test clips of 2 persons" in said
    assert f"{ATTENTION} gives the first third more of the gradient than {PLAIN}" in said
    assert said.count("input_cell ranks frames better than gradient") == 1
    rows = pd.read_csv(out / "rows.csv", keep_default_na=False)
    measured = rows.groupby(["network", "measure"])["method"].nunique().unstack(0)
    assert measured.loc["insertion by frame"].to_dict() == {PLAIN: 2, ATTENTION: 3}
    assert measured.loc["insertion by voxel"].to_dict() == {PLAIN: 2, ATTENTION: 3}
    # both networks explain the same clips
    explained = rows[rows["measure"] == FIRST]
    assert explained.groupby("network")["clip"].unique().map(sorted).map(tuple).nunique() == 1
    report = (out / "report.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", report)
    assert len([link for link in links if link.endswith(".png")]) == 1 + 2 * 3
    assert all((out / link).is_file() for link in links)


def test_what_is_done_is_not_repeated(
    study: tuple[Path, str], command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, first = study

    def kept() -> dict[str, bytes]:
        files = [*out.glob("*/checkpoint.pt"), *out.glob("*/predictions.csv")]
        files += [*out.glob("*/attributions/*.sqlite"), *out.glob("*/*/rows.csv")]
        files += [*out.glob("rendered/*/*.avi"), *out.glob("*.csv"), out / "report.md"]
        return {str(file): file.read_bytes() for file in files}

    def again(*_: object, **__: object) -> None:
        raise AssertionError("was done before")

    before = kept()
    times = {file: file.stat().st_mtime_ns for file in out.glob("*/checkpoint.pt")}
    for name in ("render", "train", "predict", "motion", "report"):
        monkeypatch.setattr(commands, name, again)
    second = command("sequential", *OPTIONS, "--out", out, "--set", *TINY)
    assert kept() == before
    assert times == {file: file.stat().st_mtime_ns for file in out.glob("*/checkpoint.pt")}
    assert second[second.index("# running") :] == first[first.index("# running") :]


def test_clips_that_fail_are_named_and_what_is_told_of_all_is_told_anew(
    study: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(study[0], tmp_path / "out")
    attribute, told = commands.attribute, []

    def some_fail(*asked: Any) -> None:
        attribute(*asked)
        raise ClipsFailed("1 of 4 clips failed")

    for name in ("motion", "report"):
        monkeypatch.setattr(commands, name, lambda *_, name=name: told.append(name))
    asked = [
        "sequential",
        "--networks",
        PLAIN,
        "--device",
        "cpu",
        "--out",
        str(out),
        "--set",
        *TINY,
    ]
    assert main(asked) == 0
    assert told == []
    monkeypatch.setattr(commands, "attribute", some_fail)
    assert main(asked) == 3
    assert told == ["motion", "report", "report"]
    assert f"- {PLAIN}: 1 of 4 clips failed." in (out / "report.md").read_text()


def test_another_config_is_refused_and_its_difference_named(
    study: tuple[Path, str], refused: Callable[..., str]
) -> None:
    out, _ = study
    before = (out / PLAIN / "manifest.json").read_bytes()
    asked = ["sequential", *OPTIONS, "--out", out, "--set", *TINY]
    line = refused(*asked, f"networks.{PLAIN}.recipe.epochs=2")
    assert f"{out / PLAIN}: has results of other conditions" in line
    assert "epochs 1 there, 2 asked for" in line
    assert "--fresh" in line
    assert "seed 0 there, 3 asked for" in refused(*asked, "--seed", 3)
    assert (out / PLAIN / "manifest.json").read_bytes() == before


def test_starting_over_touches_nothing_of_others(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    folder = tmp_path / PLAIN
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    for more in ([], ["--fresh"]):
        line = refused("sequential", *OPTIONS, "--out", tmp_path, *more, "--set", *TINY)
        assert f"{folder}: holds something that sequential did not make" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "multispectral_small"], "is for the command multispectral"),
        (["--config", "nope"], "none of the presets sequential, sequential_small"),
        (["--networks", "r3d_18"], "networks: expected cnn_lstm_small, .*got 'r3d_18'"),
        (["--set", "maps=3", "maps.clips=4"], "--set maps.clips: maps is set as a whole as well"),
        (["--root", "/no/such/set"], "/no/such/set"),
    ],
)
def test_refused(
    arguments: list[str], message: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    assert re.search(message, refused("sequential", "--out", tmp_path / "out", *arguments))
