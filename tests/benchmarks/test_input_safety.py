"""Files that claim too much, or lead elsewhere, are refused before memory is taken or a path followed."""

import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from benchmarks_kth_mad.data import limits
from benchmarks_kth_mad.data.arrays import read_arrays
from benchmarks_kth_mad.data.kth_index import ACTIONS, index_records, read_sequences
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.data.masks import load_masks, save_masks, subsequence_masks
from benchmarks_kth_mad.data.pictures import read_picture
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.data.video import read_as_stored, read_frames, write_video
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import read_text

ROOT = Path(__file__).parents[2]
CLIP = ClipShape(frames=2, height=6, width=8, channels=1)

# Runs in a process of its own, which may take hardly more memory than the packages need.
IN_LITTLE_MEMORY = """
import json, resource, sys, traceback
from pathlib import Path
from benchmarks_kth_mad.data.masks import load_masks, _load_still
from benchmarks_kth_mad.data.pictures import read_picture
from benchmarks_kth_mad.data.video import read_as_stored, read_frames
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import read_text

READERS = {
    "gray": lambda path: read_frames(path, 0, 3),
    "colour": lambda path: read_frames(path, 0, 3, color=True),
    "as stored": lambda path: read_as_stored(path, 0, 3),
    "billion": lambda path: read_frames(path, 0, 10**9 - 1),
    "picture": lambda path: read_picture(path, color=True),
    "masks": load_masks,
    "still": lambda path: _load_still(path, "walking"),
    "text": read_text,
}
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, resource.getrlimit(resource.RLIMIT_AS)[1]))
said = []
for reader, name in json.loads(sys.argv[1]):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        READERS[reader](Path(name))
        line = "read"
    except BenchmarkError as error:
        line = str(error)
    except BaseException:
        line = traceback.format_exc()
    said.append([line, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before])
print(json.dumps(said))
"""


def png(height: int, width: int, rows: bytes = b"") -> bytes:
    """A gray picture that claims a size, and holds as much of it as is given."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def whole_png(height: int, width: int) -> bytes:
    return png(height, width, (b"\0" + b"\x40" * width) * height)


def claim_size(path: Path, height: int, width: int) -> None:
    """Write another size into both of an AVI's headers."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<II", content, content.find(b"avih") + 8 + 32, width, height)
    struct.pack_into("<ii", content, content.find(b"strf") + 8 + 4, width, height)
    path.write_bytes(content)


def video_of(path: Path, *pictures: bytes) -> Path:
    """An AVI of PNG pictures as they are, whose header says 24 x 32."""
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "gray"
        container.start_encoding()
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = stream.time_base, True
            container.mux(packet)
    return path


def claiming_npz(path: Path, packing: int = zipfile.ZIP_DEFLATED, **shapes: tuple) -> Path:
    """Arrays of bytes that claim their shapes, and hold next to nothing."""
    with zipfile.ZipFile(path, "w", packing) as file:
        for name, shape in shapes.items():
            header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
            header = header.ljust(117) + b"\n"
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
            file.writestr(f"{name}.npy", start + bytes(24))
    return path


def greedy_files(folder: Path) -> list[tuple[str, Path, list[str]]]:
    """Reader, file, and what its refusal must say; every one of a few kilobytes."""
    write_video(folder / "claims.avi", np.zeros((6, 24, 32), np.uint8))
    claim_size(folder / "claims.avi", 60000, 60000)
    write_video(folder / "ffmpeg_would.avi", np.zeros((6, 24, 32), np.uint8))
    claim_size(folder / "ffmpeg_would.avi", 12000, 15000)
    write_video(folder / "long.avi", np.zeros((6, 24, 32), np.uint8))
    small, large = whole_png(24, 32), png(12000, 15000, bytes(15001 * 1000))
    grows = video_of(folder / "grows.avi", small, small, large, small)
    for name, *size in (("giant", 60000, 60000), ("warned", 9000, 15000), ("large", 6000, 7000)):
        (folder / f"{name}.png").write_bytes(png(*size, bytes(7001)))
    with (folder / "list.txt").open("wb") as file:
        file.truncate(2**40)
    np.savez(folder / "width.npz", bits=np.zeros((2, 3, 4), np.uint8), width=10**12)
    pixels, most = str(limits.MOST_PIXELS), str(limits.MOST_BYTES)
    return [
        ("gray", folder / "claims.avi", ["60000 x 60000 pixels", pixels]),
        ("as stored", folder / "claims.avi", ["60000 x 60000 pixels", pixels]),
        ("colour", folder / "ffmpeg_would.avi", ["12000 x 15000 pixels", pixels]),
        ("billion", folder / "long.avi", ["1000000000 x 24 x 32 x 1 bytes", most]),
        ("gray", grows, ["frame 2 can not be decoded: damaged, or larger than", pixels]),
        ("picture", folder / "giant.png", ["3600000000 pixels", pixels]),
        ("picture", folder / "warned.png", ["9000 x 15000 pixels", pixels]),
        ("picture", folder / "large.png", ["6000 x 7000 pixels", pixels]),
        ("masks", claiming_npz(folder / "a.npz", bits=(10**6,) * 3, width=()), [most]),
        (
            "masks",
            claiming_npz(folder / "b.npz", bits=(2**16, 2**13, 2), width=()),
            ["not a file of"],
        ),
        ("masks", folder / "width.npz", ["not a file of masks"]),
        (
            "masks",
            claiming_npz(folder / "c.npz", zipfile.ZIP_LZMA, bits=(2, 3, 4)),
            ["not a file of"],
        ),
        ("still", claiming_npz(folder / "d.npz", walking=(10**5, 10**5)), [str(10**10), most]),
        ("text", folder / "list.txt", ["at most 67108864 bytes"]),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")
def test_files_that_claim_too_much_are_refused_in_little_memory(tmp_path: Path) -> None:
    cases = greedy_files(tmp_path)
    asked = json.dumps([(reader, str(path)) for reader, path, _ in cases])
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert done.stderr == ""
    for (_, path, parts), (line, kilobytes) in zip(cases, json.loads(done.stdout), strict=True):
        assert line.startswith(f"{path}"), line
        assert "\n" not in line
        assert all(part in line for part in parts), line
        # a text is read up to its limit; all else is refused by its header
        assert kilobytes < 2**10 * (200 if path.suffix == ".txt" else 60), (path, kilobytes)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set of one scene, and a folder beside it that is nobody's business."""
    for folder in ("set/IR/scene", "outside"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / folder / f"{number:04d}.png"), np.zeros((6, 8), np.uint8))
    return tmp_path / "set"


