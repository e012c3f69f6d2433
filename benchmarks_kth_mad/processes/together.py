"""Several processes that train one network: which of them this is, and how they are started.

What takes seconds to import is imported where it is used: each process pays for it.
"""

import multiprocessing
import os
import pickle
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from benchmarks_kth_mad.errors import BenchmarkError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

_PATIENCE = 10.0  # seconds for a process to end by itself


@dataclass(frozen=True)
class Place:
    """Which of the processes that train together this one is.

    Args:
        rank: from 0, over all machines.
        world: all processes.
        machines: that they run on, equally many on each.
        launcher: ``"torchrun"``, ``"slurm"``, or ``"ours"`` where this package started them.
    """

    rank: int = 0
    world: int = 1
    machines: int = 1
    launcher: str = "ours"

    @property
    def here(self) -> int:
        """Processes on this machine."""
        return self.world // self.machines

    def environment(self) -> "ClusterEnvironment":
        """Where Lightning reads its own rank."""
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
        from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

        if self.launcher == "torchrun":
            return TorchElasticEnvironment()
        if self.launcher == "slurm":
            return SLURMEnvironment(auto_requeue=False)
        return LightningEnvironment()


def launched() -> Place:
    """The place that torchrun or Slurm gave this process; that of an only one without them.

    Raises:
        BenchmarkError: a launcher's variables make no sense.
    """
    names = os.environ
    try:
        if "TORCHELASTIC_RUN_ID" in names:
            world, here = int(names["WORLD_SIZE"]), int(names["LOCAL_WORLD_SIZE"])
            place = Place(int(names["RANK"]), world, max(world // here, 1), "torchrun")
        elif {"SLURM_PROCID", "SLURM_NTASKS"} <= names.keys() and not _interactive():
            machines = int(names.get("SLURM_NNODES", "1"))
            place = Place(int(names["SLURM_PROCID"]), int(names["SLURM_NTASKS"]), machines, "slurm")
            names.setdefault("SLURM_NTASKS_PER_NODE", str(place.here))  # Lightning asks for it
        else:
            return Place()
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise BenchmarkError(
            f"torchrun or Slurm: its variables can not be read ({error!r}); start the command by "
            f"torchrun or srun"
        ) from error
    if place.here * place.machines != place.world or not 0 <= place.rank < place.world:
        raise BenchmarkError(
            f"expected equally many processes on each machine, got {place.world} on "
            f"{place.machines}, this one of rank {place.rank}"
        )
    return place if place.world > 1 else Place()


def _interactive() -> bool:
    """Whether this is a shell in an allocation of Slurm's, by Lightning's convention."""
    return os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")


def first_to_tell(place: Place) -> bool:
    """Whether no other process of a launcher has said yet why all of them end."""
    if place.world == 1:
        return True
    import torch

    try:
        store = torch.distributed.TCPStore(  # type: ignore[attr-defined]
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=_PATIENCE),
        )
        turn = f"captum_video/told/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
        return int(store.add(turn, 1)) == 1
    except (KeyError, ValueError, RuntimeError):  # nobody to ask: better twice than never
        return True


def run_together(count: int, work: Callable[..., Any], *arguments: object) -> Any:
    """Run a function in several processes of this machine, which find each other by loopback.

    Args:
        count: of processes.
        work: called as ``work(place, *arguments)`` in each; of a module, for it is imported there.
        *arguments: that can be pickled.

    Returns:
        What the first process returned.

    Raises:
        BenchmarkError: one of them raised it, or was killed; all have ended then.
        RuntimeError: another error in one of them, with its traceback.
    """
    context = multiprocessing.get_context("spawn")
    messages = context.SimpleQueue()
    port = _free_port()
    # by value: torch would share the memory of tensors in them, which a spawned process can not take
    parcel = pickle.dumps((work, arguments))
    processes = [
        context.Process(
            target=_one, args=(Place(rank, count), port, messages, parcel), name=f"{rank}"
        )
        for rank in range(count)
    ]
    try:
        for process in processes:
            process.start()
        return _result(processes, messages)
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
        for process in processes:
            if process.pid is not None:
                process.join(_PATIENCE)
                process.kill()
                process.join()


def _result(processes: list[SpawnProcess], messages: "SimpleQueue[tuple[str, Any]]") -> Any:
    """Wait until all are done, or one has failed."""
    running = list(processes)
    failed = False
    while running and not failed:
        wait([process.sentinel for process in running])
        codes = [
            process.exitcode for process in running
        ]  # asked once: one may end between two questions
        failed = any(codes)
        running = [one for one, code in zip(running, codes, strict=True) if code is None]
    said: dict[str, Any] = {}
    while not messages.empty():
        kind, content = messages.get()
        said.setdefault(kind, content)
    if not failed:
        return said["done"]
    if "refused" in said:
        raise BenchmarkError(said["refused"])
    for process in processes:
        if process.exitcode is not None and process.exitcode < 0:
            raise BenchmarkError(
                f"training: process {process.name} of {len(processes)} was ended by "
                f"{signal.Signals(-process.exitcode).name}; is there memory for so many?"
            )
    raise RuntimeError(said.get("failed", "a process ended without a word"))


def _one(
    place: Place,
    port: int,
    messages: "SimpleQueue[tuple[str, Any]]",
    parcel: bytes,
) -> None:
    """What each of the processes does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one decides
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "LOCAL_RANK": str(place.rank),
        "NODE_RANK": "0",
    }
    os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    try:
        work, arguments = pickle.loads(parcel)
        found = work(place, *arguments)
    except BenchmarkError as error:
        messages.put(("refused", str(error)))
        raise SystemExit(1) from error
    except Exception as error:
        messages.put(("failed", traceback.format_exc()))
        raise SystemExit(1) from error
    if place.rank == 0:
        messages.put(("done", found))


def _leave(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    """Without this, processes whose parent was killed would go on for hours."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _loopback() -> str:
    """The interface of 127.0.0.1, so that nothing is asked of a network."""
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), names[0])
