"""A list of work that several processes go through, each with a journal file of its own."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.journal import Writer, writing
from benchmarks_kth_mad.evaluation.machine import Machine

T = TypeVar("T")


def groups_of(items: Sequence[T], size: int) -> list[list[T]]:
    """Neighbours in groups of this size, and what is left in a last one."""
    return [list(items[first : first + size]) for first in range(0, len(items), size)]


def work_through(
    folder: Path,
    command: str,
    machine: Machine,
    fresh: bool,
    find: Callable[[], list[T]],
    work: Callable[[Writer, Sequence[T]], None],
) -> None:
    """List what is to do, deal it out, do this process's share, and wait for the others.

    Args:
        folder: of the journal.
        command: that does the work, for messages.
        machine: where to compute, and the processes.
        fresh: whether ``find`` removes what is there.
        find: lists what is to do; called in the first process.
        work: does a share of it.

    Raises:
        BenchmarkError: what ``find`` or ``work`` raise. A journal that was new goes then, if it is
            one process's: nothing came but of options that no clip can be worked on by.
    """
    processes = machine.processes
    new = fresh or not folder.is_dir()
    todo = processes.from_first(find)
    try:
        with writing(folder, command, processes.rank) as writer, machine.computing():
            work(writer, processes.mine(todo))
    except BenchmarkError:
        if new and processes.count == 1:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    processes.wait()
