"""A night's work: killed and gone on with, shared among processes, with clips that fail."""

import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks_kth_mad import commands, methods
from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import load_curves, load_explained, load_rows
from benchmarks_kth_mad.evaluation.journal import Journal, Writer
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.processes.joined import Processes
from benchmarks_kth_mad.runs import Run

FORK = multiprocessing.get_context("fork")
METHODS = ["gradcam", "occlusion", "rise", "random"]
REPOSITORY = Path(__file__).parents[2]


def explain(folder: Path, **more: object) -> None:
    run = Run(folder)
    source = run.load_manifest().source
    commands.attribute(run, source, METHODS, Options(n_samples=60), 4, "cpu", **more)


def measure(folder: Path, **more: object) -> None:
    commands.evaluate(
        Run(folder), ["insertion", "deletion"], "voxel", 5, "frame-mean", "cpu", **more
    )


def study(folder: Path) -> None:
    """Both, as a process of its own does; a kernel that shares its sums may round otherwise."""
    torch.set_num_threads(1)
    explain(folder)
    measure(folder)


def begin(work: Callable, *arguments: object, **environment: str) -> multiprocessing.Process:
    def run() -> None:
        os.environ.update(environment)
        work(*arguments)

    process = FORK.Process(target=run)
    process.start()
    return process


def finish(work: Callable, *arguments: object) -> int | None:
    process = begin(work, *arguments)
    process.join()
    return process.exitcode


