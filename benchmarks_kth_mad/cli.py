"""The command line: options in, one function of the package per command."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from benchmarks_kth_mad import commands, experiments
from benchmarks_kth_mad.boxes.training import BoxRecipe
from benchmarks_kth_mad.cards import command as cards
from benchmarks_kth_mad.checks import command as checks
from benchmarks_kth_mad.completion import command as completion
from benchmarks_kth_mad.console import silent
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.download import command as download
from benchmarks_kth_mad.errors import BenchmarkError, ClipsFailed, on_one_line
from benchmarks_kth_mad.models.studies import STUDY_CLIPS, load_foreign_checkpoint
from benchmarks_kth_mad.multispectral import command as multispectral
from benchmarks_kth_mad.option_groups import (
    RENDERED_ACTIONS,
    clip_of,
    methods_of,
    recipe_of,
    source_of,
)
from benchmarks_kth_mad.options import build_parser
from benchmarks_kth_mad.planning import command as planning
from benchmarks_kth_mad.planted import command as planted
from benchmarks_kth_mad.processes.together import Place, first_to_tell, launched
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS
from benchmarks_kth_mad.rendering.thermal import MADSettings
from benchmarks_kth_mad.runs import Run
from benchmarks_kth_mad.scoreboard import command as speed
from benchmarks_kth_mad.sequential import command as sequential
from benchmarks_kth_mad.training import resolve_device


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0; 2 where a file, an option or the data are at fault; 3 where all is done but
        for some clips, which failed.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    place = Place()
    try:
        place = launched()
        _check_several(options.command, place)
        with silent(options.quiet or place.rank > 0):
            COMMANDS[options.command](options)
            sys.stdout.flush()  # a pipe that was closed must show here
    except BenchmarkError as error:
        # a process that loads clips puts its traceback before the message
        _tell(str(error).rpartition("BenchmarkError: ")[2].strip(), place)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        _tell(str(error), place)
        return 2
    except ClipsFailed as error:
        _tell(str(error), place)
        return 3
    return 0


def _check_several(command: str, place: Place) -> None:
    if place.world > 1 and command not in SEVERAL:
        raise BenchmarkError(
            f"{command}: works in one process, and {place.launcher} has started {place.world}; only "
            f"{', '.join(SEVERAL)} share their work"
        )


def _tell(error: str, place: Place) -> None:
    if first_to_tell(place):
        print("error:", on_one_line(error), file=sys.stderr)


def _render(options: argparse.Namespace) -> None:
    if options.layout == "mad":
        if "span" in options:
            raise BenchmarkError(
                "--span is for --layout kth; in mad's scenes people act throughout"
            )
        if "text" in vars(options):
            raise BenchmarkError("--text: burned into KTH's layout only, not with --layout mad")
        actions: Sequence[str] = vars(options).get("actions", MAD_ACTIONS)
        settings: RenderSettings | MADSettings = MADSettings(**_render_numbers(options))
    else:
        actions = vars(options).get("actions", RENDERED_ACTIONS)
        settings = RenderSettings(**_render_numbers(options))
    commands.render(options.root, actions, settings, options.overwrite)


def _render_numbers(options: argparse.Namespace) -> dict[str, Any]:
    """The numbers that were given, by the names of the settings, which know the others."""
    fields_of = {"sequence_frames": "frames", "video_width": "width"}
    names = ("persons", "sequences", "sequence_frames", "video_width", "seed", "span", "text")
    given = vars(options)
    return {fields_of.get(name, name): given[name] for name in names if name in given}


def _train(options: argparse.Namespace) -> None:
    commands.train(
        Run(options.run),
        source_of(options),
        clip_of(options),
        options.model,
        options.weights,
        {} if options.encoder is None else {"encoder": options.encoder},
        recipe_of(options),
        options.fresh,
    )


def _import_study(options: argparse.Namespace) -> None:
    device, source = resolve_device(options.device), source_of(options)
    given = {name: getattr(options, name) for name in asdict(ClipShape())}
    clip = replace(
        STUDY_CLIPS[options.network],
        **{name: size for name, size in given.items() if size is not None},
    )
    checkpoint = load_foreign_checkpoint(
        options.network,
        options.checkpoint,
        source.classes,
        clip,
        options.mean,
        options.std,
        options.attention,
    )
    commands.import_study(Run(options.run), source, checkpoint, options.seed, device)


def _predict(options: argparse.Namespace) -> None:
    run = Run(options.run)
    source = source_of(options, run.load_manifest().source)
    commands.predict(run, source, options.split, resolve_device(options.device))


def _attribute(options: argparse.Namespace) -> None:
    run = Run(options.run)
    source = source_of(options, run.load_manifest().source)
    if planning.is_dry(options):
        return planning.plan_attribution(options, run, source, methods_of(options))
    commands.attribute(
        run,
        source,
        options.methods,
        methods_of(options),
        options.clips,
        resolve_device(options.device),
        options.precision,
        options.fresh,
        options.clips_per_pass,
    )


def _evaluate(options: argparse.Namespace) -> None:
    if planning.is_dry(options):
        return planning.plan_evaluation(options, Run(options.run))
    commands.evaluate(
        Run(options.run),
        options.metrics,
        options.unit,
        options.steps,
        options.baseline,
        resolve_device(options.device),
        options.precision,
        options.fresh,
        options.clips_per_pass,
    )


def _report(options: argparse.Namespace) -> None:
    commands.report(Run(options.run), options.pictures, options.html_clips, options.seed)


def _demo(options: argparse.Namespace) -> None:
    run = Run(options.run)
    recipe_of(options), clip_of(options)  # refuse what they refuse before anything is rendered
    if options.root is None:
        options.root = str(run.folder / "rendered")
        actions = vars(options).get("actions", RENDERED_ACTIONS)
        options.classes = options.classes or actions
        settings = RenderSettings(**_render_numbers(options))
        commands.render(options.root, actions, settings, overwrite=True)
    failed = None
    for step in (_train, _predict_test, _attribute, _evaluate, _report):
        try:
            step(options)
        except ClipsFailed as error:  # the others have all the same what comes next
            failed = error
    if failed is not None:
        raise failed


def _predict_test(options: argparse.Namespace) -> None:
    options.split = "test"
    _predict(options)


def _motion(options: argparse.Namespace) -> None:
    commands.motion(
        Run(options.run),
        options.flow,
        options.moving,
        options.baseline,
        options.pictures,
        options.seed,
    )


def _convergence(options: argparse.Namespace) -> None:
    experiments.convergence(
        Run(options.run),
        options.clips,
        options.counts,
        options.converged,
        options.baseline,
        options.seed,
        resolve_device(options.device),
        None if options.out is None else Path(options.out),
    )


def _boxes(options: argparse.Namespace) -> None:
    given = {one.name: getattr(options, one.name) for one in fields(BoxRecipe)}
    experiments.boxes(
        options.layouts,
        options.networks,
        {name: value for name, value in given.items() if value is not None},
        options.seed,
        resolve_device(options.device),
        None if options.out is None else Path(options.out),
        (options.train_series, options.test_series),
    )


SEVERAL = ("train", "attribute", "evaluate", "sequential")
"""Commands that share their work among the processes that torchrun or Slurm start."""

COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "render": _render,
    "download": download.run_command,
    "train": _train,
    "import-study": _import_study,
    "predict": _predict,
    "attribute": _attribute,
    "evaluate": _evaluate,
    "motion": _motion,
    "report": _report,
    "demo": _demo,
    "speed": speed.run_command,
    "convergence": _convergence,
    "multispectral": multispectral.run_command,
    "sequential": sequential.run_command,
    "boxes": _boxes,
    "checks": checks.run_command,
    "cards": cards.run_command,
    "plan": planning.run_command,
    "planted": planted.run_command,
    "completion": completion.run_command,
}
