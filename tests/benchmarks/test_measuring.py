"""The measuring commands run, and count what they say; what they measure is no test's business."""

from functools import partial

import pytest
import torch

from benchmarks_kth_mad.convergence import convergence_table
from benchmarks_kth_mad.models import build_model
from benchmarks_kth_mad.speed import cell
from benchmarks_kth_mad.speed.frames import Undeclared, occlusion_table, rescaling_table
from benchmarks_kth_mad.speed.methods import ratio_table
from captum_video.attr import RISE3D
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
    assert (plain["clips/s"] > 0).all() and plain["of matrix peak"].notna().sum() == 1
    assert table.loc["pointing", ["clips/s", "of matrix peak"]].isna().all()


def test_convergence_of_a_linear_model_is_exact_by_regression():
    weights = torch.randn(2, 2 * 4 * 7 * 7, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(weights.shape[1], 2))
    model[1].weight.data.copy_(weights)
    clips = torch.rand(1, 2, 4, 7, 7, generator=torch.Generator().manual_seed(1))
    table = convergence_table(
        model, clips, torch.tensor([0]), counts=[600], converged=1000, baseline="black", n_seeds=1
    )
    logit, softmax = table[table["score"] == "logit"], table[table["score"] == "softmax"]
    assert logit["regression"].item() < 1e-6
    assert logit["R²"].item() > 0.999
    assert logit["coverage"].item() > 0.01
    assert softmax["R²"].item() < 0.999
    assert RISE3D(model).estimate(clips, target=0, n_samples=600).r_squared > 0.999


@pytest.mark.filterwarnings("ignore:RISE3D. the regression")
def test_convergence_is_a_command(finished, command):
    options = ["--clips", 1, "--counts", 40, "--converged", 80]
    said = command("convergence", "--run", finished.folder, *options)
    assert said.startswith("clips: person")
    assert "regression" in said


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
    monkeypatch.setattr(
        cell, "cell_table", partial(cell.cell_table, lengths=(4,), features=5, hidden=6)
    )
    said = command("speed", "--of", of, "--frames", 4, "--size", 32, "--rounds", 1)
    assert said.startswith(f"{of}, clip 3 x 4 x 32 x 32, cpu")
    assert said.count("|") > 20


def test_the_loops_of_the_comparison_are_the_same_network(small_network):
    clip = torch.rand(2, 3, 4, 24, 32)
    for one_by_one in (False, True):
        found = Undeclared(small_network, one_by_one)(clip)
        torch.testing.assert_close(found, small_network(clip), atol=1e-5, rtol=1e-4)
