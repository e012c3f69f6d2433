"""Methods x checks: verdicts that are known, rows that are whole, and the command from end to end."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from benchmarks_kth_mad.checks.bench import Answer, Bench, Settings
from benchmarks_kth_mad.checks.catalogue import CHECKS, KINDS
from benchmarks_kth_mad.checks.costs import PLAIN, cost_table
from benchmarks_kth_mad.checks.experiment import COLUMNS, Plan
from benchmarks_kth_mad.checks.planted import planted_rows
from benchmarks_kth_mad.checks.tables import THEMES, themed_tables
from benchmarks_kth_mad.checks.verdicts import reliability_table, summary
from benchmarks_kth_mad.choice import by_turns
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.intervals import bootstrap_difference, bootstrap_mean
from benchmarks_kth_mad.methods import METHODS, Options, applicable_methods
from benchmarks_kth_mad.models import build_model
from benchmarks_kth_mad.speed.counting import Ledger, counted_passes
from tests.toy_models import TinyNet3D, frame_wise

FEW = ["--clips", 4, "--steps", 3, "--random-maps", 2, "--samples", 60, "--device", "cpu"]
ASKED = ["gradcam", "frame_occlusion"]


class Sees(nn.Module):
    """Two classes; the first scores the mean brightness of a place, the second 0."""

    def __init__(self, place: Tensor) -> None:
        super().__init__()
        self.place = place

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, 2)."""
        score = (clips * self.place).sum((1, 2, 3, 4)) / self.place.sum()
        return torch.stack([10 * score, torch.zeros_like(score)], 1)


@pytest.fixture
def bench() -> Bench:
    """A white actor of 2 of 64 pixels in every frame of a black clip; black hides."""
    place = torch.zeros(1, 1, 4, 8, 8)
    place[..., 1, 1:3] = 1
    clips = place.repeat(6, 1, 1, 1, 1)
    names = [f"clip{number}" for number in range(6)]
    persons = [f"person{number // 2}" for number in range(6)]
    settings = Settings(Options(baseline="black"), n_steps=16)
    model: Any = Sees(place)
    mask = {"actor": clips.bool(), "span": torch.ones_like(clips).bool()}
    return Bench(model, names, persons, (clips,), torch.zeros(6, dtype=torch.long), mask, settings)


