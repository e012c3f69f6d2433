"""How far a gradient map moves when one frame of a frame-wise network's clip changes.

The map at frame s is ``J_s^T g_s``, J_s the encoder's Jacobian at that frame and g_s the gradient of
the score at its features. A change of frame t alters J only there; elsewhere the map moves by
``J_s^T (g'_s - g_s)``. Over many changes these differences lie in few directions, the leading right
singular vectors of the table (changes x features), so that one backward pass of the encoder per
direction serves all of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from captum.attr import Attribution, InputXGradient, Saliency
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from captum_video._captum import forward, select, take_arguments, take_target
from captum_video.attr._frame_changes import AttributionOptions, Changes
from captum_video.clips import map_dtype
from captum_video.nn import FrameWise
from captum_video.perturb import FrameEncoder, rows_that_fit, run_in_chunks

_CPU_FRAMES = 16
_FRAMES_PER_GROUP = 16
# what a pass costs whatever it holds, in frames: measured on a CPU, a guess for a GPU
_CPU_PASS, _GPU_PASS = 0.5, 16.0
_GPU_COPIES = 1024
TABLE_BYTES = 256 * 2**20
_BASIS_BYTES = 128 * 2**20
_BLOCK_BYTES = 24 * 2**20


class FrameGradients:
    """Distances of gradient maps of one clip, with the encoder run on changed frames only.

    Args:
        method: `captum.attr.Saliency` or ``InputXGradient``.
        model: its network.
        clips: (C, T, H, W) of each input.
        options: how the method would be asked.
        tolerance: share of the distances that may be left out, by estimate.
    """

    def __init__(
        self,
        method: Attribution,
        model: FrameWise,
        clips: Sequence[Tensor],
        options: AttributionOptions,
        tolerance: float,
    ) -> None:
        model.check_layout(options.layout)
        model.check_clips([clip[None] for clip in clips])
        self._head = model.head
        self._encoder = FrameEncoder(model.encoder, clips[0].shape[1])
        self._options, self._tolerance = options, tolerance
        self._finish = _finishing(method, options)
        with torch.inference_mode(False), torch.enable_grad():
            moments = [clip.transpose(0, 1) for clip in clips]
            self._shapes = [one.shape[1:] for one in moments]
            self._frames = _in_a_row(moments)
            frames = self._frames.clone().requires_grad_()
            features = self._encode(frames)
            self._features = features.detach()
            self._slopes = self._head_gradients(self._features[None])[0]
            (gradient,) = torch.autograd.grad(features, frames, self._slopes)
        self._dtype = map_dtype(clips[0].dtype)
        self._gradient = gradient.to(self._dtype)
        self._found = self._finish(self._gradient, self._frames)
        length = self._slopes.flatten(1).to(self._dtype).norm(dim=1)
        moved = self._gradient.flatten(1).abs().sum(1)
        self._reach = moved / length.clamp_min(torch.finfo(self._dtype).tiny)

    @staticmethod
    def can_replace(method: Attribution, options: AttributionOptions) -> bool:
        """Whether the method's map is made of gradients and known options alone."""
        known: dict[type, set[str]] = {Saliency: {"abs"}, InputXGradient: set()}
        return type(method) in known and set(options.method_arguments) <= known[type(method)]

    def __call__(self, changes: Changes, report: Callable[[int], Any]) -> Tensor:
        """Sum of absolute differences of the maps, for every change: (changes,)."""
        row_bytes = self._slopes.numel() * self._slopes.element_size()
        block = max(1, TABLE_BYTES // row_bytes)
        parts = [self._found.new_empty(0)]
        with torch.inference_mode(False), torch.enable_grad():
            for first in range(0, len(changes), block):
                parts.append(
                    self._distances(changes, first, min(first + block, len(changes)), report)
                )
        return torch.cat(parts)

    def _distances(
        self, changes: Changes, first: int, last: int, report: Callable[[int], Any]
    ) -> Tensor:
        distances = self._found.new_empty(last - first)
        shape = (last - first, len(self._frames), self._slopes[0].numel())
        table = self._found.new_empty(shape)
        chunks = run_in_chunks(
            last - first,
            self._options.size or rows_that_fit([self._frames[0]], _GPU_COPIES, on_cpu=_CPU_FRAMES),
            lambda start, end, size: self._changed_frames(changes, first + start, first + end),
            may_shrink=self._options.size is None,
            release=lambda: None,
        )
        for start, end, (own, slopes) in chunks:
            distances[start:end] = own
            table[start:end] = slopes
            report(end - start)
        return distances + self._elsewhere(table, distances)

    def _changed_frames(self, changes: Changes, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Distance inside the changed frames (rows,), and how slopes changed (rows, T, F)."""
        place = changes.frames(first, last)
        row = torch.arange(len(place), device=place.device)
        moments = [
            clip[:, place].transpose(0, 1) if changed is None else changed
            for clip, changed in zip(changes.clips, changes.changed(first, last), strict=True)
        ]
        frames = _in_a_row(moments).requires_grad_()
        encoded = self._encode(frames)
        features = self._features.expand(len(place), *self._features.shape).clone()
        features[row, place] = encoded.detach()
        slopes = self._head_gradients(features)
        (gradient,) = torch.autograd.grad(encoded, frames, slopes[row, place])
        found = self._finish(gradient.to(self._dtype), frames.detach())
        difference = slopes - self._slopes
        difference[row, place] = 0
        return (found - self._found[place]).abs().flatten(1).sum(1), difference.flatten(2)

    def _encode(self, frames: Tensor) -> Tensor:
        """Features of moments (M, values), the frames of all inputs in a row."""
        parts = frames.split([shape.numel() for shape in self._shapes], dim=1)
        return self._encoder(
            *(part.unflatten(1, shape) for part, shape in zip(parts, self._shapes, strict=True))
        )

    def _head_gradients(self, features: Tensor) -> Tensor:
        """Gradient of each row's score at its features (rows, T, ...)."""
        asked, rows = self._options, [self._options.clip] * len(features)
        leaf = features.detach().clone().requires_grad_()
        arguments = take_arguments(asked.arguments, rows)
        outputs = forward(self._head, (leaf,), arguments, gradients=True)
        score = select(outputs, take_target(asked.target, rows, asked.n_clips), len(rows))
        return torch.autograd.grad(score.sum(), leaf)[0]

    def _elsewhere(self, table: Tensor, inside: Tensor) -> Tensor:
        """Distance outside the changed frames, from changes of slopes (rows, T, F): (rows,).

        How many directions are worth their pass depends on what they add to the distance inside.
        """
        bases = _bases(table * self._reach[:, None], inside, self._tolerance)
        distances = self._found.new_zeros(len(table))
        frame_bytes = self._frames[0].numel() * self._frames.element_size()
        groups = groups_of(
            [len(basis) for basis in bases],
            lambda rank: min(_FRAMES_PER_GROUP, max(1, _BASIS_BYTES // (rank * frame_bytes))),
            _CPU_PASS if self._frames.device.type == "cpu" else _GPU_PASS,
        )
        for group in groups:
            directions = self._pulled_back(group, [bases[s] for s in group])
            for s, rows in zip(group, directions, strict=True):
                weights = table[:, s] @ bases[s].mT
                distances += self._moved(s, weights, rows[: len(bases[s])])
        return distances

    def _pulled_back(self, group: list[int], bases: list[Tensor]) -> Tensor:
        """``J_s^T b`` of every basis vector b of these frames: (frames, vectors, values)."""
        frames = self._frames[group].requires_grad_()
        encoded = self._encode(frames)
        vectors = pad_sequence(bases)  # (vectors, frames, features), zero where a frame has fewer
        found = self._found.new_empty((len(group), len(vectors), frames[0].numel()))
        for i, slopes in enumerate(vectors):
            slopes = slopes.reshape(encoded.shape).to(encoded)
            (gradient,) = torch.autograd.grad(encoded, frames, slopes, retain_graph=True)
            found[:, i] = gradient.flatten(1)
        return found

    def _moved(self, s: int, weights: Tensor, directions: Tensor) -> Tensor:
        """Distance of frame s's map for each row of weights: (rows,)."""
        step = max(1, _BLOCK_BYTES // (directions.shape[1] * directions.element_size()))
        old, frame = self._found[s].flatten(), self._frames[s].flatten()
        gradient = self._gradient[s].flatten()
        distances = []
        with torch.no_grad():
            for part in weights.split(step):
                new = self._finish(torch.addmm(gradient, part, directions), frame)
                distances.append(torch.linalg.vector_norm(new.sub_(old), ord=1, dim=1))
        return torch.cat(distances)


def groups_of(
    ranks: Sequence[int], most: Callable[[int], int], pass_cost: float
) -> list[list[int]]:
    """Which frames to send back together, so that all of them cost least.

    A group makes as many passes as the largest rank in it, each with all of its frames, and one
    more to encode them.

    Args:
        ranks: vectors to send back for each frame; a frame with none is in no group.
        most: from the largest rank of a group to the frames that it may have.
        pass_cost: of a pass, whatever it holds, when a frame in it costs 1.
    """
    order = sorted((s for s, rank in enumerate(ranks) if rank), key=lambda s: -ranks[s])
    cheapest = [(0.0, len(order))] * (len(order) + 1)  # from each place on: cost, end of the group
    for start in reversed(range(len(order))):
        rank = ranks[order[start]]
        cheapest[start] = min(
            ((rank + 1) * (end - start + pass_cost) + cheapest[end][0], end)
            for end in range(start + 1, min(start + most(rank), len(order)) + 1)
        )
    groups, start = [], 0
    while start < len(order):
        end = cheapest[start][1]
        groups.append(order[start:end])
        start = end
    return groups


def _in_a_row(frames: Sequence[Tensor]) -> Tensor:
    """Frames (M, C, H, W) of each input as (M, values), in memory of its own."""
    return torch.cat([one.detach().flatten(1) for one in frames], dim=1)


def _finishing(
    method: Attribution, options: AttributionOptions
) -> Callable[[Tensor, Tensor], Tensor]:
    """From the gradient and the frame to the method's map."""
    if isinstance(method, InputXGradient):
        return lambda gradient, frame: gradient * frame
    if options.method_arguments.get("abs", True):
        return lambda gradient, frame: gradient.abs()
    return lambda gradient, frame: gradient


def _bases(table: Tensor, inside: Tensor, tolerance: float) -> list[Tensor]:
    """For every frame, orthonormal directions (rank, F) that its rows of (rows, T, F) lie in.

    Directions are dropped, the weakest of all frames first, as long as what is lost stays within the
    tolerance of the whole in norm over rows; the rows are in units of the distances.

    Args:
        table: changes of slopes, each frame's times what a unit of slope moves its map by.
        inside: (rows,), the distance that is there besides.
        tolerance: share that may be lost.
    """
    spectra = [_spectrum(table[:, s].double()) for s in range(table.shape[1])]
    squares = torch.stack([one for one, _ in spectra])
    ascending = squares.flatten().sort().values
    whole = tolerance**2 * (ascending.sum() + inside.double().square().sum())
    rounding = torch.finfo(table.dtype).eps ** 2 * ascending.sum()
    dropped = int((ascending.cumsum(0) <= torch.maximum(whole, rounding)).sum())
    kept = squares > (ascending[dropped - 1] if dropped else -1)
    return [
        directions[chosen].to(table) for (_, directions), chosen in zip(spectra, kept, strict=True)
    ]


def _spectrum(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Squared singular values of a matrix (rows, F), and its right singular vectors as rows."""
    if rows.shape[1] <= rows.shape[0]:
        squares, vectors = torch.linalg.eigh(rows.mT @ rows)
        return squares.clamp_min(0), vectors.mT
    _, values, directions = torch.linalg.svd(rows, full_matrices=False)
    return values.square(), directions
