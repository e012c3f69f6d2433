"""KTH from its server into the layout in which it is read; what is there and right stays."""

import errno
import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE, read_sequences
from benchmarks_kth_mad.download.archives import KTH_ARCHIVES, KTH_URL, Archive, address
from benchmarks_kth_mad.download.connection import DEFAULT_PATIENCE, Patience
from benchmarks_kth_mad.download.disk import sha1_of
from benchmarks_kth_mad.download.receipts import Receipt, read_receipt, write_receipt
from benchmarks_kth_mad.download.transfer import (
    fetch,
    fetch_small,
    forget,
    held_bytes,
    remote_size,
)
from benchmarks_kth_mad.download.unpacking import RefusedArchive, unpack
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder, whole_file

STATE = ".download"
"""Folder in the set's own, with what is under way and the receipts of what is done."""


@dataclass(frozen=True)
class Step:
    """One file that a download asks for.

    Args:
        name: of the file.
        total: its bytes on the server; none where it need not be asked for.
        held: of these, how many are here.
        why: what makes the transfer needless; empty where it is not.
    """

    name: str
    total: int = 0
    held: int = 0
    why: str = ""


class _Places:
    """Where the files of one archive are, and those of its transfer."""

    def __init__(self, root: Path, archive: Archive) -> None:
        state = root / STATE
        self.videos = root / archive.action
        self.kept = root / archive.name
        self.partial = state / f"{archive.name}.partial"
        self.aside = state / archive.action
        self.receipt = state / f"{archive.action}.json"

    def done(self, archive: Archive) -> Receipt | None:
        """The receipt, where all that it lists is there and right."""
        receipt = read_receipt(self.receipt)
        if receipt is None or receipt.sha1 != archive.sha1 or not receipt.videos:
            return None
        return receipt if receipt.right_in(self.videos) else None

    def clear(self) -> None:
        """Remove what only the transfer needed."""
        forget(self.partial)
        shutil.rmtree(self.aside, ignore_errors=True)


def download_kth(
    root: str | Path,
    archives: Sequence[Archive] = KTH_ARCHIVES,
    url: str = KTH_URL,
    keep_archives: bool = False,
    patience: Patience = DEFAULT_PATIENCE,
) -> None:
    """Transfer, check and unpack archives and the sequence file; what is there and right stays.

    Killed at any moment, or where the connection breaks, the next call goes on. A zip that lies in
    ``root`` under its name on the server is taken instead of a transfer, and stays.

    The archives are known by their sums. The sequence file has no official one: it is taken if it
    reads as one and has rows of every action asked for.

    Args:
        root: folder of the set, made where it is not there.
        archives: which ones, and their sums.
        url: address of the folder on the server.
        keep_archives: leave transferred zips in ``root``; nothing is transferred only to be kept.
        patience: with the server.

    Raises:
        BenchmarkError: the server, the disk, a file that is not the set's, or another download at
            work here; with the cure.
    """
    root = Path(root)
    address(url, "")
    make_folder(root / STATE)
    with _alone(root / STATE), _told_when_full(root):
        _bring_sequences(root, archives, url, patience)
        for archive in archives:
            _bring_archive(root, archive, url, keep_archives, patience)


def plan_kth(
    root: str | Path,
    archives: Sequence[Archive] = KTH_ARCHIVES,
    url: str = KTH_URL,
    patience: Patience = DEFAULT_PATIENCE,
) -> list[Step]:
    """What `download_kth` would transfer; asks the server for sizes, and writes nothing.

    Raises:
        BenchmarkError: the server does not answer, or has no such file.
    """
    root = Path(root)
    address(url, "")
    steps = []
    if _sequences_fetched(root):
        steps.append(Step(SEQUENCE_FILE, why="there and right"))
    else:
        steps.append(Step(SEQUENCE_FILE, remote_size(address(url, SEQUENCE_FILE), patience)))
    for archive in archives:
        places = _Places(root, archive)
        source = address(url, archive.name)
        if places.done(archive):
            steps.append(Step(archive.name, why="its videos are there and right"))
        elif places.kept.is_file():
            steps.append(Step(archive.name, why=f"taken from {places.kept}"))
        else:
            total = remote_size(source, patience)
            held = held_bytes(source, places.partial)
            steps.append(Step(archive.name, total, held if held <= total else 0))
    return steps


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Work here alone; the system gives the lock back when the process ends, however it does."""
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchmarkError(
                f"{state.parent}: another download is at work there; wait for it, or end it"
            ) from error
        except OSError as error:  # some file systems of clusters know no locks
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        for left in state.glob(".*.partial.*"):  # by one that was killed
            left.unlink()
        yield


@contextmanager
def _told_when_full(root: Path) -> Iterator[None]:
    """There may be less room than the disk says: others write to it, and quotas are not asked for."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise BenchmarkError(
            f"{root}: no more can be written there ({error.strerror}); make room and call again, "
            f"which goes on"
        ) from error


