"""Ctrl-C, SIGTERM and a reader that leaves: one line at most, the exit code of a shell."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.endings import end_cleanly
from benchmarks_kth_mad.training import classification
from benchmarks_kth_mad.versions import versions

REPOSITORY = Path(__file__).parents[2]
WAIT = """
import sys, time
from benchmarks_kth_mad.endings import end_cleanly
def work():
    try:
        print("ready", flush=True)
        time.sleep(600)
    finally:
        print("closed", flush=True)
sys.exit(end_cleanly(work))
"""
TALK = """
import sys
from benchmarks_kth_mad.endings import end_cleanly
def work():
    sys.stdin.read()
    print("nobody listens")
    return 0
sys.exit(end_cleanly(work))
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=REPOSITORY,
    )


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_ends_with_one_line(number: signal.Signals, said: str) -> None:
    with start("-c", WAIT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        output, error = process.communicate()
    assert (output, error) == ("closed\n", f"{said}\n")
    assert process.returncode == 128 + number


def test_a_reader_that_leaves_is_no_error() -> None:
    with start("-c", TALK) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, error = process.communicate("go on")
    assert error == ""
    assert process.returncode == 128 + signal.SIGPIPE


def test_the_version_is_told_without_torch() -> None:
    with start("-X", "importtime", "-m", "benchmarks_kth_mad", "--version") as process:
        output, imported = process.communicate()
    assert output == f"{versions()}\n"
    assert "captum-video 0" in output
    assert "benchmarks_kth_mad.versions" in imported
    assert " torch\n" not in imported
    assert process.returncode == 0


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_training_is_stopped_and_leaves_nothing(
    number: signal.Signals,
    said: str,
    workers: int,
    rendered: Path,
    steps,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def stop(clips: tuple, generator: object) -> tuple:
        os.kill(os.getpid(), number)
        return clips

    monkeypatch.setattr(classification, "augment", stop)
    options = ["--root", rendered, "--run", tmp_path / "run", *steps["train"], "--workers", workers]
    code = end_cleanly(lambda: main(["train", *map(str, options)]))
    assert code == 128 + number
    assert capfd.readouterr() == ("", f"{said}\n")
    assert list((tmp_path / "run").iterdir()) == []
