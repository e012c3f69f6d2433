"""What is to be run: clips, what hides them, masks; and how rows are cut into stretches."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from captum_video.clips import Layout
from captum_video.masks import MaskStream, unrepeated
from captum_video.modes import full_precision

_CPU_CHUNK_BYTES = 10 * 2**20
_LARGEST_CPU_CHUNK = 256
_LARGEST_CHUNK_BYTES = 2**30
_FEW_CHANNELS = 8

Result = TypeVar("Result")
Streams = Sequence[MaskStream | None]
"""One stream per input; None leaves that input as it is."""


class Stretch(NamedTuple):
    """Masks ``start`` to ``stop`` of one clip."""

    clip: int
    start: int
    stop: int


class Job(NamedTuple):
    """One call of the engine."""

    forward_func: Callable
    clips: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    masks: Sequence[Streams]
    layout: Layout
    arguments: tuple | None

    def baseline(self, i: int, clip: int) -> Tensor:
        """What hides input i of a clip: (C, T, H, W)."""
        return self.baselines[i][clip if len(self.baselines[i]) > 1 else 0]

    def mask(self, i: int, stretch: Stretch) -> Tensor | None:
        """Masks (stop - start, 1, T, H, W) of input i; None leaves it as it is.

        Raises:
            ValueError: masks of another extent than the input, such as one stream for two inputs of
                different lengths; broadcasting would lay them over the wrong frames.
        """
        stream = self.masks[stretch.clip][i]
        if stream is None:
            return None
        with full_precision(self.clips[i]):
            mask = stream[stretch.start : stretch.stop]
        expected = (stretch.stop - stretch.start, 1, *self.clips[i].shape[2:])
        if mask.shape != expected:
            raise ValueError(
                f"masks of inputs[{i}]: expected (masks, 1, T, H, W) = {expected}, got "
                f"{tuple(mask.shape)}; inputs of different extents need masks of their own"
            )
        return unrepeated(mask).to(self.clips[i]).expand(expected)


def stretches_of(first: int, last: int, ends: list[int]) -> list[Stretch]:
    """Cut rows ``first`` to ``last`` at the borders between clips, where each clip's rows end."""
    stretches = []
    begin = 0
    for clip, end in enumerate(ends):
        if max(first, begin) < min(last, end):
            stretches.append(Stretch(clip, max(first, begin) - begin, min(last, end) - begin))
        begin = end
    return stretches


def rows_of(stretches: list[Stretch]) -> list[int]:
    """The clip of every row."""
    return [stretch.clip for stretch in stretches for _ in range(stretch.start, stretch.stop)]


def quarters_of(stretch: Stretch, rows: int) -> list[Stretch]:
    """A stretch in parts of at most a quarter of so many rows.

    Masks are made for one part at a time, so that they take a fraction of what the chunk itself does.
    """
    step = -(-rows // 4)
    return [
        Stretch(stretch.clip, start, min(start + step, stretch.stop))
        for start in range(stretch.start, stretch.stop, step)
    ]


def blend(hidden: Tensor, shown: Tensor, masks: Tensor, out: Tensor) -> None:
    """Write ``masks * shown + (1 - masks) * hidden`` into a buffer; channels are the second axis.

    On a CPU channel by channel where the buffer has the channels of a voxel side by side: runs of three
    numbers would take several times as long.
    """
    if out.device.type != "cpu" or out.stride(1) != 1 or not 1 < out.shape[1] <= _FEW_CHANNELS:
        torch.lerp(hidden, shown, masks, out=out)
        return
    for channel in range(out.shape[1]):
        torch.lerp(hidden[:, channel], shown[:, channel], masks[:, 0], out=out[:, channel])


def most_rows(row: Sequence[Tensor]) -> int:
    """Rows per pass that are enough on a GPU."""
    return max(1, _LARGEST_CHUNK_BYTES // _bytes_of(row))


def rows_that_fit(row: Sequence[Tensor], gpu_copies: int, on_cpu: int | None = None) -> int:
    """Rows per pass, by an estimate of what fits (GPU) or is fast (CPU).

    Args:
        row: what the model takes for one row, a tensor per input.
        gpu_copies: bytes of memory that a pass needs for each byte of its inputs.
        on_cpu: rows on a CPU; None for about ten megabytes, and at least 4.
    """
    row_bytes = _bytes_of(row)
    if row[0].device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(row[0].device)
        return max(1, min(free // (gpu_copies * row_bytes), most_rows(row)))
    return on_cpu or min(max(4, _CPU_CHUNK_BYTES // row_bytes), _LARGEST_CPU_CHUNK)


def _bytes_of(row: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in row)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller chunk may help."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(phrase in str(error) for phrase in ("can't allocate memory", "not enough memory"))
    )


def run_in_chunks(
    n_rows: int,
    size: int,
    run: Callable[[int, int, int], Result],
    *,
    may_shrink: bool,
    release: Callable[[], None],
    after: Callable[[int, int], int] | None = None,
) -> Iterator[tuple[int, int, Result]]:
    """Run rows chunk by chunk, in smaller chunks where memory does not suffice.

    There are as few chunks as the size allows, of equal length but for one row: a short last one
    costs more per row.

    Args:
        n_rows: how many there are.
        size: most rows per chunk, to begin with.
        run: from first row, end of rows and size to a result.
        may_shrink: halve the size on out-of-memory, down to 1.
        release: called before a smaller attempt.
        after: called after a chunk with its rows and the size; says the size from now on. None: the
            same.

    Yields:
        First row, end of rows, result.
    """
    first = 0
    while first < n_rows:
        n_chunks = -(-(n_rows - first) // size)
        last = first + -(-(n_rows - first) // n_chunks)
        failed = False
        try:
            result = run(first, last, size)
        except Exception as error:
            if not may_shrink or last - first == 1 or not is_out_of_memory(error):
                raise
            failed = True
        if failed:  # only here has the failed attempt let go of its tensors
            size = (last - first + 1) // 2
            release()
            continue
        if after is not None:
            size = after(last - first, size)
        yield first, last, result
        first = last
