"""KTH read as published: ranges counted from 1, the official split, and an error for every gap."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.kth_index import (
    ACTIONS,
    SEQUENCE_FILE,
    index_records,
    read_sequences,
)
from benchmarks_kth_mad.data.masks import save_masks
from benchmarks_kth_mad.data.sampling import ClipShape, clip_tensor, frame_numbers, resize_frames
from benchmarks_kth_mad.data.video import write_video
from benchmarks_kth_mad.errors import BenchmarkError

REAL = Path(os.environ.get("CAPTUM_VIDEO_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
OFFICIAL = REAL / "kth" / SEQUENCE_FILE
needs_real = pytest.mark.skipif(
    not OFFICIAL.is_file(), reason=f"no KTH at {OFFICIAL.parent} (set CAPTUM_VIDEO_REAL_DATA)"
)

HEADER = "About this set.\r\n\r\nTraining:   person01, 02\r\nValidation: person03\r\nTest:       person04 \r\n\r\n"
SMALL = ClipShape(frames=4, height=24, width=32, channels=1)


def write_set(root: Path, rows: list[str], header: str = HEADER) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    text = header + "".join(f"{row}\r\n" for row in rows)
    (root / SEQUENCE_FILE).write_bytes(text.encode())
    return root


def write_counting_video(root: Path, name: str, count: int) -> None:
    """Frame k of the file, from 0, has the gray level k + 1: its number in KTH's count."""
    action = name.split("_")[1]
    (root / action).mkdir(parents=True, exist_ok=True)
    levels = np.arange(1, count + 1, dtype=np.uint8)[:, None, None]
    frames = np.broadcast_to(levels, (count, 24, 32)).copy()
    write_video(root / action / f"{name}_uncomp.avi", frames)


@pytest.fixture
def one_person(tmp_path: Path) -> Path:
    """Person 1 walks and runs, four subsequences of 10 frames each; the others are absent."""
    rows = []
    for action in ("running", "walking"):
        for person in (1, 2, 3, 4):
            rows.append(f"person{person:02d}_{action}_d1\tframes\t1-10, 11-20, 21-30, 31-40")
        write_counting_video(tmp_path, f"person01_{action}_d1", 40)
    return write_set(tmp_path, rows)


def test_ranges_count_from_one_and_include_both_ends(tmp_path: Path) -> None:
    write_counting_video(tmp_path, "person01_walking_d1", 40)
    root = write_set(tmp_path, ["person01_walking_d1\t\tframes\t3-8, 20-40"])
    clip = ClipShape(frames=6, height=24, width=32, channels=1)
    data = KTH(root, clip, ["walking"], split="all")
    levels = (data[0]["clip"][0, :, 0, 0] * 255).round().int()
    assert levels.tolist() == [3, 4, 5, 6, 7, 8]
    assert data[1]["clip"][0, :, 0, 0].mul(255).round().int().tolist() == [27, 28, 29, 30, 31, 32]
    last = KTH(root, ClipShape(21, 24, 32, 1), ["walking"], split="all")[1]["clip"]
    assert last[0, [0, -1], 0, 0].mul(255).round().int().tolist() == [20, 40]


def test_short_subsequence_repeats_its_last_frame(tmp_path: Path) -> None:
    write_counting_video(tmp_path, "person01_walking_d1", 10)
    root = write_set(tmp_path, ["person01_walking_d1\tframes\t2-4"])
    clip = KTH(root, ClipShape(5, 24, 32, 1), ["walking"], split="all")[0]["clip"]
    assert clip[0, :, 0, 0].mul(255).round().int().tolist() == [2, 3, 4, 4, 4]


