"""The command ``planted``: its options, and the benchmark that they describe."""

import argparse
from pathlib import Path

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.option_groups import (
    add_attribution,
    add_device,
    add_training,
    clip_of,
    methods_of,
    recipe_of,
    whole_number,
)


def add_planted(parser: argparse.ArgumentParser) -> None:
    """Which videos, how to train on them, and what to ask of whom."""
    parser.add_argument("--out", default="runs/planted", help="folder for all that comes out")
    parser.add_argument(
        "--root",
        help="folder of videos with text and its masks, in KTH's layout; rendered where not given",
    )
    parser.add_argument(
        "--clean",
        help="folder of the same videos without text, with the sequence file; needed with --root",
    )
    parser.add_argument(
        "--classes", nargs="+", metavar="ACTION", help="default: 3 if rendered, else all of KTH's"
    )
    parser.add_argument(
        "--split-by",
        choices=("person", "sequence"),
        default="sequence",
        help="how --root is divided; what is rendered is divided by person",
    )
    parser.add_argument("--persons", type=int, default=24, help="to render")
    parser.add_argument(
        "--shown", type=whole_number(1), default=3, help="frames of a clip with text, in a row"
    )
    parser.add_argument(
        "--dilate", type=whole_number(0), default=1, help="pixels to grow the text's mask by"
    )
    parser.add_argument("--pictures", type=whole_number(0), default=1, help="clips to draw")
    add_training(parser)
    add_attribution(parser)
    add_device(parser)
    # the small text is easy once the steps are small
    parser.set_defaults(frames=8, epochs=12, learning_rate=2e-3, methods=None, samples=200, clips=6)


def run_command(options: argparse.Namespace) -> None:
    """Run the benchmark that the options describe."""
    from benchmarks_kth_mad import experiments
    from benchmarks_kth_mad.planted.plan import Plan
    from benchmarks_kth_mad.rendering.acting import RenderSettings
    from benchmarks_kth_mad.training import resolve_device

    if options.weights is not None or options.encoder is not None:
        raise BenchmarkError("planted: takes no --weights and no --encoder")
    if (options.root is None) != (options.clean is None):
        raise BenchmarkError(
            "planted: --root names the videos with text and --clean the same ones without; give both "
            "or neither"
        )
    plan = Plan(
        options.model,
        clip_of(options),
        recipe_of(options),
        options.shown,
        options.methods,
        methods_of(options),
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
