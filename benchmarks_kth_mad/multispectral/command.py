"""The command ``multispectral``: its options, and the study that they describe."""

import argparse
from pathlib import Path
from typing import Any

from benchmarks_kth_mad.declared import read_yaml
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import COMPAT
from benchmarks_kth_mad.multispectral.config import load_config, presets
from benchmarks_kth_mad.option_groups import add_device
from benchmarks_kth_mad.planning.command import add_dry_run, is_dry, plan_study


def add_multispectral(parser: argparse.ArgumentParser) -> None:
    """Which study, on what, and what to do otherwise."""
    parser.add_argument(
        "--config",
        default="multispectral_small",
        help=f"a YAML file, or one of {', '.join(presets())}",
    )
    parser.add_argument("--networks", nargs="+", help="only these of the config's; all by default")
    parser.add_argument("--root", help="folder with file_lists; rendered where not given")
    parser.add_argument("--out", default="runs/multispectral", help="folder for all that comes out")
    parser.add_argument(
        "--compat", choices=COMPAT, help="maps and areas as the study's code has them"
    )
    parser.add_argument(
        "--set",
        dest="changes",
        nargs="+",
        metavar="NAME=VALUE",
        default=[],
        type=_change,
        help="what to say otherwise than the config, such as maps.clips=4 fusion=[]",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="remove what --out has of a study, and start over"
    )
    add_device(parser)
    add_dry_run(parser)
    parser.set_defaults(seed=None)


def run_command(options: argparse.Namespace) -> None:
    """Run the study that the options describe."""
    from benchmarks_kth_mad import experiments
    from benchmarks_kth_mad.training import resolve_device

    changes: dict[str, Any] = {}
    for names, value in options.changes:
        place = changes
        for name in names[:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise BenchmarkError(
                    f"--set {'.'.join(names)}: {name} has a value already; change either the whole "
                    f"or its parts"
                )
        place[names[-1]] = value
    for name in ("seed", "compat"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    config = load_config(options.config, changes)
    if is_dry(options):
        wanted = config if options.networks is None else config.of_networks(options.networks)
        return plan_study(options, wanted)
    experiments.multispectral(
        config,
        options.root,
        Path(options.out),
        resolve_device(options.device),
        options.networks,
        options.fresh,
    )


def _change(text: str) -> tuple[list[str], object]:
    """Read one change of a config, for argparse."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name.split("."), read_yaml(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: the value is not YAML ({error})") from error
