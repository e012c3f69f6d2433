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
from benchmarks_kth_mad.console import shows_progress, silent
from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.mad_index import read_classes
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.models.studies import STUDY_CLIPS, load_foreign_checkpoint
from benchmarks_kth_mad.multispectral.config import load_config
from benchmarks_kth_mad.option_groups import RENDERED_ACTIONS
from benchmarks_kth_mad.options import build_parser
from benchmarks_kth_mad.planted.plan import Plan
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS
from benchmarks_kth_mad.rendering.thermal import MADSettings
from benchmarks_kth_mad.runs import Run, Source
from benchmarks_kth_mad.training import Recipe, resolve_device


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0, or 2 where a file, an option or the data are at fault.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        with silent(options.quiet):
            COMMANDS[options.command](options)
    except BenchmarkError as error:
        # a process that loads clips puts its traceback before the message
        print("error:", str(error).rpartition("BenchmarkError: ")[2].strip(), file=sys.stderr)
        return 2
    except OSError as error:
        print("error:", error, file=sys.stderr)
        return 2
    return 0


def _source(options: argparse.Namespace, known: Source | None = None) -> Source:
    """What the options say of the data, and what training has said where they are silent."""
    given = {
        "root": options.root,
        "classes": None if options.classes is None else tuple(options.classes),
        "split_by": options.split_by,
        "skip_missing": options.skip_missing,
        "spectrum": options.spectrum,
    }
    given = {name: value for name, value in given.items() if value is not None}
    spectrum = given.get("spectrum", known.spectrum if known else None)
    if spectrum is not None and given.keys() & {"split_by", "skip_missing"}:
        raise BenchmarkError(
            f"--split-by and --skip-missing are for KTH; spectrum {spectrum} is of the multispectral "
            f"set, whose lists name its splits"
        )
    if known is None:
        classes = ACTIONS if spectrum is None else read_classes(Path(options.root))
        return replace(Source(root=options.root, classes=classes), **given)
    if (known.spectrum is None) != (spectrum is None) and "root" not in given:
        raise BenchmarkError(
            f"--spectrum {spectrum}: the model was trained on KTH in {known.root}; name the folder of "
            f"the multispectral set by --root"
        )
    if given.get("classes", known.classes) != known.classes:
        raise BenchmarkError(
            f"--classes {' '.join(given['classes'])}: the model was trained on "
            f"{' '.join(known.classes)}; name these, or train again"
        )
    elsewhere = given.get("root", known.root) != known.root
    if given.get("split_by", known.split_by) != known.split_by and not elsewhere:
        raise BenchmarkError(
            f"--split-by {given['split_by']}: the model was trained on this set divided by "
            f"{known.split_by}, so its test clips would be some that it has learned; train again"
        )
    return replace(known, **given)


def _recipe(options: argparse.Namespace) -> Recipe:
    return Recipe(**{one.name: getattr(options, one.name) for one in fields(Recipe)})


def _clip(options: argparse.Namespace) -> ClipShape:
    return ClipShape(**{one.name: getattr(options, one.name) for one in fields(ClipShape)})


def _methods(options: argparse.Namespace) -> Options:
    return Options(
        options.layer,
        options.samples,
        options.seed,
        options.baseline,
        show_progress=shows_progress(),
    )


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
        _source(options),
        _clip(options),
        options.model,
        options.weights,
        {} if options.encoder is None else {"encoder": options.encoder},
        _recipe(options),
    )


def _import_study(options: argparse.Namespace) -> None:
    device, source = resolve_device(options.device), _source(options)
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
    source = _source(options, run.load_manifest().source)
    commands.predict(run, source, options.split, resolve_device(options.device))


def _attribute(options: argparse.Namespace) -> None:
    run = Run(options.run)
    source = _source(options, run.load_manifest().source)
    commands.attribute(
        run,
        source,
        options.methods,
        _methods(options),
        options.clips,
        resolve_device(options.device),
    )


def _evaluate(options: argparse.Namespace) -> None:
    commands.evaluate(
        Run(options.run),
        options.metrics,
        options.unit,
        options.steps,
        options.baseline,
        resolve_device(options.device),
    )


def _report(options: argparse.Namespace) -> None:
    commands.report(Run(options.run), options.pictures, options.html_clips, options.seed)


def _demo(options: argparse.Namespace) -> None:
    run = Run(options.run)
    _recipe(options), _clip(options)  # refuse what they refuse before anything is rendered
    if options.root is None:
        options.root = str(run.folder / "rendered")
        actions = vars(options).get("actions", RENDERED_ACTIONS)
        options.classes = options.classes or actions
        settings = RenderSettings(**_render_numbers(options))
        commands.render(options.root, actions, settings, overwrite=True)
    for step in (_train, _predict_test, _attribute, _evaluate, _report):
        step(options)


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


def _speed(options: argparse.Namespace) -> None:
    experiments.speed(
        options.of,
        resolve_device(options.device),
        options.frames,
        options.size,
        options.rounds,
        options.bfloat16,
    )


def _convergence(options: argparse.Namespace) -> None:
    experiments.convergence(
        Run(options.run),
        options.clips,
        options.counts,
        options.converged,
        options.baseline,
        resolve_device(options.device),
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


def _multispectral(options: argparse.Namespace) -> None:
    changes: dict[str, Any] = {}
    for names, value in options.changes:
        place = changes
        for name in names[:-1]:
            place = place.setdefault(name, {})
        place[names[-1]] = value
    for name in ("seed", "compat"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    config = load_config(options.config, changes)
    if options.networks is not None:
        config = config.of_networks(options.networks)
    experiments.multispectral(
        config, options.root, Path(options.out), resolve_device(options.device)
    )


def _planted(options: argparse.Namespace) -> None:
    if options.weights is not None or options.encoder is not None:
        raise BenchmarkError("planted: takes no --weights and no --encoder")
    if (options.root is None) != (options.clean is None):
        raise BenchmarkError(
            "planted: --root names the videos with text and --clean the same ones without; give both "
            "or neither"
        )
    plan = Plan(
        options.model,
        _clip(options),
        _recipe(options),
        options.shown,
        options.methods,
        _methods(options),
        options.clips,
        options.dilate,
        options.pictures,
    )
    experiments.planted(
        plan,
        options.root,
        options.clean,
        options.classes,
        options.split_by,
        RenderSettings(persons=options.persons, sequences=1, frames=16, seed=options.seed),
        Path(options.out),
        resolve_device(options.device),
    )


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "render": _render,
    "train": _train,
    "import-study": _import_study,
    "predict": _predict,
    "attribute": _attribute,
    "evaluate": _evaluate,
    "motion": _motion,
    "report": _report,
    "demo": _demo,
    "speed": _speed,
    "convergence": _convergence,
    "multispectral": _multispectral,
    "boxes": _boxes,
    "checks": checks.run_command,
    "cards": cards.run_command,
    "planted": _planted,
}
