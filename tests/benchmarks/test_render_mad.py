"""The multispectral renderer: one scene in two spectra, repeatable, and read by the real loader."""

import csv
import hashlib
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.data.mad_index import picture_name
from benchmarks_kth_mad.data.masks import load_masks
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS, mad_pose
from benchmarks_kth_mad.rendering.figures import strokes
from benchmarks_kth_mad.rendering.motion import Body
from benchmarks_kth_mad.rendering.render import render_kth
from benchmarks_kth_mad.rendering.render_mad import SCENE_FILE, render_mad
from benchmarks_kth_mad.rendering.thermal import MADSettings, Scene, condition_of, render_scene
from benchmarks_kth_mad.rendering.thermal_actor import Stance, draw_looks, draw_shadow
from benchmarks_kth_mad.rendering.thermal_places import CONDITIONS, draw_place, hue_color, luma

TINY = MADSettings(persons=4, sequences=1, frames=6, height=42, width=56)
USUAL = MADSettings(frames=8)
BODY = Body(1.0, 0.48, 0.1, 30, 180, 90, 60, 40, long_sleeves=True, coat=False)
NEW = ("bending", "falling", "kicking")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_mad(tmp_path_factory.mktemp("sets") / "tiny", settings=TINY)


def scene_in(condition: str, action: str = "kicking", settings: MADSettings = USUAL) -> Scene:
    """A scene of the first person who does the action in this condition."""
    person = next(p for p in range(1, 5) if condition_of(action, p, 1) == condition)
    scene = render_scene(action, person, 1, settings)
    assert scene.condition == condition
    return scene


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file by its content; of archives what is in them."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = load_masks(path).tobytes() if path.suffix == ".npz" else path.read_bytes()
        found[str(path.relative_to(folder))] = hashlib.sha1(content).hexdigest()
    return found


def test_layout(rendered: Path) -> None:
    assert sorted(path.name for path in rendered.iterdir()) == sorted(
        ["IR", "TV", "README.txt", "classes.txt", "file_lists", "masks", "scenes.csv"]
    )
    assert (rendered / "classes.txt").read_text().split() == list(MAD_ACTIONS)
    scenes = {f"person{p:02d}_{action}_s1" for p, action in product(range(1, 5), MAD_ACTIONS)}
    assert {path.stem for path in (rendered / "masks").iterdir()} == scenes
    for spectrum in ("IR", "TV"):
        assert {path.name for path in (rendered / spectrum).iterdir()} == scenes
        for scene in scenes:
            names = sorted(path.name for path in (rendered / spectrum / scene).iterdir())
            assert names == [picture_name(k) for k in range(6)]
        rows = {
            split: (rendered / f"file_lists/{spectrum}_{split}.txt").read_text().splitlines()
            for split in ("train", "test")
        }
        assert rows["train"][0] == f"{spectrum}/person01_bending_s1 6 0"
        assert rows["test"][-1] == f"{spectrum}/person04_walking_s1 6 7"
        assert (len(rows["train"]), len(rows["test"])) == (24, 8)


def test_pictures_are_rgb_and_gray(rendered: Path) -> None:
    visible = cv2.imread(str(rendered / "TV/person01_boxing_s1/0000.png"), cv2.IMREAD_UNCHANGED)
    infrared = cv2.imread(str(rendered / "IR/person01_boxing_s1/0000.png"), cv2.IMREAD_UNCHANGED)
    scene = render_scene("boxing", 1, 1, TINY)
    np.testing.assert_array_equal(visible[..., ::-1], scene.visible[0])
    np.testing.assert_array_equal(infrared, scene.infrared[0])