def test_item(one_person: Path) -> None:
    data = KTH(
        one_person,
        ClipShape(frames=4, height=12, width=16),
        ["walking", "running"],
        split="all",
        skip_missing=True,
    )
    item = data[0]
    assert item["clip"].shape == (3, 4, 12, 16)
    assert item["clip"].dtype == torch.float32
    assert torch.equal(item["clip"][0], item["clip"][2])
    assert (item["label"], item["name"]) == (1, "person01_running_d1_s1")
    assert data.persons == (1,)
    assert len({record.name for record in data.records}) == len(data) == 8
    batch = next(iter(DataLoader(data, batch_size=8)))
    assert batch["clip"].shape == (8, 3, 4, 12, 16)
    assert batch["label"].tolist() == [1] * 4 + [0] * 4


def test_cached_frames_are_the_decoded_ones(one_person: Path) -> None:
    data = KTH(one_person, SMALL, ["walking", "running"], split="all", skip_missing=True)
    first = data[5]["clip"].clone()
    data[5]["clip"].zero_()
    assert torch.equal(data[5]["clip"], first)


def test_cache_is_bounded(one_person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = KTH(one_person, SMALL, ["walking", "running"], split="all", skip_missing=True)
    monkeypatch.setattr(data, "cache_bytes", 2 * 10 * 24 * 32)
    clips = [data[k]["clip"] for k in range(len(data))]
    assert len(data._cache) == 2
    assert torch.equal(data[7]["clip"], clips[7])


def test_random_starts_follow_the_seed_and_leave_the_global_generator(one_person: Path) -> None:
    def starts(seed: int) -> list[int]:
        data = KTH(
            one_person, SMALL, ["walking"], "all", skip_missing=True, random_start=True, seed=seed
        )
        return [int(data[0]["clip"][0, 0, 0, 0] * 255 + 0.5) for _ in range(60)]

    state = torch.random.get_rng_state()
    assert starts(1) == starts(1) != starts(2)
    assert set(starts(1)) == set(range(1, 8))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_workers_draw_differently_in_each_epoch(one_person: Path) -> None:
    data = KTH(one_person, SMALL, ["walking"], "all", skip_missing=True, random_start=True)

    def epochs() -> list[list[float]]:
        loader = DataLoader(
            data, batch_size=1, num_workers=2, generator=torch.Generator().manual_seed(3)
        )
        return [[batch["clip"][0, 0, 0, 0, 0].item() for batch in loader] for _ in range(3)]

    first = epochs()
    assert first == epochs()
    assert first[0] != first[1] or first[1] != first[2]


def test_frame_numbers_stay_inside() -> None:
    generator = torch.Generator().manual_seed(0)
    shape = ClipShape(frames=4, stride=3)
    for available in range(1, 30):
        for _ in range(5):
            numbers = frame_numbers(available, shape, generator)
            assert len(numbers) == 4
            assert numbers[0] >= 0
            assert max(numbers) <= available - 1


def test_resizing_and_scaling() -> None:
    frames = np.full((2, 24, 32), 51, np.uint8)
    assert (resize_frames(frames, 12, 16) == 51).all()
    assert (resize_frames(frames, 48, 64) == 51).all()
    assert torch.allclose(clip_tensor(frames, 1), torch.full((1, 2, 24, 32), 0.2))


def test_masks_follow_the_centre_clip(one_person: Path) -> None:
    data = KTH(one_person, SMALL, ["walking"], split="all", skip_missing=True)
    assert data.mask_kinds == ()
    with pytest.raises(BenchmarkError, match="only rendered sets have masks"):
        data.mask(0)
    (one_person / "masks").mkdir()
    masks = np.zeros((40, 24, 32), bool)
    for k in range(40):
        masks[k, k % 24] = True
    save_masks(one_person / "masks" / "person01_walking_d1.npz", masks)
    assert data.mask_kinds == ("actor",)
    numbers = data[1]["clip"][0, :, 0, 0].mul(255).round().int() - 1
    assert torch.equal(data.mask(1), torch.from_numpy(masks)[numbers])


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_damaged_masks(one_person: Path, content: bytes) -> None:
    (one_person / "masks").mkdir()
    (one_person / "masks" / "person01_walking_d1.npz").write_bytes(content)
    data = KTH(one_person, SMALL, ["walking"], split="all", skip_missing=True)
    with pytest.raises(BenchmarkError, match=r"person01_walking_d1\.npz: not a file of masks"):
        data.mask(0)


def test_too_few_masks(one_person: Path) -> None:
    (one_person / "masks").mkdir()
    save_masks(one_person / "masks" / "person01_walking_d1.npz", np.ones((15, 24, 32), bool))
    data = KTH(one_person, SMALL, ["walking"], split="all", skip_missing=True)
    assert data.mask(0).all()
    with pytest.raises(BenchmarkError, match="expected at least 20 masks, got 15"):
        data.mask(1)


def test_split_by_sequence_divides_every_class(one_person: Path) -> None:
    taken = {}
    for split in ("train", "val", "test"):
        data = KTH(one_person, SMALL, ["walking", "running"], split, "sequence", skip_missing=True)
        assert Counter(record.label for record in data.records) == (
            {0: 2, 1: 2} if split == "train" else {0: 1, 1: 1}
        )
        taken[split] = {record.name for record in data.records}
    assert not taken["train"] & taken["test"]
    assert not taken["val"] & taken["test"]


def test_split_by_sequence_needs_sequences(tmp_path: Path) -> None:
    write_counting_video(tmp_path, "person01_walking_d1", 20)
    root = write_set(tmp_path, ["person01_walking_d1\tframes\t1-10, 11-20"])
    with pytest.raises(BenchmarkError, match="split test has no sequence of walking"):
        KTH(root, SMALL, ["walking"], "test", "sequence")
    write_counting_video(tmp_path, "person01_running_d1", 30)
    rows = [
        "person01_walking_d1\tframes\t1-10, 11-20",
        "person01_running_d1\tframes\t1-9,10-19,20-29",
    ]
    with pytest.raises(BenchmarkError, match="split test has no sequence of walking"):
        KTH(write_set(tmp_path, rows), SMALL, ["walking", "running"], "test", "sequence")


@pytest.mark.parametrize("skip_missing", [False, True])
def test_person_split_without_persons(one_person: Path, skip_missing: bool) -> None:
    with pytest.raises(
        BenchmarkError, match=r"split test has no videos \(its persons: 4\).*--split-by sequence"
    ):
        KTH(one_person, SMALL, ["walking"], "test", skip_missing=skip_missing)


def test_missing_videos_are_counted(one_person: Path) -> None:
    with pytest.raises(
        BenchmarkError, match=r"person02_running_d1_uncomp\.avi and 1 more: no such"
    ):
        KTH(one_person, SMALL, ["running", "walking"], "train")
    with pytest.raises(BenchmarkError, match=r"person02_walking_d1_uncomp\.avi: .*--skip-missing"):
        KTH(one_person, SMALL, ["walking"], "train")
    assert len(KTH(one_person, SMALL, ["walking"], "train", skip_missing=True)) == 4


def test_empty_root(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"00sequences\.txt: no such file"):
        KTH(tmp_path)
    root = write_set(tmp_path, ["person01_walking_d1\tframes\t1-10"])
    with pytest.raises(BenchmarkError, match=r"none of the videos .* fetch or render"):
        KTH(root, classes=["walking"], split="train", skip_missing=True)


def test_class_without_videos(one_person: Path) -> None:
    with pytest.raises(BenchmarkError, match="split all has no sequence of boxing"):
        KTH(one_person, SMALL, ["walking", "boxing"], "all", skip_missing=True)


def test_unknown_choices(one_person: Path) -> None:
    with pytest.raises(BenchmarkError, match="class 'flying' is not in KTH; it has boxing, hand"):
        KTH(one_person, classes=["walking", "flying"])
    with pytest.raises(BenchmarkError, match="expected different actions"):
        KTH(one_person, classes=["walking", "walking"])
    with pytest.raises(BenchmarkError, match="expected different actions"):
        KTH(one_person, classes=[])
    with pytest.raises(BenchmarkError, match="split 'dev': expected one of train, val, test, all"):
        KTH(one_person, split="dev")
    with pytest.raises(BenchmarkError, match="split by 'luck': expected person or sequence"):
        KTH(one_person, split_by="luck")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"frames": 0}, "clip frames: expected a whole number of at least 1, got 0"),
        ({"stride": 1.5}, "clip stride: expected a whole number"),
        ({"channels": 2}, "clip channels: expected 1 or 3, got 2"),
    ],
)
def test_impossible_clip(sizes: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        ClipShape(**sizes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("person01_walking_d1\tframes\t1-x", "expected a frame range such as 1-95, got '1-x'"),
        ("person01_walking_d1\tframes\t1-9,", "expected a frame range such as 1-95, got ''"),
        ("person01_walking_d1\tframes\t9-3", "frame range 9-3: expected to begin at 1"),
        ("person01_walking_d1\tframes\t0-3", "frame range 0-3: expected to begin at 1"),
        ("person01_flying_d1\tframes\t1-3", "unknown action 'flying'; KTH has boxing"),
        ("person01_walking_d1", "expected 'person01_walking_d1 frames 1-75"),
        ("what is this", "expected 'person01_walking_d1 frames 1-75, 152-225', got 'what is this'"),
        ("person02_boxing_d1\tframes\t1-9", "person02_boxing_d1 comes a second time"),
        ("Training: everybody", "expected persons such as 'person11, 12, 13', got 'everybody'"),
        ("Training: person04", "person 4 is in split test already"),
    ],
)
def test_unreadable_line_is_named(tmp_path: Path, row: str, message: str) -> None:
    root = write_set(tmp_path, ["person02_boxing_d1\tframes\t1-9", row])
    with pytest.raises(BenchmarkError) as caught:
        read_sequences(root / SEQUENCE_FILE)
    assert f"{SEQUENCE_FILE}, line 8: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_without_rows(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no row such as"):
        read_sequences(write_set(tmp_path, [], "just words\r\n") / SEQUENCE_FILE)


