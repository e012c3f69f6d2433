"""The study: a run of each network by the run commands, step by step, and the rows of all."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks_kth_mad import commands
from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import Unit, load_explained, load_rows
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.methods import lacking
from benchmarks_kth_mad.runs import Run, Source
from benchmarks_kth_mad.sequential.config import SequentialConfig
from benchmarks_kth_mad.sequential.rows import accuracy_rows, area_rows, motion_rows, time_rows
from benchmarks_kth_mad.steps import Steps

RECORD = "study.json"


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        rows: network, measure, method, clip, person, value.
        left_out: by network, methods that do not suit it and what they need.
        missing: areas that could not be measured.
    """

    rows: pd.DataFrame
    left_out: dict[str, dict[str, str]]
    missing: int


def run_of(out: Path, network: str) -> Run:
    """Where the run of a network lies."""
    return Run(out / network)


def start_over(config: SequentialConfig, out: Path) -> None:
    """Remove the runs of the study's networks, and the set that was rendered for them.

    Raises:
        BenchmarkError: a folder in their place is not of this command.
    """
    for network in config.networks:
        folder = run_of(out, network).folder
        _check_ours(folder)
        shutil.rmtree(folder, ignore_errors=True)
    _rendered_record(out).unlink(missing_ok=True)


def run_study(config: SequentialConfig, root: str | None, out: Path, device: str) -> Outcome:
    """Train, explain and measure every network, as far as that is not done.

    Args:
        config: what to do.
        root: folder of the data set, in KTH's layout; rendered into ``out`` where None.
        out: folder for the runs and ``rows.csv``.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        BenchmarkError: the folder holds a run by another config, or what the run commands refuse.
    """
    records = {network: _record(config, network, root, out) for network in config.networks}
    folder = _rendered(config, out) if root is None else root
    rows, left_out = [], {}
    for number, (network, steps) in enumerate(records.items(), start=1):
        print(f"\n{network} ({number} of {len(records)})")
        left_out[network] = _run_network(
            config, network, folder, run_of(out, network), steps, device
        )
        rows.append(_rows_of(run_of(out, network), config.maps.steps).assign(network=network))
    table = pd.concat(rows, ignore_index=True)
    whole = table.dropna(subset=["value"])
    with whole_file(out / "rows.csv") as path:
        whole[["network", *whole.columns.drop("network")]].to_csv(path, index=False)
    return Outcome(whole, left_out, len(table) - len(whole))


def areas_file(run: Run, unit: str) -> Path:
    """Where the areas of one unit are kept: a run's own rows are those of the last."""
    return run.folder / f"areas_{unit}.csv"


def _record(config: SequentialConfig, network: str, root: str | None, out: Path) -> Steps:
    folder = run_of(out, network).folder
    _check_ours(folder)
    return Steps(folder / RECORD, config.record_of(network, root))


def _check_ours(folder: Path) -> None:
    if folder.exists() and not (folder / RECORD).is_file() and any(folder.iterdir()):
        raise BenchmarkError(
            f"{folder}: holds something that this command did not make; choose another --out"
        )


def _rendered_record(out: Path) -> Path:
    return out / "rendered.json"


def _rendered(config: SequentialConfig, out: Path) -> str:
    """The folder of the rendered set, which is rendered where that is not done."""
    folder = out / "rendered"
    settings = {"classes": list(config.data.classes), **asdict(config.render)}

    def render() -> None:
        commands.render(str(folder), config.data.classes, config.render, overwrite=True)

    Steps(_rendered_record(out), settings).do("render", folder / SEQUENCE_FILE, render)
    return str(folder)


def _run_network(
    config: SequentialConfig, network: str, root: str, run: Run, steps: Steps, device: str
) -> dict[str, str]:
    """All steps of one network; methods that do not suit it, and what they need."""
    plan, maps, data = config.networks[network], config.maps, config.data
    source = Source(root, tuple(data.classes), data.split_by, data.skip_missing)
    recipe = replace(plan.recipe, device=device)
    steps.do(
        "train",
        run.checkpoint,
        lambda: commands.train(
            run, source, plan.clip, network, plan.weights, plan.settings, recipe
        ),
    )
    steps.do("predict", run.predictions, lambda: commands.predict(run, source, "test", device))
    methods, left_out = _suiting(config.methods, run)
    steps.do(
        "attribute",
        run.attributions,
        lambda: commands.attribute(run, source, methods, config.options(), maps.clips, device),
    )
    for unit in maps.steps:
        steps.do(
            f"evaluate {unit}", areas_file(run, unit), partial(_evaluate, config, run, unit, device)
        )
    steps.do(
        "motion",
        run.motion,
        lambda: commands.motion(
            run,
            config.motion.flow,
            config.motion.threshold,
            maps.baseline,
            maps.pictures,
            config.seed,
        ),
    )
    steps.do("report", run.report, lambda: commands.report(run, maps.pictures))
    return left_out


def _suiting(methods: Sequence[str], run: Run) -> tuple[list[str], dict[str, str]]:
    """The methods that suit the network of a run, and of the others what they need."""
    model = commands.checkpoint_of(run).model
    needs = {name: lacking(name, model) for name in methods}
    left_out = {name: need for name, need in needs.items() if need is not None}
    suiting = [name for name in methods if name not in left_out]
    if not suiting:
        raise BenchmarkError(
            f"methods: none of {', '.join(methods)} suits the network of {run.folder}"
        )
    return suiting, left_out


def _evaluate(config: SequentialConfig, run: Run, unit: Unit, device: str) -> None:
    """Measure by one unit, and keep the rows, which those of the next unit take the place of."""
    maps = config.maps
    commands.evaluate(run, config.metrics, unit, maps.steps[unit], maps.baseline, device)
    with whole_file(areas_file(run, unit)) as path:
        load_rows(run).to_csv(path, index=False)


def _rows_of(run: Run, units: Iterable[str]) -> pd.DataFrame:
    parts = [accuracy_rows(pd.read_csv(run.predictions)), time_rows(load_explained(run))]
    parts.append(motion_rows(pd.read_csv(run.motion)))
    parts += [area_rows(pd.read_csv(areas_file(run, unit)), unit) for unit in units]
    return pd.concat(parts, ignore_index=True)
