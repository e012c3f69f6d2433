"""The measuring commands run, and count what they say; what they measure is no test's business."""

from functools import partial

import pandas as pd
import pytest
import torch

from benchmarks_kth_mad.models import build_model
from benchmarks_kth_mad.scoreboard import tables
from benchmarks_kth_mad.scoreboard.command import OF
from benchmarks_kth_mad.scoreboard.results import PAGE, kept_tables
from benchmarks_kth_mad.speed.convergence import convergence_table, masks_needed
from benchmarks_kth_mad.speed.frames import Undeclared, occlusion_table, rescaling_table
from benchmarks_kth_mad.speed.methods import ratio_table
from captum_video.nn import FrameWise


@pytest.mark.filterwarnings("ignore:RISE3D. the regression")
def test_speed_counts_the_passes_it_divides_by():
    table = ratio_table("r3d_small", frames=4, size=16, rounds=1).set_index("work")
    assert (table[["wall / floor", "CPU / floor", "low", "high"]] > 0).all(axis=None)
    expected = {
        "RISE3D": 32,
        "SIDU3D": 1 + 15,
        "SpatioTemporalOcclusion": 1 + 32,
        "insertion": 16,
        "deletion": 16,
        "average_drop_and_increase": 2 * 8,
        "modality_score": 4 * 4,
        "TemporalSaliencyRescaling, time": 1 + 1 + 4,
        "GradCAM3D": 1,
        "parameter_randomization": 1 + 3,
        "pointing": 0,
        "Captum Occlusion, 8 per pass": 1 + 32,
        "Captum FeatureAblation, 8 per pass": 1 + 32,
        "Captum LayerGradCam": 1,
    }
    assert table.loc[list(expected), "passes"].to_dict() == expected
    plain = table[table["by"] == "plain"]
    assert (plain["clips/s"] > 0).all()
    assert plain["of matrix peak"].notna().sum() == 1
    assert table.loc["pointing", ["clips/s", "of matrix peak"]].isna().all()


def test_convergence_of_a_linear_model_is_exact_by_regression():
    weights = torch.randn(2, 2 * 4 * 7 * 7, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(weights.shape[1], 2))
    model[1].weight.data.copy_(weights)
    clips = torch.rand(1, 2, 4, 7, 7, generator=torch.Generator().manual_seed(1))
    rows: list[int] = []
    model.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    table = convergence_table(
        model, (clips,), torch.tensor([0]), [300, 600], converged=1000, baseline="black", n_seeds=2
    )
    assert sum(rows) == 1000 + 2 * 600  # every mask once, for both scores and all counts
    assert len(table) == 2 * 2 * 3
    assert (table["clips"] == 1).all()
    last = table[table["masks"] == 600].set_index(["score", "estimator"])
    assert last.loc[("logit", "regression"), "pooled"] < 1e-6
    assert last.loc[("logit", "regression"), "R²"] > 0.999
    assert last.loc[("logit", "coverage"), "pooled"] > 0.01
    assert last.loc[("softmax", "regression"), "R²"] < 0.999
    assert (table["pooled"] == table["median"]).all()  # of one clip


def test_coverage_needs_as_many_times_more_masks_as_its_error_is_larger():
    errors = pd.DataFrame(
        [
            ("logit", 100, "coverage", 8.0),
            ("logit", 400, "coverage", 2.0),
            ("logit", 100, "regression", 4.0),
            ("logit", 400, "regression", 0.5),
        ],
        columns=["score", "masks", "estimator", "pooled"],
    )
    table = masks_needed(errors.assign(median=errors["pooled"] / 2))
    assert table["ratio, pooled"].tolist() == pytest.approx([2, 4])
    assert table["ratio, median"].tolist() == pytest.approx([2, 4])
    assert table["coverage's masks, pooled"].tolist() == pytest.approx([200, 1600])


def test_an_error_that_is_lost_in_doubt_has_no_ratio():
    errors = pd.DataFrame(
        [("logit", 100, "coverage", 1.0), ("logit", 100, "regression", -0.1)],
        columns=["score", "masks", "estimator", "pooled"],
    )
    assert masks_needed(errors.assign(median=1.0))["ratio, pooled"].isna().all()


