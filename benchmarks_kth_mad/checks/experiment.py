"""Every method asked every check: one row per check, method and clip, and the time that it took."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
from torch import Tensor

from benchmarks_kth_mad.checks.bench import (
    RANDOM,
    Answer,
    Bench,
    Settings,
    ask,
    bench_of,
    joined_bench,
)
from benchmarks_kth_mad.checks.catalogue import CHECKS, Check, Ground
from benchmarks_kth_mad.checks.planted import planted_rows
from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.sets import ActionSet
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import applicable_methods
from benchmarks_kth_mad.models import Checkpoint

Result = TypeVar("Result")
COLUMNS = ["check", "method", "clip", "person", "value"]
ROUNDS = 9
"""Decimals of a value in a file: enough for every table, and the same on every run."""


@dataclass(frozen=True)
class Trained:
    """A network and the test clips that it has not seen."""

    checkpoint: Checkpoint
    dataset: ActionSet


@dataclass(frozen=True)
class Plan:
    """What is asked, of whom, and how much.

    Attributes:
        methods: names; the random map is asked in any case. None: all that suit the network.
        checks: names; None: all that the data allow.
        n_clips: of the run; checks for which clips are explained anew ask a quarter of them.
        settings: of methods and checks.
    """

    methods: Sequence[str] | None = None
    checks: Sequence[str] | None = None
    n_clips: int = 16
    settings: Settings = field(default_factory=Settings)

    def clips_on(self, ground: Ground) -> int:
        """How many clips are asked there."""
        return self.n_clips if ground == "clips" else max(1, self.n_clips // 4)


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        rows: check, method, clip, person, value.
        seconds: CPU seconds that each method took: for its maps, and for each check of them.
        left_out: why a check was not made, by its name.
    """

    rows: pd.DataFrame
    seconds: pd.DataFrame
    left_out: dict[str, str]


def run_checks(
    run: Trained, plan: Plan, span_run: Trained | None = None, planted: Path | None = None
) -> Outcome:
    """Ask every method every check.

    Args:
        run: what is explained.
        plan: what is asked.
        span_run: a network trained on a set whose clips have spans, for the checks of these.
        planted: folder with the rows of the command ``planted``, for the check of these.

    Raises:
        BenchmarkError: a method that does not suit the network, or a check that was asked for by
            name and that the data do not allow.
    """
    methods = _methods(run.checkpoint, plan)
    left_out = _left_out(run, span_run, planted)
    checks = _chosen(plan, left_out)
    rows: list[pd.DataFrame] = []
    seconds: list[dict[str, object]] = []
    if planted is not None and any(check.ground == "planted" for check in checks):
        rows.append(planted_rows(planted))
    grounds = _grounds(checks)
    total = len(grounds) * len(methods)
    with progress_bar(total=total, desc="checks") as bar:
        for ground, asked in grounds.items():
            bench = _bench(ground, run, span_run, plan)
            for method in methods:
                bar.set_postfix_str(f"{ground}, {method}")
                rows += _rows_of(bench, method, asked, plan, seconds)
                bar.update()
    made = {check.name for check in checks}
    reasons = {name: left_out.get(name, "not asked for") for name in CHECKS if name not in made}
    return Outcome(_in_order(rows, methods), pd.DataFrame(seconds), reasons)


def _grounds(checks: Sequence[Check]) -> dict[Ground, list[Check]]:
    """The checks of each bench; those of the first few clips are made on the bench of all."""
    found: dict[Ground, list[Check]] = {}
    for check in checks:
        if check.ground != "planted":
            found.setdefault("clips" if check.ground == "few" else check.ground, []).append(check)
    return found


def _bench(ground: Ground, run: Trained, span_run: Trained | None, plan: Plan) -> Bench:
    count, settings = plan.clips_on(ground), plan.settings
    if ground == "joined":
        return joined_bench(run.checkpoint, run.dataset, count, settings)
    there = span_run if ground == "span" and span_run is not None else run
    return bench_of(there.checkpoint, there.dataset, count, settings)


def _rows_of(
    bench: Bench,
    method: str,
    checks: Sequence[Check],
    plan: Plan,
    seconds: list[dict[str, object]],
) -> Iterator[pd.DataFrame]:
    """Rows of one method, check by check."""
    answers = _timed(seconds, method, "maps", lambda: ask(bench, method))
    few = bench.first(plan.clips_on("few"))
    for check in checks:
        here = few if check.ground == "few" else bench
        values = _timed(seconds, method, check.name, partial(_mean_value, here, answers, check))
        yield _as_rows(here, check.name, method, values)


def _timed(
    seconds: list[dict[str, object]], method: str, what: str, work: Callable[[], Result]
) -> Result:
    start = time.process_time()
    done = work()
    spent = round(time.process_time() - start, 3)
    seconds.append({"method": method, "what": what, "seconds": spent})
    return done


def _mean_value(bench: Bench, answers: Sequence[Answer], check: Check) -> Tensor:
    """The value of each clip; of several random maps, their mean."""
    if check.values is None:
        raise ValueError(f"check {check.name}: its values come from a file")
    try:
        found = [check.values(bench, one.first(len(bench.names))) for one in answers]
    except ValueError as error:
        raise BenchmarkError(f"{check.name}: {answers[0].method}: {error}") from error
    return torch.stack([one.detach().double().cpu() for one in found]).mean(0)


def _as_rows(bench: Bench, check: str, method: str, values: Tensor) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "check": check,
            "method": method,
            "clip": bench.names,
            "person": bench.persons,
            "value": values.numpy().round(ROUNDS),
        }
    )
    return rows.dropna(subset="value")


def _methods(checkpoint: Checkpoint, plan: Plan) -> list[str]:
    asked = plan.methods or applicable_methods(checkpoint.model)
    return [*(name for name in dict.fromkeys(asked) if name != RANDOM), RANDOM]


def _left_out(run: Trained, span_run: Trained | None, planted: Path | None) -> dict[str, str]:
    """Why a check can not be made, where it can not."""
    reasons = {}
    for check in CHECKS.values():
        there = span_run if check.ground == "span" else run
        if check.ground == "span" and span_run is None:
            reasons[check.name] = "needs a run on clips with spans, named by --span-run"
        elif check.ground == "planted" and planted is None:
            reasons[check.name] = "needs the folder of the command planted, named by --planted"
        elif (
            check.mask is not None
            and check.ground != "joined"
            and there is not None
            and check.mask not in there.dataset.mask_kinds
        ):
            reasons[check.name] = f"the set has no masks of the kind {check.mask}"
    return reasons


def _chosen(plan: Plan, left_out: dict[str, str]) -> list[Check]:
    for name in plan.checks or ():
        if name not in CHECKS:
            raise BenchmarkError(f"check {name!r}: expected one of {', '.join(CHECKS)}")
        if name in left_out:
            raise BenchmarkError(f"check {name}: {left_out[name]}")
    names = plan.checks or [name for name in CHECKS if name not in left_out]
    return [check for check in CHECKS.values() if check.name in names]


def _in_order(parts: Sequence[pd.DataFrame], methods: Sequence[str]) -> pd.DataFrame:
    """By check, method and clip, whatever was asked first."""
    rows = pd.concat(parts, ignore_index=True)
    order = {name: at for at, name in enumerate(CHECKS)} | {
        name: at for at, name in enumerate(methods)
    }
    keys = {"check": order, "method": order}
    return rows.sort_values(
        ["check", "method", "clip"],
        key=lambda column: column.map(keys[column.name]) if column.name in keys else column,
        kind="stable",
        ignore_index=True,
    )[COLUMNS]
