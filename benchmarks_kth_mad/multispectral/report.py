"""What a study leaves behind to read: tables, verdicts, and pictures of the same scene."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.methods import above_zero
from benchmarks_kth_mad.multispectral.claims import SENTENCE, verdicts
from benchmarks_kth_mad.multispectral.config import StudyConfig
from benchmarks_kth_mad.multispectral.experiment import PAIRED, Outcome
from benchmarks_kth_mad.multispectral.tables import (
    accuracy_table,
    maps_table,
    modality_table,
    summary,
)
from benchmarks_kth_mad.report.pictures import save_figure
from benchmarks_kth_mad.studies.claims import verdict_table
from captum_video.visualization import filmstrip

_DPI = 110


def write_study(out: Path, outcome: Outcome, config: StudyConfig) -> str:
    """Write ``summary.csv``, ``verdicts.csv``, ``report.md`` and the pictures.

    Returns:
        The report as Markdown.
    """
    means = summary(outcome.rows, config.seed)
    found = verdict_table(verdicts(outcome.rows, config, config.seed), SENTENCE, "tested on")
    for name, table in (("summary.csv", means), ("verdicts.csv", found)):
        with whole_file(out / name) as path:
            table.to_csv(path, index=False)
    text = _report(means, found, config)
    pictures = _draw(out, outcome, config)
    with whole_file(out / "report.md") as path:
        path.write_text(text + "".join(f"\n![{name}]({name})\n" for name in pictures))
    return text


def _report(means: pd.DataFrame, found: pd.DataFrame, config: StudyConfig) -> str:
    accuracy = means[means["measure"] == "accuracy"]
    persons, scenes = accuracy["persons"].max(), accuracy["scenes"].max()
    intro = (
        f"Means over {persons} held-out persons ({scenes} scenes) with 95 % bootstrap intervals "
        f"over persons; maps of {config.maps.clips} scenes at most, of the predicted class, "
        f"hidden by {config.maps.baseline}; seed {config.seed}."
    )
    if config.compat:
        intro += f" Maps and areas as in the code of {config.compat}, errors of form included."
    parts = [intro, "## Accuracy", _markdown(accuracy_table(means))]
    for spectrum in (*config.tested_on, *([PAIRED] if config.fusion else [])):
        parts += [f"## Maps, tested on {spectrum}", _markdown(maps_table(means, spectrum))]
    if config.fusion:
        parts += [
            "## What each spectrum carries (of the probability)",
            _markdown(modality_table(means)),
        ]
    if len(found):
        parts += ["## Verdicts", _markdown(found)]
    return "\n\n".join(parts) + "\n"


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)


def _draw(out: Path, outcome: Outcome, config: StudyConfig) -> list[str]:
    """One filmstrip per network, test spectrum and scene: every training and method below the clip."""
    names = []
    for network in config.networks:
        for tested in config.tested_on:
            cells = {
                trained: outcome.drawn[network, trained, tested] for trained in config.trained_on
            }
            for index in range(len(next(iter(cells.values())).names)):
                name = f"{network}_{tested}_{index}.png"
                names.append(save_figure(out, name, _strip(cells, index, config), _DPI))
    return names


def _strip(cells: dict[str, Explained], index: int, config: StudyConfig) -> Figure:
    first = next(iter(cells.values()))
    clip = first.clips[0][index : index + 1]
    maps = {
        f"{trained}: {method}": above_zero(
            method, one.maps[method][0][index : index + 1]
        ).expand_as(clip)
        for method in config.methods
        if method != "random"
        for trained, one in cells.items()
    }
    return filmstrip(clip, maps, title=first.names[index])
