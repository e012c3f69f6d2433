"""Out of an archive come videos of the action and nothing else, or nothing at all."""

import io
import stat
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Loopback
from tiny_kth import (
    FILES,
    FIRST,
    VIDEOS,
    WALKING,
    archive_of,
    contents,
    download,
    videos_in,
    zip_of,
)

from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE
from benchmarks_kth_mad.download.unpacking import LARGEST_VIDEO, unpack
from benchmarks_kth_mad.errors import BenchmarkError


def forged(data: bytes, place: int, layout: str, value: int, member: int = 0) -> bytes:
    """Change a number in the zip's directory, which says what the members are."""
    start = -1
    for _ in range(member + 1):
        start = data.index(b"PK\x01\x02", start + 1)
    changed = bytearray(data)
    struct.pack_into(layout, changed, start + place, value)
    return bytes(changed)


FLAGS, SUM, SIZE, OFFSET = (8, "<H"), (16, "<I"), (24, "<I"), (42, "<I")


def link() -> bytes:
    info = zipfile.ZipInfo(FIRST)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, "/etc/hostname")
    return file.getvalue()


def twice() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for data in (b"one", b"another"):
            archive.writestr(FIRST, data)
    return file.getvalue()


def bomb(shown: int, sum_of: bytes | None = None) -> bytes:
    """A stream of 3 MB of which the directory shows the first bytes only."""
    data = forged(zip_of({FIRST: bytes(3_000_000)}), *SIZE, shown)
    return data if sum_of is None else forged(data, *SUM, zipfile.crc32(sum_of))


MALICIOUS = {
    "absolute": (zip_of({**VIDEOS, f"/tmp/{FIRST}": b""}), "is not named as"),
    "parent": (zip_of({**VIDEOS, f"../{FIRST}": b""}), "is not named as"),
    "deep-parent": (zip_of({f"x/../../{FIRST}": b"", **VIDEOS}), "is not named as"),
    "windows": (zip_of({f"..\\{FIRST}": b"", f"C:{FIRST}": b""}), "is not named as"),
    "folder": (zip_of({"walking/": b"", f"walking/{FIRST}": b""}), "is not named as"),
    "zero-byte": (
        zip_of({FIRST + "_txt": b""}).replace(b"avi_txt", b"avi\0txt"),
        "is not named as",
    ),
    "other-digits": (zip_of({FIRST.replace("01", "\u0660\u0661"): b""}), "is not named as"),
    "other-action": (zip_of({FIRST.replace("walking", "running"): b""}), "is not named as"),
    "other-file": (zip_of({**VIDEOS, "readme.txt": b""}), "is not named as"),
    "line-end": (zip_of({FIRST + "\n": b""}), "is not named as"),
    "link": (link(), "is a link"),
    "twice": (twice(), "comes twice"),
    "encrypted": (forged(WALKING, *FLAGS, 0x1), "is encrypted"),
    "other-method": (zip_of(VIDEOS, zipfile.ZIP_BZIP2), "is packed by a method"),
    "absurd-size": (forged(WALKING, *SIZE, LARGEST_VIDEO + 1, 1), "would take 268,435,457 bytes"),
    "bomb": (bomb(10), "has more bytes than the 10 it says"),
    "bomb-with-sum": (bomb(10, bytes(10)), "has more bytes than the 10 it says"),
    "bomb-of-large-part": (bomb(1 << 20, bytes(1 << 20)), "has more bytes than the 1,048,576"),
    "stored-bomb": (
        forged(zip_of(VIDEOS, zipfile.ZIP_STORED), *SIZE, 200),
        "has more bytes than the 200",
    ),
    "shorter": (forged(WALKING, *SIZE, 3001), "has fewer bytes than the 3,001"),
    "sum": (forged(WALKING, *SUM, 0, 1), "Bad CRC-32"),
    "overlap": (forged(WALKING, *OFFSET, 0, 1), "overlap"),
    "before-the-beginning": (
        WALKING[:-6] + struct.pack("<I", WALKING.index(b"PK\x01\x02") + 5) + WALKING[-2:],
        "not a zip that can be read",
    ),
    "cut": (WALKING[:-1], "not a zip that can be read"),
    "no-zip": (b"<html>", "not a zip that can be read"),
    "nothing": (b"", "not a zip that can be read"),
    "empty": (zip_of({}), "no member"),
}


@pytest.mark.parametrize("kind", MALICIOUS)
def test_nothing_of_a_malicious_archive_stays(tmp_path: Path, server: Loopback, kind: str) -> None:
    data, message = MALICIOUS[kind]
    root = tmp_path / "a" / "kth"
    server.serve({**FILES, "walking.zip": data})
    with pytest.raises(BenchmarkError, match=rf"{server.url}/walking\.zip: .*{message}"):
        download(root, server, archive_of(data))
    left = {".download/lock", f".download/{SEQUENCE_FILE}.json", SEQUENCE_FILE}
    assert set(contents(tmp_path)) == {f"a/kth/{name}" for name in left}
    server.serve(FILES)
    download(root, server)
    assert videos_in(tmp_path) == VIDEOS


NAMES = st.one_of(
    st.just(FIRST),
    st.from_regex(r"person[0-9]{2}_walking_d[1-4]_uncomp\.avi", fullmatch=True),
    st.from_regex(r"(\.\./|/|a/|\\)?person\d{2,3}_[a-z]+_d\d_uncomp\.avi\s?", fullmatch=True),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
    ),
)


@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_only_videos_of_the_action_ever_come_out(names: list[str]) -> None:
    members = {name: name.encode() for name in names}
    named_right = {
        f"person{n:02d}_walking_d{k}_uncomp.avi" for n in range(100) for k in range(1, 5)
    }
    with tempfile.TemporaryDirectory() as place:
        archive = Path(place) / "walking.zip"
        archive.write_bytes(zip_of(members))
        folder = Path(place) / "in" / "walking"
        try:
            told = unpack(archive, "it", "walking", folder, Path(place) / "in" / "aside")
        except BenchmarkError:
            assert set(names) - named_right
            assert list(contents(Path(place))) == ["walking.zip"]
        else:
            assert told.keys() == set(names) <= named_right
            assert contents(folder) == members
            assert set(contents(Path(place))) == {
                "walking.zip",
                *(f"in/walking/{n}" for n in names),
            }


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(WALKING) - 1), st.integers(0, 255)), min_size=1, max_size=4
    ),
    length=st.integers(0, len(WALKING)) | st.just(len(WALKING)),
)
def test_damaged_archives_end_in_clean_errors(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(WALKING)
    for place, value in changes:
        data[place] = value
    with tempfile.TemporaryDirectory() as place:
        archive = Path(place) / "walking.zip"
        archive.write_bytes(data[:length])
        try:
            told = unpack(archive, "it", "walking", Path(place) / "walking", Path(place) / "aside")
        except BenchmarkError:
            assert not videos_in(Path(place))
        else:
            out = videos_in(Path(place))
            sums = {name: [len(data), zipfile.crc32(data)] for name, data in out.items()}
            assert sums == told
