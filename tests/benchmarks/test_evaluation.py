"""What is measured has a closed form where the model is known, and comes back from disk as it was."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks_kth_mad.choice import spread_over_classes
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import (
    Explained,
    explain,
    load_curves,
    load_explained,
    load_rows,
    measure,
    predict,
    save_curves,
    save_explained,
)
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.models import Checkpoint, build_model
from benchmarks_kth_mad.runs import Run
from captum_video import Curve

CLASSES = ("walking", "handwaving")
CLIP = ClipShape(frames=4, height=12, width=16, channels=1)


@pytest.fixture
def undecided() -> Checkpoint:
    """A model whose logits are 0 and log 3, whatever it sees: probabilities 1/4 and 3/4."""
    model = build_model("r3d_small", 2, 1)
    with torch.no_grad():
        model.network.fc.weight.zero_()
        model.network.fc.bias.copy_(torch.tensor([0, 3.0]).clamp_min(1).log())
    return Checkpoint(model.eval(), "r3d_small", CLASSES, CLIP)


@pytest.fixture
def explained() -> Explained:
    clips = torch.rand(3, 1, 4, 12, 16)
    maps = {name: (torch.rand(3, 1, 4, 12, 16),) for name in ("rise", "random")}
    labels, targets = torch.tensor([0, 1, 0]), torch.tensor([1, 1, 0])
    return Explained(["a", "b", "c"], ["1", "1", "2"], (clips,), labels, targets, maps)


def dataset(root: Path, split: str = "test") -> KTH:
    return KTH(root, CLIP, CLASSES, split)


def test_areas_of_a_model_that_does_not_look(undecided: Checkpoint, explained: Explained) -> None:
    rows, curves = measure(
        undecided, explained, ["insertion", "deletion"], "cell", 4, "black", "cpu"
    )
    assert len(rows) == 2 * 2 * 3
    assert not rows[["metric", "method", "clip"]].duplicated().any()
    expected = {"a": ("walking", "handwaving", 0.75), "b": ("handwaving", "handwaving", 0.75)}
    expected["c"] = ("walking", "walking", 0.25)
    for row in rows.itertuples():
        label, said, area = expected[row.clip]
        assert (row.label, row.explained, row.unit, row.baseline) == (label, said, "cell", "black")
        assert row.area == pytest.approx(area)
    assert curves["insertion"]["rise"].scores.shape == (3, 5)
    assert curves["deletion"]["random"].area.tolist() == pytest.approx([0.75, 0.75, 0.25])


def test_a_metric_named_twice_counts_once(undecided: Checkpoint, explained: Explained) -> None:
    rows, _ = measure(undecided, explained, ["deletion"] * 2, "frame", 2, "gray", "cpu")
    assert len(rows) == 2 * 3


def test_unknown_metric(undecided: Checkpoint, explained: Explained) -> None:
    with pytest.raises(BenchmarkError, match="metric 'nope': expected one of insertion, deletion"):
        measure(undecided, explained, ["nope"], "voxel", 2, "black", "cpu")
    with pytest.raises(BenchmarkError, match="insertion: n_steps: expected at least 1, got 0"):
        measure(undecided, explained, ["insertion"], "voxel", 0, "black", "cpu")


def test_predictions(undecided: Checkpoint, rendered: Path) -> None:
    rows = predict(undecided, dataset(rendered), "cpu", batch_size=3)
    assert len(rows) == 8
    assert set(rows["predicted"]) == {"handwaving"}
    assert set(rows["probability"]) == {0.75}
    assert sorted(rows["label"]) == ["handwaving"] * 4 + ["walking"] * 4
    assert all(label in clip for label, clip in zip(rows["label"], rows["clip"], strict=True))


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (4, [0, 2, 4, 6]), (99, list(range(8)))])
def test_clips_are_spread_over_the_set(
    undecided: Checkpoint, rendered: Path, count: int, expected: list[int]
) -> None:
    data = dataset(rendered)
    chosen = spread_over_classes(data, count)
    found = explain(undecided, data, ["random"], Options(), chosen, "cpu")
    by_class = sorted(range(8), key=lambda index: data.records[index].label)
    expected = [by_class[place] for place in expected]
    assert found.names == [data.records[index].name for index in expected]
    assert count == 1 or found.labels.tolist().count(0) == len(expected) / 2
    assert found.labels.tolist() == [data.records[index].label for index in expected]
    assert found.targets.tolist() == [1] * len(expected)
    assert found.persons == [data.records[index].group for index in expected]
    assert torch.equal(found.clips[0][-1], data[expected[-1]]["clip"])
    assert found.maps["random"][0].shape == found.clips[0].shape


def test_maps_come_back_equal(explained: Explained, tmp_path: Path) -> None:
    run = Run(tmp_path)
    save_explained(run, explained)
    loaded = load_explained(run)
    assert loaded.names == explained.names
    assert loaded.persons == explained.persons
    assert torch.equal(loaded.clips[0], explained.clips[0])
    for name in ("labels", "targets"):
        assert torch.equal(getattr(loaded, name), getattr(explained, name))
    assert list(loaded.maps) == ["rise", "random"]
    assert all(torch.equal(loaded.maps[name][0], explained.maps[name][0]) for name in loaded.maps)
    assert [path.name for path in tmp_path.iterdir()] == ["attributions.pt"]


def test_curves_come_back_equal(tmp_path: Path) -> None:
    run = Run(tmp_path)
    curve = Curve(torch.linspace(0, 1, 5), torch.rand(3, 5))
    save_curves(run, {"deletion": {"rise": curve}})
    loaded = load_curves(run)["deletion"]["rise"]
    assert torch.equal(loaded.fractions, curve.fractions)
    assert torch.equal(loaded.scores, curve.scores)
    assert [path.name for path in tmp_path.iterdir()] == ["curves.pt"]


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1},
        [1],
        {"names": ["a"], "persons": ["1"], "clips": 1, "labels": 2, "targets": 3, "maps": 4},
        {
            "names": ["a", "b"],
            "persons": ["1", "2"],
            "clips": (torch.rand(1, 1, 2, 2, 2),),
            "labels": torch.tensor([0]),
            "targets": torch.tensor([0]),
            "maps": {},
        },
    ],
)
def test_foreign_maps(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "attributions.pt")
    with pytest.raises(BenchmarkError, match=r"attributions\.pt: not maps .* run attribute again"):
        load_explained(Run(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"other": {"rise": (torch.rand(3), torch.rand(2, 3))}},
        {"deletion": {"rise": (1, 2)}},
        {"deletion": {"rise": (torch.rand(3), torch.full((2, 3), torch.nan))}},
        {"deletion": 1},
        torch.rand(3),
    ],
)
def test_foreign_curves(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "curves.pt")
    with pytest.raises(BenchmarkError, match=r"curves\.pt: not curves .* run evaluate again"):
        load_curves(Run(tmp_path))


GOOD = pd.DataFrame(
    {
        "metric": ["insertion"] * 4,
        "method": ["rise", "rise", "random", "random"],
        "clip": ["a", "b"] * 2,
        "label": "walking",
        "explained": "walking",
        "baseline": "black",
        "unit": "voxel",
        "area": [0.125, 0.5, 0.25, 1 / 3],
    }
)


def test_rows_come_back_equal(tmp_path: Path) -> None:
    GOOD.to_csv(tmp_path / "rows.csv", index=False)
    pd.testing.assert_frame_equal(load_rows(Run(tmp_path)), GOOD)


@pytest.mark.parametrize(
    "rows",
    [
        GOOD.head(0),
        GOOD.head(3),
        pd.concat([GOOD, GOOD.tail(1)]),
        GOOD.drop(columns="area"),
        GOOD.drop(columns="unit"),
        GOOD.assign(area="many"),
        GOOD.assign(area=float("nan")),
        GOOD.assign(metric="nope"),
    ],
    ids=["none", "one-less", "one-twice", "no-area", "no-unit", "words", "nan", "metric"],
)
def test_rows_that_are_damaged(tmp_path: Path, rows: pd.DataFrame) -> None:
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(BenchmarkError, match=r"rows\.csv: not rows .* run evaluate again"):
        load_rows(Run(tmp_path))
