"""The rows of a run: measured group by group by several processes, kept as they come, merged exactly."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import pandas as pd
from torch import Tensor

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.ahead import pinned, work_ahead
from benchmarks_kth_mad.evaluation.conditions import Conditions, file_digest, made_by, software
from benchmarks_kth_mad.evaluation.explained import Explained, to_device
from benchmarks_kth_mad.evaluation.failures import entries_of
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, Writer
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps, joined_clips
from benchmarks_kth_mad.evaluation.kept_rows import save_rows
from benchmarks_kth_mad.evaluation.machine import Machine
from benchmarks_kth_mad.evaluation.measuring import METRICS, Played
from benchmarks_kth_mad.evaluation.sharing import groups_of, work_through
from benchmarks_kth_mad.files import sweep
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.runs import Run
from captum_video import Curve

COMMAND = "evaluate"
Pairs = list[tuple[str, str]]


class _Wanted(NamedTuple):
    """A clip of a group, and the pairs of metric and method whose rows are missing."""

    name: str
    pairs: Pairs


_Read = tuple[Explained, Tensor | None]
"""A clip with its maps; its superpixels, where these are the unit."""


@dataclass(frozen=True)
class _Player:
    """Measures the maps of one group of clips after the other, and writes the curves down."""

    checkpoint: Checkpoint
    kept: KeptMaps
    played: Played
    device: str
    writer: Writer

    def read(self, wanted: _Wanted) -> _Read:
        """Fetch a clip and its maps."""
        explained = self.kept.explained(wanted.name)
        patches = self.played.patches(explained)
        return explained.over(lambda clips: pinned(clips, self.device)), patches

    def play(self, group: Sequence[_Wanted], reading: Sequence[Future[_Read]]) -> None:
        """Measure the maps of clips together, where they are of one size."""
        read = [one.result() for one in reading]
        if len({tuple(clip.shape for clip in one.clips) for one, _ in read}) > 1:
            for wanted, clip in zip(group, reading, strict=True):
                self.play([wanted], [clip])
            return
        clips = [one.over(lambda some: to_device(some, self.device)) for one, _ in read]
        patches = {one.names[0]: labels for one, labels in read}
        for metric, method in dict.fromkeys(pair for one in group for pair in one.pairs):
            explained = joined_clips([one for one in clips if method in one.maps], [method])
            names = [one.name for one in group if (metric, method) in one.pairs]
            for found in self._entries(explained, metric, method, names, patches):
                self.writer.write_all(
                    {(name, method, metric): entry for name, entry in found.items()}
                )

    def _entries(
        self,
        explained: Explained,
        metric: str,
        method: str,
        names: Sequence[str],
        patches: Mapping[str, Tensor | None],
    ) -> Iterator[dict[str, Entry]]:
        def compute(some: Explained) -> list[Entry]:
            model, labels = self.checkpoint.model, patches[some.names[0]]
            return _kept(self.played.curve(metric, model, some, method, self.device, labels))

        # superpixels of a clip are its own, and so may be the number of its steps
        return entries_of(explained, names, compute, together=self.played.unit != "superpixel")


def evaluate_clips(
    run: Run,
    checkpoint: Checkpoint,
    metrics: Sequence[str],
    played: Played,
    machine: Machine,
    fresh: bool = False,
) -> tuple[int, dict[str, str]]:
    """Measure the maps of a run, group by group, and keep each row as soon as it is there.

    As `attribute_clips` does; superpixels are each clip's own, and so is a call of theirs. At the end
    the first process merges all rows, in an order that does not depend on who measured what, into
    ``rows.parquet`` (with the curves) and ``rows.csv``.

    Args:
        run: with maps.
        checkpoint: the model, of this run.
        metrics: names of `METRICS`.
        played: unit, steps and baseline.
        machine: where, and beside which other processes.
        fresh: remove rows that are kept first.

    Returns:
        How many areas there are, and the clips without some of them, with the first error of each.

    Raises:
        BenchmarkError: rows of other conditions, or maps of another checkpoint, are there; or options
            that no map can be measured by.
    """
    metrics = list(dict.fromkeys(metrics))
    for metric in metrics:
        if metric not in METRICS:
            raise BenchmarkError(f"metric {metric!r}: expected one of {', '.join(METRICS)}")

    def work(writer: Writer, share: Sequence[list[_Wanted]]) -> None:
        checkpoint.model.to(machine.device)
        player = _Player(checkpoint, KeptMaps(run), played, machine.device, writer)
        work_ahead(share, player.read, player.play, machine.device)

    work_through(
        run.evaluation,
        COMMAND,
        machine,
        fresh,
        lambda: _todo(run, metrics, played, machine, fresh),
        work,
    )
    return machine.processes.from_first(lambda: _merge(run, checkpoint, metrics, played))


def _todo(
    run: Run, metrics: Sequence[str], played: Played, machine: Machine, fresh: bool
) -> list[list[_Wanted]]:
    """Groups of which rows are missing; of each all clips, and of each of these what is missing."""
    sweep(run.folder)
    kept = KeptMaps(run)
    if kept.conditions.get("checkpoint") != file_digest(run.checkpoint).hex():
        raise BenchmarkError(
            f"{run.attributions}: not maps of {run.checkpoint}, which is another one now; run attribute "
            f"again with --fresh"
        )
    if fresh:
        run.drop(run.evaluation, run.rows, run.rows_as_text, *run.reports)
    journal = Journal(run.evaluation, COMMAND)
    conditions = {
        "metrics": metrics,
        "played": asdict(played),
        "maps": sha256(json.dumps(kept.conditions).encode()).hexdigest(),
        **machine.conditions,
        "versions": software(),
    }
    made = made_by(machine.device, machine.processes.count)
    Conditions(run.evaluation, COMMAND).agree_or_keep(conditions, made)
    wanted = []
    for name in kept.names:
        pairs = [(metric, method) for method in kept.methods_of(name) for metric in metrics]
        missing = [pair for pair in pairs if not journal.done((name, pair[1], pair[0]))]
        wanted.append(_Wanted(name, missing))
    groups = groups_of(wanted, machine.group_size)
    return [
        [one for one in group if kept.methods_of(one.name)]  # the others were not explained
        for group in groups
        if any(one.pairs for one in group)
    ]


def _merge(
    run: Run, checkpoint: Checkpoint, metrics: Sequence[str], played: Played
) -> tuple[int, dict[str, str]]:
    """Write all rows, by metric, method and clip; how many have an area, and which clips failed."""
    kept, journal = KeptMaps(run), Journal(run.evaluation, COMMAND)
    known = {name: _of_clip(kept.facts(name), checkpoint.classes) for name in kept.names}
    rows = pd.DataFrame(
        [
            {
                "metric": metric,
                "method": method,
                "clip": name,
                **known[name],
                "baseline": played.baseline,
                "unit": played.unit,
                **_measured(kept, journal, metric, method, name),
            }
            for metric in metrics
            for method in kept.methods
            for name in kept.names
        ]
    )
    save_rows(run, rows)
    wrong = rows[rows["error"] != ""].drop_duplicates("clip")
    return int(rows["area"].notna().sum()), dict(zip(wrong["clip"], wrong["error"], strict=True))


def _of_clip(facts: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """What a row says of its clip; nothing was predicted of one that failed."""
    target = facts.get("target")
    return {
        "person": facts["person"],
        "label": classes[facts["label"]],
        "explained": "" if target is None else classes[target],
    }


def _measured(
    kept: KeptMaps, journal: Journal, metric: str, method: str, name: str
) -> dict[str, Any]:
    """Area and curve of one map, or why there is none."""
    error = kept.error(name, method)
    entry = Entry(error=error) if error is not None else journal[name, method, metric]
    return {
        "area": entry.facts.get("area", float("nan")),
        "error": entry.error or "",
        "fractions": entry.arrays.get("fractions"),
        "scores": entry.arrays.get("scores"),
    }


def _kept(curve: Curve) -> list[Entry]:
    """The curve of each clip."""
    fractions = curve.fractions.expand(curve.scores.shape)
    return [
        Entry({"area": area}, {"fractions": shares.numpy(), "scores": scores.numpy()})
        for area, shares, scores in zip(curve.area.tolist(), fractions, curve.scores, strict=True)
    ]
