"""On what, how precisely, and beside which other processes something is computed."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.processes.joined import Processes

CLIPS_PER_PASS = {"cpu": 1, "cuda": 8}
"""How many clips share passes where nobody says; fixed, for kernels round by the size of a batch."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """Where a command computes.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        precision: a name of `PRECISIONS`, of the networks' passes.
        processes: that share the work.
        clips_per_pass: clips that follow each other in the list, and are computed in one call; None
            for the device's of `CLIPS_PER_PASS`.

    Raises:
        BenchmarkError: float16 on a CPU, where it would take many times as long.
    """

    device: str = "cpu"
    precision: str = "float32"
    processes: Processes = field(default_factory=Processes)
    clips_per_pass: int | None = None

    def __post_init__(self) -> None:
        if self.precision == "float16" and self.device == "cpu":
            raise BenchmarkError("--precision float16: for cuda only; use bfloat16 on a CPU")

    @property
    def conditions(self) -> dict[str, object]:
        """What results depend on; not the processes, by whose number nothing changes."""
        return {
            "device": self.device,
            "precision": self.precision,
            "clips_per_pass": self.group_size,
        }

    @property
    def group_size(self) -> int:
        """How many clips are computed in one call."""
        return self.clips_per_pass or CLIPS_PER_PASS[self.device]

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
