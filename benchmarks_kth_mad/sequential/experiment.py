"""The study: a run of each network by the run commands, step by step, and the rows of all."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks_kth_mad import commands
from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE
from benchmarks_kth_mad.errors import BenchmarkError, ClipsFailed
from benchmarks_kth_mad.evaluation import Unit, load_explained, load_rows
from benchmarks_kth_mad.evaluation.machine import Machine
from benchmarks_kth_mad.methods import lacking
from benchmarks_kth_mad.runs import Run, Source
from benchmarks_kth_mad.sequential.config import STUDY_NAME, SequentialConfig
from benchmarks_kth_mad.sequential.rows import accuracy_rows, area_rows, motion_rows, time_rows
from benchmarks_kth_mad.studies.steps import Steps, by_first, check_ours


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        rows: network, measure, method, clip, person, value.
        left_out: by network, methods that do not suit it and what they need.
        failed: what the run commands said of clips that failed, by network.
    """

    rows: pd.DataFrame
    left_out: dict[str, dict[str, str]]
    failed: dict[str, str]


@dataclass
class NetworkRun:
    """One network of the study on its way.

    Attributes:
        config: of the study.
        network: its name.
        run: its files.
        source: its clips.
        steps: what is done.
        machine: on what, and how precisely.
        failed: what was said of clips that failed.
    """

    config: SequentialConfig
    network: str
    run: Run
    source: Source
    steps: Steps
    machine: Machine
    failed: list[str] = field(default_factory=list)

    def learn(self) -> None:
        """Train, and classify the test split."""
        run, plan = self.run, self.config.networks[self.network]
        recipe = replace(plan.recipe, device=self.machine.device)
        self.steps.do(
            "train",
            run.manifest,
            lambda: commands.train(
                run, self.source, plan.clip, self.network, plan.weights, plan.settings, recipe
            ),
            shared=True,
        )
        self.steps.do(
            "predict",
            run.predictions,
            lambda: commands.predict(run, self.source, "test", self.machine.device),
        )

    def explain(self, methods: Sequence[str]) -> None:
        """Explain and measure; both go on where they were interrupted."""
        config, maps = self.config, self.config.maps
        self._as_far_as_it_goes(
            lambda: commands.attribute(
                self.run,
                self.source,
                methods,
                config.options(),
                maps.clips,
                self.machine.device,
                self.machine.precision,
            )
        )
        for unit, n_steps in maps.steps.items():
            self._measure(unit, n_steps)

    def show(self) -> None:
        """Compare with optical flow, draw, write the report of the run."""
        run, maps, motion = self.run, self.config.maps, self.config.motion
        self._unless_clips_failed(
            "motion",
            run.motion,
            lambda: commands.motion(
                run,
                motion.flow,
                motion.threshold,
                maps.baseline,
                maps.pictures,
                self.config.seed,
            ),
        )
        for unit in maps.steps:
            self._report(unit)

    def _measure(self, unit: Unit, n_steps: int) -> None:
        run = by_unit(self.run, unit)
        self._as_far_as_it_goes(
            lambda: commands.evaluate(
                run,
                self.config.metrics,
                unit,
                n_steps,
                self.config.maps.baseline,
                self.machine.device,
                self.machine.precision,
            )
        )

    def _report(self, unit: Unit) -> None:
        """The report of one unit; movies are the same for all, and so drawn for the last."""
        run, maps = by_unit(self.run, unit), self.config.maps
        n_pictures = maps.pictures if unit == list(maps.steps)[-1] else 0
        self._unless_clips_failed(
            f"report {unit}", run.report, lambda: commands.report(run, n_pictures)
        )

    def _as_far_as_it_goes(self, work: Callable[[], None]) -> None:
        """A clip that fails is left out, and named at the end."""
        try:
            work()
        except ClipsFailed as error:
            self.failed.append(str(error))

    def _unless_clips_failed(self, name: str, leaves: Path, work: Callable[[], None]) -> None:
        """A step over all clips; those that failed are tried again next time, and then it is too."""
        if by_first(lambda: bool(self.failed)):
            by_first(work)
        else:
            self.steps.do(name, leaves, work)


def run_of(out: Path, network: str) -> Run:
    """Where the run of a network lies."""
    return Run(out / network)


