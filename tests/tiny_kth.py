"""A KTH of two videos, as its server keeps it, and what a download made of it."""

import hashlib
import io
import zipfile
from pathlib import Path

from loopback import Behaviour, Loopback

from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE
from benchmarks_kth_mad.download.archives import Archive
from benchmarks_kth_mad.download.connection import Patience
from benchmarks_kth_mad.download.kth import download_kth

QUICK = Patience(timeout=30.0, retries=2, wait=0.0)
FIRST, SECOND = (f"person{n:02d}_walking_d1_uncomp.avi" for n in (1, 2))
VIDEOS = {FIRST: b"first " * 500, SECOND: bytes(range(256))}
SEQUENCES = b"Training: person01\r\nTest: person02\r\n" + b"".join(
    f"person{n:02d}_{action}_d1\tframes\t1-3, 4-6\r\n".encode()
    for action in ("walking", "running")
    for n in (1, 2)
)


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def archive_of(data: bytes, action: str = "walking") -> Archive:
    return Archive(action, hashlib.sha1(data).hexdigest())


WALKING = zip_of(VIDEOS)
ARCHIVE = archive_of(WALKING)
FILES = {"walking.zip": WALKING, SEQUENCE_FILE: SEQUENCES}


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def videos_in(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in root.rglob("*.avi")}


def download(root: Path, server: Loopback, archive: Archive = ARCHIVE, **options: object) -> None:
    download_kth(root, [archive], server.url, patience=QUICK, **options)  # type: ignore[arg-type]


def break_archive(now: Behaviour, length: int) -> None:
    """Break the transfer of the archive, which is asked for after the sequence file."""
    now.cuts = [len(SEQUENCES), length]
