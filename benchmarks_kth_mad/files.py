"""Files that are there complete or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks_kth_mad.errors import BenchmarkError


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
