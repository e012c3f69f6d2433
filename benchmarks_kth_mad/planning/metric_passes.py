"""Forward passes of insertion and deletion, for one map of one clip."""

from math import prod

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.measuring import METRICS, UNITS, Played
from benchmarks_kth_mad.planning.cost import AT_MOST, EXACT, Cost, Subject
from benchmarks_kth_mad.planning.passes import WITNESS, default_of
from captum_video.clips import Extent


def metric_cost(subject: Subject, metric: str, played: Played) -> Cost:
    """What it takes to measure one map: a pass for each step, and one before the first.

    Raises:
        BenchmarkError: an unknown metric or unit.
    """
    unit = played.unit
    if metric not in METRICS or unit not in UNITS:
        raise BenchmarkError(
            f"{metric} by {unit}: expected one of {', '.join(METRICS)} by one of {', '.join(UNITS)}"
        )
    points = points_of(subject, metric, played)
    sure, why = EXACT, ""
    if unit == "superpixel":
        sure, why = AT_MOST, "no more steps than superpixels"
    if not subject.is_frame_wise:
        cost = subject.plain(points)
        return Cost(cost.forward, cost.backward, cost.heads, sure, why)
    known = subject.frames + subject.baseline_frames(played.baseline) + WITNESS
    if _block(subject, metric, unit)[1:] == (subject.clip.height, subject.clip.width):
        return subject.encoded(known, heads=points)
    changed = (points - 2) * subject.frames  # all but the first and the last
    return subject.encoded(
        known + changed,
        heads=points,
        sure=AT_MOST,
        why="frames that a step shows or hides whole need none",
    )


def points_of(subject: Subject, metric: str, played: Played) -> int:
    """Points of a curve, both ends counted; of superpixels at most so many."""
    if played.unit == "superpixel":
        return 1 + played.n_steps
    extent = (subject.clip.frames, subject.clip.height, subject.clip.width)
    block = _block(subject, metric, played.unit)
    units = prod(-(-length // size) for length, size in zip(extent, block, strict=True))
    return 1 + min(played.n_steps, units * len(subject.model.input_channels))


def _block(subject: Subject, metric: str, unit: str) -> Extent:
    """Frames, height and width of what comes in or goes at once; of a superpixel the least."""
    clip = subject.clip
    if unit == "frame":
        return Extent(1, clip.height, clip.width)
    if unit == "segment":
        length = default_of(METRICS[metric], "segment_length")
        return Extent(min(length, clip.frames), clip.height, clip.width)
    if unit == "cell":
        cell = default_of(METRICS[metric], "cell_shape")
        return Extent(*map(min, cell, (clip.frames, clip.height, clip.width)))
    return Extent(1, 1, 1)
