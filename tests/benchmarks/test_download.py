"""The set from a server: whole, the right one, and no file where none belongs."""

import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Loopback
from tiny_kth import (
    ARCHIVE,
    FILES,
    FIRST,
    SECOND,
    SEQUENCES,
    VIDEOS,
    WALKING,
    archive_of,
    break_archive,
    contents,
    download,
    videos_in,
    zip_of,
)

from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.kth_index import ACTIONS, SEQUENCE_FILE
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.data.video import write_video
from benchmarks_kth_mad.download.archives import KTH_ARCHIVES, Archive
from benchmarks_kth_mad.download.command import run_command
from benchmarks_kth_mad.download.connection import Patience
from benchmarks_kth_mad.download.kth import download_kth, plan_kth
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.options import build_parser


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "kth"


def test_the_set_is_there_and_nothing_else(root: Path, server: Loopback) -> None:
    server.serve(FILES)
    download(root, server)
    assert videos_in(root / "walking") == VIDEOS
    assert (root / SEQUENCE_FILE).read_bytes() == SEQUENCES
    assert sorted(p.name for p in root.iterdir()) == [".download", SEQUENCE_FILE, "walking"]


def test_a_second_call_transfers_nothing_and_says_so(
    root: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    now = server.serve(FILES)
    download(root, server)
    asked, before = len(now.log), contents(root)
    capsys.readouterr()
    download(root, server)
    assert len(now.log) == asked
    assert contents(root) == before
    assert capsys.readouterr().out.count("nothing transferred") == 2


def test_our_reader_reads_what_was_fetched(root: Path, server: Loopback, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 24, 32), dtype=np.uint8)
    for name in VIDEOS:
        write_video(tmp_path / name, frames)
    data = zip_of({name: (tmp_path / name).read_bytes() for name in VIDEOS})
    server.serve({**FILES, "walking.zip": data})
    download(root, server, archive_of(data))
    clips = KTH(root, ClipShape(3, 24, 32, 1), classes=["walking"], split="test")
    assert [record.name for record in clips.records] == [
        "person02_walking_d1_s1",
        "person02_walking_d1_s2",
    ]
    again = KTH(root, ClipShape(3, 24, 32, 1), classes=["walking"], split="train")[1]["clip"]
    assert clips[1]["clip"].equal(again)
    assert np.array_equal((clips[1]["clip"][0] * 255).round().byte().numpy(), frames[3:])


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b"shorter"),
        lambda path: path.write_bytes(VIDEOS[SECOND][::-1]),
    ],
    ids=["gone", "shorter", "other"],
)
def test_what_was_damaged_since_is_fetched_again(
    root: Path, server: Loopback, damage: Callable[[Path], object]
) -> None:
    server.serve(FILES)
    download(root, server)
    before = contents(root)
    damage(root / "walking" / SECOND)
    untouched = (root / "walking" / FIRST).stat().st_ino
    download(root, server)
    assert contents(root) == before
    assert (root / "walking" / FIRST).stat().st_ino == untouched


def test_archives_are_kept_where_asked_and_serve_again(root: Path, server: Loopback) -> None:
    now = server.serve(FILES)
    download(root, server, keep_archives=True)
    assert (root / "walking.zip").read_bytes() == WALKING
    asked = len(now.log)
    shutil.rmtree(root / "walking")
    download(root, server)
    assert videos_in(root) == VIDEOS
    assert len(now.log) == asked
    assert (root / "walking.zip").read_bytes() == WALKING


def test_a_kept_archive_of_another_sum_is_refused_and_stays(root: Path, server: Loopback) -> None:
    server.serve(FILES)
    root.mkdir()
    (root / "walking.zip").write_bytes(WALKING + b"!")
    with pytest.raises(BenchmarkError, match=r"walking\.zip: expected SHA-1 .* delete it"):
        download(root, server)
    assert (root / "walking.zip").read_bytes() == WALKING + b"!"
    assert not videos_in(root)


def test_somebody_elses_video_is_not_replaced(root: Path, server: Loopback) -> None:
    now = server.serve(FILES)
    (root / "walking").mkdir(parents=True)
    mine = root / "walking" / SECOND
    mine.write_bytes(b"mine")
    with pytest.raises(BenchmarkError, match=f"{mine}: is not the set's video"):
        download(root, server)
    assert videos_in(root) == {SECOND: b"mine"}
    mine.unlink()
    asked = len(now.log)
    download(root, server)
    assert videos_in(root) == VIDEOS
    assert len(now.log) == asked  # the archive was here already


def test_a_file_system_without_locks(
    root: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unknown)
    server.serve(FILES)
    download(root, server)
    assert videos_in(root) == VIDEOS


def test_a_disk_that_is_full_before_it_says_so(root: Path, server: Loopback) -> None:
    now = server.serve(FILES)
    largest = len(VIDEOS[FIRST]) - 1  # of a file, for this process
    with started("once", root, server, largest=largest) as process:
        _, complaint = process.communicate(timeout=60)
    assert f"{root}: no more can be written there (File too large); make room" in complaint
    assert not videos_in(root)
    asked = len(now.log)
    download(root, server)
    assert videos_in(root) == VIDEOS
    assert len(now.log) == asked


