"""What `import captum_video` costs beside `import captum`."""

import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

import pandas as pd

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.speed.clock import Seconds

REFERENCE = "captum"
MODULES = ("captum_video", "captum_video.attr")
_SCRIPT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {module}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def imports_table(
    rounds: int = 7, reference: str = REFERENCE, modules: Sequence[str] = MODULES
) -> pd.DataFrame:
    """Time imports in interpreters of their own, in turn.

    Args:
        rounds: of which medians are taken, after one that writes bytecode and warms the file cache.
        reference: the module that the others are compared with.
        modules: what is compared.

    Returns:
        One row per module: seconds on the wall and of the processor without the interpreter's start,
        and the median over rounds of the seconds that it took longer than the reference in the same
        round.
    """
    found: dict[str, list[Seconds]] = {name: [] for name in (reference, *modules)}
    for _ in progress_bar(range(rounds + 1), desc="rounds"):
        for name, seconds in found.items():
            seconds.append(_import_seconds(name))
    rows = []
    for name, seconds in found.items():
        row: dict[str, object] = {"import": name}
        for clock in Seconds._fields:
            pairs = zip(seconds[1:], found[reference][1:], strict=True)
            own = [getattr(one, clock) for one in seconds[1:]]
            above = [getattr(one, clock) - getattr(other, clock) for one, other in pairs]
            title = {"wall": "wall", "cpu": "CPU"}[clock]
            row[f"{title} s"] = round(median(own), 3)
            row[f"{title} s above {reference}"] = round(median(above), 3)
        rows.append(row)
    return pd.DataFrame(rows)


def _import_seconds(module: str) -> Seconds:
    """Of an interpreter that finds modules where this one does."""
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(module=module)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:]
        raise BenchmarkError(f"import {module}: {' '.join(reason)}")
    wall, cpu = map(float, done.stdout.split()[-2:])
    return Seconds(wall, cpu)
