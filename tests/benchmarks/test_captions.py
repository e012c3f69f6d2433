"""Text burned into clips: where it is, what it changes, and that it can be swapped."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks_kth_mad.data.captioned import Captioned
from benchmarks_kth_mad.data.captions import burn_in, caption_of
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.kth_index import ACTIONS, SEQUENCE_FILE
from benchmarks_kth_mad.data.masks import load_masks, mask_file, save_masks
from benchmarks_kth_mad.data.sampling import ClipShape, resize_frames
from benchmarks_kth_mad.data.video import read_as_stored, read_frames, write_video
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.rendering.acting import RenderSettings, render_video
from benchmarks_kth_mad.rendering.render import render_kth

REAL = Path(os.environ.get("CAPTUM_VIDEO_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
needs_real = pytest.mark.skipif(
    not (REAL / "kth_labelled").is_dir(),
    reason=f"no footage at {REAL} (set CAPTUM_VIDEO_REAL_DATA)",
)
CLASSES = ["boxing", "walking", "handwaving"]
SETTINGS = {"persons": 3, "sequences": 1, "frames": 8, "height": 60, "width": 80}
CLIP = ClipShape(frames=4, height=30, width=40)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The same set without text (False) and with (True)."""
    folder = tmp_path_factory.mktemp("sets")
    return {
        text: render_kth(folder / str(text), CLASSES, RenderSettings(**SETTINGS, text=text))
        for text in (False, True)
    }


def video(root: Path, action: str, person: int = 3) -> np.ndarray:
    return read_as_stored(root / action / f"person{person:02d}_{action}_d1_uncomp.avi", 0, 7)


def captioned(sets: dict[bool, Path], **options) -> Captioned:
    return Captioned(KTH(sets[False], CLIP, CLASSES, "test"), sets[True], 2, **options)


@pytest.mark.parametrize("action", CLASSES)
def test_only_the_text_differs_and_its_mask_says_where(sets, action: str) -> None:
    plain, written = video(sets[False], action), video(sets[True], action)
    assert (plain.shape, written.shape) == ((8, 60, 80), (8, 60, 80, 3))
    mask = load_masks(mask_file(sets[True], "text", f"person03_{action}_d1"))
    np.testing.assert_array_equal(mask, np.broadcast_to(mask[:1], mask.shape))
    assert 0.02 < mask.mean() < 0.15
    gray = np.repeat(plain[..., None], 3, -1)
    np.testing.assert_array_equal(written[~mask], gray[~mask])
    # whole strokes are red; their rims are mixed with what is behind
    red = written[mask].astype(int)
    assert (red[:, 0] > red[:, 1] + 120).mean() > 0.3


def test_without_text_nothing_changes(sets) -> None:
    """The flag draws no random number that actors, places or noise are made from."""
    plain = render_video("walking", 3, 1, RenderSettings(**SETTINGS))
    np.testing.assert_array_equal(plain.frames, video(sets[False], "walking"))
    again = render_video("walking", 3, 1, RenderSettings(**SETTINGS, text=True))
    np.testing.assert_array_equal(plain.frames, again.frames)
    np.testing.assert_array_equal(plain.masks["actor"], again.masks["actor"])
    assert plain.ranges == again.ranges
    assert not (sets[False] / "text_masks").exists()


def test_the_place_depends_on_the_seeds_and_not_on_the_word() -> None:
    def corner(word: str, *seeds: int) -> tuple[int, int]:
        rows, columns = np.nonzero(caption_of(word, (120, 160), seeds).cover)
        return int(rows.min()), int(columns.min())

    places = {corner("boxing", 0, person, 1) for person in range(8)}
    assert len(places) > 4
    assert corner("boxing", 0, 1, 1) == corner("boxing", 0, 1, 1)
    # "b" and "h" begin alike; their side bearings differ by a pixel or two
    first, second = corner("boxing", 0, 1, 1), corner("handwaving", 0, 1, 1)
    assert np.abs(np.subtract(first, second)).max() <= 3


@pytest.mark.parametrize("word", ACTIONS)
def test_every_word_is_another_picture_over_the_heads(word: str) -> None:
    cover = caption_of(word, (120, 160), [0, 1, 1]).cover
    assert cover[39:].max() == 0
    assert cover.max() == 1
    for other in set(ACTIONS) - {word}:
        assert np.abs(cover - caption_of(other, (120, 160), [0, 1, 1]).cover).sum() > 100