def test_the_truth_is_written_down(rendered: Path) -> None:
    with (rendered / SCENE_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    for row in rows:
        expected = condition_of(row["action"], int(row["person"]), 1)
        assert row["scene"] == f"person{int(row['person']):02d}_{row['action']}_s1"
        assert row["condition"] == expected
    assert Counter(row["condition"] for row in rows) == {"day": 16, "night": 8, "hot": 8}


def test_every_action_meets_every_condition_equally_often() -> None:
    for action in MAD_ACTIONS:
        met = Counter(condition_of(action, p, s) for p in range(1, 13) for s in (1, 2))
        assert met == {"day": 12, "night": 6, "hot": 6}


def test_the_loader_reads_it(rendered: Path) -> None:
    clip = ClipShape(frames=4, height=24, width=32)
    persons = {}
    for split, count in (("train", 24), ("test", 8)):
        data = MAD(rendered, clip, "paired", split)
        assert (len(data), data.classes) == (count, MAD_ACTIONS)
        persons[split] = set(data.persons)
        assert Counter(record.label for record in data.records) == dict.fromkeys(
            range(8), count / 8
        )
        visible, infrared = data[0]["clip"]
        assert (visible.shape, infrared.shape) == ((3, 4, 24, 32), (1, 4, 24, 32))
        mask = data.mask(0)
        assert mask.dtype == torch.bool
        assert 0.01 < mask.float().mean() < 0.3
        assert len(MAD(rendered, clip, "IRTV", split)) == 2 * count
    assert persons["train"] | persons["test"] == {1, 2, 3, 4}
    assert not persons["train"] & persons["test"]


def test_same_seed_same_files(rendered: Path, tmp_path: Path) -> None:
    again = fingerprint(render_mad(tmp_path / "again", settings=TINY))
    assert again == fingerprint(rendered)


def test_another_seed_and_subsets() -> None:
    first = render_scene("walking", 2, 1, TINY)
    other = render_scene("walking", 2, 1, MADSettings(**{**vars(TINY), "seed": 1}))
    assert (first.visible != other.visible).mean() > 0.5
    again = render_scene("walking", 2, 1, MADSettings(**{**vars(TINY), "persons": 9}))
    for ours, theirs in zip(first[:3], again[:3], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("action", MAD_ACTIONS)
@pytest.mark.parametrize("spectrum", ["visible", "infrared"])
def test_masks_lie_where_pixels_move_in_both_spectra(action: str, spectrum: str) -> None:
    scene = scene_in("day", action, MADSettings(frames=20))
    frames = getattr(scene, spectrum).astype(int)
    if spectrum == "visible":
        frames = frames.max(-1)
    # clouds change the light of the whole picture, so that compares with how its middle changes
    change = frames[4:] - frames[:-4]
    change = np.abs(change - np.median(change, axis=(1, 2), keepdims=True))
    moves = change > 45
    actor = scene.masks[4:] | scene.masks[:-4]
    grown = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) for mask in actor]) > 0
    assert (moves & actor).sum() > 100
    inside = (moves & grown).sum() / moves.sum()
    # what is beyond the mask's rim is the shadow, which only the visible has
    assert inside > (0.98 if spectrum == "infrared" else 0.6)


@pytest.mark.parametrize("action", MAD_ACTIONS)
def test_the_actor_is_the_warmest_but_for_a_few_things(action: str) -> None:
    for condition, least in (("day", 60), ("night", 80)):
        scene = scene_in(condition, action)
        warmth = scene.infrared.astype(float)
        inside, outside = warmth[scene.masks].mean(), warmth[~scene.masks].mean()
        assert inside - outside > least
        assert np.percentile(warmth[scene.masks], 98) > 200  # skin
        assert 0.001 < (warmth[~scene.masks] > 130).mean() < 0.12  # pipe, vent, engine, lamp


def test_a_hot_day_hides_the_actor_from_infrared_and_night_from_the_visible() -> None:
    def contrast(frames: np.ndarray, masks: np.ndarray) -> float:
        """How far the rim inside the mask differs from the rim outside of it."""
        kernel, total = np.ones((5, 5), np.uint8), []
        for frame, mask in zip(frames.astype(float), masks.astype(np.uint8), strict=True):
            inner = mask.astype(bool) & ~cv2.erode(mask, kernel).astype(bool)
            outer = cv2.dilate(mask, kernel).astype(bool) & ~mask.astype(bool)
            total.append(np.abs(frame[inner].mean(0) - frame[outer].mean(0)).max())
        return float(np.mean(total))

    seen = {}
    for condition in CONDITIONS:
        scene = scene_in(condition)
        seen[condition] = (
            contrast(scene.visible, scene.masks),
            contrast(scene.infrared, scene.masks),
        )
    assert seen["night"][1] > 5 * seen["night"][0]
    assert seen["hot"][0] > 5 * seen["hot"][1]
    assert min(seen["day"]) > 20
    assert seen["hot"][1] > 1  # hard, but not impossible


