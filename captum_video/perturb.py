"""The engine: masks and baselines in, scores of the blended clips out, in bounded memory.

Perturbed clips are rows: all masks of the first clip, then all of the second, and so on. A chunk of
rows is blended into buffers that are made once, and run through the model in one batch; it may end
in the middle of a clip. So a batch is always full, and memory does not grow with the number of masks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from captum_video._captum import (
    Target,
    arguments_of,
    check_rows,
    forward,
    progress_bar,
    select,
    take_arguments,
    take_target,
)
from captum_video.clips import Layout, map_dtype
from captum_video.masks import MaskStream

PerturbationsPerEval = int | Literal["auto"]
Streams = Sequence[MaskStream | None]
"""One stream per input; None leaves that input as it is."""

_CPU_CHUNK_BYTES = 10 * 2**20
_GPU_BYTES_PER_CLIP_BYTE = 64
_LARGEST_CHUNK = 256


class _Stretch(NamedTuple):
    """Masks ``start`` to ``stop`` of one clip."""

    clip: int
    start: int
    stop: int


class Perturbed(NamedTuple):
    """Outputs of the model for masks ``start`` to ``stop`` of clip ``clip``."""

    clip: int
    start: int
    stop: int
    outputs: Tensor


def perturbed_scores(
    forward_func: Callable,
    clips: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    masks: Sequence[Streams],
    *,
    layout: Layout,
    target: Target = None,
    every_output: bool = False,
    activation: Callable[[Tensor], Tensor] | None = None,
    additional_forward_args: Any = None,
    perturbations_per_eval: PerturbationsPerEval = "auto",
    show_progress: bool = False,
    description: str = "perturbations",
) -> Tensor:
    """Scores of every clip under every one of its masks.

    Args:
        forward_func: the model; takes inputs in ``layout``.
        clips: one (N, C, T, H, W) per input.
        baselines: what stands where a mask is 0, broadcastable to each input.
        masks: for each clip, one stream per input; all of one length M.
        layout: how the model wants its inputs.
        target: Captum's target, at most one per clip.
        every_output: keep all K outputs of a model that returns (rows, K), instead of one.
        activation: applied to the raw outputs first.
        additional_forward_args: Captum's; tensors have one entry per clip.
        perturbations_per_eval: see `perturbed_outputs`.
        show_progress: show Captum's progress bar.
        description: what the bar is called.

    Returns:
        (N, M), or (N, M, K); float32, or float64 where the clips are.

    Raises:
        ValueError: the model does not give one finite score per clip.
    """
    n_clips = len(clips[0])
    dtype = map_dtype(clips[0].dtype)
    scores: Tensor | None = None
    for clip, start, stop, outputs in perturbed_outputs(
        forward_func,
        clips,
        baselines,
        masks,
        layout=layout,
        additional_forward_args=additional_forward_args,
        perturbations_per_eval=perturbations_per_eval,
        show_progress=show_progress,
        description=description,
    ):
        outputs = outputs.to(dtype)
        outputs = outputs if activation is None else activation(outputs)
        if every_output:
            if outputs.ndim > 2:
                raise ValueError(f"forward_func: expected (clips, classes), got {outputs.shape}")
            values = outputs.reshape(stop - start, -1)
        else:
            row_target = take_target(target, [clip] * (stop - start), n_clips)
            values = select(outputs, row_target, stop - start)
        if scores is None:
            scores = clips[0].new_empty(
                (n_clips, _length(masks[0]), *values.shape[1:]), dtype=dtype
            )
        scores[clip, start:stop] = values
    if scores is None or not torch.isfinite(scores).all():
        raise ValueError("forward_func: expected finite scores, got NaN or infinity")
    return scores


def perturbed_outputs(
    forward_func: Callable,
    clips: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    masks: Sequence[Streams],
    *,
    layout: Layout,
    additional_forward_args: Any = None,
    perturbations_per_eval: PerturbationsPerEval = "auto",
    show_progress: bool = False,
    description: str = "perturbations",
) -> Iterator[Perturbed]:
    """Outputs of the model for every clip under every mask, stretch by stretch.

    The model runs in eval mode and inference mode, under whatever autocast the caller has set; a
    3-D convolutional network gets its clips in ``channels_last_3d``, which is faster there.

    Args:
        forward_func: the model; takes inputs in ``layout``.
        clips: one (N, C, T, H, W) per input.
        baselines: what stands where a mask is 0, broadcastable to each input.
        masks: for each clip, one stream per input; the streams of a clip are of one length.
        layout: how the model wants its inputs.
        additional_forward_args: Captum's; tensors have one entry per clip.
        perturbations_per_eval: masks per clip and forward pass, as in Captum: a pass holds at most
            this many times N clips. ``"auto"`` starts from an estimate of what fits and halves it
            on out-of-memory.
        show_progress: show Captum's progress bar, counted in perturbed clips.
        description: what the bar is called.

    Yields:
        Clip, first mask, end of masks, and the raw outputs (masks, ...), to be read, not kept for
        backward: they are inference tensors.
    """
    ends = torch.tensor([_length(streams) for streams in masks]).cumsum(0).tolist()
    size = min(_rows_per_pass(perturbations_per_eval, clips), ends[-1])
    runner = _Runner(
        forward_func,
        clips,
        baselines,
        masks,
        layout,
        arguments_of(additional_forward_args, len(clips[0])),
    )
    row = 0
    with progress_bar(show_progress, ends[-1], description) as bar:
        while row < ends[-1]:
            stretches = _stretches(row, min(row + size, ends[-1]), ends)
            try:
                outputs = runner.run(stretches, size)
            except Exception as error:
                if perturbations_per_eval != "auto" or size == 1 or not _is_out_of_memory(error):
                    raise
                outputs = None
            if outputs is None:  # only here has the failed pass let go of its tensors
                size = (size + 1) // 2
                runner.release()
                continue
            sizes = [stretch.stop - stretch.start for stretch in stretches]
            for stretch, part in zip(stretches, outputs.split(sizes), strict=True):
                yield Perturbed(*stretch, part)
            row += sum(sizes)
            bar.update(sum(sizes))


@dataclass
class _Runner:
    """Blends chunks of rows into buffers that it keeps, and runs the model on them."""

    forward_func: Callable
    clips: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    masks: Sequence[Streams]
    layout: Layout
    arguments: tuple | None
    buffers: tuple[Tensor, ...] = ()

    def run(self, stretches: list[_Stretch], size: int) -> Tensor:
        """Outputs of these rows, at most ``size``."""
        rows = [stretch.clip for stretch in stretches for _ in range(stretch.start, stretch.stop)]
        with torch.inference_mode():
            if not self.buffers:
                self.buffers = _buffers(self.forward_func, self.clips, self.layout, size)
            first = 0
            for stretch in stretches:
                last = first + stretch.stop - stretch.start
                self._blend(stretch, slice(first, last))
                first = last
            inputs = tuple(self.layout.from_clip(buffer[:last]) for buffer in self.buffers)
            outputs = forward(self.forward_func, inputs, take_arguments(self.arguments, rows))
        check_rows(outputs, len(rows))
        return outputs

    def _blend(self, stretch: _Stretch, rows: slice) -> None:
        n = stretch.clip
        for i, stream in enumerate(self.masks[n]):
            clip, out = self.clips[i][n], self.buffers[i][rows]
            if stream is None:
                out.copy_(clip)
            else:
                baseline = self.baselines[i][n if len(self.baselines[i]) > 1 else 0]
                mask = stream[stretch.start : stretch.stop]
                torch.lerp(baseline, clip, mask.to(clip), out=out)

    def release(self) -> None:
        """Give the buffers back; the next run makes smaller ones."""
        self.buffers = ()
        if self.clips[0].device.type == "cuda":
            torch.cuda.empty_cache()


def _stretches(first: int, last: int, ends: list[int]) -> list[_Stretch]:
    """Cut rows ``first`` to ``last`` at the borders between clips."""
    stretches = []
    begin = 0
    for clip, end in enumerate(ends):
        if max(first, begin) < min(last, end):
            stretches.append(_Stretch(clip, max(first, begin) - begin, min(last, end) - begin))
        begin = end
    return stretches


def _length(streams: Streams) -> int:
    lengths = {len(stream) for stream in streams if stream is not None}
    if len(lengths) != 1:
        raise ValueError(f"masks: expected as many for each input, got {sorted(lengths)}")
    return lengths.pop()


def _rows_per_pass(requested: PerturbationsPerEval, clips: tuple[Tensor, ...]) -> int:
    if requested != "auto":
        if not isinstance(requested, int) or isinstance(requested, bool):
            raise TypeError(
                f"perturbations_per_eval: expected a whole number or 'auto', got {requested!r}"
            )
        if requested < 1:
            raise ValueError(f"perturbations_per_eval: expected at least 1, got {requested}")
        return requested * len(clips[0])
    clip_bytes = sum(clip[0].numel() * clip.element_size() for clip in clips)
    device = clips[0].device
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        fits = free // (_GPU_BYTES_PER_CLIP_BYTE * clip_bytes)
    else:
        fits = max(4, _CPU_CHUNK_BYTES // clip_bytes)
    return max(1, min(fits, _LARGEST_CHUNK))


def _buffers(
    forward_func: Callable, clips: tuple[Tensor, ...], layout: Layout, size: int
) -> tuple[Tensor, ...]:
    """Room for ``size`` perturbed clips per input, seen as clips, stored as the model reads them."""
    buffers = []
    for clip in clips:
        if layout.is_canonical and _has_conv3d(forward_func):
            shape = (size, *clip.shape[1:])
            buffer = torch.empty(
                shape, dtype=clip.dtype, device=clip.device, memory_format=torch.channels_last_3d
            )
        else:
            shape = layout.from_clip(clip.new_empty((size, *clip.shape[1:]), device="meta")).shape
            buffer = clip.new_empty(shape)
        buffers.append(layout.to_clip(buffer, t=clip.shape[2]))
    return tuple(buffers)


def _has_conv3d(forward_func: Callable) -> bool:
    return isinstance(forward_func, nn.Module) and any(
        isinstance(module, nn.Conv3d) for module in forward_func.modules()
    )


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(phrase in str(error) for phrase in ("can't allocate memory", "not enough memory"))
    )
