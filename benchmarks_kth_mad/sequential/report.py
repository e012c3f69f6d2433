"""What the study leaves behind to read: tables, verdicts, and pictures over time."""

from collections import Counter
from itertools import chain
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks_kth_mad.evaluation import load_explained
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.methods import above_zero
from benchmarks_kth_mad.report.pictures import save_figure
from benchmarks_kth_mad.sequential.claims import verdicts
from benchmarks_kth_mad.sequential.config import SequentialConfig
from benchmarks_kth_mad.sequential.experiment import Outcome, by_unit, run_of
from benchmarks_kth_mad.sequential.rows import (
    CORRELATION,
    ENERGY,
    FIRST,
    LAST,
    MOVING,
    played,
)
from benchmarks_kth_mad.sequential.tables import accuracy_table, maps_table, summary
from benchmarks_kth_mad.studies.claims import verdict_table
from captum_video.visualization import temporal_profile

OVER_TIME = "over_time.png"
_DPI = 110


def write_study(out: Path, outcome: Outcome, config: SequentialConfig) -> str:
    """Write ``summary.csv``, ``verdicts.csv``, ``report.md`` and the picture over time.

    Returns:
        The report as Markdown, without the pictures.
    """
    means = summary(outcome.rows, config.seed)
    found = verdict_table(verdicts(outcome.rows, list(config.networks), config.seed))
    tables = {"rows.csv": outcome.rows, "summary.csv": means, "verdicts.csv": found}
    for name, table in tables.items():
        with whole_file(out / name) as path:
            table.to_csv(path, index=False)
    text = _report(means, found, outcome, config)
    save_figure(out, OVER_TIME, _over_time(out, config), _DPI)
    with whole_file(out / "report.md") as path:
        path.write_text(f"{text}\n{_pictures(out, config)}")
    return text


def _report(
    means: pd.DataFrame, found: pd.DataFrame, outcome: Outcome, config: SequentialConfig
) -> str:
    parts = [
        _intro(means, config),
        *_left_out(outcome),
        "## Accuracy",
        _markdown(accuracy_table(means)),
        "## Where the evidence lies over time",
        _markdown(maps_table(means, [FIRST, LAST], beside_random=False)),
        f"## Whether it lies on what moves ({_by_chance(means)})",
        _markdown(maps_table(means, [ENERGY, CORRELATION])),
    ]
    for unit, steps in config.maps.steps.items():
        better = {"insertion": "higher is better", "deletion": "lower is better"}
        played_here = ", ".join(f"{metric}: {better[metric]}" for metric in config.metrics)
        parts += [
            f"## Whether the network uses it, {unit} by {unit} ({steps} steps; {played_here})",
            _markdown(maps_table(means, [played(metric, unit) for metric in config.metrics])),
        ]
    if len(found):
        parts += [
            "## Verdicts",
            f"{len(found)} comparisons, uncorrected: about one in twenty would stand out by chance.",
            _markdown(found),
        ]
    return "\n\n".join(parts) + "\n"


def _intro(means: pd.DataFrame, config: SequentialConfig) -> str:
    explained = means[means["measure"] == FIRST]
    persons, clips = explained["persons"].max(), explained["clips"].max()
    return (
        f"# {' against '.join(config.data.classes)}\n\n"
        f"Means over persons with 95 % bootstrap intervals over persons; maps of {clips} test clips "
        f"of {persons} persons, of the predicted class, hidden by {config.maps.baseline}; seed "
        f"{config.seed}. {_divided(config)}"
    )


def _divided(config: SequentialConfig) -> str:
    if config.data.split_by == "person":
        return "No network has seen the persons of the test clips."
    return "Divided by sequence: persons of the test clips were seen in training."


def _left_out(outcome: Outcome) -> list[str]:
    """What was not explained or measured, if anything."""
    lines = [
        f"- {network} is not explained by {method}, which needs {need}."
        for network, methods in outcome.left_out.items()
        for method, need in methods.items()
    ]
    lines += [f"- {network}: {text}." for network, text in outcome.failed.items()]
    return ["\n".join(lines)] if lines else []


def _by_chance(means: pd.DataFrame) -> str:
    """What the energy on what moves is by chance; networks may see clips of other shapes."""
    moving = means[means["measure"] == MOVING].groupby("network", sort=False)["mean"].first()
    values = [f"{value:.3f}" for value in moving]
    if len(set(values)) == 1:
        return f"energy {values[0]} by chance"
    named = ", ".join(
        f"{value} of {name}" for name, value in zip(moving.index, values, strict=True)
    )
    return f"energy by chance {named}"


def _over_time(out: Path, config: SequentialConfig) -> Figure:
    """When each network's maps have their evidence, a panel for each."""
    figure = Figure(figsize=(1 + 4.5 * len(config.networks), 3.4), layout="constrained")
    panels = figure.subplots(1, len(config.networks), squeeze=False)[0]
    methods = {name: KeptMaps(run_of(out, name)).methods for name in config.networks}
    times = Counter(chain(*methods.values()))
    for axes, network in zip(panels, config.networks, strict=True):
        _, maps = load_explained(run_of(out, network)).of_only_input()
        # first those that all networks have: a method has one colour in all panels
        order = sorted(maps, key=lambda name: -times[name])
        evidence = {name: above_zero(name, maps[name]) for name in order}
        temporal_profile(evidence, title=network, ax=axes)
    return figure


def _pictures(out: Path, config: SequentialConfig) -> str:
    """Links to the report of each run, and its pictures frame by frame and over time."""
    lines = ["## Pictures", f"![share of the evidence in each frame]({OVER_TIME})"]
    for network in config.networks:
        run = run_of(out, network)
        reports = {unit: by_unit(run, unit).report for unit in config.maps.steps}
        links = [f"[by {unit}]({_from(out, file)})" for unit, file in reports.items()]
        lines.append(f"{network}: curves and areas {', '.join(links)}")
        lines += [
            f"![{network}: {file.stem}]({_from(out, file)})"
            for kind in ("time", "frames", "features")
            for file in sorted(run.pictures.glob(f"*_{kind}.png"))
        ]
    return "\n\n".join(lines) + "\n"


def _from(out: Path, file: Path) -> str:
    return file.relative_to(out).as_posix()


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)