def test_clothes_have_texture_in_the_visible_alone() -> None:
    scene = scene_in("day", settings=MADSettings(frames=4))
    inside = [cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) > 0 for mask in scene.masks]

    def roughness(frames: np.ndarray) -> float:
        """The change from pixel to pixel well within the actor."""
        steps = [np.abs(np.diff(frame.astype(float), axis=0)) for frame in frames]
        return float(np.mean([s[mask[1:]].mean() for s, mask in zip(steps, inside, strict=True)]))

    assert roughness(scene.visible.max(-1)) > 3 * roughness(scene.infrared)


def test_a_shadow_falls_away_from_the_light_and_not_at_night() -> None:
    body = draw_looks(np.random.default_rng(0)).body
    stance = Stance(strokes(mad_pose("boxing", body, 0.0), body), 56, 78, 50, 1.0)
    for condition in CONDITIONS:
        place = draw_place(np.random.default_rng(0), 84, 112, condition)
        shadow = draw_shadow(stance, place)
        assert shadow.shape == (84, 112)
        if condition == "night":
            assert not shadow.any()
            continue
        assert 0.2 < shadow.max() < 0.5
        center = (shadow * np.arange(112)).sum() / shadow.sum()
        assert (center - 56) * place.light < 0


def test_a_place_is_the_same_for_all_actions() -> None:
    """Only the actor, and the shadow that is his, may tell actions apart."""
    first, second = (render_scene(action, 3, 1, USUAL) for action in ("bending", "handwaving"))
    assert first.condition == second.condition == "day"
    masks = (first.masks.any(0) | second.masks.any(0)).astype(np.uint8)
    empty = ~cv2.dilate(masks, np.ones((5, 5))).astype(bool)
    infrared = first.infrared.mean(0) - second.infrared.mean(0)
    assert np.abs(infrared[empty]).mean() < 2
    visible = first.visible.mean(0) / np.maximum(second.visible.mean(0), 1)
    visible = visible[empty] / np.median(visible[empty])  # clouds darken the whole picture
    assert np.median(np.abs(visible - 1)) < 0.02


def test_conditions_change_the_light_and_not_the_place() -> None:
    places = {c: draw_place(np.random.default_rng(5), 84, 112, c) for c in CONDITIONS}
    assert places["night"].visible.mean() < 0.3 * places["day"].visible.mean()
    assert places["hot"].infrared.std() < places["day"].infrared.std()
    for condition in ("night", "hot"):
        pair = [places[c].infrared.ravel() for c in ("day", condition)]
        assert np.corrcoef(*pair)[0, 1] > 0.9


@pytest.mark.parametrize("action", ["walking", "running"])
def test_who_travels_turns_and_stays_in_view(action: str) -> None:
    scene = render_scene(action, 2, 1, MADSettings())
    centers = np.array([np.nonzero(mask)[1].mean() for mask in scene.masks])
    assert all(mask.sum() > 60 for mask in scene.masks)
    assert 0 < centers.min() < centers.max() < 112
    steps = np.diff(centers)
    assert steps.max() > 0.5
    assert steps.min() < -0.5
    assert np.ptp(centers) > (40 if action == "running" else 10)


@pytest.mark.parametrize("action", NEW)
def test_bones_keep_their_length_and_nobody_sinks_into_the_ground(action: str) -> None:
    for phase in np.linspace(0, 4 * np.pi, 60):
        now = mad_pose(action, BODY, phase)
        for arm in now.arms:
            bones = [np.hypot(a.x - b.x, a.y - b.y) for a, b in pairwise(arm)]
            assert bones == pytest.approx([0.165, 0.15], rel=0.06)
        for leg in now.legs:
            bones = [np.hypot(a.x - b.x, a.y - b.y) for a, b in pairwise(leg[:3])]
            assert bones == pytest.approx([0.24, 0.24], rel=0.06)
        limbs = [[now.head, *now.hips, *now.shoulders], *now.arms, *now.legs]
        assert max(joint.y for limb in limbs for joint in limb) <= 1e-9


