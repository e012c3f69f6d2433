"""Clips that fail, apart from options that fail on every clip."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.explained import Explained
from benchmarks_kth_mad.evaluation.journal import Entry

MANY = 3


def in_one_line(error: BaseException) -> str:
    """What to keep of an error: a user's in his words, another with its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {text}"


def blame(error: Exception, explained: Explained, compute: Callable[[Explained], object]) -> str:
    """Find out whether a clip is at fault or what was asked for; what to keep of the error.

    What fails on noise as well does not fail for what the clip shows.

    Raises:
        BenchmarkError: noise of the clip's shape gives an error too: the options are at fault.
    """
    try:
        compute(_noise(explained))
    except Exception as as_well:  # whatever a network gives
        raise BenchmarkError(in_one_line(as_well)) from as_well
    return in_one_line(error)


def entries_of(
    explained: Explained,
    names: Collection[str],
    compute: Callable[[Explained], list[Entry]],
    together: bool = True,
) -> Iterator[dict[str, Entry]]:
    """What is to be kept of each clip, computed for all of them together where that does not fail.

    Where it does, each clip is computed by itself, so that only those at fault are left out.

    Args:
        explained: the clips.
        names: those of which an entry is wanted.
        compute: an entry for each clip that it is given.
        together: whether to try it; else each is computed by itself at once.

    Yields:
        By name, the entries that are there at once; of a clip that failed with the error.

    Raises:
        BenchmarkError: what was asked for is at fault, and no clip; see `blame`.
    """
    alone, entries = len(explained.names) == 1, None
    if together or alone:
        try:
            entries = compute(explained)
        except Exception as error:  # a network may fail in any way
            if alone:
                entries = [Entry(error=blame(error, explained, compute))]
            else:
                tell_apart(explained.names, error)
    if entries is not None:
        found = zip(explained.names, entries, strict=True)
        yield {name: entry for name, entry in found if name in names}
        return
    for one in explained.one_by_one():
        if one.names[0] in names:
            yield from entries_of(one, names, compute)


def tell_apart(names: Sequence[str], error: Exception) -> None:
    """Say that clips can not be computed together, and so are one by one."""
    print(f"{', '.join(names)}: one by one, for together they failed: {in_one_line(error)}")


def told(failed: dict[str, str], n_clips: int) -> str:
    """Which clips failed, the first of them with their errors."""
    some = "; ".join(f"{name}: {error}" for name, error in list(failed.items())[:MANY])
    more = f"; and {len(failed) - MANY} more" if len(failed) > MANY else ""
    return f"{len(failed)} of {n_clips} clips failed and were left out: {some}{more}"


def _noise(explained: Explained) -> Explained:
    generator = torch.Generator().manual_seed(0)

    def like(clips: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(torch.rand(clip.shape, generator=generator) for clip in clips)

    maps = {name: like(maps) for name, maps in explained.maps.items()}
    return replace(explained, clips=like(explained.clips), maps=maps)