def test_burn_in_mixes_by_cover() -> None:
    caption = caption_of("boxing", (60, 80), [0])
    frames = np.full((2, 60, 80), 100, np.uint8)
    before = frames.copy()
    found, mask = burn_in(frames, caption)
    np.testing.assert_array_equal(frames, before)
    expected = np.rint(100 + caption.cover[..., None] * (np.array([225, 25, 25]) - 100.0))
    assert np.abs(found[1] - expected).max() <= 1
    np.testing.assert_array_equal(mask[0], caption.cover > 0)


def test_gray_videos_are_read_as_ever_by_clips_of_three_channels(sets) -> None:
    """Bitwise: decoding colour must not change what is gray."""
    data = KTH(sets[False], ClipShape(8, 30, 40), CLASSES, "test")
    for index, record in enumerate(data.records):
        frames = resize_frames(read_frames(record.path, record.first, record.last), 30, 40)
        expected = torch.from_numpy(frames).float().div_(255)
        clip = data[index]["clip"]
        assert all(torch.equal(channel[: len(expected)], expected[:8]) for channel in clip)


def test_clips_of_three_channels_show_colours(sets) -> None:
    data = KTH(sets[True], ClipShape(4, 60, 80), CLASSES, "test")
    assert data.mask_kinds == ("actor", "limb", "text")
    for index in range(len(data)):
        clip, mask = data[index]["clip"], data.mask(index, "text")
        red = clip[0] - clip[1]
        assert red[~mask].abs().max() == 0
        assert red[mask].mean() > 0.3
    gray = KTH(sets[True], ClipShape(4, 60, 80, 1), CLASSES, "test")[0]["clip"]
    assert gray.shape == (1, 4, 60, 80)


@pytest.mark.parametrize("color", [(90, 90, 90), (90, 91, 90)])
def test_one_coloured_pixel_makes_a_video_coloured(tmp_path: Path, color) -> None:
    frames = np.full((3, 24, 32, 3), 90, np.uint8)
    frames[2, 5, 6] = color
    write_video(tmp_path / "a.avi", frames)
    found = read_as_stored(tmp_path / "a.avi", 0, 2)
    is_gray = len(set(color)) == 1
    assert found.ndim == (3 if is_gray else 4)
    np.testing.assert_array_equal(found, frames[..., 0] if is_gray else frames)
    assert read_as_stored(tmp_path / "a.avi", 0, 1).ndim == 3


def test_without_words_clips_are_those_of_the_set(sets) -> None:
    plain = KTH(sets[False], CLIP, CLASSES, "test")
    found = captioned(sets, words="none")
    assert len(found) == len(plain) == 3
    assert found.mask_kinds == ()
    for index in range(3):
        assert torch.equal(found[index]["clip"], plain[index]["clip"])
        assert found[index]["name"] == plain[index]["name"]
    with pytest.raises(BenchmarkError, match="these captioned clips know nothing"):
        found.mask(0)


def test_text_is_shown_where_and_when_the_mask_says(sets) -> None:
    found, plain, written = (
        captioned(sets, words="own"),
        KTH(sets[False], CLIP, CLASSES, "test"),
        KTH(sets[True], CLIP, CLASSES, "test"),
    )
    for index in range(3):
        clip, shown, mask = found[index]["clip"], found.shows(index), found.mask(index)
        assert shown.sum() == 2
        assert torch.equal(mask.any(-1).any(-1), shown)
        assert torch.equal(mask[shown], written.mask(index, "text")[shown])
        # the palest rims of the letters are left out
        assert (clip - written[index]["clip"])[:, shown].abs().max() < 0.05
        assert torch.equal(clip[:, ~shown], plain[index]["clip"][:, ~shown])


def test_a_swapped_clip_is_what_rendering_it_with_the_other_name_gives(sets) -> None:
    found = captioned(sets, words="every")
    assert len(found) == 9
    assert [record.label for record in found.records] == [0, 1, 2, 2, 0, 1, 1, 2, 0]
    assert [found.is_own(index) for index in range(9)] == [True, False, False] * 3
    plain = video(sets[False], "boxing")
    for index in range(3):
        word = CLASSES[found.records[index].label]
        written, mask = burn_in(plain, caption_of(word, (60, 80), [0, 3, 1]))
        first = (8 - 4) // 2
        frames = resize_frames(written, 30, 40)[first : first + 4]
        expected = torch.from_numpy(frames).float().permute(3, 0, 1, 2) / 255
        shown = found.shows(index)
        # rims are mixed with what the donor has behind them: another actor, other noise
        difference = (found[index]["clip"] - expected)[:, shown].abs()
        assert difference.mean() < 0.003
        small = torch.from_numpy(resize_frames(mask.astype(np.uint8) * 255, 30, 40)[2:6] >= 128)
        assert torch.equal(found.mask(index)[shown], small[shown])
        assert found[index]["label"] == CLASSES.index(word)
        assert found[index]["name"] == f"person03_boxing_d1_s1_{word}"


