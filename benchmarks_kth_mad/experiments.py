"""The commands that measure or repeat a study, beside those of a single run."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks_kth_mad.boxes.networks import NETWORKS, Sizes
from benchmarks_kth_mad.commands import render
from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.kth_index import check_classes
from benchmarks_kth_mad.files import make_folder, sweep, whole_file
from benchmarks_kth_mad.multispectral.config import StudyConfig
from benchmarks_kth_mad.planted.plan import Footage, Plan
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS
from benchmarks_kth_mad.runs import Run

PLANTED_ACTIONS = ("boxing", "handclapping", "walking")


def convergence(
    run: Run,
    n_clips: int,
    counts: Sequence[int],
    converged: int,
    baseline: str,
    seed: int,
    device: str,
    out: Path | None,
) -> None:
    """Print RISE's error over the number of masks, and how many more coverage needs; keep the rows."""
    from benchmarks_kth_mad.speed.convergence import masks_needed, run_errors

    table = run_errors(run, device, n_clips, counts, converged, baseline, seed)
    print(table.to_markdown(index=False, floatfmt=".3f"))
    print("\nmasks that coverage needs for the error of the regression:")
    print(masks_needed(table).to_markdown(index=False, floatfmt=".3g"))
    if out is not None:
        with whole_file(out) as path:
            table.to_csv(path, index=False)
        print(f"\nrows in {out}")


def boxes(
    layouts: Sequence[str],
    networks: Sequence[str],
    changes: Mapping[str, Any],
    seed: int,
    device: str,
    out: Path | None,
    n_series: tuple[int | None, int | None] = (None, None),
) -> None:
    """Train the networks of the box series, explain them, print the paper's table beside ours.

    Args:
        layouts: of `benchmarks_kth_mad.boxes.series.LAYOUTS`.
        networks: of `benchmarks_kth_mad.boxes.networks.NETWORKS`.
        changes: to every network's recipe, by name of the field.
        seed: of everything.
        device: ``"cpu"`` or ``"cuda"``.
        out: folder for the results.
        n_series: of training and test set, each as in the paper where None.
    """
    from benchmarks_kth_mad.boxes.results import Results
    from benchmarks_kth_mad.boxes.study import run_cell

    recipes = {name: replace(NETWORKS[name].recipe, **changes) for name in networks}
    results = Results(out, seed)
    cells = [(layout, network) for network in networks for layout in layouts]
    for layout, network in progress_bar(cells, desc="trainings"):
        recipe = recipes[network]
        with progress_bar(total=recipe.epochs, desc=f"{network}, {layout}") as bar:

            def show(epoch: int, accuracy: float, bar: Any = bar) -> None:
                bar.set_postfix(accuracy=f"{accuracy:.3f}", refresh=False)
                bar.update()

            result = run_cell(layout, network, recipe, Sizes(), seed, device, show, n_series)
        results.add(layout, network, result, recipe)
    print(results.report())
    if out is not None:
        print(f"\nrows, table, maps and picture in {out}")


def multispectral(
    config: StudyConfig,
    root: str | None,
    out: Path,
    device: str,
    only: Sequence[str] | None = None,
    fresh: bool = False,
) -> None:
    """Run study A; print its tables and verdicts, keep rows, networks and pictures.

    Args:
        config: the whole study.
        root: folder of the data set; rendered into ``out`` where None.
        out: folder for all that comes out; a study of these conditions that is there goes on.
        device: ``"cpu"`` or ``"cuda"``.
        only: some of the config's networks.
        fresh: remove what is there first.
    """
    from benchmarks_kth_mad.multispectral.experiment import CELLS, keep_conditions, run_study
    from benchmarks_kth_mad.multispectral.report import write_study

    wanted = config if only is None else config.of_networks(only)
    new = fresh or not (out / CELLS).is_dir()
    if new:  # networks without conditions may be of any study
        for part in (CELLS, "networks"):
            shutil.rmtree(out / part, ignore_errors=True)
    make_folder(out)
    sweep(out)
    keep_conditions(config, root, out, device)
    if root is None:
        root = str(out / "rendered")
        if new or not Path(root).is_dir():
            render(root, MAD_ACTIONS, config.render, overwrite=True)
    text = write_study(out, run_study(config, root, out, device, only), wanted)
    print(f"\n{text}\nrows, tables, networks and pictures in {out}, to be read from report.md")


def planted(
    plan: Plan,
    captions: str | None,
    clean: str | None,
    classes: Sequence[str] | None,
    split_by: str,
    settings: RenderSettings,
    out: Path,
    device: str,
) -> None:
    """Run the planted-artefact benchmark; print its table, keep rows, networks and pictures.

    Args:
        plan: what to do.
        captions: folder of videos with text; with ``clean`` rendered into ``out`` where None.
        clean: folder of the same videos without.
        classes: three where videos are rendered, all of KTH's where not, unless given.
        split_by: how videos that are not rendered are divided.
        settings: of rendering.
        out: folder for all that comes out.
        device: ``"cpu"`` or ``"cuda"``.
    """
    from benchmarks_kth_mad.planted.experiment import run_planted
    from benchmarks_kth_mad.planted.report import write_planted

    if captions is None or clean is None:
        actions = check_classes(classes or PLANTED_ACTIONS)
        folders = {text: out / "rendered" / ("text" if text else "clean") for text in (False, True)}
        for text, folder in folders.items():
            render(str(folder), actions, replace(settings, text=text), overwrite=True)
        footage = Footage(folders[False], folders[True], actions)
    else:
        footage = Footage(Path(clean), Path(captions), check_classes(classes), split_by)
    make_folder(out)
    report = write_planted(out, run_planted(footage, plan, out, device), plan)
    print(f"\n{report}\nrows, table, networks and pictures in {out}, to be read from report.md")
