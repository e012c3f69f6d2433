"""One clock for all measurements."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch


class Seconds(NamedTuple):
    """On the wall, and of the processor."""

    wall: float
    cpu: float


def seconds_of(run: Callable[[], object], device: str) -> Seconds:
    """Run something once, to its end on the device too."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)