def message_of(root: Path, row: str) -> str:
    (root / "file_lists").mkdir(exist_ok=True)
    (root / "file_lists" / "IR_train.txt").write_text(row)
    with pytest.raises(BenchmarkError) as refused:
        MAD(root, CLIP, "IR", "train")
    return str(refused.value)


@pytest.mark.parametrize(
    "folder",
    [
        "../outside",
        "IR/../../outside",
        "IR/scene/../../../outside",
        "link",
        "IR/link",
        "chain",
        "..",
    ],
)
def test_rows_do_not_leave_the_root(root: Path, folder: str) -> None:
    (root / "link").symlink_to("../outside")
    (root / "IR" / "link").symlink_to(root.parent / "outside", target_is_directory=True)
    (root / "chain").symlink_to("link")
    line = message_of(root, f"{folder} 3 0")
    assert f"IR_train.txt, line 1: {root / folder} lies outside of {root}" in line
    assert f"{root.parent / 'outside'} lies outside" in message_of(
        root, f"{root.parent}/outside 3 0"
    )


def test_pictures_do_not_lead_out_of_the_root(root: Path) -> None:
    (root / "IR/scene/0001.png").unlink()
    (root / "IR/scene/0001.png").symlink_to(root.parent / "outside/0001.png")
    line = message_of(root, "IR/scene 3 0")
    assert f"{root / 'IR/scene/0001.png'} lies outside of {root}" in line


def test_links_within_the_root_and_to_it_are_followed(root: Path) -> None:
    (root / "store").mkdir()
    (root / "IR/scene").rename(root / "store/scene")
    (root / "IR/scene").symlink_to("../store/scene")
    (root / "store/scene/0002.png").rename(root / "store/kept.png")
    (root / "store/scene/0002.png").symlink_to("../kept.png")
    (root.parent / "here").symlink_to(root)
    (root / "file_lists").mkdir()
    absolute = root / "IR/scene"
    for row in ("IR/scene 3 0", "IR/../IR/scene 3 0", f"{absolute} 3 0"):
        (root / "file_lists/IR_train.txt").write_text(row)
        assert MAD(root.parent / "here", CLIP, "IR", "train")[0]["clip"].shape == (1, 2, 6, 8)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("IR/sc\0ene", "is not a folder that can be read (embedded null"),
        ("IR/" + "x" * 3000, "is not a folder that can be read (File name too long"),
        ("IR/" + "x" * 10**6, "expected 'folder n_frames label', got"),
        ("loop", "is not a folder that can be read (Too many levels"),
        ("IR/scene/0000.png", "is not a folder that can be read (Not a directory"),
    ],
    ids=["nul", "long", "endless", "loop", "file"],
)
def test_names_that_no_folder_can_have(root: Path, folder: str, message: str) -> None:
    (root / "loop").symlink_to("loop")
    line = message_of(root, f"{folder} 3 0")
    assert message in line
    assert len(line) < 8000


def test_a_pipe_is_no_picture(root: Path) -> None:
    os.mkfifo(root / "IR/scene/pipe.png")
    with pytest.raises(BenchmarkError, match=r"pipe\.png: no such picture"):
        read_picture(root / "IR/scene/pipe.png", color=False)


