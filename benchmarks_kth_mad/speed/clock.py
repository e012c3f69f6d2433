"""One clock for all measurements, and how what is timed takes turns with its floor."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import quantiles
from typing import NamedTuple, TypeVar

import torch

from benchmarks_kth_mad.console import progress_bar

Name = TypeVar("Name")


class Seconds(NamedTuple):
    """On the wall, and of the processor."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Work:
    """Something to time.

    Attributes:
        run: does it once.
        passes: clips that it runs through the network. Where it runs none, all of its time is compared
            with that of one.
        floor: name of what it is compared with; of a floor itself, nothing.
    """

    run: Callable[[], object]
    passes: float
    floor: str = ""


class Ratios(NamedTuple):
    """Times per pass over those of a floor: median, quartiles, and seconds of a pass.

    On a CPU ``quartiles`` are of CPU time, on another device of the wall's.
    """

    wall: float
    cpu: float
    quartiles: tuple[float, float]
    seconds: float


def seconds_of(run: Callable[[], object], device: str) -> Seconds:
    """Run something once, to its end on the device too."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def interleaved(
    works: Mapping[Name, Work], floors: Mapping[str, Work], device: str, rounds: int
) -> dict[Name, Ratios]:
    """Time every work between two runs of its floor, several times over.

    Args:
        works: what is timed, by name; the order puts those of one floor next to each other, so that a
            run of it counts for two.
        floors: what works are compared with, by name.
        device: ``"cpu"`` or ``"cuda"``.
        rounds: of which medians are taken. Everything should have been run once before, to warm up.
    """
    found: dict[Name, list[tuple[Seconds, Seconds]]] = {name: [] for name in works}
    for _ in progress_bar(range(rounds), desc="rounds"):
        last, before = "", Seconds(0, 0)
        for name, work in works.items():
            if work.floor != last:
                last, before = work.floor, _per_pass(floors[work.floor], device)
            own, after = _per_pass(work, device), _per_pass(floors[work.floor], device)
            found[name].append((own, _mean(before, after)))
            before = after
    return {name: _ratios(pairs, device) for name, pairs in found.items()}


def _per_pass(work: Work, device: str) -> Seconds:
    found, passes = seconds_of(work.run, device), work.passes or 1
    return Seconds(found.wall / passes, found.cpu / passes)


def _mean(one: Seconds, other: Seconds) -> Seconds:
    return Seconds((one.wall + other.wall) / 2, (one.cpu + other.cpu) / 2)


def _ratios(pairs: list[tuple[Seconds, Seconds]], device: str) -> Ratios:
    walls, cpus = (
        _quartiles([own[i] / floor[i] for own, floor in pairs]) for i in range(len(Seconds._fields))
    )
    low, _, high = cpus if device == "cpu" else walls
    seconds = _quartiles([own.wall for own, _ in pairs])[1]
    return Ratios(walls[1], cpus[1], (low, high), seconds)


def _quartiles(values: list[float]) -> list[float]:
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
