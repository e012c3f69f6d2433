"""Steps of a long command, each done once: what is done is kept beside what it leaves."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import Conditions, made_by
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.processes.joined import joined

DONE = "done.json"
T = TypeVar("T")


class Steps:
    """What was done in a folder, and by which config.

    A step counts as done once its work has ended and its file is there; one that is done anew takes
    with it those that came after. Of several processes the first reads and writes for all.

    Args:
        folder: that the steps fill; its ``manifest.json`` holds the config.
        command: that does them, for messages.
        config: what the steps are made by, as JSON has it.
        device: that is noted beside it.

    Raises:
        BenchmarkError: the folder holds steps by another config, whose differences are named; or
            something that no steps made.
    """

    def __init__(self, folder: Path, command: str, config: Mapping[str, Any], device: str) -> None:
        self._path = folder / DONE
        self._passed: list[str] = []
        conditions = Conditions(folder, command)

        def read() -> list[str]:
            check_ours(folder, command)
            done = self._read()
            if not done:  # a config that nothing has come of binds nobody
                conditions.path.unlink(missing_ok=True)
            conditions.agree_or_keep(
                json.loads(json.dumps(config, default=str)), made_by(device, 1)
            )
            return self._read()

        self._done = by_first(read)

    def do(self, name: str, leaves: Path, work: Callable[[], None], shared: bool = False) -> None:
        """Do a step, unless it is done.

        Args:
            name: of the step.
            leaves: the file that it ends with.
            work: does it.
            shared: whether all processes do it together, as training; else the first does it alone.
        """
        if not by_first(lambda: name in self._done and leaves.is_file()):
            by_first(lambda: self._write(self._passed))
            if shared:
                work()
            else:
                by_first(work)
            by_first(lambda: self._write([*self._passed, name]))
        self._passed.append(name)

    def _read(self) -> list[str]:
        if not self._path.is_file():
            return []
        try:
            return [str(one) for one in json.loads(self._path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError, RecursionError) as error:
            raise BenchmarkError(
                f"{self._path}: not a list of steps; remove it, and all of them are done again"
            ) from error

    def _write(self, done: list[str]) -> None:
        self._done = list(done)
        with whole_file(self._path) as path:
            path.write_text(json.dumps(done) + "\n")


def check_ours(folder: Path, command: str) -> None:
    """Raise BenchmarkError where a folder holds something, and not what steps of ours left."""
    ours = Conditions(folder, command).path.is_file()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise BenchmarkError(
            f"{folder}: holds something that {command} did not make; choose another --out"
        )


def by_first(work: Callable[[], T]) -> T:
    """Do something in the first of all processes, and give all what it found."""
    with joined() as processes:
        return processes.from_first(work)
