"""What every rendered set has in common: a folder that is whole or absent, and a split by person."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder


@contextmanager
def whole_set(root: Path, file: str, heading: str, overwrite: bool) -> Iterator[Path]:
    """Give a folder to render into, beside ``root``, and put it there once the block ends well.

    Args:
        root: where the set goes.
        file: of the set, which begins with ``heading``, so that it can be told from a real one.
        heading: in ASCII.
        overwrite: replace a set that was rendered before; never anything else.

    Raises:
        BenchmarkError: the folder holds something, or can not be made.
    """
    _check_free(root, file, heading, overwrite)
    make_folder(root.parent)
    partial = root.with_name(f".{root.name}.{os.getpid()}.partial")
    try:
        make_folder(partial)
        yield partial
        _swap_in(partial, root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def split_persons(count: int) -> tuple[list[int], list[int], list[int]]:
    """Persons 1..count for training, validation (an eighth) and test (a quarter), at least one each."""
    test = max(1, count // 4)
    validation = max(1, count // 8)
    numbers = list(range(1, count + 1))
    training = count - validation - test
    return numbers[:training], numbers[training : count - test], numbers[count - test :]


def _check_free(root: Path, file: str, heading: str, overwrite: bool) -> None:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    if not overwrite:
        raise BenchmarkError(
            f"{root}: exists and is not empty; choose another folder, or --overwrite"
        )
    path = root / file
    if not path.is_file() or not path.read_bytes().startswith(heading.encode("ascii")):
        raise BenchmarkError(
            f"{root}: holds something that was not rendered, or rendered in another layout, which "
            f"--overwrite does not touch; choose another folder"
        )


def _swap_in(partial: Path, root: Path) -> None:
    """Put the complete folder in place; what was there goes only once the new one stands."""
    old = root.with_name(f".{root.name}.{os.getpid()}.old")
    if root.exists():
        root.rename(old)
    partial.rename(root)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
