"""Options of the commands that run a whole study from a config."""

import argparse
from typing import Any

from benchmarks_kth_mad.declared import read_yaml
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.option_groups import add_device
from benchmarks_kth_mad.studies.config_files import presets


def add_study(parser: argparse.ArgumentParser, study: str, example: str) -> None:
    """A study's config, what to say otherwise, and where all that comes out goes.

    Args:
        parser: of the command.
        study: its name.
        example: of what to say otherwise.
    """
    parser.add_argument(
        "--config",
        default=f"{study}_small",
        help=f"a YAML file, or one of {', '.join(presets(study))}",
    )
    parser.add_argument("--networks", nargs="+", help="only these of the config's; all by default")
    parser.add_argument("--out", default=f"runs/{study}", help="folder for all that comes out")
    parser.add_argument(
        "--set",
        dest="changes",
        nargs="+",
        metavar="NAME=VALUE",
        default=[],
        type=_change,
        help=f"what to say otherwise than the config, such as {example}",
    )
    add_device(parser)
    parser.set_defaults(seed=None)


def changes_of(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """What the options of `add_study` say otherwise than the config.

    Args:
        options: as they were read.
        names: of options that go before the config where they are given, such as ``"seed"``.

    Raises:
        BenchmarkError: two changes of which one is a part of the other.
    """
    changes: dict[str, Any] = {}
    for path, value in options.changes:
        place = changes
        for name in path[:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise BenchmarkError(f"--set {'.'.join(path)}: {name} is set as a whole as well")
        place[path[-1]] = value
    given = {name: getattr(options, name) for name in names}
    return {**changes, **{name: value for name, value in given.items() if value is not None}}


def _change(text: str) -> tuple[list[str], object]:
    """Read one change of a config, for argparse."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name.split("."), read_yaml(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: the value is not YAML ({error})") from error
