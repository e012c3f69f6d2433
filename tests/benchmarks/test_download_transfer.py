"""A file comes whole and unchanged, however the server behaves."""

import json
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Loopback
from tiny_kth import (
    ARCHIVE,
    FILES,
    FIRST,
    QUICK,
    VIDEOS,
    WALKING,
    break_archive,
    download,
    videos_in,
)

from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE
from benchmarks_kth_mad.download.connection import Patience
from benchmarks_kth_mad.download.kth import download_kth
from benchmarks_kth_mad.download.transfer import fetch
from benchmarks_kth_mad.errors import BenchmarkError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "kth"


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(WALKING)), max_size=3),
    ranges=st.booleans(),
    validator=st.sampled_from(["ETag", "Last-Modified", None]),
)
def test_a_transfer_that_breaks_anywhere_gives_the_same_bytes(
    server: Loopback, cuts: list[int], ranges: bool, validator: str | None
) -> None:
    now = server.serve(FILES, cuts=cuts, ranges=ranges, validator=validator)
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / "walking.zip.partial"
        fetch(f"{server.url}/walking.zip", partial, Patience(30.0, retries=3, wait=0.0))
        assert partial.read_bytes() == WALKING
    if ranges:  # no byte came twice
        starts = [int(one.range[6:-1]) if one.range else 0 for one in now.log]
        assert starts == sorted(starts)


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, len(WALKING) - 1))
def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: Loopback, cut: int) -> None:
    now = server.serve(FILES, cuts=[cut], statuses=[])
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / "walking.zip.partial"
        with pytest.raises(BenchmarkError, match="call again"):
            fetch(f"{server.url}/walking.zip", partial, Patience(30.0, retries=-1, wait=0.0))
        assert partial.read_bytes() == WALKING[:cut]
        fetch(f"{server.url}/walking.zip", partial, QUICK)
        assert partial.read_bytes() == WALKING
    assert now.log[-1].range == (f"bytes={cut}-" if cut else None)


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_file_that_changed_on_the_server_is_begun_anew(
    server: Loopback, tmp_path: Path, validator: str
) -> None:
    server.serve({"walking.zip": WALKING[::-1]}, cuts=[100], validator=validator)
    partial = tmp_path / "walking.zip.partial"
    with pytest.raises(BenchmarkError):
        fetch(f"{server.url}/walking.zip", partial, Patience(retries=-1))
    now = server.serve(FILES, validator=validator)
    fetch(f"{server.url}/walking.zip", partial, QUICK)
    assert now.log[0].range == "bytes=100-"
    assert partial.read_bytes() == WALKING


def test_a_tag_that_outlives_changes_is_not_asked_by(server: Loopback, tmp_path: Path) -> None:
    now = server.serve(FILES, cuts=[100], weak=True)
    partial = tmp_path / "walking.zip.partial"
    fetch(f"{server.url}/walking.zip", partial, QUICK)
    assert [(one.range, one.if_range) for one in now.log] == [(None, None), ("bytes=100-", None)]
    assert partial.read_bytes() == WALKING


def test_a_shorter_file_on_the_server_is_begun_anew(server: Loopback, tmp_path: Path) -> None:
    server.serve({"walking.zip": WALKING * 2}, cuts=[len(WALKING) + 5], validator=None)
    partial = tmp_path / "walking.zip.partial"
    with pytest.raises(BenchmarkError):
        fetch(f"{server.url}/walking.zip", partial, Patience(retries=-1))
    now = server.serve(FILES, validator=None)
    fetch(f"{server.url}/walking.zip", partial, QUICK)  # the server answers 416 first
    assert [one.range for one in now.log] == [f"bytes={len(WALKING) + 5}-", None]
    assert partial.read_bytes() == WALKING


@pytest.mark.parametrize(
    "told",
    [
        f"bytes 0-{len(WALKING) - 1}/{len(WALKING)}",
        f"bytes 99-{len(WALKING) - 1}/{len(WALKING)}",
        f"bytes 100-{len(WALKING)}/{len(WALKING)}",
        f"bytes 100-{len(WALKING) - 1}/{len(WALKING) + 1}",
        "bytes 100-99/*",
        "words",
        "",
    ],
)
def test_a_part_that_was_not_asked_for_is_refused(root: Path, server: Loopback, told: str) -> None:
    server.serve(FILES, content_range=told)
    break_archive(server.now, 100)
    with pytest.raises(BenchmarkError, match=r"walking\.zip: asked from byte 100") as refused:
        download(root, server)
    assert repr(told) in str(refused.value)
    assert not list(root.glob(".download/walking.zip*"))
    server.now.content_range = None
    download(root, server)
    assert videos_in(root) == VIDEOS


