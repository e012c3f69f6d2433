"""The command ``sequential``: its options, and what it does, says and leaves behind."""

import argparse
from pathlib import Path

from benchmarks_kth_mad.option_groups import add_resuming
from benchmarks_kth_mad.planning.command import add_dry_run, is_dry, plan_sequential
from benchmarks_kth_mad.studies.study_options import add_study, changes_of


def add_sequential(parser: argparse.ArgumentParser) -> None:
    """Which study, on which videos."""
    parser.add_argument("--root", help="folder of KTH's videos; rendered where not given")
    add_study(parser, "sequential", "maps.clips=4 methods=[gradient,random]")
    add_resuming(parser)
    add_dry_run(parser)


def run_command(options: argparse.Namespace) -> None:
    """Run study B; print its tables and verdicts, keep a run of each network and the pictures."""
    from benchmarks_kth_mad.errors import ClipsFailed
    from benchmarks_kth_mad.evaluation.machine import Machine
    from benchmarks_kth_mad.files import make_folder
    from benchmarks_kth_mad.sequential.config import load_config
    from benchmarks_kth_mad.sequential.experiment import run_study, start_over
    from benchmarks_kth_mad.sequential.report import write_study
    from benchmarks_kth_mad.studies.steps import by_first
    from benchmarks_kth_mad.training import resolve_device

    config = load_config(options.config, changes_of(options, "seed"))
    if options.networks is not None:
        config = config.of_networks(options.networks)
    if is_dry(options):
        return plan_sequential(options, config)
    out, machine = Path(options.out), Machine(resolve_device(options.device), options.precision)
    make_folder(out)
    if options.fresh:
        by_first(lambda: start_over(config, out))
    outcome = run_study(config, options.root, out, machine)
    text = by_first(lambda: write_study(out, outcome, config))
    where = f"runs, rows, tables and pictures in {out}, to be read from report.md"
    by_first(lambda: print(f"\n{text}\n{where}"))
    if outcome.failed:
        raise ClipsFailed("; ".join(f"{name}, {text}" for name, text in outcome.failed.items()))