def _sequence_receipt(root: Path) -> Path:
    return root / STATE / f"{SEQUENCE_FILE}.json"


def _sequences_fetched(root: Path) -> bool:
    """Whether the sequence file is there as it was fetched."""
    receipt, path = read_receipt(_sequence_receipt(root)), root / SEQUENCE_FILE
    return receipt is not None and path.is_file() and sha1_of(path) == receipt.sha1


def _bring_sequences(root: Path, archives: Sequence[Archive], url: str, patience: Patience) -> None:
    path = root / SEQUENCE_FILE
    if _sequences_fetched(root):
        _check_sequences(path, str(path), archives)
        print(f"{SEQUENCE_FILE}: there and right, nothing transferred")
        return
    source = address(url, SEQUENCE_FILE)
    data = fetch_small(source, patience)
    if path.exists() and path.read_bytes() != data:
        raise BenchmarkError(
            f"{path}: differs from {source}, so it is of another set, or was changed; choose another "
            f"--root, or delete it"
        )
    with whole_file(root / STATE / SEQUENCE_FILE) as unread:
        unread.write_bytes(data)
        _check_sequences(unread, source, archives)
    (root / STATE / SEQUENCE_FILE).replace(path)
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    write_receipt(_sequence_receipt(root), Receipt(digest))
    print(
        f"{SEQUENCE_FILE}: transferred; there is no official sum of it, and it reads as KTH's does"
    )


def _check_sequences(path: Path, source: str, archives: Sequence[Archive]) -> None:
    """The file has no official sum: it has to read as one, and to know the actions asked for."""
    try:
        actions = {video.action for video in read_sequences(path).videos}
    except BenchmarkError as error:
        told = str(error).replace(str(path), SEQUENCE_FILE)[:200]
        raise BenchmarkError(f"{source}: not KTH's sequence file ({told}); check --url") from error
    if missing := [one.action for one in archives if one.action not in actions]:
        raise BenchmarkError(f"{source}: has no row of {', '.join(missing)}; check --url")


def _bring_archive(
    root: Path, archive: Archive, url: str, keep_archives: bool, patience: Patience
) -> None:
    places = _Places(root, archive)
    if receipt := places.done(archive):
        places.clear()
        print(f"{archive.name}: {len(receipt.videos)} videos there and right, nothing transferred")
        return
    if places.kept.is_file():
        _check_sum(places.kept, archive, str(places.kept), "delete it, and it is transferred")
        videos = _unpack(places, places.kept, archive, str(places.kept))
    else:
        source = address(url, archive.name)
        fetch(source, places.partial, patience)
        try:
            cure = "what came was removed; call again, or use another --url"
            _check_sum(places.partial, archive, source, cure)
            videos = _unpack(places, places.partial, archive, source)
        except RefusedArchive:
            forget(places.partial)
            raise
        if keep_archives:
            places.partial.replace(places.kept)
    write_receipt(places.receipt, Receipt(archive.sha1, videos))
    places.clear()
    print(f"{archive.name}: {len(videos)} videos in {places.videos}")


def _check_sum(path: Path, archive: Archive, source: str, cure: str) -> None:
    found = sha1_of(path)
    if found != archive.sha1:
        raise RefusedArchive(
            f"{source}: expected SHA-1 {archive.sha1}, got {found}: damaged, or another file; {cure}"
        )


def _unpack(places: _Places, path: Path, archive: Archive, source: str) -> dict[str, list[int]]:
    before = read_receipt(places.receipt)
    ours = () if before is None else tuple(before.videos)
    return unpack(path, source, archive.action, places.videos, places.aside, ours)