def bare_run(finished, folder: Path) -> Path:
    """A trained run without maps."""
    folder.mkdir()
    for name in ("checkpoint.pt", "run.json"):
        shutil.copy(finished.folder / name, folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = bare_run(finished, tmp_path_factory.mktemp("study") / "run")
    assert finish(study, folder) == 0
    return folder


def assert_same_results(folder: Path, expected: Path) -> None:
    for name in ("rows.parquet", "rows.csv"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes()
    ours, theirs = load_explained(Run(folder)), load_explained(Run(expected))
    assert ours.names == theirs.names
    assert all(torch.equal(ours.maps[name][0], theirs.maps[name][0]) for name in METHODS)


def entries(folder: Path) -> dict[tuple[str, ...], tuple]:
    """All that is finished, to the bit."""
    found = {}
    for part, command in (("attributions", "attribute"), ("evaluation", "evaluate")):
        journal = Journal(folder / part, command)
        for key in journal:
            entry = journal[key]
            arrays = {name: array.tobytes() for name, array in entry.arrays.items()}
            found[(part, *key)] = (entry.facts, arrays, entry.error)
    return found


def n_finished(folder: Path) -> int:
    parts = (("attributions", "attribute"), ("evaluation", "evaluate"))
    return sum(len(Journal(folder / part, command)) for part, command in parts)


def test_killed_again_and_again(finished, undisturbed: Path, tmp_path: Path) -> None:
    folder = bare_run(finished, tmp_path / "run")
    chance, kills, before = random.Random(0), 0, {}
    while True:
        enough = len(before) + chance.randint(1, 12)  # of 52
        process = begin(study, folder)
        while process.is_alive() and n_finished(folder) < enough:
            time.sleep(chance.uniform(0, 0.02))
        process.join(0)
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
        now = entries(folder)
        assert before.items() <= now.items()  # nothing that was finished is lost or done again
        before = now
    assert process.exitcode == 0
    assert kills > 1
    assert entries(folder) == entries(undisturbed)
    assert_same_results(folder, undisturbed)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_a_transaction(folder: Path) -> None:
    """Half of an entry is with SQLite when the process goes."""

    def write(self: Writer, key: tuple[str, ...], entry: object) -> None:
        self._connection.execute("begin")
        values = ("[]", 0, "{}", os.urandom(1 << 20))
        self._connection.execute("insert or replace into entries values (?, ?, ?, ?)", values)
        die()

    Writer.write = write  # type: ignore[method-assign]
    study(folder)


def die_in_the_table(folder: Path) -> None:
    """Half of the rows are in the file when the process goes."""

    def to_parquet(self: pd.DataFrame, path: Path, **_: object) -> None:
        path.write_bytes(b"PAR1 and half of the rows")
        die()

    pd.DataFrame.to_parquet = to_parquet  # type: ignore[method-assign]
    study(folder)


def test_killed_in_mid_write(finished, undisturbed: Path, tmp_path: Path) -> None:
    folder = bare_run(finished, tmp_path / "run")
    assert finish(die_in_a_transaction, folder) == -signal.SIGKILL
    assert entries(folder) == {}
    assert finish(die_in_the_table, folder) == -signal.SIGKILL
    assert not (folder / "rows.parquet").exists()
    assert len(list(folder.glob(".*partial*"))) == 1
    assert finish(study, folder) == 0
    assert not list(folder.glob(".*partial*"))
    assert_same_results(folder, undisturbed)


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def as_torchrun(rank: int, count: int, port: str) -> dict[str, str]:
    return {
        "TORCHELASTIC_RUN_ID": "test",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "GLOO_SOCKET_IFNAME": "lo",
    }


def as_slurm(rank: int, count: int, port: str) -> dict[str, str]:
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_NTASKS": str(count),
        "SLURM_NTASKS_PER_NODE": str(count),
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_PORT": port,
        "GLOO_SOCKET_IFNAME": "lo",
    }


def finish_together(
    count: int, surroundings: Callable, work: Callable, *arguments: object
) -> list[int | None]:
    port = free_port()
    all_of_them = [
        begin(work, *arguments, **surroundings(rank, count, port)) for rank in range(count)
    ]
    for process in all_of_them:
        process.join(300)
    return [process.exitcode for process in all_of_them]


@pytest.mark.parametrize(
    ("count", "surroundings"), [(2, as_torchrun), (4, as_torchrun), (2, as_slurm)]
)
def test_processes_share_the_clips(
    finished, undisturbed: Path, tmp_path: Path, count: int, surroundings: Callable
) -> None:
    folder = bare_run(finished, tmp_path / "run")
    assert finish_together(count, surroundings, study, folder) == [0] * count
    assert_same_results(folder, undisturbed)
    for part, command in (("attributions", "attribute"), ("evaluation", "evaluate")):
        files = sorted((folder / part).glob("part-*"))
        assert len(files) == count
        sizes = []
        for file in files:  # each by itself: nothing is done twice
            alone = tmp_path / f"{part}-{file.stem}"
            alone.mkdir()
            shutil.copy(file, alone / "part-0000.sqlite")
            sizes.append(len(Journal(alone, command)))
        assert sum(sizes) == len(Journal(folder / part, command))
        assert min(sizes) > 0


def test_processes_share_groups(finished, tmp_path: Path) -> None:
    def in_pairs(folder: Path) -> None:
        torch.set_num_threads(1)
        explain(folder, clips_per_pass=2)
        measure(folder, clips_per_pass=2)

    one, two = (bare_run(finished, tmp_path / name) for name in ("one", "two"))
    assert finish(in_pairs, one) == 0
    assert finish_together(2, as_torchrun, in_pairs, two) == [0, 0]
    assert entries(two) == entries(one)
    assert_same_results(two, one)
    names = KeptMaps(Run(one)).names
    for path in sorted((two / "attributions").glob("part-*")):
        alone = tmp_path / path.stem
        alone.mkdir()
        shutil.copy(path, alone / "part-0000.sqlite")
        group = {name for _, name, *_ in Journal(alone, "attribute")}
        assert group in (set(names[:2]), set(names[2:]))


def test_other_processes_go_on_with_the_work(finished, undisturbed: Path, tmp_path: Path) -> None:
    folder = bare_run(finished, tmp_path / "run")
    assert finish_together(2, as_torchrun, explain, folder) == [0, 0]
    (folder / "attributions" / "part-0001.sqlite").unlink()  # its disk was lost
    assert finish(study, folder) == 0
    assert_same_results(folder, undisturbed)


def test_what_the_first_process_refuses_ends_all(finished, tmp_path: Path) -> None:
    folder = bare_run(finished, tmp_path / "run")
    assert finish_together(2, as_torchrun, explain, folder) == [0, 0]

    def other(folder: Path) -> None:
        sys.exit(main(["attribute", "--run", str(folder), "--clips", "2"]))

    assert finish_together(2, as_torchrun, other, folder) == [2, 2]


def test_by_torchrun(undisturbed: Path, finished, tmp_path: Path) -> None:
    folder = bare_run(finished, tmp_path / "run")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc-per-node", "2", "-m", "--", "benchmarks_kth_mad"]
    options = ["--run", str(folder), "--clips", "4", "--samples", "60", "--device", "cpu"]
    found = subprocess.run(
        [*launch, "attribute", *options],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("explained 4 clips") == 1
    assert finish(measure, folder) == 0
    ours, theirs = load_rows(Run(folder)), load_rows(Run(undisturbed))
    assert ours["clip"].tolist() == theirs["clip"].tolist()
    np.testing.assert_allclose(ours["area"], theirs["area"], atol=1e-4)


def truncated(rendered: Path, folder: Path, clip: str) -> Path:
    """A copy of a set in which the video of one clip ends too early."""
    broken = shutil.copytree(rendered, folder)
    (video,) = broken.glob(f"*/{clip.rsplit('_', 1)[0]}_uncomp.avi")
    video.write_bytes(video.read_bytes()[:3000])
    return broken


def test_a_clip_that_fails_is_left_out_and_told(
    finished, rendered: Path, undisturbed: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    folder = bare_run(finished, tmp_path / "run")
    expected = load_rows(Run(undisturbed))
    bad = expected["clip"].iloc[0]  # the first of all
    video = bad.rsplit("_", 1)[0]
    root = truncated(rendered, tmp_path / "broken", bad)
    run = ["--run", str(folder), "--device", "cpu"]
    options = ["--root", str(root), "--clips", "4", "--samples", "60"]
    assert main(["attribute", *run, *options]) == 3
    said = capfd.readouterr()
    assert f"{bad}: {root}" in said.err
    assert main(["evaluate", *run, "--steps", "5"]) == 3
    rows = load_rows(Run(folder))
    lost = rows["clip"].str.startswith(video)
    assert "fetch the file again" in rows[lost]["error"].iloc[0]
    assert rows[lost]["area"].isna().all()
    assert (rows[~lost]["error"] == "").all()
    assert len(rows) == len(expected)
    kept = expected[~expected["clip"].str.startswith(video)]
    np.testing.assert_allclose(rows[~lost]["area"], kept["area"], atol=1e-4)
    curves = load_curves(Run(folder))
    n_clips = (~lost).sum() // (2 * len(METHODS))
    assert curves["insertion"]["rise"].scores.shape[0] == n_clips
    assert len(load_explained(Run(folder)).names) == n_clips
    table = pd.read_csv(folder / "rows.csv")
    assert table["error"].notna().sum() == lost.sum()
    assert main(["report", "--run", str(folder), "--pictures", "0"]) == 0


def test_a_method_that_fails_on_one_clip(
    finished, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = KeptMaps(Run(undisturbed)).names
    clip = KeptMaps(Run(undisturbed)).explained(names[1]).clips[0]
    whole = methods.METHODS["random"]

    def fails_once(model, clips, target, options):
        if torch.equal(clips[0], clip):
            raise RuntimeError("out of\nmemory")
        return whole(model, clips, target, options)

    folder = bare_run(finished, tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setitem(methods.METHODS, "random", fails_once)
        with pytest.raises(commands.ClipsFailed, match=rf"1 of 4 .*{names[1]}: RuntimeError: out"):
            explain(folder)
    with pytest.raises(commands.ClipsFailed):
        measure(folder)
    rows = load_rows(Run(folder))
    wrong = rows[rows["error"] != ""]
    assert set(zip(wrong["clip"], wrong["method"], strict=True)) == {(names[1], "random")}
    assert set(wrong["error"]) == {"RuntimeError: out of memory"}
    # tried again where it may work now
    explain(folder)
    measure(folder)
    assert (load_rows(Run(folder))["error"] == "").all()


def test_options_that_fail_on_every_clip_are_refused_at_once(finished, tmp_path: Path) -> None:
    folder = bare_run(finished, tmp_path / "run")
    run = Run(folder)
    source = run.load_manifest().source
    for options in (Options(layer="nowhere"), Options(layer="network.fc")):
        with pytest.raises(BenchmarkError, match=r"^gradcam: .*(layer|layout)"):
            commands.attribute(run, source, ["random", "gradcam"], options, 4, "cpu")
        assert not run.attributions.exists()


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("attribute", ["--samples", 61], "options n_samples 60 there, 61 asked for"),
        ("attribute", ["--seed", 1], "options seed 0 there, 1 asked for"),
        ("attribute", ["--clips", 3], "clips ["),
        (
            "attribute",
            ["--methods", "random"],
            'methods ["gradcam", "occlusion", "rise", "random"]',
        ),
        ("attribute", ["--precision", "bfloat16"], 'precision "float32" there, "bfloat16" asked'),
        ("attribute", ["--clips-per-pass", 3], "clips_per_pass 1 there, 3 asked for"),
        ("evaluate", ["--clips-per-pass", 2], "clips_per_pass 1 there, 2 asked for"),
        ("evaluate", ["--steps", 6], "played n_steps 5 there, 6 asked for"),
        ("evaluate", ["--unit", "cell"], 'played unit "voxel" there, "cell" asked for'),
        ("evaluate", ["--metrics", "deletion"], 'metrics ["insertion", "deletion"] there'),
        ("evaluate", ["--baseline", "blur"], 'baseline "frame-mean" there, "blur" asked for'),
    ],
)
def test_results_of_other_conditions_are_not_mixed(
    run_copy: Path, refused: Callable[..., str], command: str, options: list, message: str
) -> None:
    asked = {"attribute": {"--clips": 4, "--samples": 60}, "evaluate": {"--steps": 5}}[command]
    asked |= dict(zip(options[::2], options[1::2], strict=True))
    line = refused(command, "--run", run_copy, *(part for pair in asked.items() for part in pair))
    assert "has results of other conditions: " in line
    assert message in line
    assert "--fresh" in line


def test_other_footage_is_noticed(
    run_copy: Path, set_copy: Path, refused: Callable[..., str], command: Callable[..., str]
) -> None:
    options = ["--run", run_copy, "--root", set_copy, "--clips", 4, "--samples", 60]
    command("attribute", *options)  # the same files elsewhere are the same
    name = load_rows(Run(run_copy))["clip"].iloc[0].rsplit("_", 1)[0]
    (video,) = set_copy.glob(f"*/{name}_uncomp.avi")
    video.write_bytes(video.read_bytes() + b"\0")
    assert "other conditions: data " in refused("attribute", *options)


def test_what_is_finished_is_not_done_again(
    run_copy: Path, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a second time")

    monkeypatch.setattr(methods, "METHODS", dict.fromkeys(methods.METHODS, never))
    before = entries(run_copy)
    assert "explained 4 clips" in command(
        "attribute", "--run", run_copy, *["--clips", "4", "--samples", "60"]
    )
    assert "measured 32 areas" in command("evaluate", "--run", run_copy, "--steps", 5)
    assert entries(run_copy) == before


def test_bfloat16_is_near_float32(finished, undisturbed: Path, tmp_path: Path) -> None:
    folder = bare_run(finished, tmp_path / "run")
    explain(folder, precision="bfloat16")
    measure(folder, precision="bfloat16")
    ours, theirs = load_rows(Run(folder)), load_rows(Run(undisturbed))
    np.testing.assert_allclose(ours["area"], theirs["area"], atol=0.05)
    assert not np.array_equal(ours["area"], theirs["area"])


def test_float16_needs_a_gpu(refused: Callable[..., str], run_copy: Path) -> None:
    line = refused("attribute", "--run", run_copy, "--precision", "float16", "--device", "cpu")
    assert "use bfloat16 on a CPU" in line


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_clip_is_somebodys(count: int) -> None:
    shares = [Processes(rank, count).mine(range(10)) for rank in range(count)]
    assert sorted(number for share in shares for number in share) == list(range(10))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_rows_that_are_damaged(run_copy: Path) -> None:
    run = Run(run_copy)
    good = pd.read_parquet(run.rows)
    for rows in (
        good.head(0),
        good.head(7),
        good.iloc[1:],
        pd.concat([good, good.tail(1)]),
        good.drop(columns="area"),
        good.drop(columns="scores"),
        good.assign(area="many"),
        good.assign(area=float("nan")),
        good.assign(metric="nope"),
        good.assign(clip=None),
        good.assign(fractions=good["scores"].map(lambda one: one[:-1])),
    ):
        rows.to_parquet(run.rows, index=False)
        for load in (load_rows, load_curves):
            with pytest.raises(BenchmarkError, match=r"rows\.parquet: not rows .* run evaluate"):
                load(run)


def test_curves_are_those_of_the_areas(finished) -> None:
    rows, curves = load_rows(Run(finished.folder)), load_curves(Run(finished.folder))
    for (metric, method), group in rows.groupby(["metric", "method"]):
        torch.testing.assert_close(
            curves[metric][method].area.double(), torch.tensor(group["area"].tolist()).double()
        )
