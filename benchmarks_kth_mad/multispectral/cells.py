"""The cells of the study that are finished: rows, and the maps to draw, kept and found again."""

from pathlib import Path

import pandas as pd
import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, writing

Cell = tuple[str, str, str]


class KeptCells:
    """Cells by network, what it was trained on, and what it was tested on.

    Args:
        folder: of the journal.

    Raises:
        BenchmarkError: a file that can not be read, also from the methods.
    """

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder, "multispectral")

    def __contains__(self, cell: Cell) -> bool:
        return self._journal.done(cell)

    def keep(self, cell: Cell, rows: pd.DataFrame, drawn: Explained) -> None:
        """Write a cell, whole or not at all."""
        arrays = {"labels": drawn.labels.numpy(), "targets": drawn.targets.numpy()}
        for name, inputs in (("clip", drawn.clips), *drawn.maps.items()):
            arrays |= {f"{name}/{number}": one.numpy() for number, one in enumerate(inputs)}
        facts = {
            "rows": rows.to_dict(orient="split", index=False),
            "names": drawn.names,
            "persons": drawn.persons,
            "methods": list(drawn.maps),
            "inputs": len(drawn.clips),
        }
        with writing(self._journal.folder, "multispectral", rank=0) as writer:
            writer.write(cell, Entry(facts, arrays))
        self._journal = Journal(self._journal.folder, "multispectral")

    def __getitem__(self, cell: Cell) -> tuple[pd.DataFrame, Explained]:
        entry = self._journal[cell]
        try:
            facts = entry.facts
            tensors = {name: torch.from_numpy(array) for name, array in entry.arrays.items()}

            def inputs(name: str) -> tuple[torch.Tensor, ...]:
                return tuple(tensors[f"{name}/{number}"] for number in range(facts["inputs"]))

            drawn = Explained(
                facts["names"],
                facts["persons"],
                inputs("clip"),
                tensors["labels"],
                tensors["targets"],
                {method: inputs(method) for method in facts["methods"]},
            )
            return pd.DataFrame(**facts["rows"]), drawn
        except (KeyError, TypeError, ValueError) as error:
            raise BenchmarkError(
                f"{self._journal.folder}: not cells that can be read; run multispectral again with "
                f"--fresh"
            ) from error
