"""The command ``multispectral``: its options, and the study that they describe."""

import argparse
from pathlib import Path

from benchmarks_kth_mad.methods import COMPAT
from benchmarks_kth_mad.planning.command import add_dry_run, is_dry, plan_study
from benchmarks_kth_mad.studies.study_options import add_study, changes_of


def add_multispectral(parser: argparse.ArgumentParser) -> None:
    """Which study, on what, and what to do otherwise."""
    parser.add_argument("--root", help="folder with file_lists; rendered where not given")
    parser.add_argument(
        "--compat", choices=COMPAT, help="maps and areas as the study's code has them"
    )
    add_study(parser, "multispectral", "maps.clips=4 fusion=[]")
    parser.add_argument(
        "--fresh", action="store_true", help="remove what --out has of a study, and start over"
    )
    add_dry_run(parser)


def run_command(options: argparse.Namespace) -> None:
    """Run the study that the options describe."""
    from benchmarks_kth_mad import experiments
    from benchmarks_kth_mad.multispectral.config import load_config
    from benchmarks_kth_mad.training import resolve_device

    config = load_config(options.config, changes_of(options, "seed", "compat"))
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
