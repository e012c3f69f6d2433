"""Study A: its numbers where the answer is known, and the command as a user types it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.multispectral import experiment
from benchmarks_kth_mad.multispectral.claims import verdicts
from benchmarks_kth_mad.multispectral.config import StudyConfig, load_config
from benchmarks_kth_mad.multispectral.experiment import trainings_of
from benchmarks_kth_mad.multispectral.rows import ACTOR, HALF, focus_rows, one_of_each
from benchmarks_kth_mad.multispectral.tables import accuracy_table, maps_table, summary
from benchmarks_kth_mad.studies.claims import verdict_table
from benchmarks_kth_mad.studies.config_files import presets
from benchmarks_kth_mad.training import Trained, train

TINY = {
    "networks": {
        "r3d_small": {
            "clip": {"frames": 8, "height": 24, "width": 32},
            "recipe": {"epochs": 1, "batch_size": 8},
        },
        "pan_lite_small": {
            "clip": {"frames": 16, "segments": 4, "height": 24, "width": 32},
            "recipe": {"epochs": 1, "batch_size": 8},
            "settings": {"segments": 4},
        },
    },
    "trained_on": ["IR", "IRTV"],
    "tested_on": ["IR"],
    "fusion": ["early"],
    "maps": {"clips": 2, "samples": 60, "unit": "cell", "steps": 4, "pictures": 1},
}


def rows_of(values: dict[tuple[str, str], dict[str, list[float]]], measure: str) -> pd.DataFrame:
    """Rows of network "r3d_small": by (trained on, tested on) and person, the values of scenes."""
    return pd.DataFrame(
        [
            {
                "network": "r3d_small",
                "trained on": trained,
                "tested on": tested,
                "measure": measure,
                "method": "",
                "scene": f"{person}_{scene}",
                "person": person,
                "value": value,
            }
            for (trained, tested), persons in values.items()
            for person, found in persons.items()
            for scene, value in enumerate(found)
        ]
    )


@pytest.fixture
def config() -> StudyConfig:
    return load_config("multispectral_small", {"networks": {"pan_lite_small": {}}, "fusion": []})


def test_persons_weigh_alike_whatever_their_number_of_scenes() -> None:
    rows = rows_of({("IR", "IR"): {"a": [1.0] * 9, "b": [0.0]}}, "accuracy")
    means = summary(rows)
    assert means["mean"].tolist() == [0.5]
    assert (means["low"].item(), means["high"].item()) == (0, 1)
    assert (means["scenes"].item(), means["persons"].item()) == (10, 2)


@pytest.mark.parametrize(
    ("measure", "pooled", "single", "outcome"),
    [
        ("accuracy", 0.9, 0.5, "supported"),
        ("accuracy", 0.5, 0.9, "contradicted"),
        (HALF, 0.1, 0.2, "supported"),
        (HALF, 0.2, 0.1, "contradicted"),
        (ACTOR, 0.1, 0.2, "contradicted"),
    ],
)
def test_verdicts_follow_the_direction_of_the_claim(
    measure: str, pooled: float, single: float, outcome: str, config: StudyConfig
) -> None:
    noise = {"a": [0.0, 0.01], "b": [0.02, 0.0], "c": [0.01, 0.01]}

    def about(mean: float) -> dict[str, list[float]]:
        return {person: [mean + one for one in every] for person, every in noise.items()}

    rows = rows_of({("IRTV", "TV"): about(pooled), ("TV", "TV"): about(single)}, measure)
    (found,) = verdicts(rows, config)
    assert (found.first, found.second, found.on, found.persons) == ("IRTV", "TV", "TV", 3)
    assert found.difference.mean == pytest.approx(pooled - single)
    assert found.outcome == outcome
    assert verdict_table([found])["verdict"].tolist() == [outcome]


def test_what_differs_by_person_is_undecided_and_so_is_one_person(config: StudyConfig) -> None:
    rows = rows_of(
        {
            ("IRTV", "IR"): {"a": [1.0], "b": [0.0], "c": [0.6]},
            ("IR", "IR"): {"a": [0.0], "b": [1.0], "c": [0.5]},
        },
        "accuracy",
    )
    assert verdicts(rows, config)[0].outcome == "undecided"
    assert verdicts(rows[rows["person"] == "a"], config)[0].outcome == "undecided"


def test_the_random_map_takes_no_part_in_a_verdict(config: StudyConfig) -> None:
    values = {("IRTV", "IR"): {"a": [0.2], "b": [0.2]}, ("IR", "IR"): {"a": [0.3], "b": [0.3]}}
    rows = rows_of(values, HALF).assign(method="rise")
    noise = rows.assign(method="random", value=[0.9, 0.1, 0.2, 0.7])
    assert verdicts(pd.concat([rows, noise]), config) == verdicts(rows, config)


def test_areas_count_above_those_of_the_random_map(config: StudyConfig) -> None:
    """A network that is surer of its class has larger areas of every map."""

    def cell(trained: str, level: float, gain: float) -> pd.DataFrame:
        persons = {"a": [level], "b": [level]}
        random = rows_of({(trained, "IR"): persons}, "insertion").assign(method="random")
        return pd.concat([random.assign(method="rise", value=random["value"] + gain), random])

    rows = pd.concat([cell("IRTV", 0.9, 0.02), cell("IR", 0.3, 0.1)])
    (found,) = verdicts(rows, config)
    assert found.difference.mean == pytest.approx(-0.08)
    assert found.outcome == "contradicted"
    assert verdicts(rows[rows["method"] == "rise"], config) == []


def test_scenes_that_one_side_lacks_are_left_out(config: StudyConfig) -> None:
    rows = rows_of(
        {("IRTV", "IR"): {"a": [1, 0], "b": [1]}, ("IR", "IR"): {"a": [0], "b": [0]}}, "accuracy"
    )
    assert verdicts(rows, config)[0].difference.mean == 1


def test_fused_networks_are_compared_with_the_pooled_one() -> None:
    config = load_config("multispectral_small", {"fusion": ["early"]})
    persons = {"a": [1.0, 1.0], "b": [1.0, 1.0]}
    worse = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    rows = pd.concat(
        [
            rows_of({("IRTV", "TV"): worse}, "accuracy"),
            rows_of({("paired", "paired"): persons}, "accuracy").assign(network="r3d_small_early"),
        ]
    )
    (found,) = verdicts(rows, config)
    assert found.outcome == "supported"
    assert found.difference.mean == pytest.approx(0.5)
    assert found.first == "paired clips (early fusion)"


def test_tables_have_a_row_per_training_and_a_column_per_test() -> None:
    rows = rows_of({("IR", "IR"): {"a": [1]}, ("IR", "TV"): {"a": [0]}}, "accuracy")
    table = accuracy_table(summary(rows))
    assert list(table.columns) == ["network", "trained on", "IR", "TV"]
    assert table["TV"].tolist() == ["0.000"]
    maps = pd.concat(
        [rows_of({("IR", "IR"): {"a": [0.25]}}, one).assign(method="rise") for one in (HALF, ACTOR)]
    )
    table = maps_table(summary(maps), "IR")
    assert list(table.columns)[:3] == ["network", "trained on", "method"]
    assert set(table.columns[3:]) == {f"{HALF} (lower)", f"{ACTOR} (higher)"}


def test_focus_of_maps_whose_answer_is_known() -> None:
    actor = torch.zeros(1, 1, 2, 4, 4)
    actor[..., :2, :2] = 1
    on_actor = actor * 3
    explained = Explained(
        ["a"],
        ["p"],
        (torch.rand(1, 3, 2, 4, 4),),
        torch.tensor([0]),
        torch.tensor([0]),
        {"gradcam": (on_actor,), "occlusion": (1 - actor,), "rise": (on_actor + 7,)},
    )
    rows = pd.concat(focus_rows(explained, ["a"], actor)).set_index(["method", "measure"])["value"]
    assert rows["gradcam", ACTOR] == 1
    assert rows["gradcam", HALF] == pytest.approx(0.125)
    assert rows["occlusion", ACTOR] == 0
    assert rows["occlusion", HALF] == pytest.approx(0.375)
    # the level that RISE puts under all of its map is no evidence
    assert rows["rise", ACTOR] == 1
    assert rows["rise", HALF] == pytest.approx(0.125)


def test_presets_can_be_read_and_say_what_they_do() -> None:
    assert presets("multispectral") == ["multispectral", "multispectral_small"]
    full = load_config("multispectral")
    assert set(full.networks) == {"r3d_18", "pan_lite"}
    assert full.networks["pan_lite"].clip.segments == 8
    names = [(one.network, one.spectrum) for one in trainings_of(full)]
    assert len(names) == 2 * 3 + 2 * 2
    assert names[0] == ("r3d_18", "IR")
    assert names[-1] == ("pan_lite_two_stream", "paired")
    assert full.plan_of("pan_lite_two_stream") is full.networks["pan_lite"]


def test_a_seed_reaches_every_training() -> None:
    config = load_config("multispectral_small", {"seed": 5})
    assert {plan.recipe.seed for plan in config.networks.values()} == {5}
    assert config.options().seed == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": {"r3d_99": {}}}, "networks: expected .*r3d_18.*got 'r3d_99'"),
        ({"trained_on": ["UV"]}, "trained_on: expected IR, TV, IRTV, got 'UV'"),
        ({"trained_on": "IR"}, "trained_on: expected a list, got 'IR'"),
        ({"tested_on": []}, "tested_on: expected at least one of IR, TV"),
        ({"methods": ["magic"]}, "methods: expected .*got 'magic'"),
        ({"compat": "icpr1999"}, "compat: expected icpr2022, got 'icpr1999'"),
        ({"maps": {"clips": 0}}, "maps clips: expected at least 1, got 0"),
        ({"maps": {"baseline": "pink"}}, "maps baseline: expected .*got 'pink'"),
        ({"maps": {"chips": 1}}, "maps: entry: expected clips, .*got 'chips'"),
        ({"maps": 3}, "maps: expected names with values, got 3"),
        ({"colour": "red"}, "study: entry: expected networks, .*got 'colour'"),
        (
            {"networks": {"r3d_small": {"clip": {"frames": 0}}}},
            "clip frames: expected a whole number of at least 1, got 0",
        ),
        (
            {"networks": {"r3d_small": {"recipe": {"epochs": 0}}}},
            "training epochs: expected at least 1, got 0",
        ),
    ],
)
def test_studies_that_can_not_be(changes: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=f"config multispectral_small: .*{message}"):
        load_config("multispectral_small", changes)


def test_files_that_are_no_study(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="none of the presets multispectral, multispectral_sm"):
        load_config(str(tmp_path / "nope.yaml"))
    for text, message in (("a: [", "not YAML"), ("- 1", "study: expected names with values")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(BenchmarkError, match=message):
            load_config(str(tmp_path / "bad.yaml"))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., str]) -> Path:
    """Four persons, eight actions, one scene of each."""
    root = tmp_path_factory.mktemp("scenes") / "set"
    sizes = ["--persons", 4, "--sequences", 1, "--sequence-frames", 20]
    command("render", "--layout", "mad", "--root", root, *sizes, "--video-width", 64)
    return root


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


pytestmark = pytest.mark.filterwarnings("ignore:RISE3D. the regression explains nothing")


@pytest.fixture(scope="module")
def study(
    tmp_path_factory: pytest.TempPathFactory,
    scenes: Path,
    tiny: Path,
    command: Callable[..., str],
) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("study") / "first"
    options = ["--config", tiny, "--root", scenes, "--out", out, "--device", "cpu"]
    return out, command("multispectral", *options)


def test_the_command_prints_tables_and_verdicts_and_keeps_all(study: tuple[Path, str]) -> None:
    out, said = study
    for heading in ("## Accuracy", "## Maps, tested on IR", "## Maps, tested on paired"):
        assert heading in said
    assert "## Verdicts" in said
    assert said.count("training on IRTV labels more clips right than on IR") == 2
    assert said.count("paired clips (early fusion)") == 2
    kept = {path.name for path in out.iterdir()}
    assert {"rows.csv", "summary.csv", "verdicts.csv", "report.md", "networks"} <= kept
    assert {"r3d_small_IR_0.png", "pan_lite_small_IR_0.png"} <= kept
    assert len(list((out / "networks").iterdir())) == 2 * (2 + 1)
    rows = pd.read_csv(out / "rows.csv", keep_default_na=False)
    cells = rows[["network", "trained on", "tested on"]].drop_duplicates()
    assert len(cells) == 2 * (2 + 1)
    # every cell explains the same scenes
    mapped = rows[rows["measure"] == HALF]
    assert (
        mapped.groupby(["network", "trained on", "tested on"])["scene"]
        .unique()
        .map(sorted)
        .map(tuple)
        .nunique()
        == 1
    )
    shares = rows[rows["measure"].str.startswith("Shapley")]
    assert len(shares) == 2 * 2 * mapped_scenes(rows)
    assert "| r3d_small_early |  " not in said


def mapped_scenes(rows: pd.DataFrame) -> int:
    accuracy = rows[rows["measure"] == "accuracy"]
    return accuracy["scene"].nunique()


def test_a_study_that_was_ended_goes_on_to_the_same_digit(
    study: tuple[Path, str],
    scenes: Path,
    tiny: Path,
    tmp_path: Path,
    command: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, _ = study
    second = tmp_path / "second"
    options = ["--config", tiny, "--root", scenes, "--out", second, "--device", "cpu"]
    trained: list[str] = []

    def ends(name: str, *arguments: object, **more: object) -> Trained:
        if len(trained) == 2:
            raise BenchmarkError("the lights went out")
        trained.append(name)
        return train(name, *arguments, **more)

    torch.rand(3)
    monkeypatch.setattr(experiment, "train", ends)
    assert main(["multispectral", *map(str, options)]) == 2
    assert len(list((second / "networks").iterdir())) == 2
    assert not (second / "rows.csv").exists()
    trained[:] = ["none of the first two"] * 3
    command("multispectral", *options)
    assert len(trained) == 3 + 4
    for name in ("rows.csv", "summary.csv", "verdicts.csv", "report.md"):
        assert (second / name).read_bytes() == (first / name).read_bytes(), name


def test_a_finished_study_is_not_repeated_and_another_not_mixed_in(
    study: tuple[Path, str],
    scenes: Path,
    tiny: Path,
    command: Callable[..., str],
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a second time")

    out, said = study
    monkeypatch.setattr(experiment, "train", never)
    monkeypatch.setattr(experiment, "map_rows", never)
    options = ["--config", tiny, "--root", scenes, "--out", out, "--device", "cpu"]
    assert command("multispectral", *options) == said
    line = refused("multispectral", *options, "--set", "maps.samples=61")
    assert "config maps samples 60 there, 61 asked for" in line


def test_compat_changes_numbers_and_says_so(
    scenes: Path, tiny: Path, tmp_path: Path, command: Callable[..., str]
) -> None:
    options = ["--config", tiny, "--root", scenes, "--device", "cpu", "--networks", "r3d_small"]
    few = ["--set", "trained_on=[IR]", "fusion=[]", "methods=[gradcam, random]"]
    found = {}
    for name, more in (("ours", []), ("theirs", ["--compat", "icpr2022"])):
        said = command("multispectral", *options, "--out", tmp_path / name, *more, *few)
        assert ("as in the code of icpr2022" in said) is (name == "theirs")
        rows = pd.read_csv(tmp_path / name / "rows.csv", keep_default_na=False)
        found[name] = rows.set_index(["network", "measure", "method", "scene"])["value"]
    # areas over the number of the step are as many times larger as there are steps
    random = pd.DataFrame(found).xs("random", level="method")
    areas = random.loc[(slice(None), ["insertion", "deletion"]), :]
    steps = TINY["maps"]["steps"]
    torch.testing.assert_close(
        torch.tensor(areas["theirs"].values), steps * torch.tensor(areas["ours"].values)
    )
    maps = pd.DataFrame(found).xs("gradcam", level="method").loc[(slice(None), [HALF]), :]
    assert (maps["ours"] != maps["theirs"]).any()


def test_clips_are_spread_over_classes_and_persons(scenes: Path) -> None:
    from benchmarks_kth_mad.data.mad import MAD

    infrared, visible = (MAD(scenes, spectrum=one, split="all") for one in ("IR", "TV"))
    chosen = one_of_each(infrared, 8)
    records = [infrared.records[place] for place in chosen]
    assert len({record.label for record in records}) == 8
    assert len({record.person for record in records}) == 4
    others = [visible.records[place].scene for place in one_of_each(visible, 8)]
    assert [record.scene for record in records] == others
    assert sorted(one_of_each(infrared, 999)) == list(range(len(infrared)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "nope"], "config nope: no such file, and none of the presets"),
        (["--set", "maps.clips"], "expected NAME=VALUE, got 'maps.clips'"),
        (["--set", "maps.clips=[", "x=1"], "the value is not YAML"),
        (["--set", "maps.clips=0"], "maps clips: expected at least 1, got 0"),
        (["--root", "/no/such/set"], "file_lists"),
    ],
)
def test_refused(arguments: list[str], message: str, refused: Callable[..., str]) -> None:
    assert message in refused("multispectral", *arguments)
