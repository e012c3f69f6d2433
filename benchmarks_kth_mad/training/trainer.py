"""Training a video classifier with Lightning, and its accuracy on clips it has not seen."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import lightning
import torch

from benchmarks_kth_mad import seeds
from benchmarks_kth_mad.data.sets import ActionSet, check_inputs
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import (
    Checkpoint,
    Settings,
    VideoClassifier,
    build_model,
    load_checkpoint,
    save_checkpoint,
)
from benchmarks_kth_mad.processes.together import Place, launched, run_together
from benchmarks_kth_mad.training.classification import ClassificationTask, PlainSignals
from benchmarks_kth_mad.training.shares import check_shares, testing_loader, training_loader
from benchmarks_kth_mad.training.surroundings import (
    interruptible,
    peers,
    quiet_lightning,
    reproducible,
)
from benchmarks_kth_mad.training.unfinished import Kept, Unfinished
from captum_video.modes import evaluation_mode

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
}
"""What a network computes in while it learns, and Lightning's names of it."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Args:
        epochs: passes over the training set.
        batch_size: clips per step.
        learning_rate: the peak of a one-cycle schedule for AdamW.
        weight_decay: of AdamW.
        seed: of the initial weights, the order of clips, and the augmentation.
        device: ``"cpu"``, ``"cuda"`` or ``"auto"`` (CUDA where there is one).
        workers: processes that load clips for each device; 0 loads them where it is trained.
        devices: of this machine, each with a process of its own (on the CPU: so many processes).
            They share each batch evenly; batch statistics are of a device's own share. Under
            torchrun or Slurm, which start the processes, those of this machine, or 1 for whatever
            they are.
        precision: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` where that is exact enough:
            weights stay in float32, and so does the test.

    Raises:
        BenchmarkError: a number out of range, a device that this machine does not have, or
            ``"float16"`` on a CPU.
    """

    epochs: int = 24
    batch_size: int = 8
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    seed: int = 0
    device: str = "auto"
    workers: int = 0
    devices: int = 1
    precision: str = "float32"

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "weight_decay": 0, "seed": 0, "workers": 0}
        least["devices"] = 1
        for name, minimum in least.items():
            if not getattr(self, name) >= minimum:  # nan is not
                raise BenchmarkError(
                    f"training {name}: expected at least {minimum}, got {getattr(self, name)}"
                )
        if not self.learning_rate > 0:
            raise BenchmarkError(
                f"training learning_rate: expected more than 0, got {self.learning_rate}"
            )
        check_device(self.device, self.devices, self.precision)


@dataclass(frozen=True)
class Trained:
    """A trained model and how well it does.

    ``accuracy`` is the share of the ``clips`` of the held-out set that it labels right.
    ``unseen_persons`` are the persons of that set whom it was not trained on: where there are none,
    the accuracy proves nothing about other people. ``losses`` holds the mean training loss of each
    epoch.
    """

    checkpoint: Checkpoint
    accuracy: float
    clips: int
    unseen_persons: tuple[int, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class _Job:
    """All that a process must know to train; it can be pickled."""

    model: str
    training_set: ActionSet
    held_out: ActionSet
    recipe: Recipe
    weights: str | None
    settings: Settings | None
    show_progress: bool
    unfinished: Unfinished | None


def train(
    model_name: str,
    training_set: ActionSet,
    held_out: ActionSet,
    path: str | Path | None = None,
    recipe: Recipe | None = None,
    weights: str | None = None,
    show_progress: bool = True,
    settings: Settings | None = None,
    unfinished: Unfinished | None = None,
) -> Trained:
    """Train a classifier from the data's classes and clip shape, and test it once at the end.

    Args:
        model_name: for ``build_model``.
        training_set: clips to learn from; random starts are a good idea.
        held_out: clips to test on, of the same classes and shape.
        path: checkpoint to write, when done.
        recipe: how to train.
        weights: published weights to start from, by name.
        show_progress: show Lightning's progress bar.
        settings: for ``build_model``.
        unfinished: where to keep what is done after every epoch, and to go on from what is there.

    Returns:
        The model, in evaluation mode on the CPU, with its held-out accuracy.

    Raises:
        BenchmarkError: the two sets differ in classes or clip shape, the model does not take clips
            of that shape, or the loss is not finite.

    Randomness:
        All from ``recipe.seed``; torch's global generators are left as they were.
    """
    recipe = recipe or Recipe()
    if training_set.classes != held_out.classes or training_set.clip != held_out.clip:
        raise BenchmarkError(
            f"held-out set: expected classes {training_set.classes} and {training_set.clip}, got "
            f"{held_out.classes} and {held_out.clip}"
        )
    job = _Job(
        model_name, training_set, held_out, recipe, weights, settings, show_progress, unfinished
    )
    place = launched()
    check_shares(training_set, held_out, recipe.batch_size, recipe.devices, place)
    apart = place.world == 1 and recipe.devices > 1
    checkpoint, accuracy, losses = _train_apart(job) if apart else _train_here(place, job)
    if path is not None and place.rank == 0:
        save_checkpoint(path, checkpoint)
    return Trained(
        checkpoint,
        accuracy=accuracy,
        clips=len(held_out),
        unseen_persons=tuple(sorted(set(held_out.persons) - set(training_set.persons))),
        losses=tuple(losses),
    )


def _train_here(place: Place, job: _Job) -> tuple[Checkpoint, float, list[float]]:
    """Train in this process, beside the others of its kind where there are any."""
    recipe, classes, clip = job.recipe, job.training_set.classes, job.training_set.clip
    loading = (recipe.batch_size, recipe.workers, recipe.seed, place)
    with reproducible(recipe.seed), quiet_lightning(), interruptible(), peers():
        model = build_model(job.model, len(classes), clip.channels, job.weights, job.settings)
        _check_takes(model, job.model, job.held_out)
        if place.rank > 0:
            torch.manual_seed(seeds.of_rank(recipe.seed, place.rank))  # of dropout
        task = ClassificationTask(
            model,
            len(classes),
            recipe.learning_rate,
            recipe.weight_decay,
            recipe.seed,
            place.rank,
        )
        trainer = _trainer(recipe, place, job.show_progress)
        loader, going_on = training_loader(job.training_set, *loading), None
        if job.unfinished is not None:
            starts = None if recipe.workers else job.training_set.starts
            task.kept = Kept(job.unfinished, task.augmentation, loader.generator, starts)
            going_on = job.unfinished.path if job.unfinished.epochs() else None
        trainer.fit(task, loader, ckpt_path=going_on, weights_only=True)
        trainer.validate(task, testing_loader(job.held_out, *loading), verbose=False)
    checkpoint = Checkpoint(model.cpu().eval(), job.model, classes, clip)
    return checkpoint, float(trainer.callback_metrics["accuracy"]), task.losses


def _train_apart(job: _Job) -> tuple[Checkpoint, float, list[float]]:
    """Train in a process for each device; the network comes back through a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        accuracy, losses = run_together(job.recipe.devices, _train_as_one, job, path)
        return load_checkpoint(path), accuracy, losses


def _train_as_one(place: Place, job: _Job, path: Path) -> tuple[float, list[float]]:
    shows = job.show_progress and place.rank == 0
    checkpoint, accuracy, losses = _train_here(place, replace(job, show_progress=shows))
    if place.rank == 0:
        save_checkpoint(path, checkpoint)
    return accuracy, losses


def _check_takes(model: VideoClassifier, name: str, dataset: ActionSet) -> None:
    """Raise BenchmarkError where clips are of other spectra, or too small, for the network."""
    check_inputs(dataset, len(model.input_channels), name)
    clip = dataset.clip
    segments = model.settings.get("segments", 1)
    if segments != 1 and clip.segments not in (1, segments):
        raise BenchmarkError(
            f"model {name}: cuts a clip into {segments} segments, the data set gives {clip.segments}; "
            f"use --segments {segments}"
        )
    blank = [
        torch.zeros(1, channels, clip.frames, clip.height, clip.width)
        for channels in model.input_channels
    ]
    try:
        with evaluation_mode(model), torch.no_grad():
            model(*blank)
    except RuntimeError as error:
        raise BenchmarkError(
            f"model {name}: does not take frames of {clip.height} x {clip.width} "
            f"({str(error).splitlines()[0]}); choose larger ones, or another model"
        ) from error


def resolve_device(device: str) -> str:
    """Turn ``"cpu"``, ``"cuda"`` or ``"auto"`` into one that is there.

    Raises:
        BenchmarkError: another name, or ``"cuda"`` where there is none.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise BenchmarkError(f"device {device!r}: expected cpu, cuda or auto")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise BenchmarkError("device cuda: this machine has none that torch can use; use cpu")
    return "cuda" if available and device != "cpu" else "cpu"


def check_device(device: str, devices: int, precision: str) -> None:
    """Raise BenchmarkError where this machine can not train so."""
    found = resolve_device(device)
    if precision not in PRECISIONS:
        raise BenchmarkError(f"precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    if found == "cpu" and precision == "float16":
        raise BenchmarkError("precision float16: not on a CPU; use bfloat16 or float32")
    if found == "cuda" and devices > torch.cuda.device_count():
        raise BenchmarkError(
            f"devices {devices}: this machine has {torch.cuda.device_count()} that torch can use"
        )


def _trainer(recipe: Recipe, place: Place, show_progress: bool) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="gpu" if resolve_device(recipe.device) == "cuda" else "cpu",
        strategy="ddp" if place.world > 1 else "auto",
        devices=place.here,
        num_nodes=place.machines,
        precision=PRECISIONS[recipe.precision],
        plugins=[place.environment()],
        use_distributed_sampler=False,  # it would test clips twice where they do not divide
        max_epochs=recipe.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=show_progress,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        callbacks=[PlainSignals()],
    )
