"""Several processes: they find each other, end together, and say why once."""

import os
import signal
import time
from multiprocessing import Pipe, get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.processes.together import Place, _result, launched, run_together


def rank_of(place: Place, *others: object) -> tuple[int, int, str, tuple]:
    return place.rank, place.world, os.environ["LOCAL_RANK"], others


def refuse_in_second(place: Place, reason: str) -> None:
    if place.rank == 1:
        raise BenchmarkError(reason)
    time.sleep(600)


def break_in_second(place: Place) -> None:
    if place.rank == 1:
        raise KeyError("no such thing")
    time.sleep(600)


def die_in_second(place: Place) -> None:
    if place.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def note_own_number(place: Place, folder: Path) -> None:
    (folder / str(place.rank)).write_text(str(os.getpid()))
    if place.rank == 1:
        raise BenchmarkError("enough")
    while True:
        time.sleep(600)


def test_the_first_one_answers() -> None:
    assert run_together(2, rank_of, "a", 3) == (0, 2, "0", ("a", 3))


def test_a_refusal_of_one_ends_all() -> None:
    with pytest.raises(BenchmarkError, match=r"^video 7: broken$"):
        run_together(2, refuse_in_second, "video 7: broken")


def test_a_fault_shows_where_it_was() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)break_in_second.*no such thing"):
        run_together(2, break_in_second)


def test_one_that_was_killed_is_named() -> None:
    with pytest.raises(BenchmarkError, match="process 1 of 2 was ended by SIGKILL"):
        run_together(2, die_in_second)


def test_nobody_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="enough"):
        run_together(2, note_own_number, tmp_path)
    for number in tmp_path.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(number.read_text()), 0)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
SLURM = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_NNODES": "2"}
TORCHRUN_PLACE = Place(3, 4, 2, "torchrun")
SLURM_PLACE = Place(3, 4, 2, "slurm")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Place()),
        (TORCHRUN, TORCHRUN_PLACE),
        (SLURM, SLURM_PLACE),
        (SLURM | TORCHRUN, TORCHRUN_PLACE),
        (SLURM | {"SLURM_JOB_NAME": "bash"}, Place()),
        (SLURM | {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_NNODES": "1"}, Place()),
    ],
)
def test_places(
    variables: dict[str, str], expected: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {**TORCHRUN, **SLURM, "SLURM_JOB_NAME": "", "SLURM_NTASKS_PER_NODE": ""}:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected
    assert expected.here == (2 if expected.world > 1 else 1)


@pytest.mark.parametrize(
    "wrong", [{"WORLD_SIZE": "many"}, {"RANK": "4"}, {"LOCAL_WORLD_SIZE": "0"}]
)
def test_variables_that_make_no_sense(
    wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (TORCHRUN | wrong).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BenchmarkError, match=r"torchrun or Slurm|equally many processes"):
        launched()


def test_commands_that_do_not_share_refuse(
    refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (TORCHRUN | {"RANK": "0"}).items():
        monkeypatch.setenv(name, value)
    line = refused("render", "--root", tmp_path / "set")
    assert "render: works in one process, and torchrun has started 4" in line


class EndsBetweenQuestions:
    """A process whose sentinel is ready before its exit code is."""

    def __init__(self) -> None:
        self.sentinel, self._end = Pipe(duplex=False)
        self._end.close()
        self._codes = iter([None])

    @property
    def exitcode(self) -> int | None:
        return next(self._codes, 1)


def test_a_process_that_ends_while_it_is_asked_is_not_lost() -> None:
    with pytest.raises(RuntimeError, match="without a word"):
        _result([EndsBetweenQuestions()], SimpleQueue(ctx=get_context("spawn")))
