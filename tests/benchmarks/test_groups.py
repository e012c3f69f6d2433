"""Clips that are read ahead, and computed in groups: counted, compared with one by one, interrupted."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from benchmarks_kth_mad import commands, methods
from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.endings import end_cleanly
from benchmarks_kth_mad.errors import ClipsFailed
from benchmarks_kth_mad.evaluation import load_explained, load_rows, measuring
from benchmarks_kth_mad.evaluation.ahead import pinned, read_ahead
from benchmarks_kth_mad.evaluation.explained import to_device
from benchmarks_kth_mad.evaluation.journal import Entry, Journal, Key, Writer
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps
from benchmarks_kth_mad.evaluation.machine import Machine
from benchmarks_kth_mad.evaluation.sharing import groups_of
from benchmarks_kth_mad.methods import DRAWN, METHODS, Options, attribute
from benchmarks_kth_mad.models import VideoClassifier, build_model
from benchmarks_kth_mad.runs import Run
from captum_video import Curve
from captum_video.metrics import Insertion

N_CLIPS = 6
CLOSE = {"rtol": 1e-3, "atol": 1e-5}


class Work:
    """A trained run without maps, and both commands on it."""

    def __init__(self, trained: Path, folder: Path) -> None:
        folder.mkdir()
        for name in ("checkpoint.pt", "run.json"):
            shutil.copy(trained / name, folder)
        self.run = Run(folder)

    def explain(self, clips_per_pass: int, *names: str) -> None:
        source = self.run.load_manifest().source
        options, device = Options(n_samples=20), "cpu"
        commands.attribute(
            self.run, source, names, options, N_CLIPS, device, clips_per_pass=clips_per_pass
        )

    def measure(self, clips_per_pass: int, unit: str = "voxel") -> None:
        commands.evaluate(
            self.run, ["insertion"], unit, 5, "gray", "cpu", clips_per_pass=clips_per_pass
        )

    def study(self, clips_per_pass: int, *names: str) -> "Work":
        self.explain(clips_per_pass, *names)
        self.measure(clips_per_pass)
        return self

    def entries(self) -> dict[Key, tuple]:
        """All that is finished, to the bit."""
        found = {}
        for folder in (self.run.attributions, self.run.evaluation):
            journal = Journal(folder, "attribute")
            for key in journal:
                entry = journal[key]
                arrays = {name: array.tobytes() for name, array in entry.arrays.items()}
                found[(folder.name, *key)] = (dict(entry.facts), arrays, entry.error)
        return found


@pytest.fixture
def new_run(finished, tmp_path: Path) -> Callable[[str], Work]:
    return lambda name: Work(finished.folder, tmp_path / name)


@contextmanager
def counted_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many clips each call of the run's network had."""
    sizes: list[int] = []
    load = commands.checkpoint_of

    def load_counted(run: Run) -> object:
        checkpoint = load(run)
        checkpoint.model.register_forward_hook(lambda *call: sizes.append(len(call[2])))
        return checkpoint

    with monkeypatch.context() as patched:
        patched.setattr(commands, "checkpoint_of", load_counted)
        yield sizes


def test_the_next_group_is_read_while_one_is_worked_on() -> None:
    begun, third = [], threading.Event()

    def read(item: int) -> int:
        begun.append(item)
        if item == 3:
            third.set()
        return -item

    with read_ahead([[1, 2], [3], [4]], read, "cpu") as groups:
        group, reading = next(groups)
        assert third.wait(60)
        assert (group, [one.result() for one in reading]) == ([1, 2], [-1, -2])
        assert begun == [1, 2, 3]  # and no further
        assert [(group, reading[0].result()) for group, reading in groups] == [([3], -3), ([4], -4)]
    assert begun == [1, 2, 3, 4]


def test_what_reading_raises_waits_for_its_turn() -> None:
    with read_ahead([[1], [0], [2]], lambda item: 1 / item, "cpu") as groups:
        assert next(groups)[1][0].result() == 1
        failed = next(groups)[1][0]
        assert next(groups)[1][0].result() == 0.5
        with pytest.raises(ZeroDivisionError):
            failed.result()


def test_nothing_is_read_after_an_interruption() -> None:
    begun: list[int] = []
    interrupt = pytest.raises(KeyboardInterrupt)
    with interrupt, read_ahead(groups_of(range(9), 2), begun.append, "cpu") as groups:
        next(groups)
        raise KeyboardInterrupt
    assert begun == list(range(len(begun)))
    assert len(begun) <= 4
    assert not [one for one in threading.enumerate() if one.name.startswith("reader")]


