"""The processes that share a command's work: alone, or started by ``torchrun`` or Slurm's ``srun``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import TypeVar

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, ProcessGroup, Store
from torch.distributed.rendezvous import rendezvous

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.processes.together import Place, launched

T = TypeVar("T")
PATIENCE = timedelta(days=7)
"""A process may wait so long for the others: the slowest clips of a night can all be one's."""


@dataclass(frozen=True)
class Processes:
    """This process among all.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        group: in which they agree; None of one alone.
    """

    rank: int = 0
    count: int = 1
    group: ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this one speaks and merges for all."""
        return self.rank == 0

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """This process's share: dealt out in turn, each item to exactly one."""
        return items[self.rank :: self.count]

    def from_first(self, find: Callable[[], T]) -> T:
        """What the first process finds, in all of them.

        Raises:
            BenchmarkError: the first process raised it; the others leave with code 2, and say nothing.
        """
        if self.count == 1:
            return find()
        said: list[object] = [None, None]
        if self.is_first:
            try:
                said[0] = find()
            except BenchmarkError as error:
                said[1] = str(error)
        distributed.broadcast_object_list(said, src=0, group=self.group)
        if said[1] is not None:
            if self.is_first:
                raise BenchmarkError(str(said[1]))
            raise SystemExit(2)
        return said[0]  # type: ignore[return-value]

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            distributed.barrier(group=self.group)


@contextmanager
def joined() -> Iterator[Processes]:
    """Meet the other processes, if there are any, and choose a GPU for each.

    They agree by gloo on the CPU whatever they compute on: no tensor goes between them, and a process
    may wait for the others for hours, at which NCCL gives up.

    Raises:
        BenchmarkError: Slurm's variables contradict each other, or the processes do not meet.
    """
    place = launched()
    processes = Processes(place.rank, place.world)
    if torch.cuda.is_available():
        torch.cuda.set_device(place.rank % place.here % torch.cuda.device_count())
    if processes.count == 1:
        yield processes
        return
    address = _meeting_place(place)
    if distributed.is_initialized():  # by a training before
        group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        yield replace(processes, group=group)  # type: ignore[arg-type]
        return
    try:
        store = PrefixStore(f"meeting {next(_MEETINGS)}", _store(processes, address))
        distributed.init_process_group(
            "gloo",
            timeout=PATIENCE,
            world_size=processes.count,
            rank=processes.rank,
            store=store,
        )
    except (RuntimeError, ValueError) as error:
        raise BenchmarkError(
            f"process {processes.rank} of {processes.count}: does not meet the others at {address} "
            f"({str(error).splitlines()[0]}); check MASTER_ADDR, MASTER_PORT and the network"
        ) from error
    try:
        yield processes
    finally:
        distributed.destroy_process_group()


_MEETINGS = count()
_stores: dict[str, Store] = {}


def _store(processes: Processes, address: str) -> Store:
    """Where the processes find each other; kept, for a second meeting finds its port taken."""
    if address not in _stores:
        found = rendezvous(address, processes.rank, processes.count, timeout=PATIENCE)
        _stores[address] = next(found)[0]
    return _stores[address]


def _meeting_place(place: Place) -> str:
    """Where processes that were launched meet."""
    if place.launcher == "torchrun":
        return "env://"
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    try:
        slurm = SLURMEnvironment(auto_requeue=False)
        return f"tcp://{slurm.main_address}:{slurm.main_port}"
    except (RuntimeError, ValueError) as error:
        raise BenchmarkError(f"Slurm's variables: {error}") from error
