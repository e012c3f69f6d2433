"""What an explanation of one clip costs: passes, counted, and memory, of every tensor that it makes."""

from collections.abc import Sequence

import pandas as pd
import torch

from benchmarks_kth_mad.checks.bench import Bench
from benchmarks_kth_mad.methods import attribute
from benchmarks_kth_mad.speed.counting import Ledger, counted_passes

PLAIN = "(plain forward pass)"
_MIB = 2**20


def cost_table(bench: Bench, methods: Sequence[str]) -> pd.DataFrame:
    """Explain the first clip of a bench by every method, and count.

    Returns:
        One row per method, and one for a plain forward pass: passes forward and backward, MiB of
        tensors at the peak.
    """
    one = bench.first(1)
    rows = []
    for name in (PLAIN, *methods):

        def explain(name: str = name) -> object:
            if name == PLAIN:
                with torch.inference_mode():
                    return bench.model(*one.clips)
            return attribute(name, bench.model, one.clips, one.targets, bench.settings.options)

        with counted_passes(bench.model, one.clips[0].shape[2]) as passes, Ledger() as held:
            explain()
        rows.append(
            {
                "method": name,
                "forward passes": round(passes.forward, 3),
                "backward passes": round(passes.backward, 3),
                "MiB": round(held.peak / _MIB, 1),
            }
        )
    return pd.DataFrame(rows)
