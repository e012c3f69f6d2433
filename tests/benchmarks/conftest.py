"""One tiny rendered set and one finished run of it, made by the commands themselves."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
from loopback import Loopback, loopback

from benchmarks_kth_mad.cli import main

CLASSES = ["--classes", "walking", "handwaving"]
TINY = ["--frames", "8", "--height", "24", "--width", "32", "--channels", "1"]
TINY += ["--epochs", "2", "--device", "cpu"]
STEPS = {
    "train": [*CLASSES, *TINY],
    "predict": [],
    "attribute": ["--clips", "4", "--samples", "60"],
    "evaluate": ["--steps", "5"],
    "report": ["--pictures", "1", "--html-clips", "2"],
}


class Finished(NamedTuple):
    """A run folder, and what each command printed on the way."""

    folder: Path
    said: dict[str, str]


def run_command(*arguments: object) -> str:
    """Run a command that must succeed; what it printed."""
    with redirect_stdout(io.StringIO()) as said:
        assert main([str(one) for one in arguments]) == 0
    return said.getvalue()


@pytest.fixture(scope="session")
def steps() -> dict[str, list[str]]:
    """Options of each command of the tiny run."""
    return STEPS


@pytest.fixture(scope="session")
def command() -> Callable[..., str]:
    return run_command


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three persons, one for each split, two actions, four subsequences each."""
    root = tmp_path_factory.mktemp("sets") / "set"
    actions = ["--actions", *CLASSES[1:]]
    run_command("render", "--root", root, "--persons", 3, "--sequences", 4, *actions)
    return root


@pytest.fixture(scope="session")
def finished(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The whole chain; tests that change something take a copy."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    said = {}
    for name, options in STEPS.items():
        source = ["--root", rendered] if name == "train" else []
        said[name] = run_command(name, *source, "--run", folder, *options)
    return Finished(folder, said)


@pytest.fixture
def run_copy(finished: Finished, tmp_path: Path) -> Path:
    return shutil.copytree(finished.folder, tmp_path / "run")


@pytest.fixture
def set_copy(rendered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(rendered, tmp_path / "set")


@pytest.fixture
def one_person(set_copy: Path) -> Path:
    """Of the three persons, the videos of the first alone are there."""
    for number in (2, 3):
        for video in set_copy.glob(f"*/person{number:02d}_*.avi"):
            video.unlink()
    return set_copy


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail with one line on stderr, and change no file under tmp_path.

    ``leaves`` names the one file that it may leave there.
    """

    def contents(but: str = "") -> dict[str, bytes]:
        files = (path for path in tmp_path.rglob("*") if path.is_file() and path.name != but)
        return {str(path): path.read_bytes() for path in files}

    def refuse(*arguments: object, leaves: str = "") -> str:
        before = contents()
        capfd.readouterr()
        try:
            code: object = main([str(one) for one in arguments])
        except SystemExit as error:  # argparse leaves by itself
            code = error.code
        line = capfd.readouterr().err
        assert code == 2
        assert line.count("\n") == 1
        assert line.endswith("\n")
        assert "error: " in line
        assert contents(leaves) == before
        return line

    return refuse


@pytest.fixture(scope="session")
def server() -> Iterator[Loopback]:
    """A web server on this machine, reached directly whatever proxy the environment names."""
    with pytest.MonkeyPatch.context() as patched, loopback() as one:
        for name in ("no_proxy", "NO_PROXY"):
            patched.setenv(name, "127.0.0.1")
        yield one
