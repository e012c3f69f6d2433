"""The renderer: repeatable, in KTH's layout, with masks where the movement is."""

import hashlib
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.kth_index import ACTIONS, SEQUENCE_FILE, read_sequences
from benchmarks_kth_mad.data.masks import load_masks
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.data.video import read_frames
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.rendering.acting import RenderSettings, render_video
from benchmarks_kth_mad.rendering.motion import GAITS, Body, pose
from benchmarks_kth_mad.rendering.render import render_kth
from benchmarks_kth_mad.rendering.rendered_set import split_persons

TINY = RenderSettings(persons=3, sequences=2, frames=8, height=48, width=64)
BODY = Body(1.0, 0.48, 0.1, 30, 180, 90, 60, 40, long_sleeves=True, coat=False)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_kth(tmp_path_factory.mktemp("sets") / "tiny", settings=TINY)


def fingerprint(folder: Path) -> dict[str, str]:
    """What the pixels and the text are; containers carry nothing else of interest."""
    found = {SEQUENCE_FILE: (folder / SEQUENCE_FILE).read_text()}
    for path in sorted(folder.glob("*/*.avi")):
        found[path.name] = hashlib.sha1(read_frames(path, 0, 15).tobytes()).hexdigest()
    for path in sorted(folder.glob("*masks/*.npz")):
        found[f"{path.parent.name}/{path.name}"] = hashlib.sha1(
            load_masks(path).tobytes()
        ).hexdigest()
    return found


def test_layout(rendered: Path) -> None:
    assert sorted(path.name for path in rendered.iterdir()) == sorted(
        [*ACTIONS, "masks", "limb_masks", SEQUENCE_FILE]
    )
    text = (rendered / SEQUENCE_FILE).read_bytes()
    assert text.count(b"\n") == text.count(b"\r\n") > 18
    sequences = read_sequences(rendered / SEQUENCE_FILE)
    assert sequences.persons == {"train": (1,), "val": (2,), "test": (3,)}
    assert len(sequences.videos) == 18
    for video in sequences.videos:
        assert video.path(rendered).is_file()
        assert all(1 <= first <= last <= 16 for first, last in video.ranges)


def test_same_seed_same_pixels(rendered: Path, tmp_path: Path) -> None:
    assert fingerprint(render_kth(tmp_path / "again", settings=TINY)) == fingerprint(rendered)


def test_another_seed_and_subsets() -> None:
    first = render_video("walking", 2, 1, TINY)
    other = render_video("walking", 2, 1, RenderSettings(**{**vars(TINY), "seed": 1}))
    assert (first.frames != other.frames).mean() > 0.5
    more = RenderSettings(**{**vars(TINY), "persons": 12, "scenarios": (1, 4)})
    again = render_video("walking", 2, 1, more)
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.masks["actor"], again.masks["actor"])


