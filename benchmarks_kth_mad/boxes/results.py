"""The results of the study: a folder that fills up cell by cell."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks_kth_mad.boxes.figure import draw_maps
from benchmarks_kth_mad.boxes.study import Result
from benchmarks_kth_mad.boxes.table import as_markdown
from benchmarks_kth_mad.boxes.training import BoxRecipe
from benchmarks_kth_mad.data.arrays import read_arrays
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder, whole_file

KEY = ["layout", "network"]


class Results:
    """Rows of the table and mean maps; with a folder, kept there after every cell.

    A cell that is in the folder already is replaced, the others stay: a long table can be made in
    parts, and a run that is stopped loses no finished cell.

    Args:
        folder: for ``boxes.csv``, ``boxes.md``, ``maps.npz`` and ``saliency.png``; None keeps nothing.
        seed: of the rows to come.

    Raises:
        BenchmarkError: the folder can not be made, or holds rows of another seed.
    """

    def __init__(self, folder: Path | None, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self.rows = pd.DataFrame()
        self.maps: dict[str, NDArray[np.float32]] = {}
        if folder is not None:
            make_folder(folder)
            self._load(folder)

    def add(self, layout: str, network: str, result: Result, recipe: BoxRecipe) -> None:
        """Take in a cell, and write the rows and maps."""
        settings = {"seed": self._seed, "most_epochs": recipe.epochs}
        settings |= {name: getattr(recipe, name) for name in ("extra_steps", "weight_decay")}
        row = {"layout": layout, "network": network, **asdict(result.scores), **settings}
        rows = pd.concat([self.rows, pd.DataFrame([row])], ignore_index=True)
        self.rows = rows.drop_duplicates(KEY, keep="last", ignore_index=True)
        self.maps[f"{layout} {network}"] = result.mean_map.numpy()
        if self._folder is not None:
            with whole_file(self._folder / "boxes.csv") as path:
                self.rows.to_csv(path, index=False)
            with whole_file(self._folder / "maps.npz") as path, path.open("wb") as file:
                np.savez_compressed(file, **self.maps)  # type: ignore[arg-type]

    def report(self) -> str:
        """The tables in Markdown; with a folder, written there beside the picture."""
        text = as_markdown(self.rows)
        if self._folder is not None:
            with whole_file(self._folder / "boxes.md") as path:
                path.write_text(text + "\n")
            with whole_file(self._folder / "saliency.png") as path:
                draw_maps(self.maps).savefig(path, dpi=90, format="png")
        return text

    def _load(self, folder: Path) -> None:
        path = folder / "boxes.csv"
        if not path.exists():
            return
        try:
            self.rows = pd.read_csv(path)
            seeds = set(self.rows["seed"])
            self.maps = read_arrays(folder / "maps.npz")
        except BenchmarkError:
            raise
        except Exception as error:  # zip, key and value errors: whatever a foreign file gives
            raise BenchmarkError(
                f"{folder}: its boxes.csv and maps.npz can not be read; choose another folder"
            ) from error
        if seeds != {self._seed}:
            raise BenchmarkError(
                f"{path}: expected rows of seed {self._seed}, got {sorted(seeds)}; choose another "
                f"folder, or this seed"
            )
