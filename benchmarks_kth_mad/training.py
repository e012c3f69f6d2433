"""Training a video classifier with Lightning, and its accuracy on clips it has not seen."""

from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy

from benchmarks_kth_mad.data.augmentation import augment
from benchmarks_kth_mad.data.item import Item, inputs_of
from benchmarks_kth_mad.data.sets import ActionSet, check_inputs
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import (
    Checkpoint,
    Settings,
    VideoClassifier,
    build_model,
    save_checkpoint,
)
from benchmarks_kth_mad.surroundings import interruptible, quiet_lightning, reproducible
from captum_video.modes import evaluation_mode


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
        workers: processes that load clips; 0 loads them in this one.

    Raises:
        BenchmarkError: a number out of range, or a device that this machine does not have.
    """

    epochs: int = 24
    batch_size: int = 8
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    seed: int = 0
    device: str = "auto"
    workers: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "weight_decay": 0, "seed": 0, "workers": 0}
        for name, minimum in least.items():
            if not getattr(self, name) >= minimum:  # nan is not
                raise BenchmarkError(
                    f"training {name}: expected at least {minimum}, got {getattr(self, name)}"
                )
        if not self.learning_rate > 0:
            raise BenchmarkError(
                f"training learning_rate: expected more than 0, got {self.learning_rate}"
            )
        resolve_device(self.device)


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


def train(
    model_name: str,
    training_set: ActionSet,
    held_out: ActionSet,
    path: str | Path | None = None,
    recipe: Recipe | None = None,
    weights: str | None = None,
    show_progress: bool = True,
    settings: Settings | None = None,
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
    with reproducible(recipe.seed), quiet_lightning(), interruptible():
        model = build_model(
            model_name, len(training_set.classes), training_set.clip.channels, weights, settings
        )
        _check_takes(model, model_name, held_out)
        task = ClassificationTask(model, len(training_set.classes), recipe)
        trainer = _trainer(recipe, show_progress)
        trainer.fit(task, _loader(training_set, recipe, shuffle=True))
        trainer.validate(task, _loader(held_out, recipe, shuffle=False), verbose=False)
    checkpoint = Checkpoint(model.cpu().eval(), model_name, training_set.classes, training_set.clip)
    if path is not None:
        save_checkpoint(path, checkpoint)
    return Trained(
        checkpoint,
        accuracy=float(trainer.callback_metrics["accuracy"]),
        clips=len(held_out),
        unseen_persons=tuple(sorted(set(held_out.persons) - set(training_set.persons))),
        losses=tuple(task.losses),
    )


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


class ClassificationTask(lightning.LightningModule):
    """Cross-entropy on augmented clips, AdamW with a one-cycle learning rate, label accuracy.

    Args:
        model: clips (N, C, T, H, W) in [0, 1] to logits.
        n_classes: number of logits.
        recipe: learning rate, weight decay and seed.
    """

    def __init__(self, model: VideoClassifier, n_classes: int, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        self.accuracy = MulticlassAccuracy(n_classes, average="micro")
        self.losses: list[float] = []
        self._epoch_losses: list[Tensor] = []
        self._augmentation = torch.Generator().manual_seed(recipe.seed)

    def training_step(self, batch: Item, batch_index: int) -> Tensor:
        """Loss of one batch."""
        clips = augment(inputs_of(batch["clip"]), self._augmentation)
        loss = functional.cross_entropy(self.model(*clips), torch.as_tensor(batch["label"]))
        if not torch.isfinite(loss):
            raise BenchmarkError(
                f"training: the loss became {loss.item()}; lower --learning-rate "
                f"({self.recipe.learning_rate})"
            )
        self._epoch_losses.append(loss.detach())
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Keep the mean loss of the epoch."""
        self.losses.append(float(torch.stack(self._epoch_losses).mean()))
        self._epoch_losses.clear()

    def validation_step(self, batch: Item, batch_index: int) -> None:
        """Count the labels that are right."""
        self.accuracy(self.model(*inputs_of(batch["clip"])), batch["label"])
        self.log("accuracy", self.accuracy, on_epoch=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW; the learning rate rises to its peak and falls to nothing, once."""
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.recipe.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.2,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _trainer(recipe: Recipe, show_progress: bool) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="gpu" if resolve_device(recipe.device) == "cuda" else "cpu",
        devices=1,
        max_epochs=recipe.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=show_progress,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def _loader(dataset: ActionSet, recipe: Recipe, shuffle: bool) -> DataLoader[Item]:
    return DataLoader(
        dataset,
        batch_size=recipe.batch_size,
        shuffle=shuffle,
        num_workers=recipe.workers,
        persistent_workers=recipe.workers > 0,  # they keep decoded frames
        generator=torch.Generator().manual_seed(recipe.seed),
    )
