"""What a run keeps already, counted: a plan does not do it again."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import MANIFEST, Conditions, differences
from benchmarks_kth_mad.evaluation.evaluating import COMMAND
from benchmarks_kth_mad.evaluation.journal import Journal
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps
from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.runs import Run


def kept_maps(
    run: Run, clips: Sequence[str], methods: Sequence[str], options: Options
) -> dict[str, int]:
    """By method, how many of these clips have a map.

    Only what is asked for is compared with what is there, not data, weights and versions: the command
    does that.

    Raises:
        BenchmarkError: the maps that are there were asked for otherwise.
    """
    if not (run.attributions / MANIFEST).is_file():
        return {}
    kept = KeptMaps(run)
    told = asdict(options)
    del told["show_progress"]
    asked = {"clips": list(clips), "methods": list(dict.fromkeys(methods)), "options": told}
    _check(run.attributions, kept.conditions, asked)
    done = _maps_of(kept, clips)
    return {method: done[method] for method in methods}


def maps_there(run: Run) -> dict[str, int]:
    """By method, how many clips have a map.

    Raises:
        BenchmarkError: no maps at all.
    """
    kept = KeptMaps(run)
    done = _maps_of(kept, kept.names)
    return {method: done[method] for method in kept.methods}


def kept_rows(run: Run, metrics: Sequence[str], played: Played) -> dict[tuple[str, str], int]:
    """By metric and method, how many maps are measured; see `kept_maps`.

    Raises:
        BenchmarkError: the rows that are there were asked for otherwise.
    """
    if not (run.evaluation / MANIFEST).is_file():
        return {}
    asked = {"metrics": list(dict.fromkeys(metrics)), "played": asdict(played)}
    _check(run.evaluation, Conditions(run.evaluation, COMMAND).load(), asked)
    kept, journal = KeptMaps(run), Journal(run.evaluation, COMMAND)
    return {
        (metric, method): sum(journal.done((name, method, metric)) for name in kept.names)
        for metric in metrics
        for method in kept.methods
    }


def _maps_of(kept: KeptMaps, clips: Sequence[str]) -> Counter[str]:
    return Counter(method for name in clips for method in kept.methods_of(name))


def _check(folder: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    differing = differences(
        {name: there.get(name) for name in asked}, json.loads(json.dumps(asked))
    )
    if differing:
        raise BenchmarkError(
            f"{folder}: has results of other conditions: {'; '.join(differing)}; ask for the same, or "
            f"plan with --fresh to start over"
        )