@pytest.mark.parametrize(("device", "size"), [("cpu", 1), ("cuda", 8)])
def test_the_size_of_groups_is_fixed_by_the_device(device: str, size: int) -> None:
    assert Machine(device).conditions["clips_per_pass"] == size
    assert Machine(device, clips_per_pass=3).conditions["clips_per_pass"] == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_clips_for_a_gpu_are_pinned() -> None:
    def read(number: int) -> Tensor:
        assert torch.cuda.current_device() == gpu
        return pinned((torch.full((2, 3), number),), "cuda")[0]

    gpu = torch.cuda.device_count() - 1
    with torch.cuda.device(gpu), read_ahead([[1, 2], [3]], read, "cuda") as groups:
        found = [one.result() for _, reading in groups for one in reading]
        assert all(one.is_pinned() for one in found)
        assert [int(one[0, 0]) for one in to_device(tuple(found), "cuda")] == [1, 2, 3]


def test_groups_share_calls(new_run, monkeypatch: pytest.MonkeyPatch) -> None:
    work = new_run("run")
    with counted_batches(monkeypatch) as sizes:
        work.explain(3, "gradcam")
    # predicted class; the layer, found by one clip; Grad-CAM
    assert sizes == [3, 1, 3, 3, 1, 3]
    with counted_batches(monkeypatch) as sizes:
        work.measure(3)
    assert sizes == [3 * 6, 3 * 6]
    shutil.rmtree(work.run.evaluation)
    with counted_batches(monkeypatch) as sizes:
        work.measure(4)
    assert sizes == [4 * 6, 2 * 6]
    shutil.rmtree(work.run.evaluation)
    with counted_batches(monkeypatch) as sizes:
        work.measure(1)
    assert sizes == [6] * 6


def test_maps_and_areas_agree_with_one_by_one(new_run) -> None:
    names = ["gradcam", "gradient", "frame_occlusion", "rise"]
    together, alone = new_run("together").study(4, *names), new_run("alone").study(1, *names)
    ours, theirs = load_explained(together.run), load_explained(alone.run)
    assert ours.names == theirs.names
    assert torch.equal(ours.targets, theirs.targets)
    for name in names:
        torch.testing.assert_close(ours.maps[name], theirs.maps[name], **CLOSE)
        assert name not in DRAWN or torch.equal(ours.maps[name][0], theirs.maps[name][0])
    for rows in (load_rows(together.run), load_rows(alone.run)):
        assert (rows["error"] == "").all()
    one, other = (load_rows(work.run) for work in (together, alone))
    pd.testing.assert_frame_equal(one.drop(columns="area"), other.drop(columns="area"))
    # a step may swap units whose worth is the same up to rounding
    np.testing.assert_allclose(one["area"], other["area"], atol=1e-3)


def shows_company(model, clips, target, options):
    """A map that tells which clips it was made together with."""
    return (clips[0] + clips[0].sum(),)


class TellsCompany(Insertion):
    """A curve that tells which clips it was measured together with."""

    def evaluate(self, inputs, *others, **more):
        curve = super().evaluate(inputs, *others, **more)
        return Curve(curve.fractions, curve.scores + inputs[0].sum())


