"""Temporal Saliency Rescaling: first when, then where, by how far a map moves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from captum.attr import Attribution, PerturbationAttribution
from torch import Tensor

from captum_video._captum import Target, log_usage, progress_bar
from captum_video.attr._frame_changes import (
    AttributedDistances,
    AttributionOptions,
    Changes,
    Distances,
)
from captum_video.attr._frame_gradients import FrameGradients
from captum_video.attr._rescaling_rule import Rule
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
from captum_video.masks import SlidingWindows
from captum_video.nn import FrameWise
from captum_video.perturb import PerturbationsPerEval

DEFAULT_TOLERANCE = 1e-2


class TemporalSaliencyRescaling(PerturbationAttribution):
    """How much the whole map of a method changes when a frame, and then a tile of it, is hidden.

    Gradient maps of recurrent networks fade towards early frames, and mix up time and features.
    Rescaling asks in two steps (Ismail et al., NeurIPS 2020, arXiv 2010.13924, algorithm 1). With
    R the map of the wrapped method,

    - ``D_time[t] = sum |R(x) - R(x with frame t hidden)|`` over the whole map;
    - ``D_tile[t, i] = sum |R(x) - R(x with tile i of frame t hidden)|``, for frames that pass the gate;
    - ``S[t, i] = D_time[t] * D_tile[t, i]``; in gated frames ``D_time[t] * gated_value``.

    A frame passes where D_time is above 0 and not below the gate, the paper's "above" being empty
    where all frames are alike. Tiles are the paper's feature groups (algorithm 2).

    Where the model is declared `FrameWise` and the method is `captum.attr.Saliency` or
    ``InputXGradient``, only frames that changed are encoded, and gradients pass the encoder once per
    direction that they take, instead of once per hidden tile: the same map, to a tolerance, many times
    faster.

    Args:
        method: a Captum attribution, ready to use; it is asked for one map per hidden frame or tile.
        layout: how the inputs order their axes; None takes the method's own, or clips
            ``"n c t h w"``. Sequences (N, T, F) are ``"n t f"``.

    Raises:
        TypeError: not an attribution.
        ValueError: another layout than the method's own.

    Example:
        >>> from captum.attr import Saliency
        >>> model = lambda clip: (clip**2).sum((1, 3, 4)).cumsum(1)[:, -1:]
        >>> rescaling = TemporalSaliencyRescaling(Saliency(model))
        >>> clip = torch.rand(1, 3, 6, 8, 8)
        >>> maps, times = rescaling.attribute(clip, (4, 4), target=0, return_time_contributions=True)
        >>> maps.shape, times.shape
        (torch.Size([1, 3, 6, 8, 8]), torch.Size([1, 6]))
    """

    def __init__(self, method: Attribution, layout: str | Layout | None = None) -> None:
        if not isinstance(method, Attribution):
            raise TypeError(f"method: expected a Captum attribution, got {method!r}")
        super().__init__(method.forward_func)
        own = getattr(method, "layout", None)
        if layout is not None and own is not None and Layout.of(layout) != own:
            raise ValueError(f"layout {Layout.of(layout)!r}: the method reads {own!r}")
        self.method = method
        self.layout = Layout.of(layout or own or "n c t h w")

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        tile_shape: tuple[int, int] | tuple[tuple[int, int], ...],
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        gate_quantile: float = 0.55,
        gate_threshold: float | None = None,
        gated_value: float = 0.0,
        rescale: bool = False,
        tolerance: float | None = None,
        method_arguments: dict[str, Any] | None = None,
        return_time_contributions: bool = False,
        inputs_together: bool = True,
    ) -> Any:
        """Hide frames, then tiles of those that pass the gate, and see how the map moves.

        Args:
            inputs: clips in the layout, or a tuple of them (visible and infrared, say).
            tile_shape: height and width of a tile in pixels; for sequences (1, features in a
                group). Tiles at the far border are cut there. Or one such pair per input, where these
                are hidden one at a time.
            baselines: what hides: None (zero), a number, a tensor, a function of
                `captum_video.baselines`, or one per input. The authors' code takes the first
                value of the input.
            target: Captum's `target <https://captum.ai/api/saliency.html>`_.
            additional_forward_args: Captum's; tensors have one entry per clip.
            perturbations_per_eval: changed clips to a call of the method, or ``"auto"``.
            show_progress: show a progress bar, counted in maps.
            gate_quantile: quantile of a clip's D_time that a frame has to reach, in [0, 1].
            gate_threshold: an absolute gate instead, in units of the map (of 1 with ``rescale``).
            gated_value: D_tile of frames below the gate: 0 (paper) or 0.1 (authors' code, which
                also has ``rescale``).
            rescale: scale D_time of a clip, and D_tile of a frame, to [0, 1] first.
            tolerance: for gradients of frame-wise networks only, and refused elsewhere: the share of
                the contributions (in norm over a step, by estimate) that may be left out, 0.01 by
                default; 0 leaves nothing out but what is lost in rounding.
            method_arguments: more arguments for the method, such as ``{"abs": False}``. Tensors of
                the inputs' rank with one entry per clip follow their clip; a generator starts every
                map from the same state.
            return_time_contributions: return D_time as well.
            inputs_together: hide the same place of all inputs at once, for equally long and large
                ones: one map. Or of one input at a time: a map, and a D_time, of each. The
                distance is that of the whole map of the method, over all inputs, in both cases.

        Returns:
            Shape of the inputs; the same over all channels, and over all inputs that are hidden
            together. Higher: the map depends on this place more. With
            ``return_time_contributions`` also D_time, (N, T); of a tuple of inputs that are hidden
            one at a time, a tuple.

        Raises:
            TypeError: an input of a wrong kind.
            ValueError: a tile larger than the frame, an option out of range, a method that returns
                another shape, inputs of different extents hidden together, clips that are empty or
                not finite.

        Cost:
            1 + T + (frames that pass) x (tiles) maps of the method per clip (but for the 1, of each
            input that is hidden by itself), in memory of one chunk of them. Frame-wise: one forward and backward pass of the encoder for each hidden tile,
            and for every frame one backward pass per direction kept.

        Randomness:
            That of the method.
        """
        is_tuple, clips = clips_of(inputs, self.layout)
        rule = Rule(gate_quantile, gate_threshold, gated_value, rescale)
        rule.check()
        _check(tolerance, perturbations_per_eval)
        groups = _hidden_at_once(clips, tile_shape, inputs_together)
        asked = AttributionOptions.of(
            self.layout,
            is_tuple,
            len(clips[0]),
            target,
            additional_forward_args,
            method_arguments or {},
            perturbations_per_eval,
        )
        probe = _Probe(
            [
                _distances(self.method, [clip[n] for clip in clips], one, tolerance)
                for n, one in enumerate(asked)
            ],
            clips,
            resolve(baselines, clips, self.layout),
            rule,
            show_progress,
        )
        volumes, times = zip(*(probe(*group) for group in groups), strict=True)
        maps = tuple(
            spread_over_channels(volumes[0 if inputs_together else i], clip, self.layout)
            for i, clip in enumerate(clips)
        )
        attributions = maps if is_tuple else maps[0]
        if not return_time_contributions:
            return attributions
        return attributions, times if is_tuple and not inputs_together else times[0]


class _Probe(NamedTuple):
    """Hides frames of some inputs, then tiles of those that pass, and makes a map of it."""

    measures: list[Distances]
    clips: tuple[Tensor, ...]
    hidden: tuple[Tensor, ...]
    rule: Rule
    show_progress: bool

    def __call__(self, inputs: Sequence[int], tile: Extent) -> tuple[Tensor, Tensor]:
        """The map (N, 1, T, H, W), and contributions of the frames (N, T)."""
        extent = extent_of(self.clips[inputs[0]])
        every = [range(extent.frames)] * len(self.measures)
        frame = Extent(1, *extent[1:])
        times = torch.stack(self._moved(inputs, every, frame, "TSR, frames")).flatten(1)
        passing = self.rule.passing(times)
        chosen = [row.nonzero().flatten().tolist() for row in passing]
        found = self._moved(inputs, chosen, tile, "TSR, tiles")
        windows = SlidingWindows(extent, tile, tile, times.device)
        weights = self.rule.combine(times, passing, found, len(windows) // extent.frames)
        return windows.hidden_sum(weights.flatten(1))[:, None], times

    def _moved(
        self, inputs: Sequence[int], frames: Sequence[Sequence[int]], window: Extent, name: str
    ) -> list[Tensor]:
        """How far each window of a frame moves the map: for each clip, (its frames, windows)."""
        place = Extent(1, *extent_of(self.clips[inputs[0]])[1:])
        masks = SlidingWindows(place, window, window, self.clips[0].device)
        total = sum(len(chosen) for chosen in frames) * len(masks)
        moved = []
        with progress_bar(self.show_progress, total, name) as bar:
            for n, (measure, chosen) in enumerate(zip(self.measures, frames, strict=True)):
                clips = [clip[n] for clip in self.clips]
                hidden = [
                    one[n if len(one) > 1 else 0] if i in inputs else None
                    for i, one in enumerate(self.hidden)
                ]
                found = measure(Changes(clips, hidden, chosen, masks), bar.update)
                moved.append(found.reshape(len(chosen), len(masks)))
        return moved


def _hidden_at_once(
    clips: tuple[Tensor, ...], shape: Any, together: bool
) -> list[tuple[Sequence[int], Extent]]:
    """Which inputs are hidden at once, and in tiles of what extent."""
    if not together:
        shapes = per_input(shape, len(clips), "tile_shape")
        tiles = [_tile_of(one, extent_of(c)) for one, c in zip(shapes, clips, strict=True)]
        return [([i], tile) for i, tile in enumerate(tiles)]
    extents = {extent_of(clip) for clip in clips}
    if len(extents) > 1:
        raise ValueError(
            f"inputs: hidden together, so expected one extent, got {sorted(map(str, extents))}; "
            f"inputs_together=False hides one at a time"
        )
    return [(range(len(clips)), _tile_of(shape, extents.pop()))]


def _distances(
    method: Attribution, clips: list[Tensor], asked: AttributionOptions, tolerance: float | None
) -> Distances:
    """By directions of the gradient where the network and the method allow it, else map by map."""
    model = method.forward_func
    if isinstance(model, FrameWise) and FrameGradients.can_replace(method, asked):
        tolerance = DEFAULT_TOLERANCE if tolerance is None else tolerance
        return FrameGradients(method, model, clips, asked, tolerance)
    if tolerance is not None:
        name = getattr(model, "__name__", type(model).__name__)
        raise ValueError(
            f"tolerance: for Saliency or InputXGradient of a FrameWise network, got "
            f"{type(method).__name__} of {name}; leave it out, and every map is made"
        )
    return AttributedDistances(method, clips, asked)


def _tile_of(shape: Any, extent: Extent) -> Extent:
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        raise TypeError(f"tile_shape: expected height and width, got {shape!r}")
    window_of((1, *shape), "tile_shape (1 frame, height, width)", extent)
    return Extent(1, *shape)


def _check(tolerance: float | None, size: PerturbationsPerEval) -> None:
    if tolerance is not None and not 0 <= tolerance < 1:
        raise ValueError(f"tolerance: expected 0 <= tolerance < 1, got {tolerance}")
    if size != "auto" and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise ValueError(
            f"perturbations_per_eval: expected a whole number of at least 1 or 'auto', got {size!r}"
        )
