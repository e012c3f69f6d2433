"""The engine: masks and baselines in, scores of the blended clips out, in bounded memory.

Perturbed clips are rows: all masks of the first clip, then all of the second, and so on. A chunk of
rows is run through the model in one batch; it may end in the middle of a clip. So a batch is always
full, and memory does not grow with the number of masks. How a chunk is run depends on the model: as
whole clips, or, where the model is `captum_video.nn.FrameWise`, only the frames that changed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from captum_video._captum import Target, arguments_of, progress_bar, select, take_target
from captum_video.clips import Layout, map_dtype
from captum_video.modes import uncompiled
from captum_video.nn import FrameWise
from captum_video.perturb._chunk_size import ChunkSize
from captum_video.perturb._clip_runner import ClipRunner
from captum_video.perturb._frame_runner import FrameRunner
from captum_video.perturb._job import Job, Streams, run_in_chunks, stretches_of

PerturbationsPerEval = int | Literal["auto"]


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
        masks: for each clip, one stream per input, of one length; M is the length for the clip that
            has most.
        layout: how the model wants its inputs.
        target: Captum's target, at most one per clip.
        every_output: keep all K outputs of a model that returns (rows, K), instead of one.
        activation: applied to the raw outputs first.
        additional_forward_args: Captum's; tensors have one entry per clip.
        perturbations_per_eval: see `perturbed_outputs`.
        show_progress: show Captum's progress bar.
        description: what the bar is called.

    Returns:
        (N, M), or (N, M, K); float32, or float64 where the clips are. Where a clip has fewer masks
        than another, NaN follows its scores.

    Raises:
        ValueError: the model does not give one finite score per clip.
    """
    n_clips = len(clips[0])
    lengths = torch.tensor([_length(streams) for streams in masks], device=clips[0].device)
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
            shape = (n_clips, int(lengths.max()), *values.shape[1:])
            scores = clips[0].new_full(shape, torch.nan, dtype=dtype)
        scores[clip, start:stop] = values
    taken = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
    if scores is None or not torch.isfinite(scores[taken]).all():
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
    convolutional network gets its clips in ``channels_last_3d``, or its folded frames
    (``"(n t) c h w"``) in ``channels_last``, which is faster there. A `FrameWise` network
    encodes only frames that a mask leaves neither as they are nor hidden. What ``torch.compile`` made
    runs as it is (of a `FrameWise` network, compile encoder and head); chunks are of even length, so
    that it is compiled for two batch sizes at most.

    Args:
        forward_func: the model; takes inputs in ``layout``.
        clips: one (N, C, T, H, W) per input.
        baselines: what stands where a mask is 0, broadcastable to each input.
        masks: for each clip, one stream per input; the streams of a clip are of one length.
        layout: how the model wants its inputs.
        additional_forward_args: Captum's; tensors have one entry per clip.
        perturbations_per_eval: masks per clip and forward pass, as in Captum: a pass holds at most
            this many times N clips. ``"auto"`` starts from an estimate of what fits (on a GPU, from
            what a first small pass took) and halves it on out-of-memory; what was found to fit is
            remembered for as long as the model lives.
        show_progress: show Captum's progress bar, counted in perturbed clips.
        description: what the bar is called.

    Yields:
        Clip, first mask, end of masks, and the raw outputs (masks, ...), to be read, not kept for
        backward: they are inference tensors.
    """
    ends = torch.tensor([_length(streams) for streams in masks]).cumsum(0).tolist()
    arguments = arguments_of(additional_forward_args, len(clips[0]))
    job = Job(forward_func, clips, baselines, masks, layout, arguments)
    chunks = _chunks(job, ends, perturbations_per_eval)
    with progress_bar(show_progress, ends[-1], description) as bar:
        for first, last, outputs in chunks:
            row = 0
            for stretch in stretches_of(first, last, ends):
                end = row + stretch.stop - stretch.start
                yield Perturbed(*stretch, outputs[row:end])
                row = end
            bar.update(last - first)


def _length(streams: Streams) -> int:
    lengths = {len(stream) for stream in streams if stream is not None}
    if len(lengths) != 1:
        raise ValueError(f"masks: expected as many for each input, got {sorted(lengths)}")
    return lengths.pop()


def _chunks(
    job: Job, ends: list[int], requested: PerturbationsPerEval
) -> Iterator[tuple[int, int, Tensor]]:
    """Outputs chunk by chunk: first row, end of rows, outputs."""
    model, automatic = job.forward_func, requested == "auto"
    if not isinstance(model, FrameWise) and isinstance(uncompiled(model), FrameWise):
        raise ValueError(
            "forward_func: a FrameWise network is run in two parts, so compile these: "
            "FrameWise(torch.compile(encoder), torch.compile(head)), not the whole"
        )
    frames = isinstance(model, FrameWise)
    row = [clip[0] for clip in job.clips]
    found = ChunkSize(model, row, "frames" if frames else "clips", measures=not frames)
    runner: ClipRunner | FrameRunner
    if isinstance(model, FrameWise):
        runner = FrameRunner(job, model, found.remembered if automatic else None)
    else:
        runner = ClipRunner(job)

    def release() -> None:
        runner.release()
        found.failed()

    if automatic:
        size = found.first(runner.default_size())
    else:
        size = _asked_for(requested, len(job.clips[0]))
    return run_in_chunks(
        ends[-1],
        min(size, ends[-1]),
        lambda first, last, _: runner.run(stretches_of(first, last, ends)),
        may_shrink=automatic,
        release=release,
        after=found.after if automatic else None,
    )


def _asked_for(requested: PerturbationsPerEval, n_clips: int) -> int:
    """Rows of a pass that holds so many perturbations per clip."""
    if not isinstance(requested, int) or isinstance(requested, bool):
        raise TypeError(
            f"perturbations_per_eval: expected a whole number or 'auto', got {requested!r}"
        )
    if requested < 1:
        raise ValueError(f"perturbations_per_eval: expected at least 1, got {requested}")
    return requested * n_clips
