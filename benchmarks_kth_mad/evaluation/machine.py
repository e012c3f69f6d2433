"""On what, how precisely, and beside which other processes something is computed."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.processes.joined import Processes

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """Where a command computes.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        precision: a name of `PRECISIONS`, of the networks' passes.
        processes: that share the work.

    Raises:
        BenchmarkError: float16 on a CPU, where it would take many times as long.
    """

    device: str = "cpu"
    precision: str = "float32"
    processes: Processes = field(default_factory=Processes)

    def __post_init__(self) -> None:
        if self.precision == "float16" and self.device == "cpu":
            raise BenchmarkError("--precision float16: for cuda only; use bfloat16 on a CPU")

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Within the block networks run at this precision, by kernels that repeat their results."""
        in_float32 = self.precision == "float32"
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
            nullcontext()
            if in_float32
            else torch.autocast(self.device, PRECISIONS[self.precision]),
        ):
            yield
