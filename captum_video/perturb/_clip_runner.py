"""Running a chunk of perturbed clips through a model that takes whole clips."""

import math

import torch
from torch import Tensor

from captum_video._captum import check_rows, forward, take_arguments
from captum_video.perturb._job import (
    Job,
    Stretch,
    blend,
    quarters_of,
    rows_of,
    rows_that_fit,
)
from captum_video.perturb._memory_format import memory_format_of, seen_as

_GPU_COPIES = 64


class ClipRunner:
    """Blends chunks of rows into buffers that it keeps, and runs the model on them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._format = memory_format_of(job.forward_func, job.layout)
        self._buffers: tuple[Tensor, ...] = ()

    def default_size(self) -> int:
        """Rows per pass."""
        return rows_that_fit([clip[0] for clip in self.job.clips], _GPU_COPIES)

    def run(self, stretches: list[Stretch]) -> Tensor:
        """Outputs of these rows."""
        job, rows = self.job, rows_of(stretches)
        with torch.inference_mode():
            inputs = self._room_for(len(rows))
            clips = [
                job.layout.to_clip(one, t=clip.shape[2])
                for one, clip in zip(inputs, job.clips, strict=True)
            ]
            first = 0
            for stretch in stretches:
                for part in quarters_of(stretch, len(rows)):
                    last = first + part.stop - part.start
                    self._blend(part, [clip[first:last] for clip in clips])
                    first = last
            outputs = forward(job.forward_func, inputs, take_arguments(job.arguments, rows))
        check_rows(outputs, len(rows))
        return outputs

    def _room_for(self, rows: int) -> tuple[Tensor, ...]:
        """So many rows of every input, uninitialised, as the model reads them."""
        shapes = [
            self.job.layout.from_clip(torch.empty((rows, *clip.shape[1:]), device="meta")).shape
            for clip in self.job.clips
        ]
        if not self._buffers or len(self._buffers[0]) < math.prod(shapes[0]):
            self._buffers = ()  # not the old and the new ones at once
            self._buffers = tuple(clip.new_empty(rows * clip[0].numel()) for clip in self.job.clips)
        return tuple(
            seen_as(memory, shape, self._format)
            for memory, shape in zip(self._buffers, shapes, strict=True)
        )

    def _blend(self, part: Stretch, buffers: list[Tensor]) -> None:
        """Write these rows into their places, one (rows, C, T, H, W) per input."""
        for i, out in enumerate(buffers):
            clip, masks = self.job.clips[i][part.clip], self.job.mask(i, part)
            if masks is None:
                out.copy_(clip)
            else:
                blend(self.job.baseline(i, part.clip)[None], clip[None], masks, out)

    def release(self) -> None:
        """Give the buffers back; the next run makes smaller ones."""
        self._buffers = ()
        if self.job.clips[0].device.type == "cuda":
            torch.cuda.empty_cache()
