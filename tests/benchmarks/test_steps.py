"""Steps of a long command: each once, all after one that is done anew, and none by another config."""

from pathlib import Path

import pytest

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.studies.steps import DONE, Steps

CONFIG = {"network": {"epochs": 2}, "sizes": (3, 4)}


class Work:
    """Three steps that write a file each, and remember that they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.did: list[str] = []

    def run(self, config: dict | None = None, failing: str | None = None) -> list[str]:
        self.did = []
        steps = Steps(self.folder, "study", config or CONFIG, "cpu")
        for name in ("first", "second", "third"):
            steps.do(name, self.folder / name, lambda name=name: self.step(name, failing))
        return self.did

    def step(self, name: str, failing: str | None) -> None:
        (self.folder / name).write_text(name)
        if name == failing:
            raise KeyboardInterrupt
        self.did.append(name)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "run")


def test_a_step_is_done_once(work: Work) -> None:
    assert work.run() == ["first", "second", "third"]
    assert work.run() == []


def test_one_that_was_interrupted_is_done_again_although_its_file_is_there(work: Work) -> None:
    with pytest.raises(KeyboardInterrupt):
        work.run(failing="second")
    assert (work.folder / "second").is_file()
    assert work.run() == ["second", "third"]


def test_one_whose_file_is_gone_takes_the_later_ones_with_it(work: Work) -> None:
    work.run()
    (work.folder / "second").unlink()
    with pytest.raises(KeyboardInterrupt):
        work.run(failing="second")
    assert work.run() == ["second", "third"]


def test_another_config_is_refused_by_what_differs(work: Work) -> None:
    work.run()
    with pytest.raises(BenchmarkError, match="network epochs 2 there, 3 asked for"):
        work.run({**CONFIG, "network": {"epochs": 3}})
    assert work.run() == []


def test_a_config_that_nothing_came_of_binds_nobody(work: Work) -> None:
    with pytest.raises(KeyboardInterrupt):
        work.run(failing="first")
    assert work.run({"network": {"epochs": 3}}) == ["first", "second", "third"]


def test_a_folder_of_others_and_a_file_in_its_place_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(BenchmarkError, match="holds something that study did not make"):
            Steps(folder, "study", CONFIG, "cpu")
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("content", ["{", "3", "[" * 100_000])
def test_a_list_that_can_not_be_read_is_named(work: Work, content: str) -> None:
    work.run()
    (work.folder / DONE).write_text(content)
    with pytest.raises(BenchmarkError, match=f"{DONE}: not a list of steps"):
        work.run()
