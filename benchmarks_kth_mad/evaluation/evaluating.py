"""The rows of a run: measured clip by clip by several processes, kept as they come, merged exactly."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import pandas as pd

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import Conditions, file_digest, made_by, software
from benchmarks_kth_mad.evaluation.explained import Explained
from benchmarks_kth_mad.evaluation.failures import blame
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, Writer
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps
from benchmarks_kth_mad.evaluation.kept_rows import save_rows
from benchmarks_kth_mad.evaluation.machine import Machine
from benchmarks_kth_mad.evaluation.measuring import METRICS, Played
from benchmarks_kth_mad.evaluation.sharing import work_through
from benchmarks_kth_mad.files import sweep
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.runs import Run
from captum_video import Curve

COMMAND = "evaluate"
Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class _Player:
    """Measures the maps of one clip after the other, and writes the curves down."""

    checkpoint: Checkpoint
    kept: KeptMaps
    played: Played
    device: str
    writer: Writer

    def play(self, name: str, pairs: Pairs) -> None:
        """Measure a clip's maps: pairs of metric and method."""
        explained = self.kept.explained(name)
        patches = self.played.patches(explained)
        for metric, method in pairs:

            def compute(one: Explained, metric: str = metric, method: str = method) -> Curve:
                return self.played.curve(
                    metric, self.checkpoint.model, one, method, self.device, patches
                )

            try:
                entry = _entry(compute(explained))
            except Exception as error:  # a network may fail in any way
                entry = Entry(error=blame(error, explained, compute))
            self.writer.write((name, method, metric), entry)


def evaluate_clips(
    run: Run,
    checkpoint: Checkpoint,
    metrics: Sequence[str],
    played: Played,
    machine: Machine,
    fresh: bool = False,
) -> tuple[int, dict[str, str]]:
    """Measure the maps of a run, one by one, and keep each row as soon as it is there.

    As `attribute_clips` does. At the end the first process merges all rows, in an order that does not
    depend on who measured what, into ``rows.parquet`` (with the curves) and ``rows.csv``.

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

    def work(writer: Writer, share: Sequence[tuple[str, Pairs]]) -> None:
        checkpoint.model.to(machine.device)
        player = _Player(checkpoint, KeptMaps(run), played, machine.device, writer)
        for name, pairs in progress_bar(share, desc="clips", unit="clip"):
            player.play(name, pairs)

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
) -> list[tuple[str, Pairs]]:
    """Clips whose rows are not all kept, with pairs of metric and method that are missing."""
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
        "device": machine.device,
        "precision": machine.precision,
        "versions": software(),
    }
    made = made_by(machine.device, machine.processes.count)
    Conditions(run.evaluation, COMMAND).agree_or_keep(conditions, made)
    todo = []
    for name in kept.names:
        pairs = [(metric, method) for method in kept.methods_of(name) for metric in metrics]
        missing = [pair for pair in pairs if not journal.done((name, pair[1], pair[0]))]
        if missing:
            todo.append((name, missing))
    return todo


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


def _entry(curve: Curve) -> Entry:
    """The curve of one clip."""
    fractions = curve.fractions if curve.fractions.ndim == 1 else curve.fractions[0]
    arrays = {"fractions": fractions.numpy(), "scores": curve.scores[0].numpy()}
    return Entry({"area": curve.area.item()}, arrays)
