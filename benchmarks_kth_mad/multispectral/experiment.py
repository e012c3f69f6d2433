"""The study: every network trained on every spectrum, tested on every spectrum, explained there."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.multispectral.config import StudyConfig
from benchmarks_kth_mad.multispectral.rows import (
    accuracy_rows,
    map_rows,
    modality_rows,
    one_of_each,
)
from benchmarks_kth_mad.training import train

CELL = ["network", "trained on", "tested on"]
PAIRED = "paired"


@dataclass(frozen=True)
class Training:
    """One network and the spectrum that it learns from."""

    network: str
    spectrum: str
    tested_on: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """Of its checkpoint."""
        return f"{self.network}_{self.spectrum}.pt"


@dataclass(frozen=True)
class Outcome:
    """What came out: one row per cell, measure, method and scene, and the maps of every cell."""

    rows: pd.DataFrame
    drawn: dict[tuple[str, str, str], Explained]


def trainings_of(config: StudyConfig) -> list[Training]:
    """All trainings of a study, in order; fused networks learn from both clips of a scene."""
    single = [
        Training(network, spectrum, tuple(config.tested_on))
        for network in config.networks
        for spectrum in config.trained_on
    ]
    return single + [Training(name, PAIRED, (PAIRED,)) for name in config.fused_networks()]


def run_study(config: StudyConfig, root: str | Path, out: Path, device: str) -> Outcome:
    """Train, test and explain; keep checkpoints and rows.

    Args:
        config: what to do.
        root: folder of the data set.
        out: folder for checkpoints and ``rows.csv``.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        All rows, and the maps of the scenes to draw.
    """
    rows: list[pd.DataFrame] = []
    drawn: dict[tuple[str, str, str], Explained] = {}
    bar = progress_bar(trainings_of(config), desc="trainings")
    for training in bar:
        bar.set_postfix_str(f"{training.network}, {training.spectrum}")
        checkpoint = _trained(training, config, root, out, device)
        for tested, found, explained in _tested(training, checkpoint, config, root, device):
            cell = (training.network, training.spectrum, tested)
            rows.append(found.assign(**dict(zip(CELL, cell, strict=True))))
            drawn[cell] = explained.first(config.maps.pictures)
    table = pd.concat(rows, ignore_index=True)
    table = table[[*CELL, *(name for name in table.columns if name not in CELL)]]
    with whole_file(out / "rows.csv") as path:
        table.to_csv(path, index=False)
    return Outcome(table, drawn)


def _trained(
    training: Training, config: StudyConfig, root: str | Path, out: Path, device: str
) -> Checkpoint:
    plan = config.plan_of(training.network)

    def dataset(split: str, random_start: bool) -> MAD:
        spectrum, seed = training.spectrum, config.seed
        return MAD(root, plan.clip, spectrum, split, random_start=random_start, seed=seed)

    found = train(
        training.network,
        dataset("train", random_start=True),
        dataset("test", random_start=False),
        path=out / "networks" / training.file_name,
        recipe=replace(plan.recipe, device=device),
        weights=plan.weights,
        show_progress=False,
        settings=plan.settings,
    )
    return found.checkpoint


def _tested(
    training: Training, checkpoint: Checkpoint, config: StudyConfig, root: str | Path, device: str
) -> Iterator[tuple[str, pd.DataFrame, Explained]]:
    """Rows and maps of every spectrum that the network is tested on."""
    for spectrum in training.tested_on:
        dataset = MAD(root, checkpoint.clip, spectrum, "test")
        chosen = one_of_each(dataset, config.maps.clips)
        measured, explained = map_rows(checkpoint, dataset, chosen, config, device)
        parts = [accuracy_rows(checkpoint, dataset, device), measured]
        if spectrum == PAIRED:
            parts.append(modality_rows(checkpoint, dataset, config, device))
        yield spectrum, pd.concat(parts, ignore_index=True), explained