def test_what_the_new_actions_do() -> None:
    phases = np.linspace(0, 2 * np.pi, 60)

    def over(action: str) -> list:
        return [mad_pose(action, BODY, phase) for phase in phases]

    assert max(now.head.y for now in over("bending")) > -0.5
    assert min(now.head.y for now in over("bending")) < -0.85
    assert min(now.legs[1][2].y for now in over("kicking")) < -0.4
    lying = mad_pose("falling", BODY, 2 * np.pi)
    assert lying.head.y > -0.2
    assert mad_pose("falling", BODY, 0.0).head.y < -0.85
    assert mad_pose("falling", BODY, 9.0) == lying


def test_colours() -> None:
    assert hue_color(0.0, 1.0, 200) == pytest.approx((200, 0, 0))
    assert hue_color(1 / 3, 1.0, 200) == pytest.approx((0, 200, 0))
    assert hue_color(2 / 3, 0.5, 200) == pytest.approx((100, 100, 200))
    assert hue_color(0.77, 0.0, 90) == pytest.approx((90, 90, 90))
    assert luma((100, 100, 100)) == pytest.approx(100)


def test_some_actions_in_an_order(tmp_path: Path) -> None:
    root = render_mad(tmp_path / "set", ["walking", "boxing"], TINY)
    data = MAD(root, spectrum="TV", split="test")
    assert data.classes == ("walking", "boxing")
    assert {record.scene.split("_")[1]: record.label for record in data.records} == {
        "walking": 0,
        "boxing": 1,
    }


def test_odd_sizes() -> None:
    scene = render_scene("falling", 1, 1, MADSettings(frames=4, height=31, width=33))
    assert scene.visible.shape == (4, 31, 33, 3)
    assert scene.infrared.shape == scene.masks.shape == (4, 31, 33)


def test_refuses_and_overwrites(tmp_path: Path) -> None:
    root = tmp_path / "set"
    few = MADSettings(persons=3, sequences=1, frames=4, height=24, width=32)
    render_mad(root, ["walking"], few)
    with pytest.raises(BenchmarkError, match="exists and is not empty"):
        render_mad(root, ["walking"], few)
    (root / "old.txt").write_text("old")
    render_mad(root, ["walking"], few, overwrite=True)
    assert not (root / "old.txt").exists()
    assert list(tmp_path.iterdir()) == [root]
    (root / "README.txt").write_text("Somebody else's")
    with pytest.raises(BenchmarkError, match=r"not rendered, .* --overwrite does not touch"):
        render_mad(root, ["walking"], few, overwrite=True)


def test_one_layout_does_not_overwrite_the_other(rendered: Path) -> None:
    with pytest.raises(BenchmarkError, match="rendered in another layout"):
        render_kth(rendered, ["walking"], overwrite=True)


def test_progress_and_interruption_leave_nothing(tmp_path: Path) -> None:
    seen = []

    def stop_at_two(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_mad(tmp_path / "set", ["walking"], TINY, progress=stop_at_two)
    assert seen == [(1, 4), (2, 4)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"persons": 2}, "render persons: expected at least 3, got 2"),
        ({"frames": 0}, "render frames: expected at least 4, got 0"),
        ({"width": 8}, "render width: expected at least 32, got 8"),
    ],
)
def test_impossible_settings(setting: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        MADSettings(**setting)


def test_unknown_actions(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="action 'jogging': expected one of bending"):
        render_mad(tmp_path / "set", ["jogging"], TINY)
    for actions in (["walking", "walking"], []):
        with pytest.raises(BenchmarkError, match="actions: expected different ones"):
            render_mad(tmp_path / "set", actions, TINY)


def test_the_command(command, tmp_path: Path) -> None:
    numbers = ["--persons", 3, "--sequences", 1, "--sequence-frames", 4, "--video-width", 40]
    said = command(
        "render", "--layout", "mad", "--root", tmp_path / "set", *numbers, "--actions", "kicking"
    )
    assert "rendered 3 persons x kicking into" in said
    data = MAD(tmp_path / "set", split="all")
    assert (len(data), data.classes, data.records[0].frames) == (3, ("kicking",), 4)
    assert load_masks(tmp_path / "set/masks/person01_kicking_s1.npz").shape == (4, 84, 40)