def test_file_without_person_split(tmp_path: Path) -> None:
    root = write_set(tmp_path, ["person02_boxing_d1\tframes\t1-9"], header="")
    with pytest.raises(BenchmarkError, match="gives no persons for split train; use --split-by"):
        KTH(root, classes=["boxing"])


@needs_real
def test_official_annotation() -> None:
    sequences = read_sequences(OFFICIAL)
    present = [video for video in sequences.videos if video.ranges]
    assert len(present) == 599
    assert [video.name for video in sequences.videos if not video.ranges] == [
        "person13_handclapping_d3"
    ]
    assert sequences.videos[0].ranges == ((1, 95), (96, 185), (186, 245), (246, 360))
    assert max(last for video in present for _, last in video.ranges) == 1492
    assert sequences.persons == {
        "train": (11, 12, 13, 14, 15, 16, 17, 18),
        "val": (19, 20, 21, 23, 24, 25, 1, 4),
        "test": (22, 2, 3, 5, 6, 7, 8, 9, 10),
    }


@needs_real
@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ("all", (397, 396, 398, 400, 400, 400)),
        ("train", (126, 124, 126, 128, 128, 128)),
        ("val", (128,) * 6),
        ("test", (143, 144, 144, 144, 144, 144)),
    ],
)
def test_official_counts(split: str, counts: tuple[int, ...]) -> None:
    records = index_records(read_sequences(OFFICIAL), REAL / "kth", ACTIONS, split, "person")
    found = Counter(record.action for record in records)
    assert tuple(found[action] for action in ACTIONS) == counts


@needs_real
def test_real_footage() -> None:
    data = KTH(REAL / "kth", split="all", skip_missing=True)
    assert len(data) == 24
    assert data.persons == (1,)
    record = data.records[0]
    assert (record.name, record.first, record.last) == ("person01_boxing_d1_s1", 0, 94)
    for k in (0, 23):
        clip = data[k]["clip"]
        assert clip.shape == (3, 16, 48, 64)
        assert 0 <= clip.min() < clip.max() <= 1
        assert (clip[:, 1:] - clip[:, :-1]).abs().max() > 0.1
