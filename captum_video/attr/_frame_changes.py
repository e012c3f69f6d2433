"""Clips with one frame changed at a time, and how far an attribution map moves with each."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from captum.attr import Attribution, GradientAttribution
from torch import Tensor

from captum_video._captum import arguments_of, forward, select, take_arguments, take_target
from captum_video.clips import Layout, map_dtype
from captum_video.masks import MaskStream
from captum_video.modes import evaluation_mode, recurrent_gradients
from captum_video.perturb import PerturbationsPerEval, rows_that_fit, run_in_chunks

_GPU_COPIES = 256


class Changes:
    """One clip under every mask of a stream, laid over one of these frames after the other.

    Args:
        clips: (C, T, H, W) of each input.
        baselines: what hides, likewise; None leaves that input as it is, whatever its extent.
        frames: which frames, counted from 0.
        masks: (1, H, W) masks of a frame.
    """

    def __init__(
        self,
        clips: Sequence[Tensor],
        baselines: Sequence[Tensor | None],
        frames: Sequence[int],
        masks: MaskStream,
    ) -> None:
        self.clips = clips
        self._baselines, self._masks = baselines, masks
        self._frames = torch.as_tensor(frames, dtype=torch.long, device=clips[0].device)

    def __len__(self) -> int:
        return len(self._frames) * len(self._masks)

    def frames(self, first: int, last: int) -> Tensor:
        """Which frame each of these rows changes: (rows,)."""
        row = torch.arange(first, last, device=self._frames.device)
        return self._frames[row // len(self._masks)]

    def changed(self, first: int, last: int) -> list[Tensor | None]:
        """What stands there instead: (rows, C, H, W) of each input, None where it is left alone."""
        frames, masks = self.frames(first, last), self._mask_of(first, last)
        return [
            None
            if baseline is None
            else torch.lerp(
                baseline[:, frames].transpose(0, 1), clip[:, frames].transpose(0, 1), masks.to(clip)
            )
            for clip, baseline in zip(self.clips, self._baselines, strict=True)
        ]

    def _mask_of(self, first: int, last: int) -> Tensor:
        count = len(self._masks)
        parts = []
        while first < last:
            start = first % count
            stop = min(count, start + last - first)
            parts.append(self._masks[start:stop][:, :, 0])
            first += stop - start
        return torch.cat(parts)


class Distances(Protocol):
    """How far the map of one clip is from the maps of the clip with a frame changed."""

    def __call__(self, changes: Changes, report: Callable[[int], Any]) -> Tensor:
        """One number per change: (changes,); reports how many are done, now and then."""
        ...


class AttributionOptions(NamedTuple):
    """How to ask a method for the map of one clip of a batch.

    Attributes:
        clip: which clip.
        n_clips: of how many.
        layout: of the inputs.
        is_tuple: whether inputs go as a tuple.
        target: Captum's, of the batch.
        arguments: additional forward arguments of the batch.
        method_arguments: of the method itself.
        states: of the generators among them, from which every map starts.
        size: rows to a call; None chooses, and halves on out-of-memory.
    """

    clip: int
    n_clips: int
    layout: Layout
    is_tuple: bool
    target: Any
    arguments: tuple | None
    method_arguments: dict[str, Any]
    states: list[tuple[torch.Generator, Tensor]]
    size: int | None

    @classmethod
    def of(
        cls,
        layout: Layout,
        is_tuple: bool,
        n_clips: int,
        target: Any,
        arguments: Any,
        method_arguments: dict[str, Any],
        perturbations_per_eval: PerturbationsPerEval,
    ) -> "list[AttributionOptions]":
        """For every clip of a batch."""
        generators = [v for v in method_arguments.values() if isinstance(v, torch.Generator)]
        first = cls(
            clip=0,
            n_clips=n_clips,
            layout=layout,
            is_tuple=is_tuple,
            target=target,
            arguments=arguments_of(arguments, n_clips),
            method_arguments=method_arguments,
            states=[(generator, generator.get_state()) for generator in generators],
            size=None if perturbations_per_eval == "auto" else perturbations_per_eval,
        )
        return [first._replace(clip=n) for n in range(n_clips)]


class AttributedDistances:
    """Asks the method itself for the map of every changed clip.

    Args:
        method: any Captum attribution.
        clips: (C, T, H, W) of each input of one clip.
        options: how to ask.

    Raises:
        ValueError: the method returns maps of another shape than the inputs'.
    """

    def __init__(
        self,
        method: Attribution,
        clips: Sequence[Tensor],
        options: AttributionOptions,
    ) -> None:
        self._method, self._options = method, options
        self._check_target([clip[None] for clip in clips])
        self._found = self._maps([clip[None] for clip in clips])

    def __call__(self, changes: Changes, report: Callable[[int], Any]) -> Tensor:
        """Sum of absolute differences of the maps, for every change: (changes,)."""
        distances = self._found[0].new_empty(len(changes))

        def run(first: int, last: int, size: int) -> Tensor:
            frames = changes.frames(first, last)
            row = torch.arange(len(frames), device=frames.device)
            clips = []
            for clip, changed in zip(changes.clips, changes.changed(first, last), strict=True):
                rows = clip.expand(len(frames), *clip.shape).clone()
                if changed is not None:
                    rows[row, :, frames] = changed
                clips.append(rows)
            maps = self._maps(clips)
            moved = [
                (new - old).abs().flatten(1).sum(1)
                for new, old in zip(maps, self._found, strict=True)
            ]
            return torch.stack(moved).sum(0)

        chunks = run_in_chunks(
            len(changes),
            self._options.size or rows_that_fit(changes.clips, _GPU_COPIES),
            run,
            may_shrink=self._options.size is None,
            release=lambda: None,
        )
        for first, last, found in chunks:
            distances[first:last] = found
            report(last - first)
        return distances

    def _check_target(self, clips: list[Tensor]) -> None:
        """One pass, so that a target out of range is named as everywhere else."""
        asked = self._options
        inputs = tuple(asked.layout.from_clip(clip) for clip in clips)
        with torch.no_grad():
            arguments = take_arguments(asked.arguments, [asked.clip])
            outputs = forward(self._method.forward_func, inputs, arguments)
        select(outputs, take_target(asked.target, [asked.clip], asked.n_clips), 1)

    def _maps(self, clips: list[Tensor]) -> list[Tensor]:
        """Maps of these versions of the clip: (rows, C, T, H, W) of each input."""
        asked, rows = self._options, [self._options.clip] * len(clips[0])
        inputs = tuple(asked.layout.from_clip(clip) for clip in clips)
        if isinstance(self._method, GradientAttribution):  # which would warn that it has to
            inputs = tuple(one.detach().requires_grad_() for one in inputs)
        options = {
            name: value[asked.clip : asked.clip + 1].expand(len(rows), *value.shape[1:])
            if isinstance(value, Tensor) and value.ndim == inputs[0].ndim and len(value) > 1
            else value
            for name, value in asked.method_arguments.items()
        }
        for generator, state in asked.states:
            generator.set_state(state)
        if asked.target is not None:
            options["target"] = take_target(asked.target, rows, asked.n_clips)
        if asked.arguments is not None:
            options["additional_forward_args"] = take_arguments(asked.arguments, rows)
        model = self._method.forward_func
        with evaluation_mode(model), recurrent_gradients(model):
            maps = self._method.attribute(inputs if asked.is_tuple else inputs[0], **options)
        maps = maps if isinstance(maps, tuple) else (maps,)
        _check(self._method, maps, inputs)
        return [
            asked.layout.to_clip(one.detach().to(map_dtype(one.dtype)), "attributions")
            for one in maps
        ]


def _check(method: Attribution, maps: tuple, inputs: tuple[Tensor, ...]) -> None:
    expected = [tuple(one.shape) for one in inputs]
    got = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in maps]
    if expected != got:
        raise ValueError(
            f"method {type(method).__name__}: expected attributions of the inputs' shapes "
            f"{expected}, got {got}"
        )
