"""What is measured has a closed form where the model is known."""

from pathlib import Path

import pytest
import torch

from benchmarks_kth_mad.choice import by_turns
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import (
    Explained,
    explain,
    measure,
    predict,
)
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.models import Checkpoint, build_model

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


@pytest.mark.parametrize("count", [1, 4, 99])
def test_clips_are_explained_in_the_order_asked_for(
    undecided: Checkpoint, rendered: Path, count: int
) -> None:
    data = dataset(rendered)
    chosen = by_turns(data, count)
    assert len(chosen) == min(count, 8)
    found = explain(undecided, data, ["random"], Options(), chosen, "cpu")
    assert found.names == [data.records[index].name for index in chosen]
    # of one person, classes take turns
    assert count == 1 or found.labels.tolist().count(0) == len(chosen) / 2
    assert found.labels.tolist() == [data.records[index].label for index in chosen]
    assert found.targets.tolist() == [1] * len(chosen)
    assert found.persons == [data.records[index].group for index in chosen]
    assert torch.equal(found.clips[0][-1], data[chosen[-1]]["clip"])
    assert found.maps["random"][0].shape == found.clips[0].shape
