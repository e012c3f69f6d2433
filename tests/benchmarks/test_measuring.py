"""The measuring commands run, and count what they say; what they measure is no test's business."""

import pytest
import torch

from benchmarks_kth_mad.convergence import convergence_table
from benchmarks_kth_mad.speed import ratio_table
from captum_video.attr import RISE3D


@pytest.mark.filterwarnings("ignore:RISE3D. the regression")
def test_speed_counts_the_passes_it_divides_by(monkeypatch):
    rows: list[int] = []
    forward = torch.nn.Linear.forward  # r3d_18 ends in its only linear layer

    def counted(self, inputs):
        rows.append(len(inputs))
        return forward(self, inputs)

    monkeypatch.setattr(torch.nn.Linear, "forward", counted)
    table = ratio_table(frames=4, size=16, rounds=1)
    assert set(table["work"]) >= {"RISE3D", "SpatioTemporalOcclusion", "Insertion", "Deletion"}
    assert (table[["wall / floor", "CPU / floor"]] > 0).all(axis=None)
    floors = 4 * (1 + 1 + len(table))  # batches of four: to warm up, then around every method
    assert sum(rows) == 2 * table["passes"].sum() + floors


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
