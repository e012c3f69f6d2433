"""What every command offers, whichever it is, and what a shell completes of it."""

import argparse
import subprocess
from pathlib import Path

import pytest

from benchmarks_kth_mad import options
from benchmarks_kth_mad.cli import COMMANDS, main
from benchmarks_kth_mad.versions import SCRIPT, versions

COMPUTE_NOTHING = {"cards", "completion", "download", "plan", "render"}
NOTHING_RANDOM = {"completion", "download"}
PARSER = options.build_parser()
(PARSERS,) = (one.choices for one in PARSER._actions if isinstance(one, argparse._SubParsersAction))


def test_every_command_has_its_options_and_its_work() -> None:
    assert set(PARSERS) == set(COMMANDS)


@pytest.mark.parametrize("name", PARSERS)
def test_options_that_all_have(name: str) -> None:
    offered = set(PARSERS[name]._option_string_actions)
    assert offered >= {"--help", "--quiet"}
    assert "--seed" in offered or name in NOTHING_RANDOM
    assert ("--device" in offered) == (name not in COMPUTE_NOTHING)


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_is_explained(name: str) -> None:
    for action in PARSERS[name]._actions:
        assert action.help, f"{name} {action.option_strings or action.dest}"
        assert action.help != argparse.SUPPRESS


def test_the_program_is_called_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PARSER.prog == "python -m benchmarks_kth_mad"
    monkeypatch.setattr("sys.argv", [f"/somewhere/bin/{SCRIPT}"])
    assert options.build_parser().prog == SCRIPT


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.split() == versions().split()


def test_an_option_that_would_be_ignored_is_refused(refused) -> None:
    line = refused("speed", "--of", "cell", "--bfloat16")
    assert "--bfloat16: for --of methods and rate, not for --of cell" in line


DRIVE = """
source "$1"; cd "$2"; shift 2
complete -p captum-video-benchmark | grep -q -- "-F _shtab_captum_video_benchmark"
COMP_WORDS=(captum-video-benchmark "$@"); COMP_CWORD=$#
_shtab_captum_video_benchmark
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("shtab", reason="no shtab, which the extra 'benchmarks' brings")
    file = tmp_path_factory.mktemp("completion") / "script"
    with pytest.MonkeyPatch.context() as patch, file.open("w") as stream:
        patch.setattr("sys.stdout", stream)
        assert main(["completion", "bash"]) == 0
    return file


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval"], {"evaluate"}),
        (["completion", ""], {"bash", "zsh", "tcsh"}),
        (["train", "--mod"], {"--model"}),
        (["train", "--precision", "b"], {"bfloat16"}),
        (["train", "--model", "cnn_lstm_s"], {"cnn_lstm_small", "cnn_lstm_small_attention"}),
        (["attribute", "--methods", "gradcam", "ri"], {"rise"}),
        (["evaluate", "--metrics", "ins"], {"insertion"}),
        (["train", "--root", "a"], {"a_folder"}),
        (["import-study", "--checkpoint", "a"], {"a_folder", "a_file"}),
    ],
)
def test_bash_completes(script: Path, words: list[str], expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "a_file").touch()
    found = subprocess.run(
        ["bash", "--norc", "-c", DRIVE, "bash", str(script), str(tmp_path), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(found.stdout.split()) == expected
    assert not found.stderr


@pytest.mark.parametrize(("shell", "sign"), [("zsh", "#compdef"), ("tcsh", "complete ")])
def test_other_shells_get_scripts(
    shell: str, sign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab", reason="no shtab, which the extra 'benchmarks' brings")
    assert main(["completion", shell]) == 0
    assert f"{sign}" in capsys.readouterr().out
