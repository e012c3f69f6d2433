"""The command ``plan``, and ``--dry-run`` of other commands: what they would take, and nothing is done."""

import argparse
from dataclasses import fields
from pathlib import Path

from benchmarks_kth_mad.choice import by_turns
from benchmarks_kth_mad.commands import checkpoint_of
from benchmarks_kth_mad.data.sampling import DEFAULT_CLIP, ClipShape
from benchmarks_kth_mad.data.sets import check_inputs
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.machine import CLIPS_PER_PASS
from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.models import MODELS
from benchmarks_kth_mad.multispectral.config import StudyConfig
from benchmarks_kth_mad.option_groups import add_attribution, add_clip, add_metrics, whole_number
from benchmarks_kth_mad.planning.cost import Subject
from benchmarks_kth_mad.planning.kept import kept_maps, kept_rows, maps_there
from benchmarks_kth_mad.planning.of_multispectral import study_plan
from benchmarks_kth_mad.planning.of_run import attribution_plan, evaluation_plan
from benchmarks_kth_mad.planning.of_sequential import sequential_plan
from benchmarks_kth_mad.planning.plan import Devices, Plan, plan_text
from benchmarks_kth_mad.runs import Run, Source
from benchmarks_kth_mad.sequential.config import SequentialConfig
from benchmarks_kth_mad.training import resolve_device


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Ask for the plan instead of the work."""
    parser.add_argument(
        "--dry-run", action="store_true", help="say what it will take, compute and write nothing"
    )
    _add_devices(parser, " with --dry-run:")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """A network, its clips, and what is asked of them; no file is needed."""
    parser.add_argument("--model", choices=sorted(MODELS), default="r3d_18", help="to plan for")
    parser.add_argument("--encoder", help="of a cnn_lstm or a pan")
    add_clip(parser, DEFAULT_CLIP)
    add_attribution(parser)
    add_metrics(parser)
    _add_devices(parser, "")


def _add_devices(parser: argparse.ArgumentParser, when: str) -> None:
    parser.add_argument(
        "--rate",
        type=_rate,
        nargs="+",
        metavar="PASSES",
        help=f"{when} forward passes per second of one device, and backward ones where there are "
        f"any; prints hours (speed --of rate measures both)".strip(),
    )
    parser.add_argument(
        "--shards",
        type=whole_number(1),
        default=1,
        help=f"{when} devices that clips are dealt over".strip(),
    )


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"expected passes per second, above 0, got {text!r}")
    return rate


def is_dry(options: argparse.Namespace) -> bool:
    """Whether only the plan is asked for."""
    return bool(vars(options).get("dry_run"))


def plan_attribution(options: argparse.Namespace, run: Run, source: Source, asked: Options) -> None:
    """Say what ``attribute`` would take."""
    checkpoint = checkpoint_of(run)
    dataset = source.dataset("test", checkpoint.clip)
    check_inputs(dataset, len(checkpoint.model.input_channels), checkpoint.name)
    subject = Subject.of(checkpoint.model, checkpoint.clip)
    chosen = by_turns(dataset, options.clips)
    names = [dataset.records[place].name for place in chosen]
    finished = {} if options.fresh else kept_maps(run, names, options.methods, asked)
    n_together = _clips_per_pass(options)
    _say(
        options,
        attribution_plan(subject, options.methods, asked, len(names), finished, n_together),
    )


def plan_evaluation(options: argparse.Namespace, run: Run) -> None:
    """Say what ``evaluate`` would take, of the maps that are there."""
    checkpoint = checkpoint_of(run)
    subject = Subject.of(checkpoint.model, checkpoint.clip)
    finished = {} if options.fresh else kept_rows(run, options.metrics, _played(options))
    maps = maps_there(run)
    played, n_together = _played(options), _clips_per_pass(options)
    _say(options, evaluation_plan(subject, maps, options.metrics, played, finished, n_together))


def plan_study(options: argparse.Namespace, config: StudyConfig) -> None:
    """Say what ``multispectral`` would take."""
    _say(options, study_plan(config, options.root, Path(options.out)))


def plan_sequential(options: argparse.Namespace, config: SequentialConfig) -> None:
    """Say what ``sequential`` would take from the beginning."""
    _say(options, sequential_plan(config, options.root))


def run_command(options: argparse.Namespace) -> None:
    """Say what ``attribute`` and ``evaluate`` would take of a network that is only named."""
    clip = ClipShape(**{one.name: getattr(options, one.name) for one in fields(ClipShape)})
    settings = {} if options.encoder is None else {"encoder": options.encoder}
    subject = Subject.named(options.model, clip, settings)
    asked = Options(options.layer, options.samples, options.seed, options.baseline)
    _say(options, attribution_plan(subject, options.methods, asked, options.clips))
    print()
    maps = dict.fromkeys(options.methods, options.clips)
    _say(options, evaluation_plan(subject, maps, options.metrics, _played(options)))


def _clips_per_pass(options: argparse.Namespace) -> int:
    return options.clips_per_pass or CLIPS_PER_PASS[resolve_device(options.device)]


def _played(options: argparse.Namespace) -> Played:
    return Played(options.unit, options.steps, options.baseline)


def _say(options: argparse.Namespace, plan: Plan) -> None:
    rates = options.rate or []
    if len(rates) > 2:
        raise BenchmarkError(
            f"--rate: expected forward and backward passes, got {len(rates)} numbers"
        )
    forward, backward = (*rates, None, None)[:2]
    print(plan_text(plan, Devices(forward, backward, options.shards)))
