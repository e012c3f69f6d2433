"""Options that several commands share; a bad number is refused here, before anything is done."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

from benchmarks_kth_mad.console import shows_progress
from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.mad_index import SPECTRA, read_classes
from benchmarks_kth_mad.data.sampling import DEFAULT_CLIP, ClipShape
from benchmarks_kth_mad.declared import MOST
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import METRICS, UNITS
from benchmarks_kth_mad.evaluation.machine import CLIPS_PER_PASS
from benchmarks_kth_mad.methods import BASELINES, DEFAULT_METHODS, DRAWN, METHODS, Options
from benchmarks_kth_mad.models import MODELS
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.rendering.thermal import MADSettings
from benchmarks_kth_mad.runs import Source
from benchmarks_kth_mad.training import PRECISIONS, Recipe

RENDERED_ACTIONS = ("boxing", "handwaving", "running", "walking")
_OF_TRAINING = {
    "epochs": "passes over the training split",
    "batch_size": "clips of a step, over all devices together",
    "learning_rate": "peak of the schedule",
    "weight_decay": "of AdamW",
    "workers": "processes that load clips for each device; 0: none of their own",
    "devices": "of this machine to train on, a process for each, which share every batch",
    "precision": "what training computes in (in demo, maps and areas too); the test, and the network that "
    "is kept, are float32",
}


def add_run(parser: argparse.ArgumentParser, folder: str = "runs/kth") -> None:
    """Where a run's files are, and on what to compute."""
    parser.add_argument("--run", default=folder, help="folder of this run's files")
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """On what to compute."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto is cuda where there is one",
    )


def add_resuming(parser: argparse.ArgumentParser, precision: bool = True) -> None:
    """How networks run, unless training has asked that, and what becomes of results that are there."""
    if precision:
        parser.add_argument(
            "--precision",
            choices=list(PRECISIONS),
            default="float32",
            help="of the networks' passes, by autocast; maps and areas are kept in float32",
        )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="remove this command's results and start over, where it would go on with them",
    )


def add_clips_per_pass(parser: argparse.ArgumentParser) -> None:
    """How many clips are computed together."""
    parser.add_argument(
        "--clips-per-pass",
        type=whole_number(1),
        metavar="N",
        help=f"neighbours in the list of clips that are computed in one call, and dealt to one "
        f"process; {CLIPS_PER_PASS['cpu']} on a CPU and {CLIPS_PER_PASS['cuda']} on a GPU where not given. "
        f"Methods that draw ({', '.join(DRAWN)}) and superpixels take each clip by itself",
    )


def add_source(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Which data set, and how it is divided."""
    remembered = "" if required else "; as in training where not given"
    parser.add_argument("--root", required=required, help=f"folder of the data set{remembered}")
    parser.add_argument(
        "--spectrum",
        choices=SPECTRA,
        help="read the multispectral set, with file_lists in --root: infrared, visible, both pooled, "
        f"or both clips of a scene at once; KTH where not given{remembered}",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="ACTION",
        help=f"of KTH's {', '.join(ACTIONS)}, or of the other set's; all by default{remembered}",
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


def source_of(options: argparse.Namespace, known: Source | None = None) -> Source:
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


def add_render(parser: argparse.ArgumentParser, actions: Sequence[str]) -> None:
    """How much to render; what is not given, the settings know."""
    ours, theirs = RenderSettings(), MADSettings()
    for name, field, text in [
        ("persons", "persons", "different people"),
        ("sequences", "sequences", "per video, or scenes per action"),
        (
            "sequence-frames",
            "frames",
            "of a sequence; in KTH, those who travel count while in view",
        ),
        ("video-width", "width", "of the pictures; who runs is in a wide one for longer"),
    ]:
        default = f"(default: {getattr(ours, field)}; {getattr(theirs, field)} with mad)"
        parser.add_argument(
            f"--{name}", type=int, default=argparse.SUPPRESS, help=f"{text} {default}"
        )
    parser.add_argument(
        "--span",
        type=int,
        metavar="FRAMES",
        default=argparse.SUPPRESS,
        help="of a sequence in which the actor acts, somewhere in its middle two thirds; in the others "
        "he stands still, and so tells nothing of the action (default: acts in all; not with mad)",
    )
    parser.add_argument(
        "--actions",
        nargs="+",
        metavar="ACTION",
        choices=actions,
        default=argparse.SUPPRESS,
        help=f"to render (default: {', '.join(RENDERED_ACTIONS)}; all eight with mad)",
    )
    parser.add_argument(
        "--text",
        action="store_true",
        default=argparse.SUPPRESS,
        help="burn the name of the action in, in red: evidence planted for a network to cheat by, "
        "with its masks; not with mad",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Model, clips and recipe."""
    parser.add_argument(
        "--model", choices=sorted(MODELS), default="r3d_small", help="network to train"
    )
    parser.add_argument("--weights", help="published weights to start from, by torchvision's name")
    parser.add_argument(
        "--encoder",
        help="of a cnn_lstm or a pan: torchvision's name of a network, such as resnet101",
    )
    add_clip(parser, DEFAULT_CLIP)
    for recipe in fields(Recipe):
        if recipe.name not in ("seed", "device"):
            parser.add_argument(
                f"--{recipe.name.replace('_', '-')}",
                type=type(recipe.default),
                default=recipe.default,
                choices=list(PRECISIONS) if recipe.name == "precision" else None,
                help=_OF_TRAINING[recipe.name],
            )


def add_clip(parser: argparse.ArgumentParser, default: ClipShape) -> None:
    """Shape of the clips."""
    for name, length in asdict(default).items():
        parser.add_argument(f"--{name}", type=int, default=length, help="of a clip")


def recipe_of(options: argparse.Namespace) -> Recipe:
    """What `add_training` asked of the recipe."""
    return Recipe(**{one.name: getattr(options, one.name) for one in fields(Recipe)})


def clip_of(options: argparse.Namespace) -> ClipShape:
    """What `add_clip` asked."""
    return ClipShape(**{one.name: getattr(options, one.name) for one in fields(ClipShape)})


def add_attribution(parser: argparse.ArgumentParser) -> None:
    """Methods, and what they need to know."""
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=list(METHODS),
        default=list(DEFAULT_METHODS),
        help="of explaining",
    )
    parser.add_argument(
        "--clips", type=whole_number(1), default=8, help="how many clips to explain"
    )
    parser.add_argument(
        "--samples", type=whole_number(1), default=Options.n_samples, help="masks of RISE"
    )
    add_baseline(parser)
    parser.add_argument(
        "--layer", help="of Grad-CAM and SIDU; the last with frames and pixels by default"
    )


def methods_of(options: argparse.Namespace) -> Options:
    """What `add_attribution` asked of the methods."""
    return Options(
        options.layer,
        options.samples,
        options.seed,
        options.baseline,
        show_progress=shows_progress(),
    )


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """How maps are measured."""
    parser.add_argument(
        "--metrics", nargs="+", choices=list(METRICS), default=list(METRICS), help="of the maps"
    )
    parser.add_argument(
        "--unit",
        choices=UNITS,
        default="voxel",
        help="what comes in or goes at once; a segment is four frames, superpixels are about 200 "
        "patches of a clip",
    )
    parser.add_argument(
        "--steps", type=whole_number(1), default=50, help="of insertion and deletion"
    )


def add_rate(parser: argparse.ArgumentParser) -> None:
    """Whose passes are timed, and how many clips at once."""
    parser.add_argument(
        "--model", choices=sorted(MODELS), default="r3d_18", help="whose passes are timed (rate)"
    )
    parser.add_argument(
        "--batches",
        type=whole_number(1),
        nargs="+",
        help="of so many clips each (rate); 4 on a CPU and 32 on a GPU where not given",
    )


def add_baseline(parser: argparse.ArgumentParser) -> None:
    """What hides."""
    parser.add_argument(
        "--baseline", choices=list(BASELINES), default=Options.baseline, help="what hides"
    )


def whole_number(least: int) -> Callable[[str], int]:
    """Read a whole number of at least ``least``, for argparse."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= MOST:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} to {MOST}, got {text!r}"
            )
        return number

    return read
