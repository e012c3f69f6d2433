"""The multispectral set read as laid out: frames from 0, spectra alone, pooled and in pairs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.data.mad_index import Row, picture_name, read_classes
from benchmarks_kth_mad.data.masks import save_masks
from benchmarks_kth_mad.data.sampling import ClipShape, frame_numbers
from benchmarks_kth_mad.errors import BenchmarkError

GRAY = ClipShape(frames=4, height=6, width=8, channels=1)
COLOR = ClipShape(frames=4, height=6, width=8)
SCENES = {"person01_a": (5, 0), "person01 b": (9, 7), "person12_c": (4, 2)}


def write_frames(folder: Path, count: int, color: bool, size: tuple[int, int] = (6, 8)) -> None:
    """Frame k is 10 k everywhere; in colour 10 k red, 20 k green and 5 k blue."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        picture = np.full(size, 10 * k, np.uint8)
        if color:  # OpenCV writes blue first
            picture = np.stack([picture // 2, picture * 2, picture], axis=-1)
        cv2.imwrite(str(folder / picture_name(k)), picture)


def write_list(root: Path, name: str, *rows: str) -> None:
    (root / "file_lists").mkdir(exist_ok=True)
    (root / "file_lists" / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two training scenes and one test scene, each in both spectra; infrared is larger."""
    for scene, (count, _) in SCENES.items():
        write_frames(tmp_path / "IR" / scene, count, color=False, size=(12, 16))
        write_frames(tmp_path / "TV" / scene, count, color=True)
    for spectrum in ("IR", "TV"):
        rows = [f"{spectrum}/{scene} {count} {label}" for scene, (count, label) in SCENES.items()]
        write_list(tmp_path, f"{spectrum}_train", *rows[:2])
        write_list(tmp_path, f"{spectrum}_test", *rows[2:])
    return tmp_path


def levels(clip: torch.Tensor) -> list[int]:
    return clip[:, 0, 0].mul(255).round().int().tolist()


def test_infrared_is_gray_and_counted_from_zero(root: Path) -> None:
    data = MAD(root, GRAY, "IR", "train")
    assert len(data) == 2
    item = data[0]
    assert (item["label"], item["name"]) == (0, "person01_a_IR")
    assert item["clip"].shape == (1, 4, 6, 8)
    assert item["clip"].dtype == torch.float32
    assert levels(item["clip"][0]) == [0, 10, 20, 30]
    assert levels(data[1]["clip"][0]) == [20, 30, 40, 50]
    tripled = MAD(root, COLOR, "IR", "train")[1]["clip"]
    assert tripled.shape == (3, 4, 6, 8)
    assert torch.equal(tripled, data[1]["clip"].repeat(3, 1, 1, 1))


def test_visible_is_rgb_or_luma(root: Path) -> None:
    clip = MAD(root, COLOR, "TV", "train")[1]["clip"]
    red = [20, 30, 40, 50]
    assert levels(clip[0]) == red
    assert levels(clip[1]) == [2 * level for level in red]
    assert levels(clip[2]) == [level // 2 for level in red]
    luma = MAD(root, GRAY, "TV", "train")[1]["clip"]
    assert luma.shape == (1, 4, 6, 8)
    expected = [0.299 * level + 0.587 * 2 * level + 0.114 * (level // 2) for level in red]
    assert levels(luma[0]) == pytest.approx(expected, abs=0.501)


def test_gray_visible_and_coloured_infrared_are_taken_as_well(root: Path) -> None:
    write_frames(root / "TV" / "person12_c", 4, color=False)
    write_frames(root / "IR" / "person12_c", 4, color=True)
    visible, infrared = MAD(root, COLOR, "paired", "test")[0]["clip"]
    assert [levels(channel) for channel in visible] == [[0, 10, 20, 30]] * 3
    assert infrared.shape == (1, 4, 6, 8)
    assert levels(infrared[0])[3] == round(0.299 * 30 + 0.587 * 60 + 0.114 * 15)


def test_pooled_has_a_record_per_spectrum(root: Path) -> None:
    data = MAD(root, COLOR, "IRTV", "all")
    assert sorted(record.name for record in data.records) == sorted(
        f"{scene.replace(' ', '_')}_{spectrum}" for scene in SCENES for spectrum in ("IR", "TV")
    )
    assert len({record.name for record in data.records}) == len(data) == 6
    for k, record in enumerate(data.records):
        alone = MAD(root, COLOR, record.rows[0].spectrum, "all")
        same = [one.name for one in alone.records].index(record.name)
        assert torch.equal(data[k]["clip"], alone[same]["clip"])
        assert data[k]["label"] == SCENES[record.scene.replace("_b", " b")][1]


def test_pairs_are_one_scene_at_the_same_frames(root: Path) -> None:
    clip = ClipShape(frames=2, height=6, width=8)
    data = MAD(root, clip, "paired", "train", random_start=True)
    drawn = set()
    for _ in range(40):
        visible, infrared = data[1]["clip"]
        assert visible.shape == (3, 2, 6, 8)
        assert infrared.shape == (1, 2, 6, 8)
        assert levels(visible[0]) == levels(infrared[0])
        drawn.add(levels(infrared[0])[0])
    assert drawn == {10 * k for k in range(8)}
    assert data[1]["name"] == "person01_b"
    gray = MAD(root, GRAY, "paired", "train")[1]["clip"]
    assert [clip.shape[0] for clip in gray] == [1, 1]


def test_pairs_are_matched_by_scene_not_by_order(root: Path) -> None:
    write_list(root, "IR_train", "IR/person01 b 9 7", "IR/person01_a 5 0")
    data = MAD(root, GRAY, "paired", "train")
    assert [record.rows[0].spectrum for record in data.records] == ["TV", "TV"]
    for record in data.records:
        assert record.rows[0].folder == record.rows[1].folder.replace("IR", "TV")


def test_segments(root: Path) -> None:
    clip = ClipShape(frames=4, height=6, width=8, channels=1, segments=2)
    expected = [10 * number for number in frame_numbers(9, clip)]
    assert levels(MAD(root, clip, "IR", "train")[1]["clip"][0]) == expected == [20, 30, 60, 70]


def test_a_scene_too_short_repeats_its_last_frame(root: Path) -> None:
    clip = ClipShape(frames=6, height=6, width=8, channels=1)
    assert levels(MAD(root, clip, "IR", "test")[0]["clip"][0]) == [0, 10, 20, 30, 30, 30]


def test_more_pictures_than_the_row_says_are_left_alone(root: Path) -> None:
    write_list(root, "IR_test", "IR/person12_c 2 2")
    assert levels(MAD(root, GRAY, "IR", "test")[0]["clip"][0]) == [0, 10, 10, 10]


def test_only_pictures_of_the_clip_are_read_and_kept(root: Path) -> None:
    data = MAD(root, GRAY, "IR", "train")
    first = data[1]["clip"].clone()
    assert len(data._cache) == 4
    (root / "IR/person01 b/0000.png").write_bytes(b"never read")
    for number in range(2, 6):
        (root / "IR/person01 b" / picture_name(number)).write_bytes(b"kept in memory")
    data[1]["clip"].zero_()
    assert torch.equal(data[1]["clip"], first)


def test_cache_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = MAD(root, GRAY, "IR", "train")
    monkeypatch.setattr(data, "cache_bytes", 3 * 6 * 8)
    clips = [data[k]["clip"] for k in (0, 1)]
    assert len(data._cache) == 3
    assert torch.equal(data[1]["clip"], clips[1])


@pytest.mark.parametrize("spectrum", ["IR", "paired"])
def test_workers_draw_differently_in_each_epoch(root: Path, spectrum: str) -> None:
    clip = ClipShape(frames=1, height=6, width=8, channels=1)
    data = MAD(root, clip, spectrum, "all", random_start=True)

    def epochs() -> list[list[float]]:
        loader = DataLoader(
            data, batch_size=1, num_workers=2, generator=torch.Generator().manual_seed(3)
        )
        batches = [[batch["clip"] for batch in loader] for _ in range(4)]
        return [[b[-1].flatten()[0].item() for b in epoch] for epoch in batches]

    first = epochs()
    assert first == epochs()
    assert len({tuple(epoch) for epoch in first}) > 1


def test_default_collation_of_pairs(root: Path) -> None:
    batch = next(iter(DataLoader(MAD(root, COLOR, "paired", "all"), batch_size=3)))
    assert [tuple(clip.shape) for clip in batch["clip"]] == [(3, 3, 4, 6, 8), (3, 1, 4, 6, 8)]
    assert batch["label"].tolist() == [0, 7, 2]
    assert batch["name"] == ["person01_a", "person01_b", "person12_c"]


def test_persons_and_groups(root: Path) -> None:
    assert MAD(root, GRAY, "paired", "train").persons == (1,)
    assert MAD(root, GRAY, "IRTV", "all").persons == (1, 12)
    write_frames(root / "IR/yard/7", 4, color=False)
    write_list(root, "IR_test", "IR/yard/7 4 3")
    data = MAD(root, GRAY, "IR", "all")
    assert data.persons == (1,)
    assert [record.group for record in data.records] == ["person01", "person01", "yard_7"]
    assert data.records[2].name == "yard_7_IR"


def test_class_names(root: Path) -> None:
    assert MAD(root, GRAY).classes == tuple(f"class {k}" for k in range(8))
    names = ["sit", "stand up", "run", "a", "b", "c", "d", "e"]
    (root / "file_lists" / "classes.txt").write_text("\n".join(names) + "\n\n")
    assert MAD(root, GRAY).classes == tuple(names)
    (root / "classes.txt").write_text("\n".join(reversed(names)))
    assert MAD(root, GRAY).classes == tuple(reversed(names))


def test_some_classes(root: Path) -> None:
    data = MAD(root, GRAY, "IRTV", "train", classes=["class 7"])
    assert data.classes == ("class 7",)
    assert [(record.scene, record.label) for record in data.records] == [("person01_b", 0)] * 2
    turned = MAD(root, GRAY, "IR", "train", classes=["class 7", "class 0"])
    assert [record.label for record in turned.records] == [1, 0]


@pytest.mark.parametrize(
    ("infrared", "visible", "scene"),
    [
        ("IR/person03_waving_s1", "TV/person03_waving_s1", "person03_waving_s1"),
        ("person03_waving_IR_s1", "person03_waving_TV_s1", "person03_waving_s1"),
        ("yard 2/IR/x y", "yard 2/TV/x y", "yard_2_x_y"),
        ("day/person 1/kick-IR", "day/person 1/kick-TV", "day_person_1_kick"),
        ("IR", "TV", "scene"),
    ],
)
def test_what_makes_a_pair(infrared: str, visible: str, scene: str) -> None:
    assert Row("", "IR", infrared, 1, 0).scene == scene
    assert Row("", "TV", visible, 1, 0).scene == scene


def test_what_makes_no_pair() -> None:
    """Only a whole word is a spectrum, and only the row's own one."""
    assert Row("", "IR", "IR/IRON_TV", 1, 0).scene == "IRON_TV"
    assert Row("", "TV", "TV/IRON_IR", 1, 0).scene == "IRON_IR"


def test_masks_are_shared_by_the_spectra(root: Path) -> None:
    assert MAD(root, GRAY).mask_kinds == ()
    with pytest.raises(BenchmarkError, match="only rendered sets have masks"):
        MAD(root, GRAY).mask(1)
    (root / "masks").mkdir()
    masks = np.zeros((9, 6, 8), bool)
    for k in range(9):
        masks[k, k % 6, :k] = True
    save_masks(root / "masks" / "person01_b.npz", masks)
    for spectrum in ("IR", "TV", "paired"):
        data = MAD(root, GRAY, spectrum, "train")
        assert data.mask_kinds == ("actor",)
        assert torch.equal(data.mask(1), torch.from_numpy(masks[2:6]))
    save_masks(root / "masks" / "person01_b.npz", masks[:8])
    with pytest.raises(BenchmarkError, match=r"person01_b\.npz: expected at least 9 masks, got 8"):
        MAD(root, GRAY, "TV", "train").mask(1)


def message_of(root: Path, spectrum: str = "IR", split: str = "train", **options: object) -> str:
    with pytest.raises(BenchmarkError) as caught:
        MAD(root, GRAY, spectrum, split, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("IR/person01_a 5", "expected 'folder n_frames label', got 'IR/person01_a 5'"),
        ("5 0", "expected 'folder n_frames label', got '5 0'"),
        ("IR/person01_a five 0", "expected 'folder n_frames label'"),
        ("IR/person01_a 5 -1", "expected 'folder n_frames label'"),
        ("IR/person01_a 0 0", "expected at least 1 frame, got 0"),
        ("IR/person01_a 5 8", "expected a label from 0 to 7, got 8; labels count from 0"),
        ("IR/nobody 5 0", "nobody is not a folder that can be read (No such file or directory)"),
        ("classes.txt 5 0", "classes.txt is not a folder that can be read (Not a directory)"),
        ("IR/person01_a 6 0", "holds 5 of the 6 frames 0000.png to 0005.png; 0005.png is missing"),
        ("IR/person12_c 4 2", "folder IR/person12_c is in"),
        ("./IR//person12_c 4 2", "IR_train.txt, line 1 already; remove one"),
        ("person12_c/IR 4 2", "gives the same scene, person12_c, as IR/person12_c in"),
    ],
)
def test_bad_rows_are_named(root: Path, row: str, message: str) -> None:
    (root / "classes.txt").write_text("\n".join("abcdefgh"))
    write_list(root, "IR_train", "IR/person12_c 4 2", "", row)
    said = message_of(root)
    assert "IR_train.txt, line 3: " in said
    assert message in said


def test_pictures_counted_from_one(root: Path) -> None:
    folder = root / "IR/person01_a"
    (folder / "0000.png").rename(folder / "0005.png")
    said = message_of(root)
    assert "line 1" in said
    assert "holds 4 of the 5 frames 0000.png to 0004.png; 0000.png is missing" in said


@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_empty_list(root: Path, content: str) -> None:
    (root / "file_lists" / "IR_train.txt").write_text(content)
    assert "IR_train.txt: empty; expected rows such as" in message_of(root)


def test_list_that_is_no_text(root: Path) -> None:
    (root / "file_lists" / "IR_train.txt").write_bytes(b"\xff\xfe\x80 5 0")
    assert "IR_train.txt: not a text file in UTF-8" in message_of(root)


def test_missing_list(root: Path) -> None:
    (root / "file_lists" / "TV_test.txt").unlink()
    assert len(MAD(root, GRAY, "TV", "train")) == 2
    for spectrum in ("TV", "IRTV", "paired"):
        assert "TV_test.txt: no such list;" in message_of(root, spectrum, "test")
    assert "IR_train.txt: no such list" in message_of(root / "elsewhere")


def test_a_scene_in_both_splits(root: Path) -> None:
    write_list(root, "IR_test", "IR/person01_a 5 0")
    said = message_of(root, split="all")
    assert "IR_test.txt, line 1: folder IR/person01_a is in" in said
    assert "IR_train.txt, line 1 already; remove one" in said


def test_a_folder_in_both_spectra(root: Path) -> None:
    write_list(root, "TV_train", "IR/person01_a 5 0")
    assert "folder IR/person01_a is in" in message_of(root, "IRTV")
    assert "folder IR/person01_a is in" in message_of(root, "paired")


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ("IR/person01_a 4 0", ["frames 5 in TV, but 4 in IR", "TV_train.txt, line 1"]),
        ("IR/person01_a 5 1", ["label 0 in TV, but 1 in IR", "IR_train.txt, line 2"]),
        ("IR/person12_c 4 2", ["scene person01_a has no row in the IR list of this split"]),
    ],
)
def test_spectra_that_contradict_each_other(root: Path, row: str, messages: list[str]) -> None:
    write_list(root, "IR_train", "IR/person01 b 9 7", row)
    said = message_of(root, "paired")
    assert all(message in said for message in messages)
    assert len(MAD(root, GRAY, "IRTV")) == 4


