"""What can be said on the command line; nothing heavy is imported."""

import argparse
import math
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from captum_video._version import __version__
from captum_video.app.errors import on_one_line

SCRIPT = "captum-video"
DESCRIPTION = """\
Where and when in a video a network sees its class: writes a filmstrip, an overlay video (MP4) and
the map (NPZ) of each method.

  python -m captum_video --example
  python -m captum_video walk.mp4 --model r3d_18
  python -m captum_video walk.mp4 --model mobilenet_v2 --target cab --start 1.5 --method gradcam rise
  python -m captum_video walk.mp4 --model my_package.networks:trained --target 3 --size 112"""
EPILOG = """\
files in the folder of --out; those of an earlier run are replaced
  filmstrip.png  the clip and a row for each method; open it first
  METHOD.mp4     the map over the clip, as fast as the clip; METHOD.gif with --gif
  METHOD.npz     numpy.load reads: map (T, H, W) float32; painted_from, the value below which nothing
                 is painted; times (T,) in seconds; target, target_name, score (what the network says),
                 probability; video, network, layer; frame_rate, start, window_of_frame (top, left,
                 height, width in the resized frame), resized (height, width); options and versions
                 as JSON, to make it again"""
METHODS = {
    "gradcam": "where features of a layer raise the score; one pass",
    "occlusion": "how far the score falls where a window is hidden",
    "rise": "the score to expect where a place is kept, by random masks",
    "sidu": "which places the maps of a layer agree on; a pass for each map",
    "extremal": "in how many of the best regions, one of every size, a place lies",
    "tsr": "how far the gradient moves when a frame, then a tile of it, is hidden",
}
BASELINES = ("zero", "channel_mean", "frame_mean", "spatial_blur")


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the options, and leaves with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"captum_video: {on_one_line(message)} (see --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    called = Path(sys.argv[0]).name
    parser = _Parser(
        prog=SCRIPT if called == SCRIPT else "python -m captum_video",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=", ".join(versions()))
    _add_network(parser)
    _add_clip(parser)
    _add_method(parser)
    _add_output(parser)
    return parser


def versions() -> list[str]:
    """This package, and what decides the numbers, each with its version."""
    told = [f"captum_video {__version__}"]
    for name in ("captum", "torch", "torchvision"):
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            told.append(f"{name} absent")
    return told


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is explained")
    group.add_argument("video", metavar="VIDEO", nargs="?", help="the video file")
    group.add_argument(
        "--example",
        action="store_true",
        help="the installed street video and MobileNetV2 instead, its class cab: needs no network "
        "connection, but captum-video[examples]",
    )
    group.add_argument(
        "--model",
        metavar="NAME|MODULE:FACTORY",
        help="a classification network of torchvision, of videos (r3d_18) or of pictures "
        "(mobilenet_v2: run on every frame, scores averaged); or a function without arguments, or a "
        "module, of your own: a network of clips (N, 3, T, H, W) in [0, 1], put into eval mode. "
        "MODULE may lie in the current folder",
    )
    group.add_argument(
        "--weights",
        metavar="NAME|FILE|none",
        help="of torchvision's network: the name of its weights, DEFAULT (the default; downloads "
        "once), a file of a state dict, or none: random numbers",
    )
    group.add_argument(
        "--target", metavar="CLASS", help="index or name; by default what the network says"
    )
    group.add_argument("--device", help="by default cuda where there is one, else cpu")


def _add_clip(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "the clip; by default as the network was trained, where known"
    )
    group.add_argument("--start", type=_from_zero, metavar="S", help="seconds; 0")
    group.add_argument("--frames", type=_count, metavar="N", help="16 where nothing is known")
    group.add_argument(
        "--rate",
        type=_above_zero,
        metavar="R",
        help="frames per second; 8 where nothing is known, more where the video is too short",
    )
    size = group.add_mutually_exclusive_group()
    size.add_argument(
        "--size",
        type=_size,
        metavar="N|HxW",
        help="pixels of the short side, the frame kept whole, or of height and width; 112 where "
        "nothing is known",
    )
    size.add_argument(
        "--whole-frame",
        action="store_true",
        help="do not cut the middle out, but make the frame's short side as long as its side",
    )


def _add_method(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the methods")
    group.add_argument(
        "--method",
        nargs="+",
        choices=METHODS,
        default=["gradcam"],
        metavar="METHOD",
        help="; ".join(f"{name} ({told})" for name, told in METHODS.items()),
    )
    group.add_argument(
        "--layer",
        metavar="NAME",
        help="for gradcam and sidu; by default the last that keeps frames and pixels",
    )
    group.add_argument("--list-layers", action="store_true", help="show the layers, and stop")
    group.add_argument(
        "--baseline",
        choices=BASELINES,
        default="zero",
        help="what hides, for all but gradcam; zero, which is black, by default",
    )
    group.add_argument("--masks", type=_count, default=200, metavar="N", help="of rise; 200")
    group.add_argument(
        "--window",
        type=_window,
        metavar="TxHxW",
        help="of occlusion, moved by half of itself; a quarter of the frames and a sixth of the "
        "sides by default. A tile of tsr is as high and wide",
    )
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of rise, extremal, random weights; 0"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--out", type=Path, default=Path("captum_video_out"), metavar="FOLDER", help="%(default)s"
    )
    group.add_argument("--gif", action="store_true", help="a GIF of each method as well")
    group.add_argument(
        "--opacity", type=_share, default=0.6, metavar="A", help="of the strongest evidence; 0.6"
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="bars; by default in a terminal",
    )
    group.add_argument("--traceback", action="store_true", help="show where an error comes from")


def _number(text: str, fits: Callable[[float], bool], expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not fits(number):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number


def _from_zero(text: str) -> float:
    return _number(text, lambda one: 0 <= one < math.inf, "a number from 0 on")


def _above_zero(text: str) -> float:
    return _number(text, lambda one: 0 < one < math.inf, "a number above 0")


def _share(text: str) -> float:
    return _number(text, lambda one: 0 <= one <= 1, "a number from 0 to 1")


def _count(text: str) -> int:
    numbers = _whole_numbers(text)
    if len(numbers) != 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return numbers[0]


def _size(text: str) -> int | tuple[int, int]:
    numbers = _whole_numbers(text)
    if len(numbers) > 2:
        raise argparse.ArgumentTypeError(f"expected pixels N or HxW, got {text!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _window(text: str) -> tuple[int, int, int]:
    numbers = _whole_numbers(text)
    if len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"expected frames, height and width TxHxW, got {text!r}")
    return numbers[0], numbers[1], numbers[2]


def _whole_numbers(text: str) -> list[int]:
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected whole numbers above 0, got {text!r}")
    return [int(part) for part in parts]