def test_a_part_that_nobody_asked_for_is_refused(server: Loopback, tmp_path: Path) -> None:
    server.serve(FILES, statuses=[206])
    with pytest.raises(BenchmarkError, match="the server answered 206 with Content-Range None"):
        fetch(f"{server.url}/walking.zip", tmp_path / "partial", QUICK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [None, "many", "-1"])
def test_a_server_that_tells_no_size_is_refused(
    server: Loopback, tmp_path: Path, length: str | None
) -> None:
    server.serve(FILES, length=length)
    with pytest.raises(BenchmarkError, match="does not tell the size"):
        fetch(f"{server.url}/walking.zip", tmp_path / "partial", QUICK)


def test_notes_that_can_not_be_read_are_not_built_on(server: Loopback, tmp_path: Path) -> None:
    partial = tmp_path / "walking.zip.partial"
    note = {"url": f"{server.url}/walking.zip", "total": len(WALKING), "validator": None}
    for text in (
        None,
        "",
        "[]",
        "{}",
        "\x00",
        json.dumps({**note, "url": "http://elsewhere/walking.zip"}),
        json.dumps({**note, "total": "many"}),
        json.dumps({**note, "total": 3}),
        json.dumps({**note, "validator": 5}),
        json.dumps({**note, "more": 1}),
    ):
        now = server.serve(FILES)
        partial.write_bytes(b"not the beginning")
        if text is not None:
            partial.with_name("walking.zip.partial.json").write_text(text)
        fetch(f"{server.url}/walking.zip", partial, QUICK)
        assert partial.read_bytes() == WALKING
        assert [one.range for one in now.log] == [None]


def test_a_busy_server_is_asked_again(root: Path, server: Loopback) -> None:
    now = server.serve(FILES, statuses=[503, 429])
    download(root, server)
    assert videos_in(root) == VIDEOS
    assert len(now.log) == 4


def test_a_server_that_stays_busy(root: Path, server: Loopback) -> None:
    now = server.serve(FILES, statuses=[503] * 9)
    with pytest.raises(BenchmarkError, match=r"answered 503 .* 3 times in a row"):
        download(root, server)
    assert len(now.log) == 1 + QUICK.retries


def test_redirects_are_followed(root: Path, server: Loopback) -> None:
    moved = {f"old/{name}": f"{server.url}/{name}" for name in FILES}
    now = server.serve(FILES, redirects=moved)
    break_archive(now, 100)
    download_kth(root, [ARCHIVE], f"{server.url}/old/", patience=QUICK)
    assert videos_in(root) == VIDEOS
    assert now.log[-1].range == "bytes=100-"


@pytest.mark.parametrize("where", ["file:///etc/hostname", "ftp://127.0.0.1/x", "//[", "/x"])
def test_redirects_that_lead_nowhere(root: Path, server: Loopback, where: str) -> None:
    server.serve(FILES, redirects={SEQUENCE_FILE: where, "x": "/x"})
    with pytest.raises(BenchmarkError, match=f"{server.url}/{SEQUENCE_FILE}: ") as refused:
        download(root, server)
    assert "\n" not in str(refused.value)


def test_a_server_that_is_silent(server: Loopback, tmp_path: Path) -> None:
    now = server.serve(FILES, stop_at=100)
    partial = tmp_path / "walking.zip.partial"
    with pytest.raises(BenchmarkError, match=r"timed out.* goes on from byte 100"):
        fetch(f"{server.url}/walking.zip", partial, Patience(timeout=0.2, retries=-1))
    now.go_on.set()
    assert partial.read_bytes() == WALKING[:100]


def test_nobody_listens(root: Path, server: Loopback) -> None:
    with socket.socket() as taken:  # bound, and never listening
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BenchmarkError, match=r"refused.*3 times in a row; check the network"):
            download_kth(root, [ARCHIVE], url, patience=QUICK)


def test_no_room_for_the_archive(root: Path, server: Loopback) -> None:
    now = server.serve(FILES)
    download(root, server)
    (root / "walking" / FIRST).unlink()
    now.length = str(10**17)
    with pytest.raises(BenchmarkError, match=r"needs 100,000,000,000,000,000 bytes, and .* free"):
        download(root, server)
    assert not list(root.glob(".download/walking.zip*"))


def test_no_room_for_the_videos(
    root: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = server.serve(FILES)
    usage = shutil.disk_usage(root.parent)._replace(free=3255)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(BenchmarkError, match=r"unpacking .*walking.zip needs 3,256 bytes, and"):
            download(root, server)
    assert not videos_in(root)
    asked = len(now.log)
    download(root, server)
    assert videos_in(root) == VIDEOS
    assert len(now.log) == asked