def test_infrared_without_visible(root: Path) -> None:
    write_list(root, "TV_train", "TV/person01_a 5 0")
    said = message_of(root, "paired")
    assert "IR_train.txt, line 2: scene person01_b has no row in the TV list" in said


def test_pictures_of_different_sizes(root: Path) -> None:
    path = root / "IR/person01_a/0002.png"
    cv2.imwrite(str(path), np.zeros((6, 9), np.uint8))
    data = MAD(root, GRAY, "IR", "train")
    with pytest.raises(
        BenchmarkError, match=r"0002\.png: expected 12 x 16 pixels as 0000\.png .* got 6 x 9; "
    ):
        data[0]


def test_pictures_of_different_sizes_in_different_clips(root: Path) -> None:
    """The size is remembered from clip to clip, so that it does not depend on what is drawn."""
    cv2.imwrite(str(root / "IR/person01 b/0008.png"), np.zeros((6, 9), np.uint8))
    clip = ClipShape(frames=1, height=6, width=8, channels=1)
    data = MAD(root, clip, "IR", "train", random_start=True)
    with pytest.raises(BenchmarkError, match="the pictures of a folder must have one size"):
        [data[1] for _ in range(100)]


@pytest.mark.parametrize("half", [True, False])
def test_damaged_picture(root: Path, half: bool) -> None:
    path = root / "IR/person01_a/0001.png"
    noise = np.random.default_rng(0).integers(0, 256, (12, 16), dtype=np.uint8)
    cv2.imwrite(str(path), noise)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if half else b"")
    with pytest.raises(BenchmarkError, match=r"0001\.png: not a picture that can be read") as said:
        MAD(root, GRAY, "IR", "train")[0]
    assert "\n" not in str(said.value)


