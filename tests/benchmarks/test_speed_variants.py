"""Variants are the same network: results agree; which is faster is no test's business."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.video import r3d_18
from toy_models import TinyNet3D

from benchmarks_kth_mad.speed import variants
from benchmarks_kth_mad.speed.variants import EAGER, folded, variants_table


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return TinyNet3D(channels=3)


def measured(network: nn.Module, **options):
    return variants_table(
        rounds=1, frames=4, size=16, n_masks=30, n_steps=5, network=network, **options
    )


def test_a_row_for_each_variant_that_agrees(network):
    table = measured(network, compiled=False)
    assert list(table.columns) == [
        "variant", "wall / eager", "CPU / eager", "correlation of maps", "area difference",
    ]  # fmt: skip
    assert list(table["variant"]) == [
        EAGER, "contiguous", "batch norm folded", "bfloat16 autocast", "bfloat16 autocast, folded",
    ]  # fmt: skip
    found = table.set_index("variant")
    assert found.loc[EAGER, "area difference"] == 0
    exact = found.loc[["contiguous", "batch norm folded"]]
    assert (exact["correlation of maps"] > 1 - 1e-5).all()
    assert (exact["area difference"] < 1e-5).all()
    assert 0 < found.loc["bfloat16 autocast", "area difference"] < 0.01
    assert network.training  # as it was found


def test_what_does_not_run_is_left_out_and_told(network, monkeypatch, capsys):
    def broken(module, mode="default"):
        raise RuntimeError("no compiler was found\nand more")

    monkeypatch.setattr(variants, "_compiled", broken)
    table = measured(network)
    assert not table["variant"].str.contains("compile").any()
    said = capsys.readouterr().out
    assert "no row for torch.compile: no compiler was found\n" in said


@pytest.mark.parametrize("make", [lambda: TinyNet3D(3), r3d_18, resnet18])
def test_folding_changes_nothing_but_the_time(make):
    torch.manual_seed(0)
    network = make().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    clip = torch.rand(1, 3, 32, 32) if make is resnet18 else torch.rand(1, 3, 2, 16, 16)
    found = folded(network)
    with torch.inference_mode():
        torch.testing.assert_close(found(clip), network(clip), rtol=1e-3, atol=1e-4)
    kinds = {type(module) for module in found.modules()}
    assert kinds.isdisjoint({nn.BatchNorm2d, nn.BatchNorm3d})
    assert not kinds.isdisjoint({nn.Identity})
