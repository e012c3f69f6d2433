"""What Lightning trains: the loss, the schedule and the accuracy of a video classifier."""

import signal
import threading
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional
from torchmetrics.classification import MulticlassAccuracy

from benchmarks_kth_mad import seeds
from benchmarks_kth_mad.data.augmentation import augment
from benchmarks_kth_mad.data.item import Item, inputs_of
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import VideoClassifier
from benchmarks_kth_mad.training.unfinished import OURS, Kept


class ClassificationTask(LightningModule):
    """Cross-entropy on augmented clips, AdamW with a one-cycle learning rate, label accuracy.

    Args:
        model: clips (N, C, T, H, W) in [0, 1] to logits.
        n_classes: number of logits.
        learning_rate: the peak of the schedule.
        weight_decay: of AdamW.
        seed: of the augmentation.
        rank: of this process among those that train together; each augments in its own way.
    """

    def __init__(
        self,
        model: VideoClassifier,
        n_classes: int,
        learning_rate: float,
        weight_decay: float,
        seed: int,
        rank: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.accuracy = MulticlassAccuracy(n_classes, average="micro")
        self.losses: list[float] = []
        self.kept: Kept | None = None
        self._epoch_losses: list[Tensor] = []
        self.augmentation = torch.Generator().manual_seed(seeds.of_rank(seed, rank))

    def training_step(self, batch: Item, batch_index: int) -> Tensor:
        """Loss of one batch."""
        clips = augment(inputs_of(batch["clip"]), self.augmentation)
        loss = functional.cross_entropy(self.model(*clips), torch.as_tensor(batch["label"]))
        if not torch.isfinite(loss):
            if self.kept is not None:  # to go on from there would lead here again
                self.kept.unfinished.path.unlink(missing_ok=True)
            raise BenchmarkError(
                f"training: the loss became {loss.item()}; lower --learning-rate "
                f"({self.learning_rate})"
            )
        self._epoch_losses.append(loss.detach())
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Keep the mean loss of the epoch, over all devices."""
        mean = torch.stack(self._epoch_losses).mean()
        self.losses.append(float(self.trainer.strategy.reduce(mean, reduce_op="mean")))
        self._epoch_losses.clear()
        if self.kept is not None:
            self.kept.unfinished.save(self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know of."""
        if self.kept is not None:
            checkpoint[OURS] = self.kept.state() | {"losses": list(self.losses)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        if self.kept is not None:
            self.kept.restore(checkpoint[OURS])
            self.losses[:] = checkpoint[OURS]["losses"]

    def validation_step(self, batch: Item, batch_index: int) -> None:
        """Count the labels that are right; in float32, as who loads the checkpoint will."""
        with torch.autocast(self.device.type, enabled=False):
            logits = self.model(*inputs_of(batch["clip"]))
        self.accuracy(logits, batch["label"])
        self.log("accuracy", self.accuracy, on_epoch=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW; the learning rate rises to its peak and falls to nothing, once."""
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.2,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class PlainSignals(Callback):
    """Keeps SIGTERM as it was found: Lightning's own answer waits for the other processes."""

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """After Lightning has set its own."""
        self._restore()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """After Lightning has set its own."""
        self._restore()

    def _restore(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)
