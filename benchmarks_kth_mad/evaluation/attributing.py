"""The maps of a run: made clip by clip by several processes, kept as they are made, found again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks_kth_mad import seeds
from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import (
    Conditions,
    data_checksum,
    file_digest,
    made_by,
    software,
)
from benchmarks_kth_mad.evaluation.explained import Explained, maps_of, seen
from benchmarks_kth_mad.evaluation.failures import blame, in_one_line
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, Writer
from benchmarks_kth_mad.evaluation.kept_maps import CLIP, COMMAND, MAP, KeptMaps
from benchmarks_kth_mad.evaluation.machine import Machine
from benchmarks_kth_mad.evaluation.sharing import work_through
from benchmarks_kth_mad.files import sweep
from benchmarks_kth_mad.methods import Clips, Options
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


@dataclass(frozen=True)
class _Maker:
    """Makes the maps of one clip after the other, and writes them down."""

    checkpoint: Checkpoint
    dataset: KTH | MAD
    asked: Asked
    device: str
    writer: Writer

    def make(self, place: int, methods: Sequence[str]) -> None:
        """Explain a clip by some methods; whatever fails is written down as such."""
        record = self.dataset.records[place]
        facts = {"label": record.label, "person": record.group}
        try:
            explained = seen(self.checkpoint, self.dataset, [place], self.device)
        except Exception as error:  # a video, or a network, may fail in any way
            self.writer.write((CLIP, record.name), Entry(facts, error=in_one_line(error)))
            return
        facts["target"] = int(explained.targets[0])
        clips = _arrays([_as_bytes(clip[0]) for clip in explained.clips])
        for number, method in enumerate(methods):
            entry = self._entry(explained, method)
            if number == 0:  # not before a method has taken its options
                self.writer.write((CLIP, record.name), Entry(facts, clips))
            self.writer.write((MAP, record.name, method), entry)

    def _entry(self, explained: Explained, method: str) -> Entry:
        name = explained.names[0]
        options = replace(self.asked.options, seed=seeds.of_clip(self.asked.options.seed, name))

        def compute(one: Explained) -> Clips:
            return maps_of(self.checkpoint.model, one, method, options, self.device)

        try:
            maps = compute(explained)
        except Exception as error:  # as above
            return Entry(error=blame(error, explained, compute))
        # maps are equal over channels, so one is kept
        return Entry(arrays=_arrays([one[0, :1].contiguous() for one in maps]))


def attribute_clips(
    run: Run,
    checkpoint: Checkpoint,
    dataset: KTH | MAD,
    asked: Asked,
    machine: Machine,
    fresh: bool = False,
) -> dict[str, str]:
    """Explain clips, one by one, and keep each map as soon as it is there.

    What is kept already is not made again; what failed before is tried again. Each clip is computed
    by itself, so a map is the same whichever process makes it, and whatever was interrupted before.

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

    def work(writer: Writer, share: Sequence[tuple[int, list[str]]]) -> None:
        maker = _Maker(checkpoint, dataset, asked, machine.device, writer)
        for place, methods in progress_bar(share, desc="clips", unit="clip"):
            maker.make(place, methods)

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
) -> list[tuple[int, list[str]]]:
    """Clips whose maps are not all kept, with the methods that are missing."""
    sweep(run.folder)
    if fresh:
        results = (run.evaluation, run.rows, run.rows_as_text, run.motion, *run.reports)
        run.drop(run.attributions, *results)
    journal = Journal(run.attributions, COMMAND)
    conditions = _conditions(run, checkpoint, dataset, asked, machine)
    made = {"root": str(dataset.root)} | made_by(machine.device, machine.processes.count)
    Conditions(run.attributions, COMMAND).agree_or_keep(conditions, made)
    todo = []
    for place in asked.chosen:
        name = dataset.records[place].name
        missing = [method for method in asked.methods if not journal.done((MAP, name, method))]
        if missing or not journal.done((CLIP, name)):
            todo.append((place, missing or list(asked.methods)))
    return todo


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
        "device": machine.device,
        "precision": machine.precision,
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
