"""The command ``checks``: its options, and what it does, says and leaves behind."""

import argparse
from pathlib import Path

from benchmarks_kth_mad.checks.catalogue import CHECKS
from benchmarks_kth_mad.commands import checkpoint_of
from benchmarks_kth_mad.methods import METHODS, Options
from benchmarks_kth_mad.option_groups import add_baseline, add_run, whole_number
from benchmarks_kth_mad.runs import Run
from benchmarks_kth_mad.training import resolve_device


def add_checks(parser: argparse.ArgumentParser) -> None:
    """How much is asked, of whom."""
    parser.add_argument(
        "--methods", nargs="+", choices=list(METHODS), help="all that suit the network by default"
    )
    parser.add_argument(
        "--checks", nargs="+", choices=list(CHECKS), help="all that the data allow by default"
    )
    parser.add_argument(
        "--clips",
        type=whole_number(1),
        default=16,
        help="of the test split; checks that explain anew ask a quarter of them",
    )
    parser.add_argument("--span-run", help="run trained on a set that was rendered with --span")
    parser.add_argument("--planted", help="folder with the rows of the command planted")
    parser.add_argument(
        "--out", help="folder for all that comes out; checks in the run's by default"
    )
    parser.add_argument("--samples", type=whole_number(1), default=200, help="masks of RISE")
    parser.add_argument(
        "--steps", type=whole_number(1), default=20, help="of insertion and deletion"
    )
    parser.add_argument(
        "--random-maps", type=whole_number(1), default=3, help="that stand for chance"
    )
    parser.add_argument(
        "--layer", help="of Grad-CAM and SIDU; the last with frames and pixels by default"
    )
    add_baseline(parser)
    add_run(parser)


def run_command(options: argparse.Namespace) -> None:
    """Ask every method every check, print the report, keep all."""
    from benchmarks_kth_mad.checks.bench import Settings, bench_of
    from benchmarks_kth_mad.checks.costs import cost_table
    from benchmarks_kth_mad.checks.experiment import Plan, Trained, run_checks
    from benchmarks_kth_mad.checks.report import write_checks

    run = Run(options.run)
    asked = Options(
        options.layer,
        options.samples,
        options.seed,
        options.baseline,
        show_progress=False,
    )
    settings = Settings(asked, options.steps, options.random_maps, resolve_device(options.device))
    plan = Plan(options.methods, options.checks, options.clips, settings)

    def trained(one: Run) -> Trained:
        checkpoint = checkpoint_of(one)
        return Trained(checkpoint, one.load_manifest().source.dataset("test", checkpoint.clip))

    here = trained(run)
    span_run = None if options.span_run is None else trained(Run(options.span_run))
    planted = None if options.planted is None else Path(options.planted)
    outcome = run_checks(here, plan, span_run, planted)
    first = bench_of(here.checkpoint, here.dataset, 1, settings)
    methods = [name for name in outcome.rows["method"].unique() if name in METHODS]
    costs = cost_table(first, methods)
    out = run.folder / "checks" if options.out is None else Path(options.out)
    print(write_checks(out, outcome, costs, run.load_manifest(), plan))
    print(f"rows, tables, picture and report in {out}")
