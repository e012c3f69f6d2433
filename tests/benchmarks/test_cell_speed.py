"""The table has what it says, and compares like with like; what it measures is no test's business."""

import torch

from benchmarks_kth_mad.speed.cell import _Stepwise, cell_table
from captum_video.nn import InputCellAttentionLSTM


def test_a_row_for_each_length_and_work():
    table = cell_table(lengths=(2, 5), rounds=1, clips=1, features=3, hidden=2)
    assert list(table.columns) == ["work", "frames", "ms", "loop / ours", "released loop / ours"]
    assert list(table["frames"]) == [2, 2, 5, 5]
    assert list(table["work"][:2]) == ["attended inputs", "forward + backward"]
    assert (table.drop(columns="work") > 0).all(axis=None)


def test_the_loops_compute_what_the_module_computes():
    module, inputs = InputCellAttentionLSTM(3, 4).double(), torch.randn(2, 7, 3).double()
    stepwise = _Stepwise(module).double()
    for anew in (False, True):
        torch.testing.assert_close(
            torch.stack(stepwise.attended(inputs, anew), 1), module.attend(inputs)
        )
        torch.testing.assert_close(stepwise(inputs, anew), module(inputs)[0])