def test_random_starts_follow_the_seed(sets) -> None:
    def clips(seed: int) -> list[torch.Tensor]:
        data = captioned(sets, words="own", random_start=True, seed=seed)
        return [data[0]["clip"] for _ in range(6)]

    first, again, other = clips(0), clips(0), clips(1)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert len({float(clip[0].sum()) for clip in first}) > 1


def test_drawing_a_clip_leaves_what_is_kept(sets) -> None:
    data = captioned(sets, words="own")
    first = data[0]["clip"].clone()
    data[0]["clip"].zero_()
    assert torch.equal(data[0]["clip"], first)


@pytest.mark.parametrize(
    ("options", "clip", "message"),
    [
        ({"shown": 0}, CLIP, "frames with text: expected 1 to the clip's 4, got 0"),
        ({"shown": 5}, CLIP, "frames with text: expected 1 to the clip's 4, got 5"),
        ({"shown": 2}, ClipShape(4, 30, 40, 1), "expected clips of 3 channels"),
    ],
)
def test_what_can_not_be_captioned(sets, options: dict, clip: ClipShape, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        Captioned(KTH(sets[False], clip, CLASSES, "test"), sets[True], **options)


def test_unknown_words(sets) -> None:
    with pytest.raises(ValueError, match="words: expected one of"):
        captioned(sets, words="all")


def test_captions_of_another_size_or_none(sets, tmp_path: Path) -> None:
    clean = KTH(sets[False], CLIP, CLASSES, "test")
    with pytest.raises(BenchmarkError, match="no such video"):
        Captioned(clean, tmp_path, 2)[0]
    (tmp_path / "boxing").mkdir()
    name = "person03_boxing_d1"
    write_video(tmp_path / "boxing" / f"{name}_uncomp.avi", np.zeros((8, 24, 32, 3), np.uint8))
    save_masks(mask_file(tmp_path, "text", name), np.ones((8, 24, 32), bool))
    with pytest.raises(BenchmarkError, match="expected frames and masks of 60 x 80"):
        Captioned(clean, tmp_path, 2)[0]


def test_still_masks_serve_every_frame(sets, tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    for part in (*CLASSES, SEQUENCE_FILE):
        (root / part).symlink_to(sets[True] / part)
    data = KTH(root, CLIP, CLASSES, "test")
    assert data.mask_kinds == ()
    mask = np.zeros((60, 80), bool)
    mask[:10, :20] = True
    np.savez(root / "text_masks.npz", boxing=mask, walking=mask[0])
    assert data.mask_kinds == ("text",)
    found = data.mask(0, "text")
    assert found.shape == (4, 30, 40)
    assert found[:, :5, :10].all()
    assert found.sum() == 4 * 5 * 10
    for index in (1, 2):
        with pytest.raises(BenchmarkError, match="expected a mask \\(height, width\\) for"):
            data.mask(index, "text")


@needs_real
def test_the_labelled_footage_serves_its_masks(tmp_path: Path) -> None:
    for action in ACTIONS:
        (tmp_path / action).symlink_to((REAL / "kth_labelled" / action).resolve())
    (tmp_path / "text_masks.npz").symlink_to((REAL / "kth_labelled" / "text_masks.npz").resolve())
    (tmp_path / SEQUENCE_FILE).symlink_to((REAL / "kth" / SEQUENCE_FILE).resolve())
    data = KTH(tmp_path, ClipShape(2, 120, 160), split="all", skip_missing=True)
    assert data.mask_kinds == ("text",)
    index = data.records.index(next(one for one in data.records if one.action == "boxing"))
    clip, mask = data[index]["clip"], data.mask(index, "text")
    red = clip[0] - clip[1]
    assert (red[mask] > 0.3).float().mean() > 0.2
    assert (red[~mask] > 0.3).float().mean() < 0.001


@needs_real
def test_real_gray_footage_is_read_as_ever() -> None:
    path = REAL / "kth" / "walking" / "person01_walking_d1_uncomp.avi"
    np.testing.assert_array_equal(read_as_stored(path, 0, 20), read_frames(path, 0, 20))


def test_the_option_writes_text(command: Callable[..., str], tmp_path: Path) -> None:
    few = ["--persons", 3, "--sequences", 1, "--sequence-frames", 4, "--actions", "walking"]
    command("render", "--root", tmp_path / "set", *few, "--text")
    assert len(list((tmp_path / "set" / "text_masks").iterdir())) == 3


def test_the_multispectral_layout_has_no_text(refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused("render", "--root", tmp_path / "set", "--layout", "mad", "--text")
    assert "--text: burned into KTH's layout only" in line