@pytest.mark.parametrize("every", [1, 5])
def test_interrupted_again_and_again(new_run, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    """After every so many entries: in the middle of groups, and between them."""
    names = ["gradcam", "random"]
    monkeypatch.setattr(methods, "METHODS", METHODS | {"gradcam": shows_company})
    monkeypatch.setattr(measuring, "METRICS", {"insertion": TellsCompany})
    expected = new_run("undisturbed").study(4, *names).entries()
    assert len(expected) == N_CLIPS * (1 + 2 + 2)
    work, left = new_run("run"), [every]
    write = Writer.write

    def write_some(self: Writer, key: Key, entry: Entry) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(self, key, entry)

    monkeypatch.setattr(Writer, "write", write_some)
    interruptions = 0
    while True:
        try:
            work.study(4, *names)
            break
        except KeyboardInterrupt:
            before = work.entries()
            assert before.items() <= expected.items()
            interruptions += 1
            left[0] = every + 2 * 4  # a group's clips are written again, then its maps
    assert work.entries() == expected
    assert interruptions >= 2


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_ends_work_and_reading(
    new_run,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: signal.Signals,
    said: str,
) -> None:
    def stop(*_: object) -> None:
        os.kill(os.getpid(), number)

    work = new_run("run")
    monkeypatch.setattr(methods, "METHODS", {"gradcam": stop})
    asked = ["attribute", "--run", str(work.run.folder), "--methods", "gradcam", "--device", "cpu"]
    assert end_cleanly(lambda: main(asked)) == 128 + number
    assert capfd.readouterr() == ("", f"{said}\n")
    assert not [one for one in threading.enumerate() if one.name.startswith("reader")]
    assert work.entries() == {}


def breaks_on(clip: Tensor) -> methods.Method:
    def gradcam(model, clips, target, options):
        if any(torch.equal(one, clip) for one in clips[0]):
            raise RuntimeError("not\nthis one")
        return METHODS["gradcam"](model, clips, target, options)

    return gradcam


def test_a_clip_that_fails_in_a_group_costs_itself_alone(
    new_run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = new_run("alone").study(1, "gradcam", "gradient")
    names = KeptMaps(alone.run).names
    bad = KeptMaps(alone.run).explained(names[1]).clips[0][0]
    work = new_run("run")
    with monkeypatch.context() as patched:
        patched.setattr(methods, "METHODS", METHODS | {"gradcam": breaks_on(bad)})
        with pytest.raises(ClipsFailed, match=rf"^1 of 6 .*{names[1]}: RuntimeError: not this one"):
            work.explain(3, "gradcam", "gradient")
        told = capsys.readouterr().out
        assert f"{', '.join(names[:3])}: one by one, for together they failed: RuntimeError" in told
        with pytest.raises(ClipsFailed):
            work.measure(3)
    rows = load_rows(work.run)
    wrong = rows[rows["error"] != ""]
    assert set(zip(wrong["clip"], wrong["method"], strict=True)) == {(names[1], "gradcam")}
    ours, theirs = work.entries(), alone.entries()
    for name in (names[0], names[2]):
        key = ("attributions", "map", name, "gradcam")
        assert ours[key] == theirs[key]
    monkeypatch.setattr(methods, "METHODS", {"gradcam": METHODS["gradcam"]})
    work.study(3, "gradcam", "gradient")  # tried again where it may work now, and only that
    assert (load_rows(work.run)["error"] == "").all()


def test_a_clip_that_can_not_be_read_costs_itself_alone(
    new_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = new_run("alone")
    alone.explain(1, "gradcam")
    names = KeptMaps(alone.run).names
    whole = KTH.__getitem__

    def broken(self: KTH, index: int) -> object:
        if self.records[index].name == names[4]:
            raise OSError("no longer there")
        return whole(self, index)

    work = new_run("run")
    with monkeypatch.context() as patched:
        patched.setattr(KTH, "__getitem__", broken)
        with pytest.raises(ClipsFailed, match=rf"{names[4]}: OSError: no longer there"):
            work.study(3, "gradcam")
    ours, theirs = work.entries(), alone.entries()
    assert ours["attributions", "clip", names[4]][2] == "OSError: no longer there"
    for name in (names[3], names[5]):
        key = ("attributions", "map", name, "gradcam")
        assert ours[key] == theirs[key]
    with pytest.raises(ClipsFailed):  # its group has a clip less
        work.measure(3)
    assert load_rows(work.run)["area"].isna().sum() == 1


def test_superpixels_of_a_group_are_each_clips_own(new_run) -> None:
    works = new_run("together"), new_run("alone")
    areas = []
    for work, clips_per_pass in zip(works, (3, 1), strict=True):
        work.explain(1, "random")
        work.measure(clips_per_pass, "superpixel")
        areas.append(load_rows(work.run)["area"])
    assert areas[0].equals(areas[1])


@pytest.fixture(scope="module")
def reads_frames() -> VideoClassifier:
    """A network that every method suits."""
    torch.manual_seed(3)
    settings = {"features": 5, "hidden": 4, "layers": 1, "wide": 4, "attention_size": 3, "hops": 2}
    settings |= {"cell": "input_cell", "encoder": "small"}
    return build_model("cnn_lstm_small", 3, channels=1, settings=settings).eval()


@pytest.mark.parametrize("name", METHODS)
def test_methods_that_draw_are_named(reads_frames: VideoClassifier, name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    clips = torch.rand(2, 1, 3, 12, 12, generator=generator)
    target = torch.tensor([1, 2])
    (one,), (other,) = (
        attribute(name, reads_frames, clips, target, Options(n_samples=12, seed=seed))
        for seed in (0, 1)
    )
    assert torch.equal(one, other) == (name not in DRAWN)
    if name not in DRAWN:
        for place in range(2):
            (alone,) = attribute(
                name,
                reads_frames,
                clips[place : place + 1],
                target[place : place + 1],
                Options(n_samples=12),
            )
            torch.testing.assert_close(one[place : place + 1], alone, **CLOSE)
