"""The table has what it says, and divides by passes that are run; times are no test's business."""

from collections import Counter

import pytest
import torch
from torch import nn

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.scoreboard.scaling_figure import scaling_figure
from benchmarks_kth_mad.speed import scaling
from benchmarks_kth_mad.speed.scaling import Preset, scaling_table

TINY = Preset((4, 8), (14, 16), (8, 12), (1, 2), (2, 3), (4, 14), (4, 16), passes=8)


class Small(nn.Module):
    """In the place of r3d_18."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer4 = nn.Conv3d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, num_classes)

    def forward(self, clips):
        return self.head(self.layer4(clips).relu().mean((2, 3, 4)))


@pytest.fixture(scope="module", autouse=True)
def small_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "r3d_18", Small)
        yield


@pytest.fixture(scope="module")
def table(small_network):
    return scaling_table(rounds=1, preset=TINY)


def test_a_row_for_each_axis_value_and_work(table):
    assert list(table.columns) == [
        "axis", "value", "network", "work", "passes",
        "CPU / floor", "wall / floor", "ms per pass", "own ms per pass",
    ]  # fmt: skip
    points = table.groupby("axis", sort=False)["value"].unique()
    assert {axis: list(values) for axis, values in points.items()} == {
        "frames": [4, 8],
        "height and width": [14, 16],
        "masks": [8, 12],
        "clips": [1, 2],
        "classes": [2, 3],
    }
    works = table.groupby("axis")["work"].unique()
    assert set(works["frames"]) == {"RISE3D", "insertion", "GradCAM3D"}
    assert set(works["masks"]) == {"RISE3D", "insertion"}
    assert set(works["classes"]) == {"RISE3D"}
    networks = table.groupby("network")["axis"].unique()
    assert set(networks["r3d_18"]) == {"frames", "height and width"}
    assert (table[["CPU / floor", "wall / floor", "ms per pass"]] > 0).all(axis=None)


@pytest.mark.filterwarnings("ignore:RISE3D. the regression")
def test_passes_are_those_that_are_run():
    for make in scaling._points(TINY, "cpu"):
        point = make()
        for work in (*point.works.values(), *point.floors.values()):
            rows: Counter[int] = Counter()
            handle = nn.modules.module.register_module_forward_hook(
                lambda module, args, output, rows=rows: (
                    rows.update({"rows": len(output)})
                    if isinstance(module, nn.Linear)  # both networks end in their only one
                    else None
                )
            )
            with handle:
                work.run()
            assert rows["rows"] == work.passes


def test_a_floor_is_as_long_as_what_is_compared_with_it():
    model, clips = nn.Flatten(), torch.rand(1, 3, 4, 112, 112)
    rows = 10 * 2**20 // (clips.numel() * 4)  # that the engine takes at once
    assert scaling._floor(model, clips, 8).passes == 8
    assert scaling._floor(model, clips, 100).passes == 100 // rows * rows
    assert scaling._floor(model, clips, 5000).passes == 128 // rows * rows


def test_an_unknown_preset_is_named():
    with pytest.raises(BenchmarkError, match="small, full, cuda, got 'huge'"):
        scaling_table(preset="huge")


def test_the_figure_has_a_panel_per_axis_and_a_line_per_work(table):
    figure = scaling_figure(table)
    labels = [panel.get_xlabel() for panel in figure.axes]
    assert labels == ["frames", "height and width", "masks", "clips", "classes"]
    quantities = [panel.get_ylabel() for panel in figure.axes]
    assert quantities == ["CPU / floor"] * 2 + ["own ms per pass"] * 3
    frames = figure.axes[0]
    assert [tick.label1.get_text() for tick in frames.xaxis.get_major_ticks()] == ["4", "8"]
    drawn = [list(line.get_ydata()) for line in frames.lines]
    part = table[table["axis"] == "frames"]
    for name in ("RISE3D", "insertion", "GradCAM3D"):
        assert list(part.loc[part["work"] == name, "CPU / floor"]) in drawn
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["RISE3D", "insertion", "GradCAM3D"]
    elsewhere = scaling_figure(table.drop(columns="CPU / floor"))
    assert elsewhere.axes[0].get_ylabel() == "wall / floor"
