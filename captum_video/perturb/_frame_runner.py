"""Running a chunk of perturbed clips through a frame-wise model: only changed frames are encoded."""

from collections.abc import Callable

import torch
from torch import Tensor

from captum_video._captum import check_rows, forward, take_arguments
from captum_video.masks import unrepeated
from captum_video.nn import FrameWise
from captum_video.perturb._job import Job, Stretch, rows_of, rows_that_fit
from captum_video.perturb.encoder import FrameEncoder, KnownFeatures

_CPU_FRAMES = 32
_GPU_COPIES = 256
_MASK_BYTES = 10 * 2**20


class FrameRunner:
    """Encodes the frames that masks change, takes all others as known, and runs the head.

    Raises:
        ValueError: several inputs, or another layout than the model was declared with.
    """

    def __init__(self, job: Job, model: FrameWise) -> None:
        if len(job.clips) > 1:
            raise ValueError(f"inputs: a FrameWise network takes one, got {len(job.clips)}")
        model.check_layout(job.layout)
        self.job = job
        self._model = model
        self._encoder = FrameEncoder(model.encoder)
        self._clips, self._baselines = self._known(job.clips[0]), self._known(job.baselines[0])
        self._frames = self.default_size()
        self._buffer = job.clips[0].new_empty(0)
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def _known(self, clips: Tensor) -> Callable[[int], KnownFeatures]:
        """Features of one of these clips; those of the latest are kept."""
        kept: dict[int, KnownFeatures] = {}

        def of(n: int) -> KnownFeatures:
            n = n if len(clips) > 1 else 0
            if n not in kept:
                kept.clear()
                kept[n] = KnownFeatures(clips[n].transpose(0, 1), self._encoder, self._frames)
            return kept[n]

        return of

    def default_size(self) -> int:
        """Rows per pass: as many as there are frames in a pass of the encoder."""
        return rows_that_fit([self.job.clips[0][0, :, 0]], _GPU_COPIES, on_cpu=_CPU_FRAMES)

    def run(self, stretches: list[Stretch], size: int) -> Tensor:
        """Outputs of these rows, at most ``size``."""
        rows = rows_of(stretches)
        clip = self.job.clips[0]
        with torch.inference_mode():
            if len(self._buffer) == 0:
                self._frames = min(self._frames, size * clip.shape[2])
                self._buffer = self._encoder.room_for(self._frames, clip)
            self._waiting = []
            features = clip.new_empty(0)
            first = 0
            for stretch in stretches:
                known = self._clips(stretch.clip).all()
                if first == 0:
                    features = known.new_empty((len(rows), *known.shape))
                for part in self._parts(stretch):
                    last = first + part.stop - part.start
                    features[first:last] = known
                    self._change(part, features, first)
                    first = last
            self._flush(features)
            arguments = take_arguments(self.job.arguments, rows)
            outputs = forward(self._model.head, (features,), arguments)
        check_rows(outputs, len(rows))
        return outputs

    def _parts(self, stretch: Stretch) -> list[Stretch]:
        """Few enough masks at a time."""
        step = max(1, _MASK_BYTES // (4 * self.job.clips[0][0, 0].numel()))
        return [
            Stretch(stretch.clip, start, min(start + step, stretch.stop))
            for start in range(stretch.start, stretch.stop, step)
        ]

    def _change(self, part: Stretch, features: Tensor, first: int) -> None:
        """Put hidden frames' features in their places; blend frames partly hidden, and let them wait."""
        (stream,) = self.job.masks[part.clip]
        if stream is None:
            return
        mask = unrepeated(stream[part.start : part.stop]).to(self.job.clips[0])
        mask = mask.expand(-1, -1, self.job.clips[0].shape[2], -1, -1)
        low, high = (bound[:, 0] for bound in mask.flatten(3).aminmax(dim=3))
        kept, hidden = low == 1, high == 0
        row, frame = hidden.nonzero(as_tuple=True)
        if len(row):
            features[first + row, frame] = self._baselines(part.clip).at(frame)
        row, frame = (~(kept | hidden)).nonzero(as_tuple=True)
        clip, baseline = self.job.clips[0][part.clip], self.job.baseline(0, part.clip)
        while len(row):
            start = sum(len(rows) for rows, _ in self._waiting)
            end = min(start + len(row), len(self._buffer))
            now, then = row[: end - start], frame[: end - start]
            torch.lerp(
                baseline[:, then].transpose(0, 1),
                clip[:, then].transpose(0, 1),
                mask[now, :, then],
                out=self._buffer[start:end],
            )
            self._waiting.append((first + now, then))
            row, frame = row[len(now) :], frame[len(now) :]
            if end == len(self._buffer):
                self._flush(features)

    def _flush(self, features: Tensor) -> None:
        """Encode the frames that wait."""
        if self._waiting:
            row, frame = (torch.cat(part) for part in zip(*self._waiting, strict=True))
            features[row, frame] = self._encoder(self._buffer[: len(row)])
            self._waiting = []

    def release(self) -> None:
        """Give the buffer back; the next run makes a smaller one."""
        self._buffer = self._buffer.new_empty(0)
        self._frames = (self._frames + 1) // 2
        self._clips, self._baselines = (
            self._known(self.job.clips[0]),
            self._known(self.job.baselines[0]),
        )
        if self.job.clips[0].device.type == "cuda":
            torch.cuda.empty_cache()
