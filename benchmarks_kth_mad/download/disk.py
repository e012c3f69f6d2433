"""What a disk has room for, and what its files hold."""

import hashlib
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.errors import BenchmarkError

CHUNK = 1 << 20


def free_bytes(folder: Path) -> int:
    """Bytes that are free where a folder is, or would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        BenchmarkError: fewer than ``needed`` bytes are free there.
    """
    free = free_bytes(folder)
    if needed > free:
        raise BenchmarkError(
            f"{folder}: {what} needs {needed:,} bytes, and {free:,} are free; make room, or choose "
            f"another --root"
        )


def sha1_of(path: Path) -> str:
    """The SHA-1 sum of a file, in hexadecimal."""
    digest = hashlib.sha1(usedforsecurity=False)
    with progress_bar(
        total=path.stat().st_size, unit="B", unit_scale=True, desc=f"checking {path.name}"
    ) as bar:

        def add(data: bytes) -> None:
            digest.update(data)
            bar.update(len(data))

        _read(path, add)
    return digest.hexdigest()


def holds(path: Path, size: int, crc: int) -> bool:
    """Whether a file is there, with this many bytes and this CRC-32 sum."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    found = 0

    def add(data: bytes) -> None:
        nonlocal found
        found = zlib.crc32(data, found)

    _read(path, add)
    return found == crc


def _read(path: Path, add: Callable[[bytes], None]) -> None:
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            add(data)
