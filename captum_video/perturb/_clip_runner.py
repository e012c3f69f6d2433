"""Running a chunk of perturbed clips through a model that takes whole clips."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from captum_video._captum import check_rows, forward, take_arguments
from captum_video.clips import Layout
from captum_video.perturb._job import Job, Stretch, rows_of, rows_that_fit

_GPU_COPIES = 64


class ClipRunner:
    """Blends chunks of rows into buffers that it keeps, and runs the model on them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._buffers: tuple[Tensor, ...] = ()

    def default_size(self) -> int:
        """Rows per pass."""
        return rows_that_fit([clip[0] for clip in self.job.clips], _GPU_COPIES)

    def run(self, stretches: list[Stretch], size: int) -> Tensor:
        """Outputs of these rows, at most ``size``."""
        job, rows = self.job, rows_of(stretches)
        with torch.inference_mode():
            if not self._buffers:
                self._buffers = _buffers(job.forward_func, job.clips, job.layout, size)
            first = 0
            for stretch in stretches:
                last = first + stretch.stop - stretch.start
                self._blend(stretch, slice(first, last))
                first = last
            inputs = tuple(job.layout.from_clip(buffer[:last]) for buffer in self._buffers)
            outputs = forward(job.forward_func, inputs, take_arguments(job.arguments, rows))
        check_rows(outputs, len(rows))
        return outputs

    def _blend(self, stretch: Stretch, rows: slice) -> None:
        for i, clips in enumerate(self.job.clips):
            clip, out = clips[stretch.clip], self._buffers[i][rows]
            mask = self.job.mask(i, stretch)
            if mask is None:
                out.copy_(clip)
            else:
                torch.lerp(self.job.baseline(i, stretch.clip), clip, mask, out=out)

    def release(self) -> None:
        """Give the buffers back; the next run makes smaller ones."""
        self._buffers = ()
        if self.job.clips[0].device.type == "cuda":
            torch.cuda.empty_cache()


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
