"""Clips that fail, apart from options that fail on every clip."""

from collections.abc import Callable
from dataclasses import replace

import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.explained import Explained

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
