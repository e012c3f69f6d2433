"""The maps of a run: made group by group by several processes, kept as they are made, found again."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks_kth_mad import seeds
from benchmarks_kth_mad.data.item import batch_of
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.data.sets import check_inputs
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.ahead import pinned, work_ahead
from benchmarks_kth_mad.evaluation.conditions import (
    Conditions,
    data_checksum,
    file_digest,
    made_by,
    software,
)
from benchmarks_kth_mad.evaluation.explained import Explained, maps_of, predicted, to_device
from benchmarks_kth_mad.evaluation.failures import entries_of, in_one_line, tell_apart
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, Writer
from benchmarks_kth_mad.evaluation.kept_maps import CLIP, COMMAND, MAP, KeptMaps
from benchmarks_kth_mad.evaluation.machine import Machine
from benchmarks_kth_mad.evaluation.sharing import groups_of, work_through
from benchmarks_kth_mad.files import sweep
from benchmarks_kth_mad.methods import DRAWN, Clips, Options
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.runs import Run


@dataclass(frozen=True)
class Asked:
    """What is explained, and how.

    Attributes:
        chosen: clips, by their place in the data set.
        methods: names; see `benchmarks_kth_mad.methods`.
        options: of the methods. What they draw is drawn for each clip from its name and the seed, so
            that a map does not depend on which clips are explained beside it, or where.
    """

    chosen: Sequence[int]
    methods: Sequence[str]
    options: Options


class _Wanted(NamedTuple):
    """A clip of a group: where it is, what is known of it, and the methods whose maps are missing."""

    place: int
    name: str
    label: int
    person: str
    methods: list[str]

    @property
    def facts(self) -> dict[str, object]:
        """What is kept of it beside its pixels."""
        return {"label": self.label, "person": self.person}


_Read = tuple[_Wanted, Clips]


@dataclass(frozen=True)
class _Maker:
    """Makes the maps of one group of clips after the other, and writes them down."""

    checkpoint: Checkpoint
    dataset: KTH | MAD
    asked: Asked
    device: str
    writer: Writer

    def read(self, wanted: _Wanted) -> Clips:
        """Decode a clip."""
        check_inputs(self.dataset, len(self.checkpoint.model.input_channels), self.checkpoint.name)
        return pinned(batch_of([self.dataset[wanted.place]]), self.device)

    def make(self, group: Sequence[_Wanted], reading: Sequence[Future[Clips]]) -> None:
        """Explain clips together; whatever fails is written down as such, of its own clip."""
        read: list[_Read] = []
        for wanted, clips in zip(group, reading, strict=True):
            try:
                read.append((wanted, clips.result()))
            except Exception as error:  # a video may fail in any way
                self._write_failure(wanted, error)
        # a group that is not whole would round otherwise than the whole one does
        for part in [read] if len(read) == len(group) else [[one] for one in read]:
            self._explain(part)

    def _explain(self, read: Sequence[_Read]) -> None:
        if not any(wanted.methods for wanted, _ in read):
            return  # a clip of a group that fell apart, of which all is kept
        try:
            explained = self._seen(read)
        except Exception as error:  # a network may fail in any way, too
            if len(read) == 1:
                self._write_failure(read[0][0], error)
            else:
                tell_apart([wanted.name for wanted, _ in read], error)
                for one in read:
                    self._explain([one])
            return
        clips_are_kept = False
        for method in self.asked.methods:
            names = [wanted.name for wanted, _ in read if method in wanted.methods]
            for found in self._entries(explained, method, names) if names else ():
                if not clips_are_kept:  # not before a method has taken its options
                    self._write_clips(read, explained)
                    clips_are_kept = True
                self.writer.write_all({(MAP, name, method): one for name, one in found.items()})

    def _seen(self, read: Sequence[_Read]) -> Explained:
        """The clips of a group as one batch, where they are computed, and what the model says."""
        there = [to_device(clips, self.device) for _, clips in read]
        clips = tuple(torch.cat(one) for one in zip(*there, strict=True))
        return Explained(
            names=[wanted.name for wanted, _ in read],
            persons=[wanted.person for wanted, _ in read],
            clips=clips,
            labels=torch.tensor([wanted.label for wanted, _ in read]),
            targets=predicted(self.checkpoint, clips),
            maps={},
        )

    def _entries(
        self, explained: Explained, method: str, names: Sequence[str]
    ) -> Iterator[dict[str, Entry]]:
        def compute(some: Explained) -> list[Entry]:
            seed = seeds.of_clip(self.asked.options.seed, some.names[0])
            options = replace(self.asked.options, seed=seed)
            maps = maps_of(self.checkpoint.model, some, method, options, self.device)
            # maps are equal over channels, so one is kept
            return [
                Entry(arrays=_arrays([of_input[place, :1].contiguous() for of_input in maps]))
                for place in range(len(some.names))
            ]

        return entries_of(explained, names, compute, together=method not in DRAWN)

    def _write_clips(self, read: Sequence[_Read], explained: Explained) -> None:
        self.writer.write_all(
            {
                (CLIP, wanted.name): Entry(
                    wanted.facts | {"target": target},
                    _arrays([_as_bytes(clip[0]) for clip in clips]),
                )
                for (wanted, clips), target in zip(read, explained.targets.tolist(), strict=True)
                if wanted.methods  # else all of it is kept
            }
        )

    def _write_failure(self, wanted: _Wanted, error: Exception) -> None:
        if wanted.methods:
            self.writer.write((CLIP, wanted.name), Entry(wanted.facts, error=in_one_line(error)))


def attribute_clips(
    run: Run,
    checkpoint: Checkpoint,
    dataset: KTH | MAD,
    asked: Asked,
    machine: Machine,
    fresh: bool = False,
) -> dict[str, str]:
    """Explain clips, group by group, and keep each map as soon as it is there.

    What is kept already is not made again; what failed before is tried again. Which clips are
    computed together follows from the list of all alone, so a map is the same whichever process makes
    it, and whatever was interrupted before. Methods that draw explain each clip by itself. While a
    group is computed the next one is decoded.

    Args:
        run: whose maps they are.
        checkpoint: the model, of this run.
        dataset: of its classes and clip shape.
        asked: what is explained, and how.
        machine: where, and beside which other processes.
        fresh: remove what is kept first.

    Returns:
        The clips that failed, with the first error of each.

    Raises:
        BenchmarkError: maps of other conditions are there; options that no clip can be explained by;
            or every clip failed.
    """

    def work(writer: Writer, share: Sequence[list[_Wanted]]) -> None:
        maker = _Maker(checkpoint, dataset, asked, machine.device, writer)
        work_ahead(share, maker.read, maker.make, machine.device)

    work_through(
        run.attributions,
        COMMAND,
        machine,
        fresh,
        lambda: _todo(run, checkpoint, dataset, asked, machine, fresh),
        work,
    )
    return machine.processes.from_first(lambda: _failures(run))


def _todo(
    run: Run,
    checkpoint: Checkpoint,
    dataset: KTH | MAD,
    asked: Asked,
    machine: Machine,
    fresh: bool,
) -> list[list[_Wanted]]:
    """Groups of which maps are missing; of each all clips, and of each of these what is missing."""
    sweep(run.folder)
    if fresh:
        results = (run.evaluation, run.rows, run.rows_as_text, run.motion, *run.reports)
        run.drop(run.attributions, *results)
    journal = Journal(run.attributions, COMMAND)
    conditions = _conditions(run, checkpoint, dataset, asked, machine)
    made = {"root": str(dataset.root)} | made_by(machine.device, machine.processes.count)
    Conditions(run.attributions, COMMAND).agree_or_keep(conditions, made)
    wanted = []
    for place in asked.chosen:
        record = dataset.records[place]
        missing = [m for m in asked.methods if not journal.done((MAP, record.name, m))]
        if not missing and not journal.done((CLIP, record.name)):
            missing = list(asked.methods)
        wanted.append(_Wanted(place, record.name, record.label, record.group, missing))
    groups = groups_of(wanted, machine.group_size)
    return [group for group in groups if any(one.methods for one in group)]


def _conditions(
    run: Run, checkpoint: Checkpoint, dataset: KTH | MAD, asked: Asked, machine: Machine
) -> dict[str, Any]:
    options = asdict(asked.options)
    del options["show_progress"]
    return {
        "clips": [dataset.records[place].name for place in asked.chosen],
        "classes": checkpoint.classes,
        "methods": list(asked.methods),
        "options": options,
        "checkpoint": file_digest(run.checkpoint).hex(),
        "data": data_checksum(dataset, asked.chosen),
        **machine.conditions,
        "versions": software(),
    }


def _failures(run: Run) -> dict[str, str]:
    kept = KeptMaps(run)
    found = {name: kept.error(name) for name in kept.names}
    failed = {name: error for name, error in found.items() if error is not None}
    if failed and len(failed) == len(kept.names) and not any(map(kept.methods_of, kept.names)):
        raise BenchmarkError(f"every clip failed: {next(iter(failed.values()))}")
    return failed


def _arrays(tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
    return {f"input_{number}": tensor.numpy() for number, tensor in enumerate(tensors)}


def _as_bytes(clip: Tensor) -> Tensor:
    """Gray levels as they were decoded, where a clip in [0, 1] holds nothing else."""
    levels = (clip * 255).round().to(torch.uint8)
    return levels if torch.equal(levels.float().div_(255), clip) else clip