def test_one_download_at_a_time(root: Path, server: Loopback, tmp_path: Path) -> None:
    now = server.serve(FILES, stop_at=0)
    with started("once", root, server) as other:
        assert now.stopped.wait(60)
        with pytest.raises(BenchmarkError, match="another download is at work"):
            download(root, server)
        now.go_on.set()
        now.stop_at = None
        assert other.wait(60) == 0
    download(root, server)
    assert videos_in(root) == VIDEOS


# the sequence file


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>not here any more</html>", "not KTH's sequence file"),
        (SEQUENCES[:-4], r"not KTH's sequence file \(00sequences.txt, line 6: "),
        (SEQUENCES.replace(b"walking", b"boxing"), "has no row of walking"),
        (b"", "not KTH's sequence file"),
        (SEQUENCES + b" " * (1 << 20), "more than 1,048,576 bytes"),
    ],
)
def test_a_sequence_file_that_is_none(
    root: Path, server: Loopback, data: bytes, message: str
) -> None:
    server.serve({**FILES, SEQUENCE_FILE: data})
    with pytest.raises(BenchmarkError, match=message):
        download(root, server)
    assert list(contents(root)) == [".download/lock"]


def test_a_sequence_file_that_breaks_off_is_asked_for_again(root: Path, server: Loopback) -> None:
    whole_rows = SEQUENCES.rindex(b"person02_running")
    server.serve(FILES, cuts=[whole_rows])
    download(root, server)
    assert (root / SEQUENCE_FILE).read_bytes() == SEQUENCES


def test_another_sets_sequence_file_stays(root: Path, server: Loopback) -> None:
    server.serve(FILES)
    root.mkdir()
    (root / SEQUENCE_FILE).write_bytes(SEQUENCES + b"\r\n")
    with pytest.raises(BenchmarkError, match="of another set, or was changed; choose another"):
        download(root, server)
    assert (root / SEQUENCE_FILE).read_bytes() == SEQUENCES + b"\r\n"
    assert not videos_in(root)


def test_what_fits_no_more_is_fetched_by_a_later_call(root: Path, server: Loopback) -> None:
    running = zip_of({"person01_running_d4_uncomp.avi": b"runs"}, zipfile.ZIP_STORED)
    server.serve({**FILES, "running.zip": running})
    download(root, server)
    download(root, server, archive_of(running, "running"))
    assert videos_in(root) == {**VIDEOS, "person01_running_d4_uncomp.avi": b"runs"}


@settings(max_examples=60, deadline=None)
@given(
    receipt=st.one_of(
        st.binary(max_size=20),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5) | st.floats(),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["sha1", "videos", FIRST, "\0"]), inner)
            ),
        ).map(lambda value: json.dumps(value).encode()),
        st.dictionaries(
            st.sampled_from([FIRST, "..", "/", "\0"]), st.lists(st.floats() | st.integers())
        ).map(lambda videos: json.dumps({"sha1": ARCHIVE.sha1, "videos": videos}).encode()),
    )
)
def test_a_receipt_that_can_not_be_read_counts_for_nothing(
    server: Loopback, receipt: bytes
) -> None:
    server.serve(FILES)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / ".download"
        state.mkdir()
        (state / "walking.json").write_bytes(receipt)
        (state / f"{SEQUENCE_FILE}.json").write_bytes(receipt)
        download(Path(folder), server)
        assert videos_in(Path(folder)) == VIDEOS


# killed


class started:
    """A download in a process of its own, which ends with the block."""

    def __init__(
        self,
        how: str,
        root: Path,
        server: Loopback,
        keep: bool = False,
        largest: int = resource.RLIM_INFINITY,
    ) -> None:
        script = Path(__file__).parents[1] / "killed_download.py"
        keeps = "keep" if keep else "drop"
        arguments = [how, root, server.url, ARCHIVE.action, ARCHIVE.sha1, keeps, largest]
        self.process = subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_killed_amid_a_transfer(root: Path, server: Loopback, tmp_path: Path) -> None:
    server.serve(FILES)
    undisturbed = tmp_path / "undisturbed"
    download(undisturbed, server)
    download(root, server)
    (root / "walking" / FIRST).unlink()
    now = server.serve(FILES, stop_at=200)
    partial = root / ".download" / "walking.zip.partial"
    with started("once", root, server) as process:
        assert now.stopped.wait(60)
        deadline = time.monotonic() + 60
        while not partial.exists() or partial.stat().st_size < 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    now.go_on.set()
    now = server.serve(FILES)
    download(root, server)
    assert [one.range for one in now.log] == ["bytes=200-"]
    assert contents(root) == contents(undisturbed)