def test_picture_that_went_away(root: Path) -> None:
    data = MAD(root, GRAY, "IR", "train")
    (root / "IR/person01_a/0003.png").unlink()
    with pytest.raises(BenchmarkError, match=r"0003\.png: no such picture; fetch the data set"):
        data[0]


def test_picture_of_sixteen_bits(root: Path) -> None:
    cv2.imwrite(str(root / "IR/person01_a/0001.png"), np.full((12, 16), 9000, np.uint16))
    with pytest.raises(BenchmarkError, match=r"0001\.png: expected 8 bits per channel"):
        MAD(root, GRAY, "IR", "train")[0]


def test_transparency_is_left_out(root: Path) -> None:
    picture = np.full((12, 16, 4), 60, np.uint8)
    picture[..., 3] = 0
    cv2.imwrite(str(root / "IR/person01_a/0001.png"), picture)
    assert levels(MAD(root, GRAY, "IR", "train")[0]["clip"][0]) == [0, 60, 20, 30]


def test_unknown_choices(root: Path) -> None:
    assert message_of(root, "UV") == "spectrum 'UV': expected one of IR, TV, IRTV, paired"
    assert message_of(root, split="val") == "split 'val': expected one of train, test, all"
    assert "class 'flying' is not in the set; it has class 0," in message_of(
        root, classes=["flying"]
    )
    assert "expected different classes" in message_of(root, classes=["class 0", "class 0"])
    assert "expected different classes" in message_of(root, classes=[])
    assert "split test has no row of class 0" in message_of(
        root, split="test", classes=["class 2", "class 0"]
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "classes.txt: empty"),
        ("a\n\nb", "line 2: expected a class name, got an empty line"),
        ("a\nb\na", "line 3: class 'a' comes a second time"),
    ],
)
def test_bad_class_names(root: Path, content: str, message: str) -> None:
    (root / "classes.txt").write_text(content)
    with pytest.raises(BenchmarkError, match=message):
        read_classes(root)
