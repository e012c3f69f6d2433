"""Videos out of an archive that is not trusted: checked on paper first, then written aside."""

import errno
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from itertools import pairwise
from pathlib import Path

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.download.disk import CHUNK, check_space, holds
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder

# thrice what the set's longest annotated video, 1492 frames of 160x120, takes in plain RGB
LARGEST_VIDEO = 256 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# what zipfile gives for damaged archives, a fuzz of them says
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,
)


class RefusedArchive(BenchmarkError):
    """An archive that is damaged, or holds what an archive of the set does not."""


def unpack(
    archive: Path, source: str, action: str, folder: Path, aside: Path, ours: Collection[str] = ()
) -> dict[str, list[int]]:
    """Put an archive's videos into a folder, each whole; of a refused archive, none.

    Videos that are there and right already stay.

    Args:
        archive: a zip.
        source: where it is from, for messages.
        action: whose videos it should hold, and nothing else.
        folder: where the videos go.
        aside: folder to unpack into first, on the same disk; gone at the end.
        ours: names of videos that may be replaced where they are not right; others in the way stay.

    Returns:
        Size and CRC-32 sum of each video of the archive, by its name.

    Raises:
        RefusedArchive: a member that is no video of the action, or none at all, or damage.
        BenchmarkError: no room, or a video in the way.
    """
    with _opened(archive, source) as opened:
        members = _checked(opened.infolist(), source, action)
        wanted = [m for m in members if not holds(folder / m.filename, m.file_size, m.CRC)]
        _check_free(folder, [m.filename for m in wanted if m.filename not in ours])
        check_space(folder, sum(member.file_size for member in wanted), f"unpacking {source}")
        with _scratch(aside):
            for member in progress_bar(wanted, unit="video", desc=f"unpacking {action}"):
                _extract(opened, member, aside / member.filename, source)
            make_folder(folder)
            for member in wanted:
                (aside / member.filename).replace(folder / member.filename)
    return {member.filename: [member.file_size, member.CRC] for member in members}


@contextmanager
def _opened(archive: Path, source: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except _DAMAGE as error:
        raise _unreadable(source, error) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning, by a damaged directory
            raise
        raise _unreadable(source, error) from error


def _checked(
    members: Sequence[zipfile.ZipInfo], source: str, action: str
) -> Sequence[zipfile.ZipInfo]:
    """All members, if not one of them is to be refused."""
    # not \d, which takes the digits of every script
    pattern = re.compile(rf"person[0-9]{{2}}_{action}_d[1-4]_uncomp\.avi")
    seen: set[str] = set()
    for member in members:
        # the filename is what zipfile made of this one, shortened where a zero byte is in it
        name = member.orig_filename
        if fault := "comes twice" if name in seen else _fault(member, pattern):
            raise _refused(source, f"member {name[:200]!r} {fault}")
        seen.add(name)
    if not members:
        raise _refused(source, "no member")
    by_place = sorted(members, key=lambda member: member.header_offset)
    for one, following in pairwise(by_place):
        if one.header_offset + one.compress_size > following.header_offset:
            raise _refused(source, f"members {one.filename} and {following.filename} overlap")
    return members


def _fault(member: zipfile.ZipInfo, pattern: re.Pattern[str]) -> str | None:
    """What is wrong with a member, on paper."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if not pattern.fullmatch(member.orig_filename):
        return "is not named as a video of the action is"
    if kind not in (0, stat.S_IFREG):
        return "is a link or another thing than a file"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in _METHODS:
        return f"is packed by a method ({member.compress_type}) that the set does not use"
    if member.file_size > LARGEST_VIDEO:
        return f"would take {member.file_size:,} bytes, and no video of the set {LARGEST_VIDEO:,}"
    return None


def _unreadable(source: str, error: Exception) -> RefusedArchive:
    return RefusedArchive(
        f"{source}: not a zip that can be read ({error}); nothing of it was unpacked"
    )


def _refused(source: str, why: str) -> RefusedArchive:
    return RefusedArchive(f"{source}: {why}; not an archive of the set; nothing of it was unpacked")


def _check_free(folder: Path, names: Sequence[str]) -> None:
    for path in (folder / name for name in names):
        if path.exists() or path.is_symlink():
            raise BenchmarkError(
                f"{path}: is not the set's video of this name, and was not put there by this "
                f"command; move it away, or choose another --root"
            )


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """An empty folder, which goes with all that is left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, source: str) -> None:
    """Write a member, and no byte more than it said that it has; zipfile checks its sum."""
    # zipfile would cut a longer stream to the size that was declared, and say nothing
    longer = copy(member)
    longer.file_size += 2 * CHUNK
    written = 0
    with opened.open(longer) as stream, path.open("xb") as file:
        while data := stream.read(min(CHUNK, member.file_size + 1 - written)):
            written += len(data)
            if written > member.file_size:
                break
            file.write(data)
    if written != member.file_size:
        more = "more" if written > member.file_size else "fewer"
        raise _refused(
            source,
            f"member {member.filename} has {more} bytes than the {member.file_size:,} it says",
        )
