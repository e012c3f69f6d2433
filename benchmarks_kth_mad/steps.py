"""Steps of a long command, each done once: what is done is kept beside what it leaves."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import whole_file

_NAMED = 3


class Steps:
    """What was done in a folder, and by which config.

    A step counts as done once its work has ended and its file is there; one that is done anew takes
    with it those that came after.

    Args:
        path: of the record, which appears with the first step.
        config: what the steps are made by, as JSON has it.

    Raises:
        BenchmarkError: the record is of another config, whose differences are named, or none of
            ours.
    """

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self._path = path
        self._config = json.loads(json.dumps(config, default=str))
        self._passed: list[str] = []
        self._done = self._read() if path.exists() else []

    def do(self, name: str, leaves: Path, work: Callable[[], None]) -> None:
        """Do a step, unless it is done.

        Args:
            name: of the step.
            leaves: the file that it ends with.
            work: does it.
        """
        if name not in self._done or not leaves.is_file():
            self._write(self._passed)
            work()
            self._write([*self._passed, name])
        self._passed.append(name)

    def _read(self) -> list[str]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            config, done = content["config"], list(map(str, content["done"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BenchmarkError(
                f"{self._path}: not a record of steps; choose another --out, or start over with "
                f"--fresh"
            ) from error
        differing = list(_differences(config, self._config))
        if differing:
            more = len(differing) - _NAMED
            raise BenchmarkError(
                f"{self._path.parent}: was made by another config: {'; '.join(differing[:_NAMED])}"
                f"{f'; and {more} more' if more > 0 else ''}; say the same, choose another --out, or "
                f"start over with --fresh"
            )
        return done

    def _write(self, done: list[str]) -> None:
        self._done = list(done)
        with whole_file(self._path) as path:
            path.write_text(json.dumps({"config": self._config, "done": done}, indent=2) + "\n")


def _differences(old: object, new: object, name: str = "") -> Iterator[str]:
    """Entries that differ, each in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{name}.{key}" if name else str(key)
            yield from _differences(old.get(key), new.get(key), inner)
    elif old != new:
        yield f"{name or 'config'} was {_short(old)}, is {_short(new)}"


def _short(value: object) -> str:
    return "not given" if value is None else json.dumps(value)
