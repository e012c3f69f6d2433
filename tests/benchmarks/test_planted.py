"""The planted artefact: scores where the answer is known, the proof of reading, and the command."""

import os
from collections.abc import Callable
from pathlib import Path

import oracles_planted as oracles
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.intervals import Interval
from benchmarks_kth_mad.methods import METHODS, Options
from benchmarks_kth_mad.models import Checkpoint, VideoClassifier
from benchmarks_kth_mad.planted import reading
from benchmarks_kth_mad.planted.experiment import by_turns, explain_all, score_rows
from benchmarks_kth_mad.planted.plan import Footage, Plan
from benchmarks_kth_mad.planted.reading import Reading, reading_of, require_reading
from benchmarks_kth_mad.planted.report import summary, verdict
from benchmarks_kth_mad.planted.scores import energy_in_frames, grown, pointing, voxel_auc
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.rendering.render import render_kth

REAL = Path(os.environ.get("CAPTUM_VIDEO_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
CLASSES = ("boxing", "handclapping", "walking")
TINY = ["--frames", 4, "--height", 24, "--width", 32, "--shown", 2, "--epochs", 1]
TINY += ["--device", "cpu", "--methods", "gradient", "random", "--clips", 2]


class RedReader(VideoClassifier):
    """Reads how many pixels are red: nothing else has a gradient, or counts when it is hidden."""

    channels = 3

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.blind = blind
        self.thresholds = nn.Parameter(torch.zeros(3))

    @property
    def last_stage(self) -> nn.Module:
        return self

    def forward(self, clips: Tensor) -> Tensor:
        if self.blind:  # sees the lower half alone, where no text is
            evidence = clips[:, :, :, clips.shape[3] // 2 :].mean((1, 2, 3, 4))
        else:
            evidence = (clips[:, 0] - clips[:, 1] - 0.25).relu().sum((1, 2, 3))
        return evidence[:, None] * torch.tensor([1.0, 0.5, 0.25]) + self.thresholds


class WordReader(VideoClassifier):
    """Tells the three words apart by how many pixels of a frame are red: they differ in length."""

    channels = 3

    def __init__(self, limits: tuple[float, float]) -> None:
        super().__init__()
        self.limits = limits
        self.unused = nn.Parameter(torch.zeros(1))

    @property
    def last_stage(self) -> nn.Module:
        return self

    def forward(self, clips: Tensor) -> Tensor:
        width = (clips[:, 0] - clips[:, 1] > 0.25).any(2).sum(2).amax(1).float()
        low, high = self.limits
        columns = (width < low, width >= high, (width >= low) & (width < high))
        return torch.stack(columns, 1).float()


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    folder = tmp_path_factory.mktemp("planted")
    size = {"persons": 4, "sequences": 1, "frames": 8}
    clean, captions = (
        render_kth(folder / str(text), CLASSES, RenderSettings(**size, text=text))
        for text in (False, True)
    )
    return Footage(clean, captions, CLASSES)


def plan_of(**changes) -> Plan:
    return Plan(clip=ClipShape(frames=6), shown=2, options=Options(n_samples=60), **changes)


def checkpoint_of(model: VideoClassifier) -> Checkpoint:
    return Checkpoint(model.eval(), "by hand", CLASSES, ClipShape(frames=6))


def rows_of(model: VideoClassifier, footage: Footage, methods: list[str]) -> pd.DataFrame:
    plan = plan_of(methods=methods)
    dataset = footage.clips("all", plan.clip, plan.shown, "own", 0)
    chosen = [0, 4, 8]
    explained, left_out = explain_all(checkpoint_of(model), dataset, plan, chosen, "cpu")
    assert left_out == {}
    return score_rows(explained, dataset, chosen, plan.dilate)


def test_all_energy_of_a_network_that_reads_red_is_on_the_text(footage: Footage) -> None:
    rows = rows_of(RedReader(), footage, ["gradient"])
    assert len(rows) == 3
    for column in ("energy", "pointing", "time energy"):
        assert rows[column].tolist() == pytest.approx([1, 1, 1])
    assert (rows["auc"] > 0.6).all()
    assert rows["time area"].tolist() == pytest.approx([1 / 3] * 3)
    assert rows["area"].between(0.01, 0.1).all()
    assert rows["text"].tolist() != rows["explained"].tolist()


def test_hiding_finds_it_too_as_far_as_windows_let_it(footage: Footage) -> None:
    rows = rows_of(RedReader(), footage, ["occlusion", "frame_occlusion", "random"])
    means = rows.groupby("method")[["energy", "area", "time energy"]].mean()
    area = means["area"].iloc[0]
    assert means.loc["occlusion", "energy"] > 5 * area
    # it tells frames apart and no pixels
    assert means.loc["frame_occlusion", "time energy"] == pytest.approx(1)
    assert means.loc["frame_occlusion", "energy"] == pytest.approx(3 * area)
    assert means.loc["random", "energy"] < 3 * area


def test_no_energy_of_a_network_that_sees_no_text_is_on_it(footage: Footage) -> None:
    rows = rows_of(RedReader(blind=True), footage, ["gradient", "occlusion"])
    assert (rows["energy"] < 0.01).all()
    assert (rows["pointing"] == 0).all()
    # of occlusion much is below zero, where the text's zero ranks high
    assert (rows.loc[rows["method"] == "gradient", "auc"] < 0.5).all()


def test_methods_that_do_not_apply_are_told_of_and_refused_when_asked_for(
    footage: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks_kth_mad.planted import experiment

    few = {name: METHODS[name] for name in ("gradient", "input_cell")}
    monkeypatch.setattr(experiment, "METHODS", few)
    checkpoint, plan = checkpoint_of(RedReader()), plan_of()
    dataset = footage.clips("test", plan.clip, plan.shown, "own", 0)
    explained, left_out = explain_all(checkpoint, dataset, plan, [0], "cpu")
    assert list(explained.maps) == ["gradient"]
    assert list(left_out) == ["input_cell"]
    assert left_out["input_cell"].startswith("the network has no input-cell attention")
    with pytest.raises(BenchmarkError, match="input_cell: the network has no"):
        explain_all(checkpoint, dataset, plan_of(methods=["input_cell"]), [0], "cpu")


def test_swapping_tells_who_reads(footage: Footage) -> None:
    plan = plan_of()
    clips = footage.clips("test", plan.clip, plan.shown, "own", 0)
    widths: dict[int, set[int]] = {}
    for index, record in enumerate(clips.records):
        clip = clips[index]["clip"]
        width = int((clip[0] - clip[1] > 0.25).any(1).sum(1).amax())
        widths.setdefault(record.label, set()).add(width)
    assert max(widths[0]) < min(widths[2]) <= max(widths[2]) < min(widths[1])
    reader = WordReader((min(widths[2]), min(widths[1])))
    found = reading_of(checkpoint_of(reader), footage, plan, "cpu")
    # without text no column is red, and every clip is called by the shortest word
    assert found == Reading(own=1.0, follows=1.0, without=1 / 3, clips=3, chance=1 / 3)
    require_reading(found)
    blind = reading_of(checkpoint_of(RedReader(blind=True)), footage, plan, "cpu")
    assert (blind.own, blind.follows) == pytest.approx((1 / 3, 1 / 3))
    with pytest.raises(BenchmarkError, match=r"does not read the text .*follows it in 0\.333"):
        require_reading(blind)


@st.composite
def maps_and_masks(draw):
    values = draw(st.lists(st.integers(-3, 3), min_size=2, max_size=24))
    mask = draw(
        st.lists(st.booleans(), min_size=len(values), max_size=len(values)).filter(
            lambda found: 0 < sum(found) < len(found)
        )
    )
    return [float(value) for value in values], mask


@settings(max_examples=60, deadline=None)
@given(maps_and_masks())
def test_auc_is_that_of_all_pairs(drawn) -> None:
    values, inside = drawn
    maps, mask = torch.tensor([values])[:, None, None], torch.tensor([inside])[:, None, None]
    assert voxel_auc(maps, mask).item() == pytest.approx(oracles.auc(values, inside))
    assert voxel_auc(-maps, mask).item() == pytest.approx(1 - oracles.auc(values, inside))
    assert voxel_auc(3 * maps + 1, mask).item() == voxel_auc(maps, mask).item()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 3), st.integers(0, 2**16))
def test_masks_grow_over_space_and_not_over_time(
    rows: int, columns: int, pixels: int, seed: int
) -> None:
    masks = torch.rand(1, 2, rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.2
    found = grown(masks, pixels)
    assert found[0].tolist() == [oracles.grown(frame.tolist(), pixels) for frame in masks[0]]
    assert torch.equal(grown(masks, 0), masks)


def test_pointing_of_peaks_ties_and_constants() -> None:
    mask = torch.tensor([True, True, False, False]).expand(3, 4).reshape(3, 1, 1, 4)
    maps = torch.tensor([[0.0, 3, 1, 2], [3, 0, 3, 3], [1, 1, 1, 1]]).view(3, 1, 1, 4)
    assert pointing(maps, mask).tolist() == pytest.approx([1, 1 / 3, 1 / 2])


def test_energy_in_frames_counts_positive_energy_of_whole_frames() -> None:
    maps = torch.tensor([1.0, 2, 3, -6]).view(1, 4, 1, 1).expand(1, 4, 2, 2)
    shown = torch.tensor([[False, True, False, True]])
    assert energy_in_frames(maps, shown).tolist() == pytest.approx([2 / 6])


def test_masks_of_one_kind_have_no_auc() -> None:
    for mask in (torch.zeros(1, 1, 2, 2).bool(), torch.ones(1, 1, 2, 2).bool()):
        with pytest.raises(ValueError, match="expected voxels inside and outside"):
            voxel_auc(torch.rand(1, 1, 2, 2), mask)


@pytest.mark.parametrize(
    ("found", "control", "outcome"),
    [
        ((0.5, 0.31, 0.7), (0.1, 0.05, 0.2), "found"),
        ((0.5, 0.31, 0.7), (0.5, 0.31, 0.7), "found, but also by the clean network"),
        ((0.5, 0.3, 0.7), (0.1, 0.05, 0.2), "undecided"),
        ((0.2, 0.1, 0.29), (0.1, 0.05, 0.2), "missed"),
    ],
)
def test_verdicts(found, control, outcome: str) -> None:
    assert verdict(Interval(*found), Interval(*control), 0.1) == outcome


def test_persons_weigh_alike_and_one_person_counts_by_clips() -> None:
    def row(person: str, energy: float) -> dict:
        numbers = dict.fromkeys(("pointing", "auc", "time energy", "time area"), 0.5)
        return {"method": "m", "person": person, "energy": energy, "area": 0.1, **numbers}

    def means(persons: list[tuple[str, float]]) -> pd.Series:
        rows = pd.DataFrame([row(*one) for one in persons])
        both = [rows.assign(**{"trained on": name}) for name in ("text", "clean")]
        return summary(pd.concat(both)).iloc[0]

    two = means([("a", 1.0)] * 3 + [("b", 0.0)])
    assert two[["energy", "energy low", "energy high", "ratio"]].tolist() == [0.5, 0, 1, 5]
    one = means([("a", 1.0), ("a", 0.0)])
    assert one[["energy", "energy low", "energy high"]].tolist() == [0.5, 0, 1]


def test_clips_come_by_turns_of_persons_and_classes(footage: Footage) -> None:
    dataset = footage.clips("all", ClipShape(frames=6), 2, "own", 0)
    first = [dataset.records[index] for index in by_turns(dataset, 3)]
    assert len({record.person for record in first}) == len({one.label for one in first}) == 3
    assert sorted(by_turns(dataset, 99)) == list(range(12))


def test_the_command(
    command: Callable[..., str],
    footage: Footage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "ENOUGH", 0.0)  # one epoch teaches nobody to read
    outs = [tmp_path / name for name in ("first", "second")]
    data = ["--root", footage.captions, "--clean", footage.clean, "--split-by", "person"]
    data += ["--classes", "boxing", "walking"]
    said = [command("planted", *data, *TINY, "--out", out) for out in outs]
    assert "one person, which proves nothing about people" in said[0]
    for name in ("rows.csv", "summary.csv", "report.md"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()
    rows = pd.read_csv(outs[0] / "rows.csv")
    assert len(rows) == 2 * 2 * 2
    assert set(rows["trained on"]) == {"text", "clean"}
    pictures = sorted(path.name for path in outs[0].glob("*.png"))
    assert len(pictures) == 2
    assert all(name in (outs[0] / "report.md").read_text() for name in pictures)
    assert len(list((outs[0] / "networks").iterdir())) == 2


def test_who_does_not_read_is_not_scored(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ENOUGH", 1.01)
    arguments = [
        "planted",
        "--persons",
        3,
        "--classes",
        "boxing",
        "walking",
        *TINY,
        "--out",
        tmp_path,
    ]
    assert main([str(one) for one in arguments]) == 2
    line = capfd.readouterr().err
    assert "does not read the text" in line
    assert "no method is scored" in line
    assert not (tmp_path / "rows.csv").exists()


@pytest.mark.skipif(
    not (REAL / "kth_labelled").is_dir(),
    reason=f"no footage at {REAL} (set CAPTUM_VIDEO_REAL_DATA)",
)
def test_real_footage(
    command: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ENOUGH", 0.0)
    data = ["--root", REAL / "kth_labelled", "--clean", REAL / "kth"]
    said = command(
        "planted",
        *data,
        "--classes",
        "boxing",
        "walking",
        *TINY,
        "--pictures",
        0,
        "--out",
        tmp_path,
    )
    lines = [line for line in said.splitlines() if line.startswith(("| gradient", "| random"))]
    assert len(lines) == 2
    assert all("one person, which proves nothing about people" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shown", 8], "planted shown: expected 1 to 7 of the clip's 8 frames"),
        (["--channels", 1], "planted clip: expected 3 channels"),
        (["--persons", 2], "render persons: expected at least 3, got 2"),
        (["--root", "somewhere"], "give both or neither"),
        (["--classes", "flying"], "class 'flying' is not in KTH"),
        (["--methods", "magic"], "invalid choice: 'magic'"),
        (["--weights", "KINETICS400_V1"], "takes no --weights"),
        (["--root", "nowhere", "--clean", "nowhere"], "no such file"),
    ],
)
def test_bad_input(refused: Callable[..., str], tmp_path: Path, options, message: str) -> None:
    assert message in refused("planted", "--out", tmp_path / "out", *options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clips": 0}, "planted clips: expected at least 1, got 0"),
        ({"dilate": -1}, "planted dilate: expected at least 0, got -1"),
        ({"pictures": -1}, "planted pictures: expected at least 0"),
        ({"methods": ["magic"]}, "method 'magic': expected one of"),
    ],
)
def test_plans_that_can_not_be(changes: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        plan_of(**changes)
