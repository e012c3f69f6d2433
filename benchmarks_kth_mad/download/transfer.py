"""A file from a web server, going on from where an earlier transfer broke."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import TypeVar

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.download.connection import (
    Broken,
    Outdated,
    Patience,
    ask,
    read_some,
    stated_length,
)
from benchmarks_kth_mad.download.disk import check_space
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import whole_file

Answer = TypeVar("Answer")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_SMALL = 1 << 20


@dataclass(frozen=True)
class Note:
    """What the server said of a file of which the beginning is here.

    ``validator`` changes when the file does: an entity tag, or else the date of the last change.
    """

    url: str
    total: int
    validator: str | None


def remote_size(url: str, patience: Patience) -> int:
    """Bytes of a file on a server, none of which is transferred.

    Raises:
        BenchmarkError: no such file, no answer, or none that tells the size.
    """

    def attempt() -> int:
        with ask(url, patience, method="HEAD") as response:
            return stated_length(response)

    return _persist(url, attempt, patience)


def fetch_small(url: str, patience: Patience) -> bytes:
    """What a file of at most 1 MiB on a server holds.

    Raises:
        BenchmarkError: no such file, no answer, a transfer that breaks time and again, or more.
    """

    def attempt() -> bytes:
        held = b""
        with ask(url, patience) as response:
            expected = response.length
            while len(held) <= _SMALL and (data := read_some(response)):
                held += data
        if len(held) > _SMALL:
            raise BenchmarkError(f"{url}: more than {_SMALL:,} bytes; check --url")
        if expected is not None and len(held) < expected:
            raise Broken(f"the transfer ended after {len(held):,} of {expected:,} bytes")
        return held

    return _persist(url, attempt, patience)


def fetch(url: str, partial: Path, patience: Patience) -> None:
    """Transfer a file to ``partial``, or what is missing of it.

    Beside it lies a note of what the server said; where it is missing or of another address, or the
    server has another file by now or sends it from the beginning, nothing here is built on.

    Args:
        url: of the file.
        partial: where it goes; its folder exists.
        patience: with a server that answers badly.

    Raises:
        BenchmarkError: no such file, no answer, no room for it, a transfer that breaks time and
            again (what came is kept), or the answer to another question (nothing is kept).
    """

    def attempt() -> None:
        try:
            _go_on(url, partial, patience)
        except Outdated:
            forget(partial)
            raise

    _persist(url, attempt, patience, lambda: held_bytes(url, partial))


def held_bytes(url: str, partial: Path) -> int:
    """Bytes from which a transfer can go on."""
    note = _noted(url, partial)
    return 0 if note is None else partial.stat().st_size


def note_of(partial: Path) -> Path:
    """Where it is noted what a partial file is of."""
    return partial.with_name(f"{partial.name}.json")


def forget(partial: Path) -> None:
    """Remove what came of a file."""
    partial.unlink(missing_ok=True)
    note_of(partial).unlink(missing_ok=True)


def _persist(
    url: str,
    attempt: Callable[[], Answer],
    patience: Patience,
    held: Callable[[], int] = lambda: 0,
) -> Answer:
    """Try until it succeeds, or until several tries in a row brought nothing more than before."""
    most, idle = held(), 0
    while True:
        try:
            return attempt()
        except Broken as broken:
            here = held()
            idle = 0 if here > most else idle + 1
            most = max(most, here)
            if idle > patience.retries:
                kept = f", which goes on from byte {here:,}" if here else ""
                raise BenchmarkError(
                    f"{url}: {broken}, {idle} times in a row; check the network and --url, and call "
                    f"again{kept}"
                ) from broken
            time.sleep(patience.wait * 2**idle)


def _go_on(url: str, partial: Path, patience: Patience) -> None:
    note = _noted(url, partial)
    held = held_bytes(url, partial)
    headers = {}
    if note is not None and held:
        if held == note.total:
            return
        headers["Range"] = f"bytes={held}-"
        if note.validator is not None:
            headers["If-Range"] = note.validator
    with ask(url, patience, headers) as response:
        if response.status == 200:
            forget(partial)
            note, held = Note(url, stated_length(response), _validator(response)), 0
        elif note is None or not _continues(response, held, note.total):
            forget(partial)
            raise BenchmarkError(
                f"{url}: asked from byte {held}, the server answered {response.status} with "
                f"Content-Range {response.headers.get('Content-Range')!r}; what had come was removed; "
                f"call again, or use another --url"
            )
        check_space(partial.parent, note.total - held, url)
        if not held:
            _begin(partial, note)
        _receive(response, partial, held, note.total)


def _continues(response: HTTPResponse, held: int, total: int) -> bool:
    """Whether the answer is a part of the same file that begins where ours ends."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status != 206 or not held or match is None:
        return False
    first, last = int(match[1]), int(match[2])
    return first == held <= last < total and match[3] in ("*", str(total))


def _begin(partial: Path, note: Note) -> None:
    """The note comes first: without it, bytes are of no known file."""
    with whole_file(note_of(partial)) as path:
        path.write_text(json.dumps(asdict(note)))
    partial.touch()


def _receive(response: HTTPResponse, partial: Path, held: int, total: int) -> None:
    name = partial.name.removesuffix(".partial")
    with (
        partial.open("ab") as file,
        progress_bar(total=total, initial=held, unit="B", unit_scale=True, desc=name) as bar,
    ):
        while held < total and (data := read_some(response)[: total - held]):
            file.write(data)
            file.flush()  # what came is kept, even if the process is killed
            held += len(data)
            bar.update(len(data))
    if held < total:
        raise Broken(f"the transfer ended after {held:,} of {total:,} bytes")


def _validator(response: HTTPResponse) -> str | None:
    """What may stand in If-Range; a weak tag may not, for it outlives changes."""
    tag = response.headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")


def _noted(url: str, partial: Path) -> Note | None:
    """What is known of the bytes that are here; nothing where they can not be built on."""
    if not partial.is_file():
        return None
    try:
        note = Note(**json.loads(note_of(partial).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    known = isinstance(note.total, int) and isinstance(note.validator, str | None)
    if not known or note.url != url or partial.stat().st_size > note.total:
        return None
    return note
