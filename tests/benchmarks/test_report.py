"""The table says what its rows hold; the pictures and the report are complete."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.report import comparisons, draw, mean_areas, summary, write_report
from benchmarks_kth_mad.runs import Manifest, Run, Source
from captum_video import Curve
from captum_video.visualization import plot_curves

AREAS = {
    ("deletion", "random"): [0.5, 0.5, 0.5, 0.5],
    ("deletion", "rise"): [0.1, 0.6, 0.5, 0.2],
    ("deletion", "gradcam"): [0.1, 0.2, 0.3, 0.4],
    ("insertion", "random"): [0.5, 0.5, 0.5, 0.5],
    ("insertion", "rise"): [0.9, 0.6, 0.5, 0.4],
    ("insertion", "gradcam"): [0.1, 0.2, 0.3, 0.7],
}


def rows_of(areas: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"metric": metric, "method": method, "clip": f"clip {number}", "area": area}
            for (metric, method), every in areas.items()
            for number, area in enumerate(every)
        ]
    ).assign(unit="cell", baseline="blur")


def test_best_first_and_insertion_before_deletion() -> None:
    table = summary(rows_of(AREAS))
    assert (
        table["metric"].tolist()
        == ["insertion (higher is better)"] * 3 + ["deletion (lower is better)"] * 3
    )
    assert table["method"].tolist() == ["rise", "random", "gradcam", "gradcam", "rise", "random"]
    assert table["mean area"].tolist() == pytest.approx([0.6, 0.5, 0.325, 0.25, 0.35, 0.5])
    assert table["clips"].tolist() == [4] * 6


def test_share_of_clips_that_beat_random() -> None:
    table = summary(rows_of(AREAS))
    found = table.set_index(["metric", "method"])["beats random"]
    assert found["insertion (higher is better)", "rise"] == "50%"  # a tie beats nothing
    assert found["insertion (higher is better)", "gradcam"] == "25%"
    assert found["deletion (lower is better)", "rise"] == "50%"
    assert found["deletion (lower is better)", "gradcam"] == "100%"
    assert pd.isna(found["deletion (lower is better)", "random"])
    alone = summary(rows_of({("insertion", "rise"): [0.5, 0.25]}))
    assert alone["beats random"].isna().all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_interval_contains_the_mean(values: list[float]) -> None:
    table = summary(rows_of({("insertion", "rise"): values}))
    if len(values) == 1:
        assert table["95 % interval"][0] == ""  # one clip does not tell how sure its area is
        return
    low, high = map(float, table["95 % interval"][0].split(" to "))
    assert low - 6e-4 <= table["mean area"][0] <= high + 6e-4
    assert min(values) - 6e-4 <= low <= high <= max(values) + 6e-4


def test_interval_of_equal_clips_is_a_point_and_others_follow_the_seed() -> None:
    assert summary(rows_of(AREAS))["95 % interval"][1] == "0.500 to 0.500"
    rows = rows_of({("insertion", "rise"): torch.rand(9).tolist()})
    assert summary(rows, 3).equals(summary(rows, 3))
    assert not summary(rows, 3).equals(summary(rows, 4))


def test_a_clip_that_a_method_lacks_does_not_count_for_it() -> None:
    areas = {("insertion", "rise"): [0.5, 0.25], ("insertion", "random"): [0.5, 0.5, 0.5]}
    table = summary(rows_of(areas)).set_index("method")
    assert table["clips"].to_dict() == {"rise": 2, "random": 3}
    assert table.loc["rise", "95 % interval"] == "0.250 to 0.500"


def test_pictures_are_of_different_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = []

    def plot(*arguments: object, **options: object) -> object:
        labels.append(options["x_label"])
        return plot_curves(*arguments, **options)

    monkeypatch.setattr("benchmarks_kth_mad.report.pictures.plot_curves", plot)
    clips = torch.rand(3, 1, 4, 12, 16)
    explained = Explained(
        ["a", "b", "c"],
        ["1", "2", "2"],
        (clips,),
        torch.tensor([0, 0, 0]),
        torch.tensor([0, 0, 1]),
        {"occlusion": (torch.zeros_like(clips),), "random": (torch.rand_like(clips),)},
    )
    curve = Curve(torch.linspace(0, 1, 3), torch.rand(3, 3))
    names = draw(Run(tmp_path), explained, {"deletion": {"random": curve}}, ("x", "y"), "frame", 2)
    assert names == ["deletion.png", "a.png", "a.gif", "a.mp4", "c.png", "c.gif", "c.mp4"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(names)
    assert labels == ["share of frames deleted"]


def test_report_names_what_it_was_made_with(tmp_path: Path) -> None:
    run = Run(tmp_path)
    manifest = Manifest(
        Source("root", ("walking", "boxing")), "r3d_small", 0, 0.5, 4, (), {"torch": "9.9"}
    )
    rows = rows_of(AREAS)
    write_report(
        run, manifest, rows, mean_areas(rows), comparisons(rows), ["a.png", "a.gif", "a.mp4"]
    )
    text = run.report.read_text()
    assert text.startswith("# walking, boxing: r3d_small\n\nAccuracy on 4 test clips")
    assert "proves nothing about other people" in text
    assert "one cell after the other" in text
    assert "baseline blur" in text
    assert "| insertion (higher is better) | rise " in text
    assert "nan" not in text.lower()
    assert "None" not in text
    assert "![a.gif](pictures/a.gif)" in text
    assert "a.mp4" not in text
    assert "torch 9.9" in text
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
