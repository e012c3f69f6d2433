"""Occlusion over space and time: the drop of the score when a window is hidden."""

from collections.abc import Callable
from typing import Any

from captum.attr import PerturbationAttribution
from torch import Tensor

from captum_video._captum import Target, log_usage
from captum_video.baselines import Baseline, resolve
from captum_video.clips import (
    Extent,
    Layout,
    clips_of,
    extent_of,
    per_input,
    spread_over_channels,
    window_of,
)
from captum_video.masks import Joined, MaskStream, SlidingWindows, Untouched
from captum_video.perturb import PerturbationsPerEval, perturbed_scores

Window = tuple[int | None, int | None, int | None]


class SpatioTemporalOcclusion(PerturbationAttribution):
    """How much the score falls when a window of frames and pixels is hidden.

    ``S(v)`` is the mean of ``f(x) - f(x with window w hidden)`` over the windows w that cover voxel v.
    It is `captum.attr.Occlusion` with windows over all channels, to rounding (Zeiler and Fergus,
    arXiv 1311.2901), with one deviation: strides default to the window, so that windows tile the
    clip, because Captum's stride of 1 would mean hundreds of thousands of passes.

    Args:
        forward_func: the model, or any function of the inputs that returns (N,) or (N, classes).
        layout: how the inputs order their axes; see `captum_video.Layout`.

    Example:
        >>> import torch
        >>> total = lambda clip: clip.sum((1, 2, 3, 4))
        >>> occlusion = SpatioTemporalOcclusion(total)
        >>> occlusion.attribute(torch.ones(1, 3, 4, 8, 8), (2, 4, 4)).unique()
        tensor([96.])
    """

    def __init__(self, forward_func: Callable, layout: str | Layout = "n c t h w") -> None:
        super().__init__(forward_func)
        self.layout = Layout.of(layout)

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        sliding_window_shapes: Window | tuple[Window, ...],
        strides: Window | tuple[Window, ...] | None = None,
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        inputs_together: bool = True,
    ) -> Tensor | tuple[Tensor, ...]:
        """Hide windows one after the other and record what each was worth.

        Args:
            inputs: clips in the declared layout, or a tuple of them (visible and infrared, say).
            sliding_window_shapes: frames, height and width of a window, None being the whole axis:
                ``(1, None, None)`` hides one frame after the other. Or one such triple per input.
                Channels are hidden together.
            strides: likewise; None, for all axes or for one, is the window's size, which tiles the
                clip. A window at the far border is cut there.
            baselines: what hides: None (zero), a number, a tensor, a function of
                `captum_video.baselines`, or one per input.
            target: Captum's `target <https://captum.ai/api/occlusion.html>`_.
            additional_forward_args: Captum's; tensors have one entry per clip.
            perturbations_per_eval: windows per clip and pass, or ``"auto"``; no effect on the map.
            show_progress: show a progress bar.
            inputs_together: hide the same window of all inputs at once, or of one input at a time
                (as Captum does).

        Returns:
            Shape of the inputs, in units of the score. Positive: hiding the place lowers the
            score, so it speaks for the target.

        Raises:
            TypeError: an input or window of a wrong kind.
            ValueError: a window larger than the clip, a stride of 0 or above the window, inputs with
                different numbers of windows, clips that are empty or not finite, a target out of
                range.

        Cost:
            One pass per window, and one for the whole clip; memory of one chunk of clips.
        """
        is_tuple, clips = clips_of(inputs, self.layout)
        shapes = per_input(sliding_window_shapes, len(clips), "windows")
        steps = per_input((None, None, None) if strides is None else strides, len(clips), "strides")
        windows = [
            _windows_of(clip, shape, step)
            for clip, shape, step in zip(clips, shapes, steps, strict=True)
        ]
        if inputs_together and len({len(stream) for stream in windows}) > 1:
            raise ValueError(
                f"sliding_window_shapes: inputs hidden together need as many windows each, got "
                f"{[len(stream) for stream in windows]}"
            )
        streams = _streams(windows, [extent_of(clip) for clip in clips], inputs_together)
        scores = perturbed_scores(
            self.forward_func,
            clips,
            resolve(baselines, clips, self.layout),
            [streams] * len(clips[0]),
            layout=self.layout,
            target=target,
            additional_forward_args=additional_forward_args,
            perturbations_per_eval=perturbations_per_eval,
            show_progress=show_progress,
            description="Occlusion",
        )
        drops = scores[:, :1] - scores[:, 1:]
        found = (
            [drops] * len(clips)
            if inputs_together
            else drops.split([len(stream) for stream in windows], dim=1)
        )
        maps = tuple(
            spread_over_channels(
                (stream.hidden_sum(drop) / stream.hidden_sum(drop.new_ones(1, len(stream))))[
                    :, None
                ],
                clip,
                self.layout,
            )
            for stream, drop, clip in zip(windows, found, clips, strict=True)
        )
        return maps if is_tuple else maps[0]


def _streams(
    windows: list[SlidingWindows], extents: list[Extent], together: bool
) -> list[MaskStream]:
    """The whole clip first, then windows: in all inputs at once, or in one input after the other."""

    def kept(i: int, count: int) -> Untouched:
        return Untouched(extents[i], count, windows[i].device)

    if together:
        return [Joined(kept(i, 1), stream) for i, stream in enumerate(windows)]
    return [
        Joined(
            kept(i, 1),
            *(w if i == j else kept(i, len(w)) for j, w in enumerate(windows)),
        )
        for i in range(len(windows))
    ]


def _windows_of(clip: Tensor, shape: Window, step: Window) -> SlidingWindows:
    """Windows over one clip, with the axes that were left open filled in."""
    extent = extent_of(clip)
    window = window_of(_filled(shape, extent), "window", extent)
    return SlidingWindows(extent, window, _filled(step, window), clip.device)


def _filled(sizes: Any, full: Extent) -> Any:
    """Put ``full`` where a triple has None; what is no triple is refused where it is used."""
    if not isinstance(sizes, tuple | list) or len(sizes) != len(full):
        return sizes
    return tuple(whole if size is None else size for size, whole in zip(sizes, full, strict=True))
