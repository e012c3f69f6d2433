"""The study: every network trained on every spectrum, tested on every spectrum, explained there."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.evaluation.conditions import Conditions, checksum, made_by, software
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.models import Checkpoint, load_checkpoint
from benchmarks_kth_mad.multispectral.cells import KeptCells
from benchmarks_kth_mad.multispectral.config import SPECTRA, StudyConfig
from benchmarks_kth_mad.multispectral.rows import (
    accuracy_rows,
    map_rows,
    modality_rows,
    one_of_each,
)
from benchmarks_kth_mad.training import train

CELL = ["network", "trained on", "tested on"]
PAIRED = "paired"
CELLS = "cells"
COMMAND = "multispectral"


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

    def cell(self, tested_on: str) -> tuple[str, str, str]:
        """Its name among the cells of the study."""
        return self.network, self.spectrum, tested_on


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


def run_study(
    config: StudyConfig,
    root: str | Path,
    out: Path,
    device: str,
    only: Sequence[str] | None = None,
) -> Outcome:
    """Train, test and explain; keep checkpoints, cells and rows.

    A network that is trained is not trained again, and a cell that is measured is not measured again,
    so that a study that was killed goes on where it was.

    Args:
        config: what to do.
        root: folder of the data set.
        out: folder for checkpoints, cells and ``rows.csv``; see `keep_conditions`.
        device: ``"cpu"`` or ``"cuda"``.
        only: some of the config's networks; what each gives does not depend on the others.

    Returns:
        All rows, and the maps of the scenes to draw.
    """
    wanted = config if only is None else config.of_networks(only)
    drawn: dict[tuple[str, str, str], Explained] = {}
    rows: list[pd.DataFrame] = []
    kept = KeptCells(out / CELLS)
    bar = progress_bar(trainings_of(wanted), desc="trainings")
    for training in bar:
        bar.set_postfix_str(f"{training.network}, {training.spectrum}")
        missing = [one for one in training.tested_on if training.cell(one) not in kept]
        if missing:
            checkpoint = _trained(training, config, root, out, device)
        for tested in missing:
            found, explained = _tested(training, tested, checkpoint, config, root, device)
            kept.keep(training.cell(tested), found, explained.first(config.maps.pictures))
        for cell in map(training.cell, training.tested_on):
            found, drawn[cell] = kept[cell]
            rows.append(found.assign(**dict(zip(CELL, cell, strict=True))))
    table = pd.concat(rows, ignore_index=True)
    table = table[[*CELL, *(name for name in table.columns if name not in CELL)]]
    with whole_file(out / "rows.csv") as path:
        table.to_csv(path, index=False)
    return Outcome(table, drawn)


def keep_conditions(config: StudyConfig, root: str | Path | None, out: Path, device: str) -> None:
    """Write down what all cells of a folder depend on, or compare with what is written there.

    Args:
        config: the whole study, also where only some of its networks are asked for.
        root: folder of the data set, None where it is rendered.
        out: folder of the study.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        BenchmarkError: the folder has cells of another config, device, data or version.
    """
    plans = asdict(config)
    for plan in plans["networks"].values():
        del plan["recipe"]["device"]
    conditions = {"config": plans, "device": device, "versions": software()}
    if root is not None:
        del plans["render"]
        records = [
            row
            for spectrum in SPECTRA
            for record in MAD(root, spectrum=spectrum, split="all").records
            for row in record.rows
        ]
        paths = [row.path(Path(root), number) for row in records for number in range(row.frames)]
        conditions["data"] = checksum(paths, Path(root))
    Conditions(out / CELLS, COMMAND).agree_or_keep(conditions, made_by(device, 1))


def _trained(
    training: Training, config: StudyConfig, root: str | Path, out: Path, device: str
) -> Checkpoint:
    path = out / "networks" / training.file_name
    if path.is_file():  # by this study: its folder has kept its conditions
        return load_checkpoint(path)
    plan = config.plan_of(training.network)

    def dataset(split: str, random_start: bool) -> MAD:
        spectrum, seed = training.spectrum, config.seed
        return MAD(root, plan.clip, spectrum, split, random_start=random_start, seed=seed)

    found = train(
        training.network,
        dataset("train", random_start=True),
        dataset("test", random_start=False),
        path=path,
        recipe=replace(plan.recipe, device=device),
        weights=plan.weights,
        show_progress=False,
        settings=plan.settings,
    )
    return found.checkpoint


def _tested(
    training: Training,
    spectrum: str,
    checkpoint: Checkpoint,
    config: StudyConfig,
    root: str | Path,
    device: str,
) -> tuple[pd.DataFrame, Explained]:
    """Rows and maps of one spectrum that the network is tested on."""
    dataset = MAD(root, checkpoint.clip, spectrum, "test")
    chosen = one_of_each(dataset, config.maps.clips)
    measured, explained = map_rows(checkpoint, dataset, chosen, config, device)
    parts = [accuracy_rows(checkpoint, dataset, device), measured]
    if spectrum == PAIRED:
        parts.append(modality_rows(checkpoint, dataset, config, device))
    return pd.concat(parts, ignore_index=True), explained
