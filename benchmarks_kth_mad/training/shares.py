"""What each of several devices gets of the clips: of every batch to learn from, and of the test."""

from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader, DistributedSampler, Sampler

from benchmarks_kth_mad import seeds
from benchmarks_kth_mad.data.item import Item
from benchmarks_kth_mad.data.sets import ActionSet
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.processes.together import Place


def check_shares(
    training_set: ActionSet, held_out: ActionSet, batch_size: int, devices: int, place: Place
) -> None:
    """Raise BenchmarkError where clips can not be shared among so many devices."""
    if place.world > 1 and devices not in (1, place.here):
        raise BenchmarkError(
            f"--devices {devices}: {place.launcher} has started {place.here} processes on this "
            f"machine; name as many, or leave the option out"
        )
    count = max(place.world, devices)
    if batch_size % count:
        raise BenchmarkError(
            f"training batch_size: {batch_size} clips of a step can not be shared evenly among "
            f"{count} devices; choose a multiple of {count}"
        )
    for name, dataset in (("training", training_set), ("held-out", held_out)):
        if len(dataset) < count:
            raise BenchmarkError(
                f"{name} set: {len(dataset)} clips for {count} devices; use fewer devices"
            )


def training_loader(
    dataset: ActionSet, batch_size: int, workers: int, seed: int, place: Place
) -> DataLoader[Item]:
    """Batches of this device's share, in an order drawn anew for each epoch.

    Shares are equally large: where the clips do not divide, the first ones come twice in an epoch.
    """
    sampler: DistributedSampler | None = None
    if place.world > 1:
        sampler = DistributedSampler(dataset, place.world, place.rank, seed=seed)
    return _loader(dataset, batch_size, workers, seeds.of_rank(seed, place.rank), place, sampler)


def testing_loader(
    dataset: ActionSet, batch_size: int, workers: int, seed: int, place: Place
) -> DataLoader[Item]:
    """Batches of this device's share; every clip is in one share, once."""
    share = range(place.rank, len(dataset), place.world)
    return _loader(dataset, batch_size, workers, seeds.of_rank(seed, place.rank), place, share)


def _loader(
    dataset: ActionSet,
    batch_size: int,
    workers: int,
    seed: int,
    place: Place,
    share: Sampler | Sequence[int] | None,
) -> DataLoader[Item]:
    return DataLoader(
        dataset,
        batch_size=batch_size // place.world,
        shuffle=share is None,
        sampler=share,
        num_workers=workers,
        persistent_workers=workers > 0,  # they keep decoded frames
        generator=torch.Generator().manual_seed(seed),
    )
