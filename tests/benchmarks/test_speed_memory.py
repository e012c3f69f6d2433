"""What is exact about memory: passes, and bytes of a chunk; peaks are the machine's business."""

import math
import os
from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn

from benchmarks_kth_mad.speed import memory

pytestmark = pytest.mark.filterwarnings("ignore:RISE3D. the regression")


@pytest.fixture
def here(monkeypatch):
    """Cases run in this process: a process of its own takes seconds to import what is here already."""
    monkeypatch.setattr(memory, "in_own_process", lambda measure: measure())


def test_a_process_of_its_own():
    assert memory.in_own_process(os.getpid) != os.getpid()


def added_by_holding() -> tuple[int, int]:
    before = bytearray(64 * memory.MIB)
    added = memory.added_bytes(lambda: torch.ones(96 * memory.MIB, dtype=torch.uint8), "cpu")
    return added, len(before)


def test_what_is_held_at_once_is_counted_and_what_was_there_is_not():
    # a process that let go of much before would hand out of that
    added, before = memory.in_own_process(added_by_holding)
    assert 95 * memory.MIB < added < 130 * memory.MIB
    assert before == 64 * memory.MIB


def test_perturbations_and_chunks_are_exact(here):
    table = memory.perturbation_memory_table(frames=8, size=24, counts=(4, 32))
    assert list(table.columns) == [
        "work", "perturbations", "added MiB", "chunk MiB", "added / chunk",
    ]  # fmt: skip
    assert list(table["work"]) == [name for name in memory.PERTURBING for _ in range(2)]
    assert list(table["perturbations"]) == [4, 32, 5, 33, 4, 32, 4, 32]  # and the whole clip
    row = 3 * 8 * 24 * 24 * 4 / memory.MIB
    assert list(table["chunk MiB"]) == [round(n * row, 1) for n in table["perturbations"]]


def test_chunks_do_not_grow_with_the_perturbations():
    found = memory.perturbing_memory("Insertion", 300, "cpu", 4, 56)
    assert found.passes == 300
    row = 3 * 4 * 56 * 56 * 4
    n_chunks = math.ceil(300 / (10 * memory.MIB // row))  # of even length
    assert found.chunk == math.ceil(300 / n_chunks) * row


def test_gradcam_beside_a_forward_pass(here, monkeypatch):
    monkeypatch.setattr(memory, "added_bytes", lambda run, device: run() or memory.MIB)
    layers = {"layer4": nn.Conv3d(3, 4, 3), "pool": nn.AdaptiveAvgPool3d(1), "flat": nn.Flatten()}
    monkeypatch.setattr(memory, "r3d_18", lambda: nn.Sequential(OrderedDict(layers)))
    table = memory.gradcam_memory_table(frames=4, size=16, processes=1)
    assert list(table.columns) == ["work", "added MiB", "added / forward"]
    assert list(table["work"]) == ["forward pass", "GradCAM3D", "Captum LayerGradCam"]
    assert list(table["added / forward"]) == [1, 1, 1]


def test_the_median_of_processes_is_taken(monkeypatch):
    held = iter([3, 1, 2, 4, 9, 4, 8, 1, 8])

    def measured(measure: partial) -> int:
        assert measure.args[1:] == ("cpu", 4, 16)
        return next(held) * memory.MIB

    monkeypatch.setattr(memory, "in_own_process", measured)
    table = memory.gradcam_memory_table(frames=4, size=16, processes=3)
    assert list(table["added MiB"]) == [2, 4, 8]
    assert list(table["added / forward"]) == [1, 2, 4]
