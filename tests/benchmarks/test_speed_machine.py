"""Facts about the machine and the packages: exact counts, and tables of what was asked for."""

import json
import sys

import pytest
import torch
from torch import nn

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.speed import peak
from benchmarks_kth_mad.speed.imports import imports_table
from benchmarks_kth_mad.speed.peak import device_facts, forward_flops, matrix_peak


def test_operations_of_a_known_network():
    network = nn.Sequential(
        nn.Conv3d(3, 5, (2, 3, 3), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(5),
        nn.Dropout(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(5, 7),
    )
    clips = torch.rand(4, 3, 6, 8, 10)
    convolution = 2 * (4 * 5 * 5 * 8 * 10) * (3 * 2 * 3 * 3)
    assert forward_flops(network, (clips,)) == convolution + 2 * 4 * 5 * 7
    assert network.training
    assert network[1].num_batches_tracked == 0


def test_operations_of_two_inputs():
    class Both(nn.Module):
        def forward(self, one, other):
            return one @ other.mT

    assert forward_flops(Both(), (torch.rand(3, 4), torch.rand(5, 4))) == 2 * 3 * 4 * 5


def test_peak_is_of_the_fastest_size(monkeypatch):
    rates = {16: 3.0, 32: 5.0, 64: 4.0}
    monkeypatch.setattr(peak, "_products_rate", lambda device, dtype, size, rounds: rates[size])
    assert matrix_peak("cpu", sizes=tuple(rates)) == 5


def test_facts_go_into_a_file(monkeypatch):
    monkeypatch.setitem(peak.SIZES, "cpu", (64,))
    found = device_facts("cpu")
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {
        "device", "python", "torch", "torchvision", "captum", "captum_video", "threads",
        "precision",
    }  # fmt: skip
    assert found["device"]


def test_imports_are_timed_where_this_process_finds_them(tmp_path, monkeypatch):
    (tmp_path / "slow_module_of_mine.py").write_text("import time\ntime.sleep(0.2)\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    table = imports_table(rounds=1, reference="colorsys", modules=("slow_module_of_mine",))
    assert list(table.columns) == [
        "import", "wall s", "wall s above colorsys", "CPU s", "CPU s above colorsys",
    ]  # fmt: skip
    assert list(table["import"]) == ["colorsys", "slow_module_of_mine"]
    assert table["wall s above colorsys"].iloc[0] == 0
    assert table["wall s"].iloc[1] >= 0.2


def test_a_module_that_does_not_import_is_named():
    with pytest.raises(BenchmarkError, match=r"import nowhere: ModuleNotFoundError"):
        imports_table(rounds=1, reference="nowhere", modules=())
