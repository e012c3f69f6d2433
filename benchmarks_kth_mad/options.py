"""What can be said on the command line, command by command."""

import argparse
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import NoReturn

from benchmarks_kth_mad.boxes.networks import NETWORKS
from benchmarks_kth_mad.boxes.series import LAYOUTS
from benchmarks_kth_mad.boxes.training import BoxRecipe
from benchmarks_kth_mad.cards.command import add_cards
from benchmarks_kth_mad.checks.command import add_checks
from benchmarks_kth_mad.completion.command import add_completion
from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.sampling import DEFAULT_CLIP
from benchmarks_kth_mad.download.command import add_download
from benchmarks_kth_mad.errors import on_one_line
from benchmarks_kth_mad.models.studies import STUDY_CLIPS
from benchmarks_kth_mad.models.study_checkpoints import STUDY_MEAN, STUDY_STD
from benchmarks_kth_mad.multispectral.command import add_multispectral
from benchmarks_kth_mad.option_groups import (
    add_attribution,
    add_baseline,
    add_clips_per_pass,
    add_device,
    add_metrics,
    add_render,
    add_resuming,
    add_run,
    add_source,
    add_training,
    whole_number,
)
from benchmarks_kth_mad.places import FLOWS
from benchmarks_kth_mad.planning.command import add_dry_run, add_plan
from benchmarks_kth_mad.planted.command import add_planted
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS
from benchmarks_kth_mad.scoreboard.command import add_speed
from benchmarks_kth_mad.sequential.command import add_sequential
from benchmarks_kth_mad.versions import SCRIPT, versions


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the options, and leaves with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{on_one_line(f'{self.prog}: error: {message} (see --help)')}\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; what it returns names the command in ``command``."""
    called = Path(sys.argv[0]).name
    parser = _Parser(
        prog=SCRIPT if called == SCRIPT else "python -m benchmarks_kth_mad",
        description="Train on action clips, explain what was learned, and measure the maps.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=versions(),
        help="say which versions these are, and leave",
    )
    names = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, text: str, seed: bool = True) -> argparse.ArgumentParser:
        one = names.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        one.add_argument("--quiet", action="store_true", help="say nothing but errors")
        if seed:
            one.add_argument("--seed", type=whole_number(0), default=0, help="of everything random")
        return one

    render = add(
        "render", "write a synthetic set in a real set's file layout, with masks of the actor"
    )
    render.add_argument("--root", required=True, help="folder to write")
    render.add_argument("--overwrite", action="store_true", help="replace what is there")
    render.add_argument(
        "--layout",
        choices=("kth", "mad"),
        default="kth",
        help="KTH's videos, or the multispectral set's pictures, infrared and visible",
    )
    add_render(render, tuple(dict.fromkeys((*ACTIONS, *MAD_ACTIONS))))

    add_download(add("download", "fetch a real set from its own server, checked and unpacked"))

    train = add("train", "train a network on the training split and test it once")
    add_source(train, required=True)
    add_training(train)
    add_resuming(train, precision=False)
    add_run(train)

    _add_import(add("import-study", "take a network that one of the studies trained, test it once"))

    predict = add("predict", "classify the clips of a split")
    add_source(predict)
    predict.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="whose clips to classify",
    )
    add_run(predict)

    attribute = add("attribute", "explain clips of the test split by every method")
    add_source(attribute)
    add_attribution(attribute)
    add_resuming(attribute)
    add_clips_per_pass(attribute)
    add_run(attribute)
    add_dry_run(attribute)

    evaluate = add("evaluate", "measure the maps by insertion and deletion")
    add_metrics(evaluate)
    add_baseline(evaluate)
    add_resuming(evaluate)
    add_clips_per_pass(evaluate)
    add_run(evaluate)
    add_dry_run(evaluate)

    motion = add(
        "motion", "compare the maps with optical flow, and draw them frame by frame and over time"
    )
    motion.add_argument("--flow", choices=FLOWS, default="farneback", help="estimated by")
    motion.add_argument(
        "--moving", type=float, default=0.5, help="pixels per frame above which a pixel moves"
    )
    motion.add_argument("--pictures", type=whole_number(0), default=2, help="clips to draw")
    add_baseline(motion)
    add_run(motion)

    report = add("report", "print the tables, draw the pictures, write the report and its page")
    _add_pictures(report)
    add_run(report)

    demo = add("demo", "all of them, small: render (without --root), train, explain, measure")
    add_source(demo)
    add_render(demo, ACTIONS)
    add_training(demo)
    add_attribution(demo)
    add_metrics(demo)
    add_resuming(demo, precision=False)
    add_clips_per_pass(demo)
    _add_pictures(demo)
    add_run(demo, folder="runs/demo")

    add_speed(
        add("speed", "measure how near the methods come to plain passes, and keep the tables")
    )

    convergence = add("convergence", "print RISE's error over the number of masks, by estimator")
    convergence.add_argument("--clips", type=whole_number(1), default=2, help="of those explained")
    convergence.add_argument(
        "--counts", type=whole_number(1), nargs="+", default=[100, 250, 500, 1000], help="of masks"
    )
    convergence.add_argument(
        "--converged",
        type=whole_number(1),
        default=6000,
        help="masks of the map that counts as true",
    )
    convergence.add_argument("--out", help="file for the table, as CSV")
    add_baseline(convergence)
    add_run(convergence)

    add_multispectral(
        add(
            "multispectral", "repeat study A: networks trained on infrared, visible or both spectra"
        )
    )
    add_sequential(
        add("sequential", "repeat study B: when a recurrent network sees, and what moves there")
    )
    add_planted(
        add("planted", "train on clips that name their class, and see which methods find the text")
    )
    _add_boxes(add("boxes", "print the input-cell paper's table of box series beside ours"))
    add_checks(add("checks", "ask every method every check, and tell which checks to trust"))
    add_cards(add("cards", "write a card for every attribution class from the figures of checks"))
    add_plan(add("plan", "print what explaining and measuring takes: passes, bytes and hours"))
    add_completion(
        add("completion", f"print a shell's completion of {SCRIPT}'s options", seed=False),
        parser,
    )
    return parser


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pictures", type=whole_number(0), default=2, help="clips to draw")
    parser.add_argument(
        "--html-clips", type=whole_number(0), default=4, help="clips in the page's player"
    )


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        choices=list(STUDY_CLIPS),
        default="cnn-lstm",
        help="of the walking-running study (cnn-lstm), or of the multispectral one",
    )
    parser.add_argument(
        "--checkpoint",
        nargs="+",
        required=True,
        help="its file; of pan-full the files of both streams, RGB first",
    )
    add_source(parser, required=True)
    for name in asdict(DEFAULT_CLIP):
        parser.add_argument(f"--{name}", type=int, help="of a clip; the study's where not given")
    for name, default in (("mean", STUDY_MEAN), ("std", STUDY_STD)):
        parser.add_argument(
            f"--{name}",
            type=float,
            nargs="+",
            help=f"of the cnn-lstm's input, by channel; {default} where not given",
        )
    parser.add_argument(
        "--no-attention",
        dest="attention",
        action="store_false",
        help="leave the cnn-lstm's attention out, which in the study's code does nothing",
    )
    add_run(parser)


def _add_boxes(parser: argparse.ArgumentParser) -> None:
    for name, choices, text in (
        ("layouts", LAYOUTS, "where in a series the boxes are"),
        ("networks", NETWORKS, "what to train on them"),
    ):
        parser.add_argument(
            f"--{name}", nargs="+", choices=list(choices), default=list(choices), help=text
        )
    for recipe in fields(BoxRecipe):
        parser.add_argument(
            f"--{recipe.name.replace('_', '-')}",
            type=type(recipe.default),
            help=f"of training; {recipe.default} in the paper, each network's own where not given",
        )
    for name in ("train", "test"):
        parser.add_argument(
            f"--{name}-series",
            type=whole_number(1),
            help="how many; as in the paper where not given",
        )
    parser.add_argument("--out", help="folder for rows, table, maps and picture; may hold others")
    add_device(parser)
