"""A training that was ended: where it stood after its last whole epoch, and how it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from benchmarks_kth_mad.data.loading import Starts
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import whole_file

OURS = "captum_video"


@dataclass(frozen=True)
class Unfinished:
    """The file of a training that may have been ended before.

    Args:
        path: written after every epoch.
        conditions: all that the network depends on, as JSON can hold it.
        fresh: do not look at what is there.
    """

    path: Path
    conditions: Mapping[str, Any]
    fresh: bool = False

    def epochs(self) -> int:
        """How many epochs are done; 0 where there is no file.

        Raises:
            BenchmarkError: the file is not one of a training, or of one under other conditions.
        """
        from benchmarks_kth_mad.evaluation.conditions import differences

        if self.fresh or not self.path.is_file():
            return 0
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            there, epochs = content[OURS]["conditions"], int(content["epoch"]) + 1
        except Exception as error:  # zip, pickle and runtime errors: whatever a foreign file gives
            raise BenchmarkError(
                f"{self.path}: not a training that can go on; use --fresh to start over"
            ) from error
        differing = differences(there, self.conditions)
        if differing:
            raise BenchmarkError(
                f"{self.path}: a training of other conditions was ended here: {'; '.join(differing)}; "
                f"ask for the same to go on with it, or use --fresh to start over"
            )
        return epochs

    def save(self, trainer: Trainer) -> None:
        """Write where the training stands; called in every process, written by the first."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.path)
            return
        with whole_file(self.path) as partial:
            trainer.save_checkpoint(partial)


class Kept:
    """What a training of one process keeps: its file, and where its random streams stand.

    Args:
        unfinished: the file.
        augmentation: the stream that varies clips.
        order: the stream that shuffles them.
        starts: of random starts; None where workers draw them, out of reach: a training that goes on
            draws others then.
    """

    def __init__(
        self,
        unfinished: Unfinished,
        augmentation: torch.Generator,
        order: torch.Generator,
        starts: Starts | None,
    ) -> None:
        self.unfinished = unfinished
        self._generators = {"augmentation": augmentation, "order": order}
        self._starts = starts

    def state(self) -> dict[str, Any]:
        """The conditions, and the streams of all processes, in the order of their ranks."""
        found = {name: one.get_state() for name, one in self._streams().items()}
        found["global"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            found["cuda"] = torch.cuda.get_rng_state()
        everywhere = [found]
        if torch.distributed.is_initialized():
            everywhere *= torch.distributed.get_world_size()
            torch.distributed.all_gather_object(everywhere, found)
        return {"conditions": dict(self.unfinished.conditions), "streams": everywhere}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where this process stood."""
        together = torch.distributed.is_initialized()
        mine = state["streams"][torch.distributed.get_rank() if together else 0]
        for name, one in self._streams().items():
            one.set_state(mine[name].cpu())
        torch.set_rng_state(mine["global"].cpu())
        if "cuda" in mine and torch.cuda.is_initialized():
            torch.cuda.set_rng_state(mine["cuda"].cpu())

    def _streams(self) -> dict[str, torch.Generator]:
        starts = {} if self._starts is None else {"starts": self._starts.generator()}
        return self._generators | starts
