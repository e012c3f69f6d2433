"""No file that a command reads can run code: not by pickle, and not by what the sources call."""

import ast
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.data.masks import load_masks
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, writing
from benchmarks_kth_mad.files import plain_name

ROOT = Path(__file__).parents[2]
# a pickle of today's protocol where torch expects its own
pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


class Evil:
    """What, unpickled, makes a file."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder / "harm")

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.place,)


def test_the_harm_is_real(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Evil(tmp_path)))
    assert (tmp_path / "harm").is_dir()


def test_objects_among_masks(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", bits=np.array([Evil(tmp_path)], object), width=8)
    with pytest.raises(BenchmarkError, match=r"b\.npz: not a file of masks"):
        load_masks(tmp_path / "b.npz")
    assert not (tmp_path / "harm").exists()


READ_BY = {
    "checkpoint.pt": ["predict", "attribute", "evaluate", "motion", "convergence", "checks"],
}


@pytest.mark.parametrize(("name", "command"), [(n, c) for n, cs in READ_BY.items() for c in cs])
def test_files_of_a_run_carry_no_code(
    refused: Callable[..., str], run_copy: Path, name: str, command: str
) -> None:
    path = run_copy / name
    whole = torch.load(path, weights_only=True)
    key = next(iter(whole))
    for content in ({**whole, key: Evil(run_copy)}, Evil(run_copy)):
        torch.save(content, path)
        assert f"error: {path}: not " in refused(command, "--run", run_copy)
    path.write_bytes(pickle.dumps(Evil(run_copy)))  # as torch before 1.6 wrote
    assert f"error: {path}: not " in refused(command, "--run", run_copy)
    assert not (run_copy / "harm").exists()


@pytest.mark.parametrize("network", ["cnn-lstm", "3d-resnet", "pan", "pan-full"])
def test_checkpoints_of_others_carry_no_code(
    refused: Callable[..., str], rendered: Path, tmp_path: Path, network: str
) -> None:
    path = tmp_path / "theirs.pth"
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1), "more": Evil(tmp_path)}}, path)
    options = ["--network", network, "--checkpoint", *[path] * (2 if network == "pan-full" else 1)]
    line = refused("import-study", "--root", rendered, "--run", tmp_path / "new", *options)
    assert f"error: {path}: not a checkpoint that can be read" in line
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("command", ["evaluate", "report", "motion", "convergence"])
def test_maps_of_a_run_carry_no_code(
    refused: Callable[..., str], run_copy: Path, command: str
) -> None:
    journal = Journal(run_copy / "attributions", "attribute")
    with writing(journal.folder, "attribute", 0) as writer:
        for key in journal:
            if key[0] == "clip":
                evil = {"input_0": np.array([Evil(run_copy)], object)}
                writer.write(key, Entry(journal[key].facts, evil))
    shutil.rmtree(run_copy / "evaluation")  # or what is measured would not be measured again
    part = run_copy / "attributions" / "part-0000.sqlite"
    assert f"error: {part}: not " in refused(command, "--run", run_copy)
    assert not (run_copy / "harm").exists()


@pytest.mark.parametrize("command", ["report", "motion"])
def test_pictures_are_not_written_elsewhere(
    run_copy: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_copy / "attributions" / "manifest.json"
    content = json.loads(path.read_text())
    content["conditions"]["clips"][0] = "../../escaped"
    path.write_text(json.dumps(content))
    assert main([command, "--run", str(run_copy)]) == 2
    assert "clip '../../escaped': no name of a file; run attribute again" in capsys.readouterr().err
    assert not list(run_copy.parent.rglob("*escaped*"))


@pytest.mark.parametrize(
    "name", ["../up", "/tmp/root", "..", ".hidden", "a/b", "a\0b", "x" * 300, ""]
)
def test_names_of_files(name: str) -> None:
    assert plain_name("person01_walking_d1_s2 of Zoë") == "person01_walking_d1_s2 of Zoë"
    with pytest.raises(BenchmarkError, match="no name of a file"):
        plain_name(name)


@pytest.mark.parametrize(
    "change",
    [
        {"clip": 5},
        {"clip": {"frames": "8"}},
        {"clip": {"frames": 10**9}},
        {"classes": 2},
        {"classes": [1, 2]},
        {"model": ["r3d_small"]},
        {"model": "cnn_lstm_small", "settings": {"hidden": 10**6}},
        {"model": "cnn_lstm_small", "settings": {"hidden": 10**12}},
        {"settings": {1: 2}},
        {"state": [1]},
        {"state": {"a": 1}},
        {"state": {"a": torch.zeros(1).expand(10**12)}},
    ],
    ids=str,
)
def test_checkpoints_of_odd_contents(
    refused: Callable[..., str], run_copy: Path, change: dict
) -> None:
    path = run_copy / "checkpoint.pt"
    torch.save(torch.load(path, weights_only=True) | change, path)
    assert f"error: {path}: " in refused("predict", "--run", run_copy)


SOURCES = sorted(
    path
    for package in ("captum_video", "benchmarks_kth_mad")
    for path in (ROOT / package).rglob("*.py")
)
RUNS_CODE = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def code_runners(text: str) -> list[str]:
    """What in a source could run what a file says."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {one.name.split(".")[0] for one in node.names}
            if isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]}
            found += sorted(names & RUNS_CODE)
        if isinstance(node, ast.ImportFrom) and node.module in ("torch", "yaml", "numpy"):
            found += [one.name for one in node.names if "load" in one.name]
        if isinstance(node, ast.Call):
            found += _bad_call(node)
    return found


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _bad_call(node: ast.Call) -> list[str]:
    name = _dotted(node.func)
    watched = ("weights_only", "Loader", "allow_pickle", "shell")
    given = {one.arg: ast.unparse(one.value) for one in node.keywords if one.arg in watched}
    if name in ("eval", "exec", "compile", "__import__", "os.system", "pd.read_pickle"):
        return [name]
    if name == "torch.load" and given.get("weights_only") != "True":
        return [name]
    if name.endswith("load_from_checkpoint") or name in ("yaml.unsafe_load", "yaml.full_load"):
        return [name]
    if name in ("yaml.load", "yaml.load_all") and given.get("Loader") != "yaml.SafeLoader":
        return [name]
    if given.get("allow_pickle", "False") != "False":
        return [name]
    if name.startswith("subprocess.") and given.get("shell", "False") != "False":
        return [name]
    return []


def test_no_source_runs_what_a_file_says() -> None:
    found = {str(path.relative_to(ROOT)): code_runners(path.read_text()) for path in SOURCES}
    assert len(found) > 100
    # what a process hands to those that it starts is no file
    assert found.pop("benchmarks_kth_mad/processes/together.py") == ["pickle"]
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.externals",
        "from torch import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=safe)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "exec(text)",
        "pd.read_pickle(path)",
        "subprocess.run(text, shell=True)",
        "Model.load_from_checkpoint(path)",
    ],
)
def test_sources_that_would(line: str) -> None:
    assert len(code_runners(line)) == 1