@pytest.mark.parametrize("keep", [False, True])
def test_killed_at_every_step(tmp_path: Path, server: Loopback, keep: bool) -> None:
    server.serve(FILES)
    with started("everywhere", tmp_path, server, keep) as process:
        said, complaint = process.communicate(timeout=200)
    assert process.returncode == 0, complaint
    found = json.loads(said)
    assert found["differing"] == [], complaint
    assert {f"walking/{name}" for name in VIDEOS} < set(found["files"])
    assert ("walking.zip" in found["files"]) == keep
    assert found["steps"] > 20


# the command


def test_the_command(root: Path, server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    now = server.serve(FILES)
    arguments = ["download", "kth", "--root", str(root), "--url", server.url]
    options = build_parser().parse_args([*arguments, "--actions", "walking", "walking"])
    run_command(options, [ARCHIVE, Archive("running", "unasked")])
    assert videos_in(root) == VIDEOS
    assert "KTH's own terms apply" in capsys.readouterr().out
    asked = len(now.log)
    run_command(options, [ARCHIVE])
    assert len(now.log) == asked
    assert "walking.zip: 2 videos there and right, nothing transferred" in capsys.readouterr().out


def test_a_dry_run_tells_and_writes_nothing(
    root: Path, server: Loopback, command: Callable[..., str]
) -> None:
    now = server.serve({**FILES, "boxing.zip": b"12345"})
    said = command(
        *("download", "kth", "--root", root, "--url", server.url, "--dry-run"),
        *("--actions", "walking", "boxing"),
    )
    total = len(WALKING) + 5 + len(SEQUENCES)
    assert f"walking.zip: {len(WALKING)} bytes to transfer\n" in said
    assert f"\n{total:,} bytes to transfer in all, " in said
    assert f"bytes free in {root}" in said
    assert {one.method for one in now.log} == {"HEAD"}
    assert not root.exists()


def test_a_dry_run_counts_what_is_here(root: Path, server: Loopback) -> None:
    server.serve(FILES)
    break_archive(server.now, 100)
    with pytest.raises(BenchmarkError):
        download_kth(root, [ARCHIVE], server.url, patience=Patience(retries=-1))
    before = contents(root)
    sequences, walking = plan_kth(root, [ARCHIVE], server.url)
    assert sequences.total == 0
    assert (walking.total, walking.held) == (len(WALKING), 100)
    assert contents(root) == before
    server.now.cuts.clear()
    download(root, server)
    assert [step.total for step in plan_kth(root, [ARCHIVE], "http://127.0.0.1:9")] == [0, 0]


def test_a_dry_run_tells_where_there_is_too_little_room(
    root: Path, server: Loopback, command: Callable[..., str]
) -> None:
    server.serve(FILES, length=str(10**17))
    asked = ("--actions", "walking", "--dry-run")
    said = command("download", "kth", "--root", root, "--url", server.url, *asked)
    assert said.endswith("that is too little room\n")


def test_the_official_archives_are_all_there() -> None:
    assert tuple(archive.action for archive in KTH_ARCHIVES) == ACTIONS
    assert len({archive.sha1 for archive in KTH_ARCHIVES}) == 6
    assert all(len(bytes.fromhex(archive.sha1)) == 20 for archive in KTH_ARCHIVES)


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["download", "kth", *map(str, arguments), "--actions", "walking"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    return line


def test_another_archive_than_the_official_one(
    root: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    server.serve(FILES)
    line = fails(capsys, "--root", root, "--url", server.url)
    official = next(one.sha1 for one in KTH_ARCHIVES if one.action == "walking")
    assert f"{server.url}/walking.zip: expected SHA-1 {official}, got {ARCHIVE.sha1}" in line
    assert "what came was removed; call again" in line
    assert not videos_in(root)
    assert not list(root.rglob("walking*"))


def test_a_file_that_the_server_does_not_have(
    root: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    server.serve({SEQUENCE_FILE: SEQUENCES})
    line = fails(capsys, "--root", root, "--url", server.url)
    assert f"{server.url}/walking.zip: the server answered 404 (Not Found); check --url" in line


def test_a_server_without_address(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for more in ([], ["--dry-run"]):
        line = fails(capsys, "--root", root, *more)
        assert "http://www.nada.kth.se/cvap/actions/00sequences.txt: no answer (" in line
        assert "check --url and the network" in line


@pytest.mark.parametrize(
    "url",
    [
        "nowhere",
        "file:///tmp",
        "ftp://x/y",
        "http://",
        "http://[",
        "http:///x",
        "http://x:port",
        "http://127.0.0.1:99999",
    ],
)
def test_an_address_that_is_none(root: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert f"--url {url}: expected an address" in fails(capsys, "--root", root, "--url", url)
    assert not root.exists()


def test_an_address_that_can_not_be_asked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, "--root", root, "--url", "http://a b")
    assert f"http://a b/{SEQUENCE_FILE}: no address that can be asked" in line


def test_a_file_where_the_folder_should_be(
    root: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    server.serve(FILES)
    root.write_text("in the way")
    assert "no folder can be made there" in fails(capsys, "--root", root, "--url", server.url)
