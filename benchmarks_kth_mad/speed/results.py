"""A folder of measured tables: of one machine and one set of versions, with the goals they answer."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import MANIFEST, Conditions
from benchmarks_kth_mad.files import read_text, whole_file
from benchmarks_kth_mad.speed.goals import goals_table

PAGE = "README.md"
_TABLES = "tables.json"


@dataclass(frozen=True)
class Kept:
    """A table, and how it was made.

    Attributes:
        table: rows as measured.
        about: a line that says of what.
        command: that makes it again.
    """

    table: pd.DataFrame
    about: str
    command: str


class SpeedResults:
    """Tables of one machine, as CSV files, and a page that shows them.

    Args:
        folder: where they are.

    Raises:
        BenchmarkError: tables that can not be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, name: str, kept: Kept, machine: Mapping[str, Any]) -> None:
        """Write a table in the place of the one of that name, and the page anew.

        Args:
            name: of the file, without ending.
            kept: the table.
            machine: device, versions and threads, as JSON can hold them: tables of another machine do
                not belong in the folder.

        Raises:
            BenchmarkError: the folder's tables are of another machine or of other versions.
        """
        Conditions(self.folder, "speed").agree_or_keep(machine, {})
        with whole_file(self.folder / f"{name}.csv") as path:
            kept.table.to_csv(path, index=False, float_format="%.6g")
        listed = self._listed() | {name: {"about": kept.about, "command": kept.command}}
        with whole_file(self.folder / _TABLES) as path:
            path.write_text(json.dumps(listed, indent=2) + "\n")
        self.write_page()

    def tables(self) -> dict[str, Kept]:
        """All that were kept, by name."""
        found = {}
        for name, said in self._listed().items():
            path = self.folder / f"{name}.csv"
            try:
                found[name] = Kept(pd.read_csv(path), said["about"], said["command"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise BenchmarkError(
                    f"{path}: not a table that can be read; measure it again ({error})"
                ) from error
        return found

    def page(self) -> str:
        """Machine, goals and tables, in Markdown."""
        tables = self.tables()
        machine = Conditions(self.folder, "speed").load()
        parts = [f"# Measured speed\n\n{_in_words(machine)}\n"]
        goals = goals_table({name: kept.table for name, kept in tables.items()}, machine)
        parts.append(f"## Goals\n\n{goals.to_markdown(index=False)}\n")
        for name, kept in tables.items():
            parts.append(
                f"## {name}\n\n{kept.about}\n\n```sh\n{kept.command}\n```\n\n{_shown(kept.table)}\n"
            )
        return "\n".join(parts)

    def write_page(self) -> None:
        """Write the page from the tables that are there."""
        with whole_file(self.folder / PAGE) as path:
            path.write_text(self.page())

    def _listed(self) -> dict[str, dict[str, str]]:
        path = self.folder / _TABLES
        if not path.is_file():
            return {}
        try:
            listed = json.loads(read_text(path))
            if not isinstance(listed, dict):
                raise ValueError("not by name")
        except ValueError as error:
            raise BenchmarkError(f"{path}: not a list of tables ({error})") from error
        return listed
