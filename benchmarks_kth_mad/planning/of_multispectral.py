"""The plan of study A: trainings, and all that is asked of each network that comes of them."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.multispectral.cells import KeptCells
from benchmarks_kth_mad.multispectral.config import StudyConfig
from benchmarks_kth_mad.multispectral.experiment import CELLS, PAIRED, Training, trainings_of
from benchmarks_kth_mad.planning.cost import Cost, Subject
from benchmarks_kth_mad.planning.of_run import attribution_plan, evaluation_plan
from benchmarks_kth_mad.planning.plan import Part, Plan
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS
from benchmarks_kth_mad.rendering.rendered_set import split_persons
from benchmarks_kth_mad.studies.config_files import NetworkPlan

TRAINING = "training"


def study_plan(config: StudyConfig, root: str | Path | None, out: Path | None = None) -> Plan:
    """What ``multispectral`` will take: cells of one network that take the same are one row.

    The pass that checks, before a training, that a network takes the clips is left out.

    Args:
        config: the study.
        root: folder of the data set; None for the one that would be rendered.
        out: folder of the study, of which some networks and cells may be there.

    Raises:
        BenchmarkError: no such set, or a network or method that is refused.
    """
    together: dict[tuple[str, str, Cost], Part] = {}
    kept = None if out is None or not (out / CELLS).is_dir() else KeptCells(out / CELLS)
    weights = 0
    trainings = trainings_of(config)
    for training in trainings:
        plan = config.plan_of(training.network)
        subject = Subject.named(training.network, plan.clip, plan.settings)
        state = subject.model.state_dict().values()
        weights += sum(one.numel() * one.element_size() for one in state)
        there = out is not None and (out / "networks" / training.file_name).is_file()
        cells = [one for one in training.tested_on if kept and training.cell(one) in kept]
        done = {
            TRAINING: there or len(cells) == len(training.tested_on),
            **dict.fromkeys(cells, True),
        }
        for step, part in _parts(training, subject, plan, config, root):
            key = (training.network, part.what, part.cost)
            before = together.get(key, Part(part.what, 0, part.cost))
            finished = before.finished + (part.clips if done.get(step) else 0)
            clips = before.clips + part.clips
            together[key] = Part(part.what, clips, part.cost, training.network, finished)
    return Plan(
        f"multispectral: {len(trainings)} trainings, "
        f"{sum(len(one.tested_on) for one in trainings)} tests of what they learned",
        list(together.values()),
        {"weights of the networks": weights},
        notes=[
            "a backward pass of a training goes to the weights as well",
            "gradcam and sidu look for their layer once for all clips of a cell, here counted for each",
        ],
    )


def _parts(
    training: Training,
    subject: Subject,
    plan: NetworkPlan,
    config: StudyConfig,
    root: str | Path | None,
) -> Iterator[tuple[str, Part]]:
    """What a training takes, and what each of its cells does, with the spectrum that is tested on."""
    epochs = plan.recipe.epochs
    learned = clips_in(config, plan, root, training.spectrum, "train")
    yield TRAINING, Part(TRAINING, learned, subject.plain(epochs, epochs))
    held_out = clips_in(config, plan, root, training.spectrum, "test")
    yield TRAINING, Part("test after training", held_out, subject.plain(1))
    for spectrum in training.tested_on:
        tested = clips_in(config, plan, root, spectrum, "test")
        yield spectrum, Part("accuracy", tested, subject.plain(1))
        for part in _maps(subject, config, min(config.maps.clips, tested)):
            yield spectrum, part
        if spectrum == PAIRED:
            coalitions = 2 ** len(subject.model.input_channels)
            yield spectrum, Part("modality score", tested, subject.plain(1 + coalitions))


def _maps(subject: Subject, config: StudyConfig, n_clips: int) -> Iterator[Part]:
    maps = config.maps
    yield from attribution_plan(subject, config.methods, config.options(), n_clips).parts
    played = Played(maps.unit, maps.steps, maps.baseline)
    explained = dict.fromkeys(config.methods, n_clips)
    for part in evaluation_plan(subject, explained, config.metrics, played).parts:
        metric, _, _ = part.what.partition(" of ")
        yield Part(metric, part.clips, part.cost)


def clips_in(
    config: StudyConfig, plan: NetworkPlan, root: str | Path | None, spectrum: str, split: str
) -> int:
    """Clips of a split, of a set that is there, or of the one that would be rendered."""
    if root is not None:
        return len(MAD(root, plan.clip, spectrum, split))
    training, validation, test = split_persons(config.render.persons)
    persons = test if split == "test" else (*training, *validation)
    pooled = 2 if spectrum == "IRTV" else 1
    return pooled * len(persons) * len(MAD_ACTIONS) * config.render.sequences
