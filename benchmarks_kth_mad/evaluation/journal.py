"""Finished work that outlives its process: one SQLite file per process, one transaction per result."""

import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder

Key = tuple[str, ...]
_TABLE = (
    "create table if not exists entries (key text primary key, failed int, facts text, arrays blob)"
)


@dataclass(frozen=True)
class Entry:
    """One finished unit of work: facts that JSON can hold, and arrays. ``error`` says why it failed."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    error: str | None = None


class Journal:
    """The entries of a folder, whichever process wrote them.

    A process writes to a file of its own, so that none waits for another, and an entry is there whole or
    not at all: SQLite takes back on the next opening what a killed process had begun. Of a key that was
    written twice, an entry that did not fail counts.

    Args:
        folder: of the files ``part-0000.sqlite`` and on.
        command: which makes them, for messages.

    Raises:
        BenchmarkError: a file that can not be read, here and from every method.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self.folder = folder
        self._command = command
        self._places: dict[Key, Path] = {}
        self._failed: set[Key] = set()
        for path in sorted(folder.glob("part-*.sqlite")):
            for text, failed in self._rows(path, "select key, failed from entries"):
                key = self._key(path, text)
                if key not in self._places or key in self._failed:
                    self._places[key] = path
                    (self._failed.add if failed else self._failed.discard)(key)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[Key]:
        return iter(self._places)

    def done(self, key: Key) -> bool:
        """Whether the entry is there and did not fail."""
        return key in self._places and key not in self._failed

    def __getitem__(self, key: Key) -> Entry:
        return self._entry(key, "arrays")

    def without_arrays(self, key: Key) -> Entry:
        """The entry of a key, its arrays left on disk."""
        return self._entry(key, "null")

    def _entry(self, key: Key, column: str) -> Entry:
        path = self._places[key]
        query = f"select facts, {column} from entries where key = ?"
        try:
            ((facts, arrays),) = self._rows(path, query, [json.dumps(key)])
            content = json.loads(facts)
            unpacked = {} if arrays is None else _unpacked(arrays)
            return Entry(content["facts"], unpacked, content["error"])
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise _unreadable(path, self._command) from error

    def _rows(self, path: Path, query: str, values: Sequence[str] = ()) -> Iterable[tuple]:
        try:
            with closing(sqlite3.connect(path)) as connection:
                tables = connection.execute("select name from sqlite_master").fetchall()
                return connection.execute(query, values).fetchall() if tables else []
        except sqlite3.Error as error:
            raise _unreadable(path, self._command) from error

    def _key(self, path: Path, text: object) -> Key:
        try:
            key = json.loads(text)  # type: ignore[arg-type]
        except (ValueError, TypeError) as error:
            raise _unreadable(path, self._command) from error
        if not isinstance(key, list) or not all(isinstance(part, str) for part in key):
            raise _unreadable(path, self._command)
        return tuple(key)


@contextmanager
def writing(folder: Path, command: str, rank: int) -> Iterator["Writer"]:
    """The file of one process in the folder of a `Journal`, to write to.

    Raises:
        BenchmarkError: a file that can not be written.
    """
    make_folder(folder)
    path = folder / f"part-{rank:04d}.sqlite"
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(_TABLE)
            yield Writer(connection)
    except sqlite3.Error as error:
        raise _unreadable(path, command) from error


class Writer:
    """Writes entries, which are on disk when `write` or `write_all` returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def write(self, key: Key, entry: Entry) -> None:
        """Keep an entry, in place of an older one of this key."""
        facts = json.dumps({"facts": dict(entry.facts), "error": entry.error})
        values = (json.dumps(key), entry.error is not None, facts, _packed(entry.arrays))
        self._connection.execute("insert or replace into entries values (?, ?, ?, ?)", values)

    def write_all(self, entries: Mapping[Key, Entry]) -> None:
        """Keep several entries, all of them or none: they wait for the disk once."""
        if len(entries) > 1:  # one is a transaction by itself
            self._connection.execute("begin")
        with self._connection:
            for key, entry in entries.items():
                self.write(key, entry)


def _unreadable(path: Path, command: str) -> BenchmarkError:
    return BenchmarkError(f"{path}: not a part that can be read; run {command} again with --fresh")


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)
