"""The command line: options in, one function of the package per command."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NoReturn

from benchmarks_kth_mad import commands
from benchmarks_kth_mad.data.acting import RenderSettings
from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import METRICS
from benchmarks_kth_mad.methods import BASELINES, METHODS, Options
from benchmarks_kth_mad.models import MODELS
from benchmarks_kth_mad.runs import Run, Source
from benchmarks_kth_mad.training import Recipe, resolve_device


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the options, and leaves with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0, or 2 where a file, an option or the data are at fault.
    """
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m benchmarks_kth_mad",
        description="Train on action clips, explain what was learned, and measure the maps.",
    )
    parser.set_defaults(command=lambda _: parser.print_help())
    names = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    def add(name: str, text: str, command: Any) -> argparse.ArgumentParser:
        one = names.add_parser(
            name,
            help=text,
            description=text.capitalize() + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        one.set_defaults(command=command)
        one.add_argument("--seed", type=int, default=0, help="of everything random")
        return one

    render = add("render", "write a synthetic set in KTH's file layout, with actor masks", _render)
    render.add_argument("--root", required=True, help="folder to write")
    render.add_argument("--overwrite", action="store_true", help="replace what is there")
    _add_render(render)

    train = add("train", "train a network on the training split and test it once", _train)
    _add_source(train, required=True)
    _add_training(train)
    _add_run(train)

    predict = add("predict", "classify the clips of a split", _predict)
    _add_source(predict)
    predict.add_argument("--split", choices=("train", "val", "test", "all"), default="test")
    _add_run(predict)

    attribute = add("attribute", "explain clips of the test split by every method", _attribute)
    _add_source(attribute)
    _add_attribution(attribute)
    _add_run(attribute)

    evaluate = add("evaluate", "measure the maps by insertion and deletion", _evaluate)
    _add_metrics(evaluate)
    _add_baseline(evaluate)
    _add_run(evaluate)

    report = add("report", "print the table, draw the pictures, write the report", _report)
    report.add_argument("--pictures", type=int, default=2, help="clips to draw")
    _add_run(report)

    demo = add(
        "demo", "all of them, small: render (without --root), train, explain, measure", _demo
    )
    _add_source(demo)
    _add_render(demo)
    _add_training(demo)
    _add_attribution(demo)
    _add_metrics(demo)
    demo.add_argument("--pictures", type=int, default=2, help="clips to draw")
    _add_run(demo, folder="runs/demo")

    speed = add("speed", "print how near the methods come to the plain forward pass", _speed)
    speed.add_argument("--device", default="cpu", help="cpu or cuda")
    speed.add_argument("--frames", type=int, default=16, help="of the clip")
    speed.add_argument("--size", type=int, default=112, help="height and width of the clip")
    speed.add_argument("--rounds", type=int, default=5, help="of which medians are taken")
    speed.add_argument("--bfloat16", action="store_true", help="autocast the network")
    speed.add_argument("--memory", action="store_true", help="memory over masks instead of time")
    return parser


def _add_run(parser: argparse.ArgumentParser, folder: str = "runs/kth") -> None:
    parser.add_argument("--run", default=folder, help="folder of this run's files")
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, or auto: cuda where there is one"
    )


def _add_source(parser: argparse.ArgumentParser, required: bool = False) -> None:
    remembered = "" if required else "; as in training where not given"
    parser.add_argument(
        "--root", required=required, help=f"folder with 00sequences.txt{remembered}"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="ACTION",
        choices=ACTIONS,
        help=f"of {', '.join(ACTIONS)}; all by default{remembered}",
    )
    parser.add_argument(
        "--split-by",
        choices=("person", "sequence"),
        help=f"persons as published, or subsequences where there are too few{remembered}",
    )
    parser.add_argument(
        "--skip-missing",
        action="store_true",
        default=None,
        help=f"leave out videos that are not there{remembered}",
    )


def _add_render(parser: argparse.ArgumentParser) -> None:
    defaults = RenderSettings()
    for name, text in [("persons", "different people"), ("sequences", "per video")]:
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name), help=text)
    parser.add_argument(
        "--actions",
        nargs="+",
        metavar="ACTION",
        choices=ACTIONS,
        default=["boxing", "handwaving", "running", "walking"],
        help="to render",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", choices=sorted(MODELS), default="r3d_small")
    parser.add_argument("--weights", help="published weights to start from, by torchvision's name")
    for one in fields(ClipShape):
        parser.add_argument(f"--{one.name}", type=int, default=one.default, help="of a clip")
    for recipe in fields(Recipe):
        if recipe.name not in ("seed", "device"):
            parser.add_argument(
                f"--{recipe.name.replace('_', '-')}",
                type=type(recipe.default),
                default=recipe.default,
                help="of training",
            )


def _add_attribution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--clips", type=int, default=8, help="how many clips to explain")
    parser.add_argument("--samples", type=int, default=Options.n_samples, help="masks of RISE")
    _add_baseline(parser)
    parser.add_argument("--layer", help="of Grad-CAM; the last with frames and pixels by default")


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics", nargs="+", choices=list(METRICS), default=list(METRICS))
    parser.add_argument("--unit", choices=("voxel", "cell", "frame"), default="voxel")
    parser.add_argument("--steps", type=int, default=50, help="of insertion and deletion")


def _add_baseline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--baseline", choices=list(BASELINES), default=Options.baseline, help="what hides"
    )


def _source(options: argparse.Namespace, known: Source | None = None) -> Source:
    """What the options say of the data, and what training has said where they are silent."""
    given = {
        "root": options.root,
        "classes": None if options.classes is None else tuple(options.classes),
        "split_by": options.split_by,
        "skip_missing": options.skip_missing,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if known is None:
        return replace(Source(root=options.root, classes=ACTIONS), **given)
    if given.get("classes", known.classes) != known.classes:
        raise BenchmarkError(
            f"--classes {' '.join(given['classes'])}: the model was trained on "
            f"{' '.join(known.classes)}; name these, or train again"
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
        show_progress=sys.stderr.isatty(),
    )


def _render(options: argparse.Namespace) -> None:
    commands.render(
        options.root,
        options.actions,
        options.persons,
        options.sequences,
        options.seed,
        options.overwrite,
    )


def _train(options: argparse.Namespace) -> None:
    commands.train(
        Run(options.run),
        _source(options),
        _clip(options),
        options.model,
        options.weights,
        _recipe(options),
    )


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
    commands.report(Run(options.run), options.pictures)


def _demo(options: argparse.Namespace) -> None:
    run = Run(options.run)
    if options.root is None:
        options.root = str(run.folder / "rendered")
        options.classes = options.actions
        commands.render(
            options.root,
            options.actions,
            options.persons,
            options.sequences,
            options.seed,
            overwrite=True,
        )
    for step in (_train, _predict_test, _attribute, _evaluate, _report):
        step(options)


def _predict_test(options: argparse.Namespace) -> None:
    options.split = "test"
    _predict(options)


def _speed(options: argparse.Namespace) -> None:
    if options.memory:
        commands.memory(options.frames, options.size)
    else:
        commands.speed(
            resolve_device(options.device),
            options.frames,
            options.size,
            options.rounds,
            options.bfloat16,
        )