@pytest.mark.filterwarnings("ignore:RISE3D. the regression")
def test_convergence_is_a_command(finished, command, tmp_path):
    options = ["--clips", 1, "--counts", 40, "20", "--converged", 800]
    said = {}
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        out = tmp_path / f"{name}.csv"
        said[name] = command(
            "convergence", "--run", finished.folder, *options, "--seed", seed, "--out", out
        )
    assert "clips: person" in said["first"]
    tables = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in said}
    assert tables["first"]["masks"].unique().tolist() == [20, 40]
    pd.testing.assert_frame_equal(tables["first"], tables["again"])
    assert not tables["first"].equals(tables["other"])


@pytest.fixture
def small_network() -> FrameWise:
    torch.manual_seed(0)
    model = build_model("cnn_lstm_small", 2, 3).eval()
    assert isinstance(model, FrameWise)
    return model


def test_occlusion_of_a_frame_wise_network_against_both_loops(small_network):
    table = occlusion_table(small_network, torch.rand(1, 3, 6, 24, 32), rounds=1)
    assert len(table) == 6
    assert table["work"].str.contains("6 whole frames, against").sum() == 2
    assert (table.filter(like="times faster") > 0).all(axis=None)


def test_rescaling_of_a_frame_wise_network_agrees_with_itself(small_network):
    table = rescaling_table(small_network, torch.rand(1, 3, 6, 24, 32), rounds=1)
    maps = 1 + 6 + 3 * 3 * 4  # the clip, its frames, and tiles of the three that pass
    assert table["work"].tolist() == ["TSR, whole map"] * 4 + ["TSR, time step"] * 4
    assert table["maps"].tolist() == [maps] * 4 + [1 + 6] * 4
    assert table["tolerance"].tolist() == [0.01, 0.01, 0, 0] * 2
    assert table["loop"].tolist() == ["batches", "frame by frame"] * 4
    assert (table["correlation"] > 0.99).all()
    assert (table.filter(like="times faster") > 0).all(axis=None)


@pytest.mark.parametrize("of", ["frames", "rescaling", "cell"])
def test_speed_of_other_things_is_a_command(of, command, monkeypatch):
    short = partial(tables.cell_table, lengths=(4,), features=5, hidden=6)
    monkeypatch.setattr(tables, "cell_table", short)
    said = command("speed", "--of", of, "--frames", 4, "--size", 32, "--rounds", 1)
    assert said.startswith(f"{of}: ")
    assert ("clip 3 x 4 x 32 x 32" in said) == (of != "cell")
    assert said.count("|") > 20


def test_speed_is_kept_where_asked(command, tmp_path):
    out = tmp_path / "here"
    options = ["--of", "rate", "--model", "r3d_small", "--frames", 4, "--size", 16, "--rounds", 1]
    said = command("speed", *options, "--batches", 1, 2, "--out", out)
    assert f"kept as rate-r3d_small-4x16 in {out}" in said
    kept = kept_tables(out)["rate-r3d_small-4x16"]
    assert kept.table["batch"].tolist() == [1, 2]
    again = "--of rate --frames 4 --size 16 --rounds 1 --model r3d_small --batches 1 2"
    assert kept.command == f"python -m benchmarks_kth_mad speed {again}"
    assert str(tmp_path) not in (out / PAGE).read_text()


def test_every_table_of_speed_has_words():
    assert list(tables.TABLES) == list(OF)


def test_runs_are_asked_for_by_the_one_table_of_runs(refused):
    refused("--runs", "speed", "--of", "masks")
    refused("--runs", "speed", "--of", "cell", "--runs", "somewhere")


def test_the_loops_of_the_comparison_are_the_same_network(small_network):
    clip = torch.rand(2, 3, 4, 24, 32)
    for one_by_one in (False, True):
        found = Undeclared(small_network, one_by_one)(clip)
        torch.testing.assert_close(found, small_network(clip), atol=1e-5, rtol=1e-4)
