"""Entries outlive their process whole, whenever it is killed."""

import json
import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, writing


def write_on(folder: Path, first: int, told: Connection) -> None:
    """Write entries without end, and tell the number of each that is written."""
    with writing(folder, "attribute", 0) as writer:
        for number in range(first, 10**6):
            array = np.full(20_000, number)
            writer.write((str(number),), Entry({"number": number}, {"array": array}))
            told.send(number)


@settings(max_examples=25, deadline=None)
@given(
    facts=st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text()),
    values=st.lists(st.floats(width=32), max_size=5),
    error=st.none() | st.text(),
    key=st.lists(st.text(), min_size=1, max_size=3),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, facts: dict, values: list, error: str, key: list
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    array = np.array(values, dtype=np.float32)
    with writing(folder, "attribute", 3) as writer:
        writer.write(tuple(key), Entry(facts, {"values": array}, error))
    found = Journal(folder, "attribute")
    assert list(found) == [tuple(key)]
    assert found.done(tuple(key)) == (error is None)
    entry = found[tuple(key)]
    assert entry.facts == facts
    assert entry.error == error
    np.testing.assert_array_equal(entry.arrays["values"], array)
    assert entry.arrays["values"].dtype == np.float32
    assert found.without_arrays(tuple(key)) == Entry(facts, {}, error)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_entry_that_did_not_fail_counts(tmp_path: Path, order: tuple[int, int]) -> None:
    for rank, error in zip(order, (None, "out of memory"), strict=True):
        with writing(tmp_path, "attribute", rank) as writer:
            writer.write(("a",), Entry({"rank": rank}, error=error))
    found = Journal(tmp_path, "attribute")
    assert len(found) == 1
    assert found.done(("a",))
    assert found["a",].facts == {"rank": order[0]}


def test_a_later_entry_of_the_same_process_replaces(tmp_path: Path) -> None:
    for error in ("out of memory", None):
        with writing(tmp_path, "attribute", 0) as writer:
            writer.write(("a",), Entry(error=error))
    assert Journal(tmp_path, "attribute").done(("a",))


def test_several_entries_are_kept_all_or_none(tmp_path: Path) -> None:
    def entries(*names: str) -> dict[tuple[str, ...], Entry]:
        return {(name,): Entry({"name": name}) for name in names}

    with writing(tmp_path, "attribute", 0) as writer:
        writer.write_all(entries("a", "b"))
        with pytest.raises(TypeError):  # JSON holds no such thing
            writer.write_all(entries("c") | {("d",): Entry({"name": object()})})
        writer.write_all({})
        writer.write_all(entries("e"))
    assert list(Journal(tmp_path, "attribute")) == [("a",), ("b",), ("e",)]


def test_killed_in_mid_write_again_and_again(tmp_path: Path) -> None:
    chance = random.Random(0)
    finished = 0
    fork = multiprocessing.get_context("fork")
    for _ in range(5):
        told, tells = fork.Pipe(duplex=False)
        process = fork.Process(target=write_on, args=(tmp_path, finished, tells))
        process.start()
        said = [told.recv() for _ in range(6)]
        time.sleep(chance.uniform(0, 0.05))  # it goes on writing meanwhile
        process.kill()
        process.join()
        while told.poll():
            said.append(told.recv())
        last = max(said)
        journal = Journal(tmp_path, "attribute")
        # what was told is there, and at most the one entry whose telling was cut off
        assert len(journal) in (last + 1, last + 2)
        for number in range(len(journal)):
            entry = journal[str(number),]
            assert entry.facts == {"number": number}
            assert (entry.arrays["array"] == number).all()
        finished = len(journal)


@pytest.mark.parametrize("content", [b"words and words" * 100, b"SQLite format 3\x00" + b"x" * 500])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "part-0000.sqlite").write_bytes(content)
    with pytest.raises(BenchmarkError, match=r"part-0000.sqlite: not a part .* run evaluate again"):
        Journal(tmp_path, "evaluate")


@pytest.mark.parametrize(
    ("key", "facts", "arrays"),
    [
        ("words", "{}", b""),
        ("[1]", "{}", b""),
        ("{}", "{}", b""),
        (json.dumps(["a"]), "words", b""),
        (json.dumps(["a"]), "{}", b""),
        (json.dumps(["a"]), '{"facts": {}, "error": null}', b"words"),
        (json.dumps(["a"]), '{"facts": {}, "error": null}', b""),
    ],
)
def test_entries_of_another_kind(tmp_path: Path, key: str, facts: str, arrays: bytes) -> None:
    with writing(tmp_path, "evaluate", 0) as writer:
        values = (key, 0, facts, arrays)
        writer._connection.execute("insert into entries values (?, ?, ?, ?)", values)
    with pytest.raises(BenchmarkError, match="not a part that can be read; run evaluate again"):
        Journal(tmp_path, "evaluate")["a",]