def test_sets_are_what_they_have_always_been() -> None:
    """Else numbers measured on one are not those of the other. Measured before there were limbs."""
    found = {}
    for action in ("walking", "boxing"):
        video = render_video(action, 2, 1, TINY)
        found[action] = (video.frames.mean(), video.masks["actor"].sum(), video.ranges)
    assert found["walking"] == (
        pytest.approx(162.837, abs=0.02),
        pytest.approx(2194, abs=4),
        ((1, 8), (9, 16)),
    )
    assert found["boxing"] == (
        pytest.approx(160.116, abs=0.02),
        pytest.approx(2530, abs=4),
        ((1, 8), (9, 16)),
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_masks_lie_where_pixels_move(action: str) -> None:
    settings = RenderSettings(persons=3, sequences=1, frames=24)
    video = render_video(action, 1, 1, settings)
    frames, masks = video.frames, video.masks["actor"]
    change = np.abs(frames[4:].astype(int) - frames[:-4].astype(int))
    moves = change > 35
    actor = masks[4:] | masks[:-4]
    assert moves.sum() > 200
    # the rest is the antialiased rim, where the actor covers less than half of a pixel
    assert (moves & actor).sum() > 0.9 * moves.sum()
    assert 0.01 < masks.mean() < 0.2


def test_a_place_looks_the_same_for_all_actions() -> None:
    """Only the actor may tell actions apart: where nobody stands, two videos differ by noise."""
    first, second = (render_video(action, 1, 1, TINY) for action in ("walking", "boxing"))
    empty = ~(first.masks["actor"].any(0) | second.masks["actor"].any(0))
    difference = first.frames.mean(0)[empty] - second.frames.mean(0)[empty]
    assert np.abs(difference - difference.mean()).mean() < 6


def test_walkers_turn_and_cross(rendered: Path) -> None:
    settings = RenderSettings(persons=3, sequences=2, frames=32)
    video = render_video("walking", 1, 1, settings)
    steps = []
    for first, last in video.ranges:
        centers = [np.nonzero(mask)[1].mean() for mask in video.masks["actor"][first - 1 : last]]
        steps.append(centers[-1] - centers[0])
    assert min(map(abs, steps)) > 30
    assert steps[0] * steps[1] < 0


def test_running_is_another_gait_than_walking() -> None:
    walking, running = GAITS["walking"], GAITS["running"]
    assert running.stride > 1.5 * walking.stride
    phases = np.linspace(0, 2 * np.pi, 60)

    def widest(action: str) -> float:
        poses = [pose(action, BODY, phase) for phase in phases]
        return max(abs(p.legs[0][2].x - p.legs[1][2].x) for p in poses)

    def bounce(action: str) -> float:
        return float(np.ptp([pose(action, BODY, phase).head.y for phase in phases]))

    assert widest("running") > 1.2 * widest("walking")
    assert bounce("running") > bounce("walking")


@pytest.mark.parametrize("action", ACTIONS)
def test_bones_keep_their_length_and_feet_stay_above_ground(action: str) -> None:
    for phase in np.linspace(0, 2 * np.pi, 25):
        now = pose(action, BODY, phase)
        for arm in now.arms:
            bones = [np.hypot(a.x - b.x, a.y - b.y) for a, b in pairwise(arm)]
            assert bones == pytest.approx([0.165, 0.15], rel=0.06)
        assert max(joint.y for leg in now.legs for joint in leg) <= 1e-9
        assert -1.1 < now.head.y < -0.7


def test_the_loader_reads_it(rendered: Path) -> None:
    clip = ClipShape(frames=4, height=24, width=32, channels=1)
    for split in ("train", "val", "test"):
        data = KTH(rendered, clip, ["walking", "boxing"], split)
        assert len(data) == 4
        item, mask = data[0], data.mask(0)
        assert item["clip"].shape == (1, 4, 24, 32)
        assert mask.shape == (4, 24, 32)
        assert mask.dtype == torch.bool
        assert 0 < mask.float().mean() < 0.3


@pytest.mark.parametrize("count", [3, 4, 8, 16, 25])
def test_every_split_has_persons(count: int) -> None:
    splits = split_persons(count)
    assert sorted(chain(*splits)) == list(range(1, count + 1))
    assert all(splits)
    assert len(splits[0]) >= len(splits[2])


@pytest.mark.parametrize("scenario", [2, 3, 4])
def test_other_scenarios(scenario: int) -> None:
    video = render_video("jogging", 1, scenario, TINY)
    assert video.frames.shape == video.masks["actor"].shape == (16, 48, 64)
    assert len(video.ranges) == 2


def test_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(BenchmarkError, match="exists and is not empty; choose another folder"):
        render_kth(tmp_path, ["walking"], TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_overwrites_a_rendered_set_when_told(tmp_path: Path) -> None:
    root = tmp_path / "set"
    render_kth(root, ["walking"], TINY)
    (root / "old.txt").write_text("old")
    render_kth(root, ["walking"], TINY, overwrite=True)
    assert not (root / "old.txt").exists()
    assert list(tmp_path.iterdir()) == [root]


def test_never_overwrites_what_was_not_rendered(tmp_path: Path) -> None:
    root = tmp_path / "real"
    root.mkdir()
    (root / "00sequences.txt").write_text("person01_walking_d1\tframes\t1-75\n")
    with pytest.raises(BenchmarkError, match=r"not rendered, .*which --overwrite does not touch"):
        render_kth(root, ["walking"], TINY, overwrite=True)
    assert [path.name for path in root.iterdir()] == ["00sequences.txt"]


def test_progress_and_interruption_leave_nothing(tmp_path: Path) -> None:
    seen = []

    def stop_at_two(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_kth(tmp_path / "set", ["walking"], TINY, progress=stop_at_two)
    assert seen == [(1, 3), (2, 3)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"persons": 2}, "render persons: expected at least 3, got 2"),
        ({"frames": 0}, "render frames: expected at least 4, got 0"),
        ({"scenarios": (1, 5)}, r"render scenarios: expected some of 1 to 4, got \[1, 5\]"),
        ({"scenarios": ()}, "render scenarios: expected some of"),
        ({"span": 0}, "render span: expected 1 to 24, the frames of a sequence, got 0"),
        ({"span": 9, "frames": 8}, "render span: expected 1 to 8, the frames of a sequence, got 9"),
    ],
)
def test_impossible_settings(setting: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        RenderSettings(**setting)


def test_unknown_action(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="class 'flying' is not in KTH"):
        render_kth(tmp_path / "set", ["flying"], TINY)
