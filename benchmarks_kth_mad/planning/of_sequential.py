"""The plan of study B: each network's training, and all that its run is asked."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks_kth_mad.data.kth_index import SEQUENCE_SPLIT
from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.methods import lacking
from benchmarks_kth_mad.planning.cost import Subject
from benchmarks_kth_mad.planning.of_run import attribution_plan, evaluation_plan
from benchmarks_kth_mad.planning.plan import Part, Plan
from benchmarks_kth_mad.rendering.rendered_set import split_persons
from benchmarks_kth_mad.runs import Source
from benchmarks_kth_mad.sequential.config import SequentialConfig
from benchmarks_kth_mad.studies.config_files import NetworkPlan


def sequential_plan(config: SequentialConfig, root: str | None) -> Plan:
    """What ``sequential`` will take where nothing of it is there yet.

    Args:
        config: the study.
        root: folder of the data set; None for the one that would be rendered.

    Raises:
        BenchmarkError: no such set, or a network or method that is refused.
    """
    parts: list[Part] = []
    kept: dict[str, float] = {}
    for network, plan in config.networks.items():
        subject = Subject.named(network, plan.clip, plan.settings)
        tested = clips_in(config, plan, root, "test")
        trained = clips_in(config, plan, root, "train")
        epochs = plan.recipe.epochs
        every = [
            Part("training", trained, subject.plain(epochs, epochs)),
            Part("test after training, and prediction", tested, subject.plain(2)),
        ]
        for one in _plans_of_maps(subject, config, min(config.maps.clips, tested)):
            every += one.parts
            for name, size in one.kept.items():
                kept[name] = kept.get(name, 0) + size
        parts += [replace(part, network=network) for part in every]
    return Plan(
        f"sequential: {len(config.networks)} networks",
        parts,
        kept,
        notes=[
            "a backward pass of a training goes to the weights as well",
            "optical flow, and the saliency over time that is drawn beside it, are left out",
        ],
    )


def _plans_of_maps(subject: Subject, config: SequentialConfig, n_clips: int) -> Iterator[Plan]:
    methods = [name for name in config.methods if lacking(name, subject.model) is None]
    yield attribution_plan(subject, methods, config.options(), n_clips)
    for unit, n_steps in config.maps.steps.items():
        played = Played(unit, n_steps, config.maps.baseline)
        yield evaluation_plan(subject, dict.fromkeys(methods, n_clips), config.metrics, played)


def clips_in(config: SequentialConfig, plan: NetworkPlan, root: str | None, split: str) -> int:
    """Clips of a split, of a set that is there, or of the one that would be rendered."""
    data = config.data
    if root is not None:
        source = Source(root, tuple(data.classes), data.split_by, data.skip_missing)
        return len(source.dataset(split, plan.clip))
    if data.split_by == "sequence":
        turns = range(config.render.persons * config.render.sequences)
        dealt = sum(SEQUENCE_SPLIT[turn % len(SEQUENCE_SPLIT)] == split for turn in turns)
        return dealt * len(data.classes)
    training, _, test = split_persons(config.render.persons)
    persons = test if split == "test" else training
    return len(persons) * len(data.classes) * config.render.sequences