@pytest.mark.parametrize("frames", [10**12, 10**7 + 1, 10**17])
def test_a_row_that_claims_too_many_frames(root: Path, frames: int) -> None:
    assert f"expected at most 10000000 frames, got {frames}" in message_of(
        root, f"IR/scene {frames} 0"
    )
    line = message_of(root, "IR/scene 10000000 0")
    assert (
        "scene holds 3 of the 10000000 frames 0000.png to 9999999.png; 0003.png is missing" in line
    )
    assert "expected 'folder n_frames label'" in message_of(root, f"IR/scene {'9' * 5000} 0")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("person01_walking_d1 frames 1-999999999999", "expected to end at 10000000 or earlier"),
        (f"person01_walking_d1 frames 1-{'9' * 5000}", "expected a frame range such as 1-95"),
        (f"person{'1' * 5000}_walking_d1 frames 1-9", "expected 'person01_walking_d1 frames"),
        ("person01_../walking_d1 frames 1-9", "expected 'person01_walking_d1 frames"),
        ("person01_walking_d1/../../x frames 1-9", "expected 'person01_walking_d1 frames"),
        ("person/etc/passwd_walking_d1 frames 1-9", "expected 'person01_walking_d1 frames"),
        ("person01_etc_d1 frames 1-9", "unknown action 'etc'"),
    ],
)
def test_rows_of_a_sequence_file_name_no_path(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "00sequences.txt").write_text(row)
    with pytest.raises(BenchmarkError, match=r"00sequences\.txt, line 1: ") as refused:
        read_sequences(tmp_path / "00sequences.txt")
    assert message in str(refused.value)
    assert len(str(refused.value)) < 600


def test_videos_of_a_sequence_file_lie_in_the_folders_of_actions(tmp_path: Path) -> None:
    rows = [f"person{10**k}_{a}_d{k} frames 1-9" for k in range(9) for a in ACTIONS]
    (tmp_path / "00sequences.txt").write_text("\n".join(rows))
    sequences = read_sequences(tmp_path / "00sequences.txt")
    for record in index_records(sequences, tmp_path, ACTIONS, "all", "person"):
        assert record.path.parent == tmp_path / record.action
        assert record.path.name == Path(record.path.name).name


def test_a_still_mask_is_not_written_out_for_every_frame(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "text_masks.npz", walking=np.eye(300, dtype=bool))
    (tmp_path / "00sequences.txt").write_text("person01_walking_d1 frames 1-10000000")
    sequences = read_sequences(tmp_path / "00sequences.txt")
    (record,) = index_records(sequences, tmp_path, ACTIONS, "all", "person")
    masks = subsequence_masks(tmp_path, "text", record)
    assert masks.shape == (10**7, 300, 300)
    assert masks[9_999_999, 7].nonzero()[0].tolist() == [7]


def test_arrays_come_back(tmp_path: Path) -> None:
    kept = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(7), "layout network": np.eye(2, 3)}
    np.savez_compressed(tmp_path / "a.npz", **kept)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(kept)
    for name, array in kept.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 16])
def test_masks_come_back(tmp_path: Path, width: int) -> None:
    masks = np.random.default_rng(width).random((3, 4, width)) < 0.5
    save_masks(tmp_path / "masks" / "a.npz", masks)
    found = load_masks(tmp_path / "masks" / "a.npz")
    assert found.dtype == bool
    np.testing.assert_array_equal(found, masks)


def test_frames_that_change_their_size(tmp_path: Path) -> None:
    small = whole_png(24, 32)
    path = video_of(tmp_path / "a.avi", small, small, whole_png(48, 64), small)
    assert read_frames(path, 0, 1).shape == (2, 24, 32)
    for read in (read_frames, read_as_stored):
        with pytest.raises(BenchmarkError, match=r"expected frames of 24 x 32 pixels.*at frame 2"):
            read(path, 0, 3)


def test_a_playlist_is_no_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", np.zeros((6, 24, 32), np.uint8))
    for text in ("ffconcat version 1.0\nfile a.avi\n", "#EXTM3U\n#EXTINF:1,\na.avi\n"):
        (tmp_path / "list.avi").write_text(text)
        with pytest.raises(BenchmarkError, match=r"list\.avi: not a video that can be decoded"):
            read_frames(tmp_path / "list.avi", 0, 3)


def test_a_program_is_no_picture(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for it."""
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\nshowpage\n"
    (tmp_path / "0000.png").write_bytes(page)
    with pytest.raises(BenchmarkError, match=r"0000\.png: not a picture .*cannot identify"):
        read_picture(tmp_path / "0000.png", color=True)


def test_clips_that_no_memory_holds() -> None:
    for sizes, most in (
        ({"height": 10**5, "width": 10**4}, limits.MOST_PIXELS),
        ({"frames": 10**9}, limits.MOST_BYTES),
    ):
        with pytest.raises(BenchmarkError, match=f"clip: .* are more than the {most}"):
            ClipShape(**sizes)


def test_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffé\n".encode())
    assert read_text(tmp_path / "a.txt") == "é\n"
    assert read_text(tmp_path / "a.txt", most=6) == "é\n"
    with pytest.raises(BenchmarkError, match="at most 5 bytes"):
        read_text(tmp_path / "a.txt", most=5)
    for name in ("nul\0", "x" * 3000, "."):
        with pytest.raises(BenchmarkError, match="can not be read"):
            read_text(tmp_path / name)