def by_unit(run: Run, unit: str) -> Run:
    """A run of its own for the areas of one unit, which shares network and maps with the others."""
    one = Run(run.folder / unit)
    one.checkpoint, one.manifest, one.attributions = run.checkpoint, run.manifest, run.attributions
    return one


def start_over(config: SequentialConfig, out: Path) -> None:
    """Remove the runs of the study's networks, and what is known of the set rendered for them.

    Raises:
        BenchmarkError: a folder in their place is not of this command.
    """
    folders = [run_of(out, network).folder for network in config.networks]
    for folder in folders:
        check_ours(folder, STUDY_NAME)
    for folder in (*folders, _rendered_record(out)):
        shutil.rmtree(folder, ignore_errors=True)


def run_study(config: SequentialConfig, root: str | None, out: Path, machine: Machine) -> Outcome:
    """Train, explain and measure every network, as far as that is not done.

    Args:
        config: what to do.
        root: folder of the data set, in KTH's layout; rendered into ``out`` where None.
        out: folder for the runs.
        machine: on what, and how precisely.

    Raises:
        BenchmarkError: the folder holds a run by another config, or what the run commands refuse.
    """
    data = config.data
    folder = str(out / "rendered") if root is None else root
    source = Source(folder, tuple(data.classes), data.split_by, data.skip_missing)
    if root is not None:
        by_first(lambda: _check_readable(source, config))
    runs = [
        NetworkRun(config, network, run_of(out, network), source, steps, machine)
        for network, steps in _steps(config, root, out, machine.device).items()
    ]
    if root is None:
        _render(config, folder, out, machine.device)
    rows, left_out = [], {}
    for number, one in enumerate(runs, start=1):
        title = f"\n{one.network} ({number} of {len(runs)})"
        by_first(partial(print, title))
        one.learn()
        methods, left_out[one.network] = _suiting(config.methods, one.run)
        one.explain(methods)
        one.show()
        rows.append(_rows_of(one.run, config.maps.steps).assign(network=one.network))
    table = pd.concat(rows, ignore_index=True).dropna(subset=["value"])
    table = table[["network", *table.columns.drop("network")]]
    return Outcome(
        table, left_out, {one.network: "; ".join(one.failed) for one in runs if one.failed}
    )


def _steps(config: SequentialConfig, root: str | None, out: Path, device: str) -> dict[str, Steps]:
    """What is done of each network; all are looked at before anything is begun."""
    return {
        network: Steps(
            run_of(out, network).folder, STUDY_NAME, config.record_of(network, root), device
        )
        for network in config.networks
    }


def _check_readable(source: Source, config: SequentialConfig) -> None:
    """Raise BenchmarkError where there is no such set, before anything is written."""
    for plan in config.networks.values():
        source.dataset("test", plan.clip)


def _rendered_record(out: Path) -> Path:
    return out / "rendering"


def _render(config: SequentialConfig, folder: str, out: Path, device: str) -> None:
    """Render the set, where that is not done."""
    classes = config.data.classes
    settings = {"classes": list(classes), **asdict(config.render)}
    Steps(_rendered_record(out), STUDY_NAME, settings, device).do(
        "render",
        Path(folder, SEQUENCE_FILE),
        lambda: commands.render(folder, classes, config.render, overwrite=True),
    )


def _suiting(methods: Sequence[str], run: Run) -> tuple[list[str], dict[str, str]]:
    """The methods that suit the network of a run, and of the others what they need."""

    def needs_of() -> dict[str, str | None]:
        model = commands.checkpoint_of(run).model
        return {name: lacking(name, model) for name in methods}

    needs = by_first(needs_of)
    left_out = {name: need for name, need in needs.items() if need is not None}
    suiting = [name for name in methods if name not in left_out]
    if not suiting:
        raise BenchmarkError(
            f"methods: none of {', '.join(methods)} suits the network of {run.folder}"
        )
    return suiting, left_out


def _rows_of(run: Run, units: Iterable[str]) -> pd.DataFrame:
    parts = [accuracy_rows(pd.read_csv(run.predictions)), time_rows(load_explained(run))]
    parts.append(motion_rows(pd.read_csv(run.motion)))
    parts += [area_rows(load_rows(by_unit(run, unit)), unit) for unit in units]
    return pd.concat(parts, ignore_index=True)
