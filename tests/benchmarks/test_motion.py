"""Maps against motion: numbers whose answer is known, and the command as a user types it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.models import VideoClassifier, build_model
from benchmarks_kth_mad.motion_agreement import agreement_rows, agreement_table, flow_of
from benchmarks_kth_mad.report.motion import feature_saliency, time_contributions
from captum_video.flow import flow_magnitude
from captum_video.nn import FrameWise


@pytest.fixture
def explained() -> Explained:
    """Two persons, two clips each, of a square that walks to the right by two pixels per frame."""
    clips = torch.zeros(4, 1, 8, 32, 48)
    for t in range(8):
        texture = torch.rand(10, 10, generator=torch.Generator().manual_seed(3))
        clips[:, :, t, 10:20, 8 + 2 * t : 18 + 2 * t] = texture
    names = [f"person0{p}_walking_d1_{s}" for p in (1, 2) for s in (1, 2)]
    persons, nothing = ["1", "1", "2", "2"], torch.zeros(4)
    flow = flow_of(Explained(names, persons, (clips,), nothing, nothing, {}), "farneback")
    speed = flow_magnitude(flow)
    return Explained(
        names=names,
        persons=persons,
        clips=(clips,),
        labels=torch.tensor([0, 0, 1, 1]),
        targets=torch.tensor([0, 1, 1, 1]),
        maps={"speed": (speed,), "still": (-speed,), "random": (torch.rand(4, 1, 8, 32, 48),)},
    )


def test_a_map_of_the_speed_agrees_and_its_opposite_does_not(explained: Explained) -> None:
    (speed,) = explained.maps["speed"]
    rows = agreement_rows(explained, speed, 0.5)
    assert len(rows) == 3 * 4
    means = rows.groupby("method")[["correlation", "energy", "moving area"]].mean()
    assert means.loc["speed", "correlation"] == pytest.approx(1)
    assert means.loc["still", "correlation"] == pytest.approx(-1)
    assert abs(means.loc["random", "correlation"]) < 0.05
    assert means.loc["random", "energy"] == pytest.approx(means["moving area"].iloc[0], abs=0.03)
    assert means.loc["speed", "energy"] > 0.8
    table = agreement_table(rows)
    first = table[table["measure"] == "correlation"].iloc[0]
    assert (first["method"], first["persons"]) == ("speed", 2)
    assert first["above random"].startswith("+")
    assert (table[table["method"] == "random"]["above random"] == "").all()


def test_persons_count_not_clips() -> None:
    """One person with many clips weighs as much as one with few."""
    names = [f"person01_walking_d1_{i}" for i in range(9)] + ["person02_walking_d1_1"]
    rows = pd.DataFrame(
        {"method": "m", "clip": names, "correlation": [0.0] * 9 + [1.0], "energy": 0.5}
    )
    table = agreement_table(rows)
    assert table.iloc[0]["mean"] == pytest.approx(0.5)


def test_one_person_has_no_interval() -> None:
    rows = pd.DataFrame(
        {
            "method": ["m", "random"],
            "clip": ["person01_walking_d1_1"] * 2,
            "correlation": [0.5, 0.25],
            "energy": 0.5,
        }
    )
    first = agreement_table(rows).iloc[0]
    assert (first["95 % interval"], first["above random"]) == ("one person", "+0.250")


def test_an_unknown_flow_is_refused(explained: Explained) -> None:
    with pytest.raises(BenchmarkError, match="flow 'raft': expected one of farneback, dis"):
        flow_of(explained, "raft")


def test_time_and_features_of_a_frame_wise_network() -> None:
    torch.manual_seed(0)
    model, clip = build_model("cnn_lstm_small", 2, 1).eval(), torch.rand(1, 1, 8, 24, 32)
    assert isinstance(model, FrameWise)
    assert isinstance(model, VideoClassifier)
    times = time_contributions(model, clip, 1, "black")
    assert times.shape == (8,)
    assert (times >= 0).all()
    assert times.max() > 0
    slopes = feature_saliency(model, clip, 1)
    assert slopes.shape[0] == 8
    leaf = model.encoder(clip[0].transpose(0, 1)).detach()[None].requires_grad_()
    expected = torch.autograd.grad(model.head(leaf)[0, 1], leaf)[0][0].abs()
    torch.testing.assert_close(slopes, expected)


def test_the_command_prints_a_table_and_draws(run_copy: Path, command: Callable[..., str]) -> None:
    said = command("motion", "--run", run_copy, "--pictures", 1)
    assert "above random" in said
    assert "energy by chance" in said
    rows = pd.read_csv(run_copy / "motion.csv")
    assert set(rows["method"]) == {"gradcam", "occlusion", "rise", "random"}
    drawn = [Path(line.split()[-1]) for line in said.splitlines() if line.startswith("picture")]
    assert {path.stem.rsplit("_", 1)[1] for path in drawn} == {"frames", "time"}
    assert all(path.stat().st_size > 10_000 for path in drawn)


def test_the_command_of_a_frame_wise_run(
    rendered: Path, tmp_path: Path, command: Callable[..., str], steps: dict[str, list[str]]
) -> None:
    run = ["--run", tmp_path / "run"]
    model = ["--model", "cnn_lstm_small_attention", "--root", rendered]
    command("train", *model, *run, *steps["train"])
    command("attribute", *run, "--clips", 2, "--methods", "gradient", "input_cell", "tsr")
    said = command("motion", *run, "--flow", "dis", "--moving", 0.2, "--pictures", 1)
    assert "_features.png" in said
    assert "tsr" in said


@pytest.mark.parametrize("options", [["--moving", -1], ["--flow", "raft"]])
def test_bad_options_leave_everything(
    options: list[object], run_copy: Path, refused: Callable[..., str]
) -> None:
    refused("motion", "--run", run_copy, *options)
