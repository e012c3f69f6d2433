"""The tables of the command ``speed``, by name, and how each is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd
import torch

from benchmarks_kth_mad.runs import Run
from benchmarks_kth_mad.speed.cell import cell_table
from benchmarks_kth_mad.speed.convergence import run_errors
from benchmarks_kth_mad.speed.frames import occlusion_table, rescaling_table, study_network
from benchmarks_kth_mad.speed.imports import imports_table
from benchmarks_kth_mad.speed.memory import gradcam_memory_table, perturbation_memory_table
from benchmarks_kth_mad.speed.methods import ratio_table
from benchmarks_kth_mad.speed.rate import rate_table
from benchmarks_kth_mad.speed.scaling import scaling_table
from benchmarks_kth_mad.speed.variants import variants_table

CLIP, STUDY_CLIP = (16, 112), (30, 120)
"""Frames, and height and width, of a 3-D network's clip and of study B's."""
CLIPS = {
    **dict.fromkeys(("methods", "memory", "gradcam-memory", "rate"), CLIP),
    **dict.fromkeys(("frames", "rescaling"), STUDY_CLIP),
}
"""That tables measure one of, where nobody asks for another."""
BATCH = {"cpu": 4, "cuda": 32}


@dataclass(frozen=True)
class Asked:
    """What is measured, and on what.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        frames: of the clip; None for the table's own.
        size: its height and width; None for the table's own.
        rounds: of which medians are taken.
        bfloat16: autocast the network (methods, rate).
        model: whose passes are timed (methods, rate).
        batches: clips in a batch (rate).
        small: shorter sweeps (scaling).
        runs: folders of trained networks (masks).
    """

    device: str = "cpu"
    frames: int | None = None
    size: int | None = None
    rounds: int = 5
    bfloat16: bool = False
    model: str = "r3d_18"
    batches: Sequence[int] | None = None
    small: bool = False
    runs: Sequence[str] | None = None

    def clip(self, of: str) -> tuple[int, int]:
        """Frames and size of a table's clip."""
        frames, size = CLIPS[of]
        return self.frames or frames, self.size or size

    def clip_in_words(self, of: str) -> str:
        """Its shape, if the table is of one clip."""
        frames, size = self.clip(of) if of in CLIPS else (0, 0)
        return f"clip 3 x {frames} x {size} x {size}" if frames else ""

    def command(self, of: str) -> str:
        """What asks for this again; of folders only the names are told."""
        words = ["python -m benchmarks_kth_mad speed", "--of", of]
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            words.append(f"--{field.name}")
            if not isinstance(value, bool):
                several = value if isinstance(value, list) else [value]
                words += [Path(one).name if field.name == "runs" else str(one) for one in several]
        return " ".join(words)

    @property
    def preset(self) -> str:
        """How far the sweeps of ``scaling`` go."""
        return "small" if self.small else {"cpu": "full", "cuda": "cuda"}[self.device]

    @property
    def rate_batches(self) -> Sequence[int]:
        """Clips in the batches of ``rate``."""
        return self.batches or [BATCH[self.device]]


def _methods(asked: Asked) -> pd.DataFrame:
    return ratio_table(
        asked.model, asked.device, *asked.clip("methods"), asked.rounds, asked.bfloat16, others=True
    )


def _rate(asked: Asked) -> pd.DataFrame:
    return rate_table(
        asked.model,
        asked.device,
        *asked.clip("rate"),
        asked.rate_batches,
        asked.rounds,
        asked.bfloat16,
    )


def _masks(asked: Asked) -> pd.DataFrame:
    runs = [Run(Path(folder)) for folder in asked.runs or ()]
    return pd.concat([run_errors(run, asked.device) for run in runs], ignore_index=True)


def _of_frames(of: str, measure: Callable[..., pd.DataFrame]) -> Callable[[Asked], pd.DataFrame]:
    def table(asked: Asked) -> pd.DataFrame:
        frames, size = asked.clip(of)
        clip = torch.rand(1, 3, frames, size, size, device=asked.device)
        return measure(study_network(asked.device), clip, asked.rounds)

    return table


TABLES: dict[str, Callable[[Asked], pd.DataFrame]] = {
    "methods": _methods,
    "memory": lambda asked: perturbation_memory_table(asked.device, *asked.clip("memory")),
    "gradcam-memory": lambda asked: gradcam_memory_table(
        asked.device, *asked.clip("gradcam-memory")
    ),
    "masks": _masks,
    "frames": _of_frames("frames", occlusion_table),
    "rescaling": _of_frames("rescaling", rescaling_table),
    "cell": lambda asked: cell_table(asked.device, rounds=asked.rounds),
    "scaling": lambda asked: scaling_table(asked.device, asked.rounds, asked.preset),
    "variants": lambda asked: variants_table(asked.device, asked.rounds),
    "imports": lambda asked: imports_table(asked.rounds),
    "rate": _rate,
}
