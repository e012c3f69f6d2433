"""How near methods and metrics come to the floor: the passes that they can not do without.

Every figure is a ratio to the time of as many clips in plain passes of the same network, taken in turn
in one process, because absolute seconds on a shared machine mean nothing.
"""

import math
from dataclasses import replace

import pandas as pd
import torch

from benchmarks_kth_mad.speed.clock import Ratios, Work, interleaved
from benchmarks_kth_mad.speed.peak import forward_flops, matrix_peak
from benchmarks_kth_mad.speed.peers import peer_works
from benchmarks_kth_mad.speed.subject import BACKWARD, BATCHED, SINGLE, subject_of
from benchmarks_kth_mad.speed.works import own_works

OURS, THEIRS, PLAIN = "captum_video", "others", "plain"
PLAIN_PASSES = (SINGLE, BACKWARD)


def ratio_table(
    name: str = "r3d_18",
    device: str = "cpu",
    frames: int = 16,
    size: int = 112,
    rounds: int = 5,
    autocast: bool = False,
    others: bool = True,
) -> pd.DataFrame:
    """Time a network in every method and metric against its plain passes.

    Perturbation methods and metrics stand against a clip of a plain batch; methods that go down a
    gradient, against such a clip forward and backward; what looks once, or makes no pass at all,
    against one clip alone.

    Args:
        name: of `benchmarks_kth_mad.models.MODELS`.
        device: ``"cpu"`` or ``"cuda"``.
        frames: of the clip.
        size: its height and width.
        rounds: how often everything is timed, each between two runs of its floor; medians are
            reported.
        autocast: bfloat16 for the network, in the floors as well.
        others: time the same work of Captum and of what else is installed, which takes longer.

    Returns:
        One row per work: by whom, its floor, passes (counted; of a network that reads frame by frame
        encoded frames over T; 0 where there is none, and the ratio is that of the whole to one clip),
        time per pass over that of the floor (wall clock, and CPU time where the work is done there)
        with quartiles over rounds, clips and floating-point operations per second (forward passes
        only), and which share these are of the fastest matrix product measured here.
    """
    subject = subject_of(name, device, frames, size)
    dtype = torch.bfloat16 if autocast else torch.float32
    before = matrix_peak(
        device, dtype
    )  # and after: a shared machine is not equally fast all the time
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        floors = subject.floors()
        works = {(PLAIN, floor): replace(floors[floor], floor=BATCHED) for floor in PLAIN_PASSES}
        works |= {(OURS, work): one for work, one in own_works(subject).items()}
        if others:
            works |= {(THEIRS, work): one for work, one in peer_works(subject).items()}
        by_floor = dict(sorted(works.items(), key=lambda item: list(floors).index(item[1].floor)))
        found = interleaved(by_floor, floors, device, rounds)
    gflops = forward_flops(subject.model, subject.clips) / 1e9
    peak = max(before, matrix_peak(device, dtype)) / 1e9
    rows = [_row(by, work, one, found[by, work], gflops, peak) for (by, work), one in works.items()]
    table = pd.DataFrame(rows)
    return table if device == "cpu" else table.drop(columns="CPU / floor")


def _row(
    by: str, work: str, one: Work, found: Ratios, gflops: float, peak: float
) -> dict[str, object]:
    rate = 1 / found.seconds if one.passes else math.nan
    speed = math.nan if BACKWARD in (one.floor, work) else gflops * rate
    return {
        "work": work,
        "by": by,
        "floor": one.floor,
        "passes": one.passes,
        "wall / floor": found.wall,
        "CPU / floor": found.cpu,
        "low": found.quartiles[0],
        "high": found.quartiles[1],
        "clips/s": rate,
        "GFLOP/s": speed,
        "of matrix peak": speed / peak,
    }
