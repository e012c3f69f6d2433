"""A folder of measured tables: of one machine and one set of versions, with the goals they answer."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import Conditions, differences
from benchmarks_kth_mad.files import read_text, whole_file
from benchmarks_kth_mad.scoreboard.figures import masks_figure, ratios_figure
from benchmarks_kth_mad.scoreboard.goals import goals_table
from benchmarks_kth_mad.scoreboard.scaling_figure import scaling_figure

PAGE, LIST = "README.md", "tables.json"
FIGURES: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "methods": ratios_figure,
    "masks": masks_figure,
    "scaling": scaling_figure,
}
"""What is drawn of a table; of one whose name goes on behind a hyphen, too."""


class Kept(NamedTuple):
    """A table, a line that says of what, and the command that makes it again."""

    table: pd.DataFrame
    about: str
    command: str


def keep_table(folder: Path, name: str, kept: Kept, machine: Mapping[str, Any]) -> None:
    """Put a table into a folder, in the place of the one of that name, and write its page anew.

    Args:
        folder: made where it is not there.
        name: of the file, without ending.
        kept: the table.
        machine: device, versions and threads, as JSON can hold them.

    Raises:
        BenchmarkError: the tables there are of another machine or of other versions, or can not be
            read.
    """
    manifest = Conditions(folder, "speed")
    others = differences(manifest.load(), machine) if manifest.path.is_file() else []
    if others:
        raise BenchmarkError(
            f"{folder}: has tables of another machine: {'; '.join(others)}; keep this one elsewhere"
        )
    manifest.agree_or_keep(machine, {})
    with whole_file(folder / f"{name}.csv") as path:
        kept.table.to_csv(path, index=False, float_format="%.6g")
    listed = _listed(folder) | {name: {"about": kept.about, "command": kept.command}}
    with whole_file(folder / LIST) as path:
        path.write_text(json.dumps(listed, indent=2) + "\n")
    draw = FIGURES.get(name.partition("-")[0])
    if draw is not None:
        with whole_file(folder / f"{name}.png") as path:
            draw(kept.table).savefig(path, format="png", dpi=110, metadata={"Software": None})
    with whole_file(folder / PAGE) as path:
        path.write_text(page_of(folder))


def kept_tables(folder: Path) -> dict[str, Kept]:
    """All tables of a folder, by name.

    Raises:
        BenchmarkError: one can not be read.
    """
    found = {}
    for name, said in _listed(folder).items():
        path = folder / f"{name}.csv"
        try:
            found[name] = Kept(pd.read_csv(path), said["about"], said["command"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchmarkError(
                f"{path}: not a table that can be read; measure it again ({error})"
            ) from error
    return found


def page_of(folder: Path) -> str:
    """Machine, goals, tables and pictures of a folder, in Markdown."""
    tables = kept_tables(folder)
    machine = Conditions(folder, "speed").load()
    goals = goals_table({name: kept.table for name, kept in tables.items()}, machine["runs on"])
    parts = [
        f"# Speed, measured\n\n{_in_words(machine)}\n\n{_shown(goals)}",
        *(_section(folder, name, kept) for name, kept in tables.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _section(folder: Path, name: str, kept: Kept) -> str:
    drawn = f"![{name}]({name}.png)\n\n" if (folder / f"{name}.png").is_file() else ""
    return f"## {name}\n\n{kept.about}\n\n```sh\n{kept.command}\n```\n\n{drawn}{_shown(kept.table)}"


def _shown(table: pd.DataFrame) -> str:
    return table.fillna("").to_markdown(index=False, floatfmt=".4g")


def _in_words(machine: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in machine.items())


def _listed(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / LIST
    if not path.is_file():
        return {}
    try:
        listed = json.loads(read_text(path))
        if not isinstance(listed, dict):
            raise ValueError("not by name")
    except ValueError as error:
        raise BenchmarkError(f"{path}: not a list of tables ({error})") from error
    return listed
