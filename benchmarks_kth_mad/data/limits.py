"""How large a file's contents may claim to be; what claims more is refused before memory is taken."""

from math import prod
from pathlib import Path

from benchmarks_kth_mad.errors import BenchmarkError

MOST_PIXELS = 2**25
"""Of one frame or picture: room for 8K video (7680 x 4320)."""
MOST_BYTES = 2**32
"""Of all that is decoded at a time: the frames of a subsequence, or the masks of a video."""
MOST_FRAMES = 10**7
"""That a row of a list, or a range of a sequence file, may name: four days of video."""


def check_pixels(place: str | Path, height: int, width: int) -> None:
    """Refuse a frame that claims too many pixels.

    Args:
        place: the file, and what of it, for the message.
        height: rows.
        width: columns.

    Raises:
        BenchmarkError: more than `MOST_PIXELS`.
    """
    if height * width > MOST_PIXELS:
        raise BenchmarkError(
            f"{place}: {height} x {width} pixels are more than the {MOST_PIXELS} that a frame may "
            f"have; scale it down"
        )


def check_bytes(place: str | Path, *shape: int) -> None:
    """Refuse an array that would take too much memory.

    Args:
        place: the file, and what of it, for the message.
        shape: its lengths, the last one in bytes.

    Raises:
        BenchmarkError: more than `MOST_BYTES`.
    """
    if prod(shape) > MOST_BYTES:
        raise BenchmarkError(
            f"{place}: {' x '.join(map(str, shape))} bytes are more than the {MOST_BYTES} that are "
            f"read at a time; take fewer frames, or scale them down"
        )