def rows_of(bench: Bench, maps: dict[str, Tensor], checks: list[str]) -> pd.DataFrame:
    parts = []
    for check in checks:
        for method, given in maps.items():
            values = CHECKS[check].values
            assert values is not None
            found = values(bench, Answer(method, bench.settings.options, (given,)))
            parts.append(
                pd.DataFrame(
                    {
                        "check": check,
                        "method": method,
                        "clip": bench.names,
                        "person": bench.persons,
                        "value": found.tolist(),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def noise(bench: Bench, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(bench.clips[0].shape, generator=generator)


def test_a_perfect_map_wins_and_chance_is_last(bench: Bench) -> None:
    maps = {"gradcam": bench.clips[0].clone(), "random": noise(bench, 0)}
    maps["occlusion"] = maps["gradcam"] + noise(bench, 1) / 2
    asked = [
        "insertion-voxel",
        "deletion-voxel",
        "minimal-mask",
        "average-drop",
        "energy-actor",
        "jaccard-actor",
    ]
    rows = rows_of(bench, maps, asked)
    means = summary(rows).set_index(["check", "method"])
    for check in asked:
        best, chance = means.loc[(check, "gradcam")], means.loc[(check, "random")]
        assert best["verdict"] == "wins", check
        assert best["rank"] == 1
        assert chance["rank"] == 3
        assert chance["verdict"] == ""
        assert chance["difference"] == 0
    assert means.loc[("energy-actor", "gradcam"), "mean"] == 1
    assert means.loc[("jaccard-actor", "gradcam"), "mean"] == 1
    # the actor is 8 of 256 voxels, half of the first of 16 steps
    assert means.loc[("minimal-mask", "gradcam"), "mean"] == 1 / 16
    trust = reliability_table(rows).set_index("check")
    assert set(trust["verdict"]) == {"reliable"}
    assert (trust["rank of random"] == 3).all()
    assert (trust["random is beaten"] == 1).all()
    assert (trust["random is worst"] == 1).all()
    assert set(trust.index) == set(asked[:4])


def test_a_deletion_that_chance_wins_is_marked(bench: Bench) -> None:
    """A network that asks whether anything is missing in a frame: scattered holes end it at once."""

    class Brittle(nn.Module):
        def forward(self, clips: Tensor) -> Tensor:
            whole = clips.amin((1, 3, 4)).mean(1)
            return torch.stack([10 * whole, torch.zeros_like(whole)], 1)

    brittle: Any = Brittle()
    white = torch.ones_like(bench.clips[0])
    here = Bench(
        brittle,
        bench.names,
        bench.persons,
        (white,),
        bench.targets,
        bench.masks,
        bench.settings,
    )
    frames = white.cumsum(2)  # one frame after the other
    rows = rows_of(here, {"gradcam": frames, "random": noise(here, 0)}, ["deletion-voxel"])
    (trust,) = reliability_table(rows).to_dict("records")
    assert trust["verdict"] == "UNRELIABLE"
    assert trust["rank of random"] == 1
    assert trust["not better"] == "gradcam"
    assert trust["random is beaten"] == 0
    assert trust["random is worst"] == 0
    (found,) = summary(rows).query("method == 'gradcam'").to_dict("records")
    assert found["verdict"] == "loses"
    assert found["rank"] == 2


def made(values: dict[str, list[float]], check: str = "insertion-cell") -> pd.DataFrame:
    """Rows of clips, two of each person."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "check": check,
                    "method": method,
                    "clip": [f"clip{at}" for at in range(len(own))],
                    "person": [f"person{at // 2}" for at in range(len(own))],
                    "value": own,
                }
            )
            for method, own in values.items()
        ],
        ignore_index=True,
    )


def test_means_are_taken_over_persons_and_differences_in_pairs() -> None:
    own, chance = [0.2, 0.4, 0.8, 0.6, 0.9, 0.9], [0.1, 0.1, 0.9, 0.9, 0.2, 0.4]
    found = summary(made({"rise": own, "random": chance}), seed=3).iloc[0]
    mean = bootstrap_mean([0.3, 0.7, 0.9], seed=3)
    gain = bootstrap_difference([0.3, 0.7, 0.9], [0.1, 0.9, 0.3], seed=3)
    assert tuple(found[["mean", "low", "high"]]) == pytest.approx(tuple(mean))
    columns = ["difference", "difference low", "difference high"]
    assert tuple(found[columns]) == pytest.approx(tuple(gain))
    assert (found["clips"], found["persons"], found["verdict"]) == (6, 3, "undecided")


def test_one_person_decides_nothing() -> None:
    found = summary(made({"rise": [0.9, 0.9], "random": [0.1, 0.1]}))
    assert found["verdict"].tolist() == ["undecided", ""]


def test_a_method_level_with_chance_makes_a_check_unreliable() -> None:
    (trust,) = reliability_table(made({"rise": [0.5] * 4, "random": [0.5] * 4})).to_dict("records")
    assert trust["verdict"] == "UNRELIABLE"
    assert trust["random is beaten"] == 0.5


def test_cells_tell_mean_interval_verdict_and_the_best() -> None:
    rows = made({"rise": [0.8] * 4, "sidu": [0.1] * 4, "random": [0.5] * 4})
    table = themed_tables(summary(rows))["Insertion"]
    assert table["method"].tolist() == ["rise", "sidu", "random"]
    assert table["insertion-cell (higher)"].tolist() == [
        "**0.800** (0.800 to 0.800) +",
        "0.100 (0.100 to 0.100) -",
        "0.500 (0.500 to 0.500)",
    ]


def test_every_check_has_a_table_and_a_kind() -> None:
    for name, check in CHECKS.items():
        assert sum(name.startswith(starts) for starts in THEMES.values()) == 1, name
        assert check.name == name
        assert check.kind in KINDS


def test_a_mask_that_is_empty_in_a_clip_asks_nothing_there(bench: Bench) -> None:
    limb = bench.clips[0].bool().clone()
    limb[2] = False
    bench.masks["limb"] = limb
    rows = rows_of(bench, {"gradcam": bench.clips[0].clone()}, ["energy-limb"])
    assert rows["value"].isna().tolist() == [False, False, True, False, False, False]
    assert (rows["value"].dropna() == 1).all()


def test_methods_that_need_a_reader_of_frames_are_left_to_it() -> None:
    recurrent = {"tsr", "input_cell"}
    for name, left_out in [
        ("r3d_small", recurrent),
        ("cnn_lstm_small", {"input_cell"}),
        ("cnn_lstm_small_attention", set()),
    ]:
        assert set(METHODS) - set(applicable_methods(build_model(name, 2, 1))) == left_out


def test_clips_are_spread_over_classes_and_persons() -> None:
    records = [
        SimpleNamespace(label=label, group=f"person{person}")
        for label in range(2)
        for person in range(3)
        for _ in range(2)
    ]
    dataset: Any = SimpleNamespace(records=records)
    order = by_turns(dataset, 99)
    assert sorted(order) == list(range(12))
    six = [(records[at].label, records[at].group) for at in order[:6]]
    assert len(set(six)) == 6
    two = [records[at] for at in by_turns(dataset, 2)]
    assert len({one.label for one in two}) == len({one.group for one in two}) == 2


def test_bytes_that_are_held_at_once_are_counted() -> None:
    old = torch.ones(1 << 18)
    with Ledger() as held:
        one = old + 1  # 1 MiB
        two = one.view(2, -1)[:1]
        del one  # its memory is the view's now
        three = old * 2
        del two, three
        torch.zeros(1 << 17)
    assert held.peak == 2 << 20


def test_passes_are_counted_of_clips_and_of_frames() -> None:
    clip = torch.rand(3, 2, 8, 16, 16)
    model = TinyNet3D().eval()
    with counted_passes(model, 8) as passes:
        model(clip).sum().backward()
        with torch.no_grad():
            model(clip[:2])
    assert (passes.forward, passes.backward) == (5, 3)
    assert not model._forward_hooks
    reader = frame_wise()
    with counted_passes(reader, 8) as passes:
        reader(clip)
    assert (passes.forward, passes.backward) == (3, 0)


def test_costs_of_methods_that_are_known(bench: Bench) -> None:
    table = cost_table(bench, ["gradient", "frame_occlusion", "random"]).set_index("method")
    assert table["forward passes"].to_dict() == {
        PLAIN: 1,
        "gradient": 1,
        "frame_occlusion": 1 + 4,
        "random": 0,
    }
    assert table["backward passes"].to_dict() == {
        PLAIN: 0,
        "gradient": 1,
        "frame_occlusion": 0,
        "random": 0,
    }


def test_rows_of_planted_texts_bring_their_own_chance(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "trained on": ["text"] * 4 + ["clean"] * 4,
            "method": ["rise", "rise", "gradcam", "gradcam"] * 2,
            "clip": ["a", "b"] * 4,
            "person": ["person01", "person02"] * 4,
            "energy": [0.5, 0.7, 0.1, 0.2] + [0.0] * 4,
            "area": [0.1] * 8,
        }
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = planted_rows(tmp_path)
    means = summary(found[COLUMNS]).set_index("method")
    assert means.loc["random", "mean"] == pytest.approx(0.1)
    assert means.loc["rise", "verdict"] == "wins"
    assert set(found["person"]) == {"person01", "person02"}


@pytest.mark.parametrize("content", [None, "", "method,clip\n", "words"])
def test_planted_rows_that_can_not_be_read(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(BenchmarkError, match=r"rows\.csv: .*run planted"):
        planted_rows(tmp_path)


def test_a_plan_asks_costly_checks_of_fewer_clips() -> None:
    plan = Plan(n_clips=16)
    asked = [plan.clips_on(one) for one in ("clips", "span", "joined", "few")]  # type: ignore[arg-type]
    assert asked == [16, 4, 4, 4]
    assert Plan(n_clips=1).clips_on("few") == 1


@pytest.fixture(scope="module")
def checked(
    finished: Any, command: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("checks") / "out"
    options = [*FEW, "--methods", *ASKED, "--out", out]
    return out, command("checks", "--run", finished.folder, *options)


def test_the_command_asks_all_that_the_set_allows(checked: tuple[Path, str]) -> None:
    out, said = checked
    rows = pd.read_csv(out / "rows.csv")
    assert list(rows.columns) == COLUMNS
    kept = {path.name for path in out.iterdir()}
    files = ["rows", "summary", "reliability", "costs", "seconds"]
    assert kept == {*(f"{name}.csv" for name in files)} | {
        "checks.json",
        "checks.png",
        "report.md",
        "table.md",
    }
    assert rows["value"].notna().all()
    assert not rows.duplicated(["check", "method", "clip"]).any()
    assert {"insertion-voxel", "temporal-pointing", "random-network"} <= set(rows["check"])
    assert "planted-text" not in set(rows["check"])
    for _, group in rows.groupby("check"):
        assert group["method"].unique().tolist() == [*ASKED, "random"]
        assert group.groupby("method")["clip"].apply(tuple).nunique() == 1
    clips = rows.groupby("check")["clip"].nunique()
    assert (clips["insertion-cell"], clips["temporal-pointing"]) == (4, 1)
    assert clips["random-network"] == 1
    twin = rows[(rows["check"] == "random-network") & (rows["method"] == "random")]
    assert twin["value"].tolist() == pytest.approx([1.0])
    assert "needs the folder of the command planted" in said
    assert (out / "report.md").read_text().rstrip() in said
    assert "### Which checks to trust here" in said


def test_the_report_is_reproducible_to_the_digit(
    checked: tuple[Path, str], finished: Any, tmp_path: Path, command: Callable[..., str]
) -> None:
    torch.rand(3)
    options = [*FEW, "--methods", *ASKED, "--out", tmp_path / "again"]
    command("checks", "--run", finished.folder, *options)
    for name in ("rows.csv", "summary.csv", "reliability.csv", "costs.csv", "report.md"):
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (checked[0] / name).read_bytes(), name


def test_a_run_with_spans_is_asked_when(
    finished: Any, tmp_path: Path, command: Callable[..., str]
) -> None:
    """Masks of spans, by hand: the middle half of every video."""
    import json
    import shutil

    import numpy as np

    from benchmarks_kth_mad.data.masks import load_masks, mask_file, save_masks

    run = shutil.copytree(finished.folder, tmp_path / "run")
    manifest = json.loads((run / "run.json").read_text())
    root = Path(shutil.copytree(manifest["source"]["root"], tmp_path / "set"))
    manifest["source"]["root"] = str(root)
    (run / "run.json").write_text(json.dumps(manifest))
    for path in (root / "masks").glob("*.npz"):
        span = np.zeros_like(load_masks(path))
        span[::2] = True
        save_masks(mask_file(root, "span", path.stem), span)
    asked = ["--methods", "gradcam", "--checks", "energy-span"]
    options = [*FEW, *asked, "--out", tmp_path / "out", "--span-run", run]
    command("checks", "--run", finished.folder, *options)
    rows = pd.read_csv(tmp_path / "out" / "rows.csv")
    assert set(rows["check"]) == {"energy-span"}
    assert rows["clip"].nunique() == 1
    assert rows["value"].between(0.3, 0.7).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--clips", "0"], "--clips: expected a whole number from 1 to"),
        (["--methods", "nope"], "invalid choice: 'nope' (choose from"),
        (["--checks", "nope"], "invalid choice: 'nope' (choose from"),
        (["--checks", "energy-span"], "check energy-span: needs a run on clips with spans"),
        (["--checks", "planted-text"], "check planted-text: needs the folder of the command"),
        (["--planted", "nowhere"], "nowhere/rows.csv: no such file; run planted first"),
        (["--span-run", "nowhere"], "nowhere/checkpoint.pt: no such file; run train first"),
        (["--methods", "input_cell"], "input_cell: the network has no input-cell attention"),
        (["--layer", "nope"], "layer 'nope' is not in the model; it has"),
        (["--random-maps", "0"], "--random-maps: expected a whole number from 1 to"),
        (["--steps", "x"], "--steps: expected a whole number from 1 to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refused(
    refused: Callable[..., str], run_copy: Path, options: list[str], message: str
) -> None:
    methods = [] if "--methods" in options else ["--methods", "gradcam"]
    line = refused("checks", "--run", run_copy, *FEW[2:], "--clips", 1, *methods, *options)
    assert message in line


def test_a_set_without_the_masks_that_a_check_asks_for(
    refused: Callable[..., str], run_copy: Path
) -> None:
    asked = ["--checks", "energy-span", "--span-run", run_copy]
    line = refused("checks", "--run", run_copy, *asked)
    assert "check energy-span: the set has no masks of the kind span" in line
