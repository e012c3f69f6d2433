"""Running a chunk of perturbed clips through a frame-wise model: only changed frames are encoded."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from captum_video._captum import check_rows, forward, take_arguments
from captum_video.masks import unrepeated
from captum_video.nn import FrameWise
from captum_video.perturb._job import Job, Stretch, blend, rows_of, rows_that_fit
from captum_video.perturb.encoder import FrameEncoder, KnownFeatures, encode_missing

_CPU_FRAMES = 32
_GPU_COPIES = 256
_MASK_BYTES = 10 * 2**20


class FrameRunner:
    """Encodes the frames that masks change, takes all others as known, and runs the head.

    Args:
        job: what is to be run.
        model: its network.
        most: frames that fit into a pass of the encoder; None goes by an estimate.

    Raises:
        ValueError: inputs or a layout that the model was not declared with.
    """

    def __init__(self, job: Job, model: FrameWise, most: int | None = None) -> None:
        model.check_layout(job.layout)
        model.check_clips(job.clips)
        self.job = job
        self._model = model
        self._length = job.clips[0].shape[2]
        self._encoder = FrameEncoder(model.encoder, self._length)
        self._clips, self._baselines = _known(job.clips), _known(job.baselines)
        self._frames = most or self.default_size()
        self._buffers: tuple[Tensor, ...] = ()
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def default_size(self) -> int:
        """Rows per pass: as many as there are frames in a pass of the encoder."""
        frame = [clip[0, :, 0] for clip in self.job.clips]
        return rows_that_fit(frame, _GPU_COPIES, on_cpu=_CPU_FRAMES)

    def run(self, stretches: list[Stretch]) -> Tensor:
        """Outputs of these rows."""
        rows = rows_of(stretches)
        with torch.inference_mode():
            if not self._buffers:
                self._frames = min(self._frames, len(rows) * self._length)
                self._buffers = tuple(
                    self._encoder.room_for(self._frames, clip) for clip in self.job.clips
                )
            self._waiting = []
            features, first = self.job.clips[0].new_empty(0), 0
            for stretch in stretches:
                features = self._fill(stretch, features, first, len(rows))
                first += stretch.stop - stretch.start
            self._flush(features)
            arguments = take_arguments(self.job.arguments, rows)
            outputs = forward(self._model.head, (features,), arguments)
        check_rows(outputs, len(rows))
        return outputs

    def _fill(self, stretch: Stretch, features: Tensor, first: int, n_rows: int) -> Tensor:
        """Features (rows, T, ...) with this stretch's rows from ``first``, but for frames that wait."""
        known, baseline = self._clips(stretch.clip), self._baselines(stretch.clip)
        gone = []
        for part in self._parts(stretch):
            masks = [self.job.mask(i, part) for i in range(len(self.job.clips))]
            kept, hidden = self._untouched(masks, part.stop - part.start)
            row, frame = hidden.nonzero(as_tuple=True)
            gone.append((first + row, frame))
            if part.start == stretch.start:
                wanted = [(known, known.missing()), (baseline, baseline.missing(frame))]
                encode_missing(self._encoder, wanted, self._frames)
                if first == 0:
                    features = known.all().new_empty((n_rows, *known.all().shape))
            last = first + part.stop - part.start
            features[first:last] = known.all()
            self._change(part, masks, ~(kept | hidden), features, first)
            first = last
        row, frame = (torch.cat(one) for one in zip(*gone, strict=True))
        if len(row):
            encode_missing(self._encoder, [(baseline, baseline.missing(frame))], self._frames)
            features[row, frame] = baseline.at(frame)
        return features

    def _parts(self, stretch: Stretch) -> list[Stretch]:
        """Few enough masks at a time."""
        mask_bytes = 4 * sum(clip[0, 0].numel() for clip in self.job.clips)
        step = max(1, _MASK_BYTES // mask_bytes)
        return [
            Stretch(stretch.clip, start, min(start + step, stretch.stop))
            for start in range(stretch.start, stretch.stop, step)
        ]

    def _change(
        self,
        part: Stretch,
        masks: Sequence[Tensor | None],
        changed: Tensor,
        features: Tensor,
        first: int,
    ) -> None:
        """Blend the frames (masks, T) that are hidden in part, and let them wait to be encoded."""
        row, frame = changed.nonzero(as_tuple=True)
        while len(row):
            start = sum(len(rows) for rows, _ in self._waiting)
            end = min(start + len(row), len(self._buffers[0]))
            now, then = row[: end - start], frame[: end - start]
            self._blend(part.clip, masks, now, then, slice(start, end))
            self._waiting.append((first + now, then))
            row, frame = row[len(now) :], frame[len(now) :]
            if end == len(self._buffers[0]):
                self._flush(features)

    def _untouched(self, masks: Sequence[Tensor | None], count: int) -> tuple[Tensor, Tensor]:
        """Which frames all inputs keep, and which all of them hide: (masks, T) each."""
        kept = torch.ones((count, self._length), dtype=torch.bool, device=self.job.clips[0].device)
        hidden = kept.clone()
        for mask in masks:
            if mask is None:
                hidden[:] = False
                continue
            low, high = unrepeated(mask).flatten(3).aminmax(dim=3)  # (masks, 1, T or 1)
            kept &= low[:, 0] == 1
            hidden &= high[:, 0] == 0
        return kept, hidden

    def _blend(
        self,
        n: int,
        masks: Sequence[Tensor | None],
        rows: Tensor,
        frames: Tensor,
        place: slice,
    ) -> None:
        """Write these frames of clip n, each under the mask of its row, into the buffers."""
        for i, mask in enumerate(masks):
            shown, out = self.job.clips[i][n][:, frames].transpose(0, 1), self._buffers[i][place]
            if mask is None:
                out.copy_(shown)
            else:
                hidden = self.job.baseline(i, n)[:, frames].transpose(0, 1)
                blend(hidden, shown, mask[rows, :, frames], out)

    def _flush(self, features: Tensor) -> None:
        """Encode the frames that wait."""
        if self._waiting:
            row, frame = (torch.cat(part) for part in zip(*self._waiting, strict=True))
            features[row, frame] = self._encoder(*(one[: len(row)] for one in self._buffers))
            self._waiting = []

    def release(self) -> None:
        """Give the buffers back; the next run makes smaller ones."""
        self._buffers = ()
        self._frames = (self._frames + 1) // 2
        self._clips, self._baselines = _known(self.job.clips), _known(self.job.baselines)
        if self.job.clips[0].device.type == "cuda":
            torch.cuda.empty_cache()


def _known(clips: tuple[Tensor, ...]) -> Callable[[int], KnownFeatures]:
    """What is known of one of these clips, of each input; of the latest, it is kept."""
    kept: dict[int, KnownFeatures] = {}

    def of(n: int) -> KnownFeatures:
        n = n if any(len(clip) > 1 for clip in clips) else 0
        if n not in kept:
            kept.clear()
            frames = [clip[n if len(clip) > 1 else 0].transpose(0, 1) for clip in clips]
            kept[n] = KnownFeatures(frames)
        return kept[n]

    return of
