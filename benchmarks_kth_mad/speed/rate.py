"""Clips per second of a network by itself: what hours are planned from."""

from collections.abc import Callable, Sequence
from statistics import median

import pandas as pd
import torch

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.models import build_model
from benchmarks_kth_mad.speed.clock import seconds_of
from benchmarks_kth_mad.speed.subject import N_CLASSES, forward, stored_for, with_backward


def rate_table(
    name: str = "r3d_18",
    device: str = "cpu",
    frames: int = 16,
    size: int = 112,
    batches: Sequence[int] = (4,),
    rounds: int = 5,
    autocast: bool = False,
) -> pd.DataFrame:
    """Time plain batches of clips, forward alone and forward with a backward pass to the clips.

    The two are run in turn, and medians of the rounds are taken. Weights are random: they do not matter
    to the time.

    Args:
        name: of `benchmarks_kth_mad.models.MODELS`.
        device: ``"cpu"`` or ``"cuda"``.
        frames: of a clip.
        size: its height and width.
        batches: clips in a batch.
        rounds: how often each batch is timed, after one that only warms up.
        autocast: bfloat16 for the network.

    Returns:
        One row per batch: clips per second forward, and those of the backward pass alone, which is what
        the two together take longer than the forward pass. On a CPU seconds are those of its cores,
        which others may share.
    """
    network = build_model(name, N_CLASSES).eval().to(device)
    rows = []
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        for count in batches:
            shapes = [(count, c, frames, size, size) for c in network.input_channels]
            clips = tuple(stored_for(network, torch.rand(shape, device=device)) for shape in shapes)
            plain, both = _median_seconds(
                (forward(network, clips), with_backward(network, clips)), rounds, device
            )
            rows.append(
                {
                    "network": name,
                    "batch": count,
                    "forward passes/s": count / plain,
                    "backward passes/s": count / (both - plain),
                }
            )
    return pd.DataFrame(rows)


def _median_seconds(works: Sequence[Callable[[], object]], rounds: int, device: str) -> list[float]:
    """Seconds of each (of CPU on a CPU), taken in turn; the first round only warms up."""
    found: list[list[float]] = []
    for _ in progress_bar(range(rounds + 1), desc="rounds"):
        clocks = [seconds_of(work, device) for work in works]
        found.append([one.cpu if device == "cpu" else one.wall for one in clocks])
    return [median(seconds) for seconds in zip(*found[1:], strict=True)]
