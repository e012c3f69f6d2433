"""The command ``speed``: its options, and what it says and leaves behind."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.option_groups import add_rate, whole_number

OF = {
    "methods": "every method and metric against plain passes of --model, and others' beside them",
    "memory": "memory over the number of perturbations",
    "gradcam-memory": "memory of Grad-CAM against a plain pass",
    "masks": "RISE's error over its masks, on trained networks (--runs)",
    "frames": "occlusion of a frame-wise CNN-LSTM (study B's: 30 frames of 120 x 120)",
    "rescaling": "temporal saliency rescaling of that CNN-LSTM",
    "cell": "the input-cell attention LSTM over the length of its sequence",
    "scaling": "ratios over frames, pixels, masks, clips and classes",
    "variants": "plain passes compiled, folded or in bfloat16, and what becomes of maps",
    "imports": "seconds until the package is there",
    "rate": "passes per second of --model",
}
WITH_BFLOAT16 = ("methods", "rate")
WITHOUT_CLOCK = ("memory", "gradcam-memory", "masks")


def add_speed(parser: argparse.ArgumentParser) -> None:
    """What is measured, on what, and where it is kept."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="to time")
    parser.add_argument(
        "--of",
        choices=tuple(OF),
        default="methods",
        help="; ".join(f"{name}: {words}" for name, words in OF.items()),
    )
    parser.add_argument(
        "--frames", type=whole_number(4), help="of the clip; the table's own by default"
    )
    parser.add_argument(
        "--size",
        type=whole_number(16),
        help="height and width of the clip; the table's own by default",
    )
    parser.add_argument(
        "--rounds", type=whole_number(1), default=5, help="of which medians are taken"
    )
    parser.add_argument("--bfloat16", action="store_true", help="autocast the network")
    parser.add_argument("--small", action="store_true", help="shorter sweeps (scaling)")
    parser.add_argument("--runs", nargs="+", help="folders of trained networks (masks)")
    parser.add_argument(
        "--out", help="folder of tables of one machine, to which this one is added, with its page"
    )
    add_rate(parser)


def run_command(options: argparse.Namespace) -> None:
    """Measure one table, print it, and keep it where asked."""
    import torch

    from benchmarks_kth_mad.scoreboard.results import Kept, keep_table
    from benchmarks_kth_mad.scoreboard.tables import TABLES, Asked
    from benchmarks_kth_mad.training import resolve_device

    if options.bfloat16 and options.of not in WITH_BFLOAT16:
        raise BenchmarkError(
            f"--bfloat16: for --of {' and '.join(WITH_BFLOAT16)}, not for --of {options.of}"
        )
    if (options.of == "masks") != bool(options.runs):
        raise BenchmarkError("--runs: folders of trained networks, for --of masks and it alone")
    asked = Asked(**{field.name: getattr(options, field.name) for field in fields(Asked)})
    resolve_device(asked.device)
    timed = "" if options.of in WITHOUT_CLOCK else f"medians of {asked.rounds} rounds"
    words = OF[options.of].replace("--model", asked.model)
    about = "; ".join(filter(None, (words, asked.clip_in_words(options.of), timed)))
    print(f"{options.of}: {about}; {asked.device}, torch {torch.__version__}")
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        table = TABLES[options.of](asked)
    print(table.to_markdown(index=False, floatfmt=".3f"))
    if options.out is not None:
        name = options.of + _ending(options)
        keep_table(
            Path(options.out),
            name,
            Kept(table, about, asked.command(options.of)),
            _machine(asked.device),
        )
        print(f"kept as {name} in {options.out}")


def _ending(options: argparse.Namespace) -> str:
    """What sets this table apart from the usual one of its kind."""
    marks = [options.model] if options.model != "r3d_18" else []
    if options.frames or options.size:
        marks.append("x".join(str(one) for one in (options.frames, options.size) if one))
    marks += ["bfloat16"] if options.bfloat16 else []
    return "".join(f"-{mark}" for mark in marks)


def _machine(device: str) -> dict[str, Any]:
    """What figures of a folder have in common; how fast the machine was just then is not."""
    from benchmarks_kth_mad.speed.peak import device_facts

    return {"runs on": device, **device_facts(device)}
