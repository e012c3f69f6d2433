"""Plans of the commands that explain and measure: of a run, or of a network that is only named."""

from collections.abc import Mapping, Sequence

from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.planning.cost import Subject
from benchmarks_kth_mad.planning.metric_passes import metric_cost, points_of
from benchmarks_kth_mad.planning.passes import method_cost
from benchmarks_kth_mad.planning.plan import Part, Plan
from benchmarks_kth_mad.planning.sizes import clip_bytes, map_bytes, row_bytes

PREDICTION = "(predicted class)"
FRAME_WISE = (
    "a pass of this network is the encoder's passes of as many frames as a clip has; frames that a "
    "mask leaves alone are not encoded again, and the head's passes are counted apart"
)
TOGETHER = (
    "of clips that are computed together these are at most so many passes: they share the one that looks "
    "for a layer, and those of frames that are the same in all of them"
)


def attribution_plan(
    subject: Subject,
    methods: Sequence[str],
    options: Options,
    n_clips: int,
    finished: Mapping[str, int] | None = None,
    clips_per_pass: int = 1,
) -> Plan:
    """What ``attribute`` will take.

    Args:
        subject: the network, and its clips.
        methods: of `benchmarks_kth_mad.methods.METHODS`.
        options: of the methods.
        n_clips: clips to explain.
        finished: by method, of how many clips the maps are there already.
        clips_per_pass: clips that are computed together.

    Raises:
        BenchmarkError: a method that does not suit the network.
    """
    done = dict(finished or {})
    parts = [
        Part(name, n_clips, method_cost(subject, name, options), finished=done.get(name, 0))
        for name in dict.fromkeys(methods)
    ]
    # a clip of which all maps are there is not looked at again
    predicted = min((part.finished for part in parts), default=0)
    first = Part(PREDICTION, n_clips, subject.plain(1), finished=predicted)
    maps = n_clips * len(parts)
    return Plan(
        f"attribute: {n_clips:,} clips by {len(parts)} methods, {_shape(subject)}",
        [first, *parts],
        {
            f"{maps:,} maps, float32, {map_bytes(subject):,} bytes each": maps * map_bytes(subject),
            f"{n_clips:,} clips, uint8, {clip_bytes(subject):,} bytes each": n_clips
            * clip_bytes(subject),
        },
        notes=_notes(subject, clips_per_pass),
    )


def evaluation_plan(
    subject: Subject,
    maps: Mapping[str, int],
    metrics: Sequence[str],
    played: Played,
    finished: Mapping[tuple[str, str], int] | None = None,
    clips_per_pass: int = 1,
) -> Plan:
    """What ``evaluate`` will take.

    Args:
        subject: the network, and its clips.
        maps: by method, how many there are, one for a clip.
        metrics: of `benchmarks_kth_mad.evaluation.METRICS`.
        played: unit, steps and baseline.
        finished: by metric and method, how many rows are there already.
        clips_per_pass: clips that are computed together.

    Raises:
        BenchmarkError: an unknown metric or unit.
    """
    done = dict(finished or {})
    parts = [
        Part(
            f"{metric} of {method}",
            n_maps,
            metric_cost(subject, metric, played),
            finished=done.get((metric, method), 0),
        )
        for metric in dict.fromkeys(metrics)
        for method, n_maps in maps.items()
    ]
    rows = sum(part.clips for part in parts)
    points = max(points_of(subject, metric, played) for metric in metrics)
    each = row_bytes(points, played.unit)
    return Plan(
        f"evaluate: {len(maps)} maps of {max(maps.values(), default=0):,} clips by {len(set(metrics))} "
        f"metrics, by {played.unit} in at most {points - 1} steps, {_shape(subject)}",
        parts,
        {
            f"{rows:,} rows with curves of {points} points, Parquet, {each:,.0f} bytes each": rows
            * each
        },
        notes=_notes(subject, clips_per_pass),
    )


def _shape(subject: Subject) -> str:
    clip = subject.clip
    channels = " + ".join(map(str, subject.model.input_channels))
    return f"clips of {channels} x {clip.frames} x {clip.height} x {clip.width}"


def _notes(subject: Subject, clips_per_pass: int) -> list[str]:
    return [FRAME_WISE] * subject.is_frame_wise + [TOGETHER] * (clips_per_pass > 1)
