"""What a command shows while it works: bars and messages, or nothing at all."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from io import StringIO
from typing import Any

from tqdm import tqdm

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silent(yes: bool = True) -> Iterator[None]:
    """Within the block no bar is drawn and nothing is printed; errors are still told."""
    if not yes:
        yield
        return
    token = _silent.set(True)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        _silent.reset(token)


def shows_progress() -> bool:
    """Whether bars are drawn: on a terminal, unless silent."""
    return sys.stderr.isatty() and not _silent.get()


def progress_bar(*arguments: Any, **options: Any) -> tqdm:
    """A `tqdm.tqdm` that goes when it is done, and is drawn only where `shows_progress`."""
    return tqdm(*arguments, **{"leave": False, "disable": not shows_progress(), **options})
