"""What a command shows, and that a quiet one shows nothing."""

import sys
from pathlib import Path

import pytest

from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.console import progress_bar, shows_progress, silent


def test_bars_are_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert not shows_progress()
    assert progress_bar(range(3)).disable
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert shows_progress()
    assert not progress_bar(range(3)).disable


def test_silence_ends_with_its_block(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    def fail_silently() -> None:
        with silent():
            assert progress_bar(range(3)).disable
            print("unheard")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_silently()
    with silent(False):
        assert shows_progress()
        print("heard")
    assert capsys.readouterr().out == "heard\n"


def test_a_quiet_command_tells_its_errors_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    render = ["render", "--root", str(tmp_path / "set"), "--persons", "3", "--sequences", "1"]
    assert main([*render, "--actions", "boxing", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["report", "--run", str(tmp_path), "--quiet"]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("error: ")
