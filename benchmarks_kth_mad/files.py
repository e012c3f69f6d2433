"""Files that are there complete or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks_kth_mad.errors import BenchmarkError, shown

MOST_TEXT = 2**26
"""Bytes of a list or a manifest."""


def make_folder(path: Path) -> None:
    """Make a folder, and those above it.

    Raises:
        BenchmarkError: a file is in the way, or the place can not be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(
            f"{path}: no folder can be made there ({error.strerror}); choose another"
        ) from error


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a path to write to beside ``path``, and rename it once the block ends well."""
    path = Path(path)
    make_folder(path.parent)
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed had begun to write in a folder."""
    for partial in folder.glob(".*.partial.*"):
        owner = partial.name.split(".")[1]
        if owner.isdecimal() and not _lives(int(owner)):
            partial.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True


def read_text(path: Path, most: int = MOST_TEXT, errors: str = "strict") -> str:
    """The text of a list, a config or a manifest.

    Args:
        path: of a file in UTF-8.
        most: bytes that it may have.
        errors: what becomes of bytes that are no UTF-8: ``"strict"`` or ``"replace"``.

    Raises:
        BenchmarkError: it can not be read, is longer, or is no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise BenchmarkError(f"{path}: expected a text of at most {most} bytes; is it another?")
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path}: not a text file in UTF-8; save it as one") from error
    except (OSError, ValueError) as error:  # a value error: a name with a NUL in it
        raise BenchmarkError(f"{path}: can not be read ({error}); check the path") from error


def is_file(path: Path) -> bool:
    """Whether a file is there; no name is an error, not even one that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False


def plain_name(name: str) -> str:
    """A name from a file of a run, which becomes that of another file.

    Raises:
        BenchmarkError: it would lead elsewhere, or no file can have it.
    """
    plain = name and Path(name).name == name and not name.startswith(".") and "\0" not in name
    if not plain or len(name) > 200:
        raise BenchmarkError(f"clip {shown(name)}: no name of a file; run attribute again")
    return name
