"""Reading ahead: while some clips are computed, a thread reads those that come next."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.methods import Clips

T = TypeVar("T")
R = TypeVar("R")
Group = Sequence[T]


@contextmanager
def read_ahead(
    groups: Sequence[Group[T]], read: Callable[[T], R], device: str
) -> Iterator[Iterator[tuple[Group[T], list[Future[R]]]]]:
    """Read what groups are made of, always one group ahead of the one that is worked on.

    Args:
        groups: in the order in which they are worked on.
        read: reads one item, in the thread; what it raises waits for the item's turn.
        device: on which the rest computes.

    Yields:
        An iterator over each group and what was read of its items. At the end of the block nothing is
        read any more.
    """
    gpu = torch.cuda.current_device() if device == "cuda" else -1  # which sets none
    # of itself a thread is at the first GPU, whichever is this process's
    reader = ThreadPoolExecutor(1, "reader", torch.cuda.set_device, (gpu,))

    def in_turn() -> Iterator[tuple[Group[T], list[Future[R]]]]:
        waiting: list[tuple[Group[T], list[Future[R]]]] = []
        for group in groups:
            waiting.append((group, [reader.submit(read, item) for item in group]))
            if len(waiting) > 1:
                yield waiting.pop(0)
        yield from waiting

    try:
        yield in_turn()
    finally:
        reader.shutdown(cancel_futures=True)


def work_ahead(
    groups: Sequence[Group[T]],
    read: Callable[[T], R],
    work: Callable[[Group[T], list[Future[R]]], None],
    device: str,
) -> None:
    """Work on groups in turn, each while the next is read, and show how many clips are done.

    Args:
        groups: as for `read_ahead`.
        read: as for `read_ahead`.
        work: called with a group and what was read of its items.
        device: on which it computes.
    """
    with (
        read_ahead(groups, read, device) as in_turn,
        progress_bar(total=sum(map(len, groups)), desc="clips", unit="clip") as bar,
    ):
        for group, reading in in_turn:
            work(group, reading)
            bar.update(len(group))


def pinned(clips: Clips, device: str) -> Clips:
    """The same clips, where a GPU fetches them from while this process goes on."""
    return tuple(clip.pin_memory() for clip in clips) if device == "cuda" else clips
