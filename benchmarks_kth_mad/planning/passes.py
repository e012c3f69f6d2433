"""Forward and backward passes of every method, for one clip that is explained by itself.

Windows, tubes, tiles and layers are asked of what the methods themselves use, on the meta device,
where nothing is computed. Should memory run out and a smaller batch be tried, passes of a frame-wise
network are a few more.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import METHODS, Options
from benchmarks_kth_mad.methods.by_gradient import tile_of
from benchmarks_kth_mad.methods.by_hiding import quarters
from benchmarks_kth_mad.methods.by_layer import layers_of
from benchmarks_kth_mad.places import PATCHES
from benchmarks_kth_mad.planning.cost import ABOUT, AT_MOST, Cost, Subject
from captum_video.attr import ExtremalPerturbation3D, LayerCandidate, TemporalSaliencyRescaling
from captum_video.attr._frame_gradients import TABLE_BYTES
from captum_video.attr.extremal import AREAS
from captum_video.clips import Extent, extent_of
from captum_video.masks import SlidingWindows
from captum_video.nn import FrameWise, InputCellAttentionLSTM

WITNESS = 1  # a frame that the engine encodes twice, to see that the encoder keeps frames apart


def method_cost(subject: Subject, name: str, options: Options) -> Cost:
    """What a method takes to explain one clip, beside the pass that finds the predicted class.

    Raises:
        BenchmarkError: an unknown method, or one that does not suit the network.
    """
    if name not in COSTS:
        raise BenchmarkError(f"method {name!r}: expected one of {', '.join(METHODS)}")
    try:
        return COSTS[name](subject, options)
    except (ValueError, RuntimeError, BenchmarkError) as error:
        raise BenchmarkError(f"{name}: {error}") from error


def default_of(function: Callable, name: str) -> Any:
    """What a function takes where it is not told."""
    return inspect.signature(function).parameters[name].default


def _gradient(subject: Subject, options: Options) -> Cost:
    return subject.plain(1, 1)


def _input_cell(subject: Subject, options: Options) -> Cost:
    cells = [one for one in subject.model.modules() if isinstance(one, InputCellAttentionLSTM)]
    if len(cells) != 1:
        raise BenchmarkError("the network has no input-cell attention")
    return subject.plain(1, 1)


def _random(subject: Subject, options: Options) -> Cost:
    return Cost()


def _gradcam(subject: Subject, options: Options) -> Cost:
    layers = _distinct_layers(subject, options)
    cost = subject.plain(1 + len(layers), len(layers))
    if subject.is_frame_wise and not layers[0].name.startswith("encoder."):
        return replace(cost, backward=Fraction(0))
    return cost


def _sidu(subject: Subject, options: Options) -> Cost:
    cost = subject.plain(1)
    for layer in _distinct_layers(subject, options):
        masks = layer.channels
        cost += subject.plain(1) + _hidden(subject, masks, masks * subject.frames, AT_MOST)
    return replace(
        cost,
        sure=AT_MOST,
        why="one for each channel of the layer, but channels that keep nothing have none",
    )


def _distinct_layers(subject: Subject, options: Options) -> list[LayerCandidate]:
    """The layers that maps are made of, each once; the head of a frame-wise network is left out."""
    model = subject.model
    if isinstance(model, FrameWise):
        model = copy.deepcopy(model)
        model.head = nn.Flatten()
    found = list(dict.fromkeys(layers_of(model, subject.blank(), options)))
    if any(layer.channels == 0 for layer in found):
        raise BenchmarkError(f"layer {options.layer}: the network has no map over places there")
    return found


def _rise(subject: Subject, options: Options) -> Cost:
    masks = options.n_samples
    return _hidden(
        subject,
        masks,
        masks * subject.frames,
        AT_MOST,
        "frames that a mask keeps or hides whole need none",
    )


def _occlusion(subject: Subject, options: Options) -> Cost:
    windows = _windows(subject)
    return _with_whole_clip(subject, len(windows), _touched_frames(subject, windows))


def _flow_occlusion(subject: Subject, options: Options) -> Cost:
    windows = _windows(subject)  # as many tubes, some of which leave the frame before their end
    return _with_whole_clip(
        subject,
        len(windows),
        _touched_frames(subject, windows),
        AT_MOST,
        "tubes that leave the picture need no more",
    )


def _frame_occlusion(subject: Subject, options: Options) -> Cost:
    shown = subject.frames
    if not subject.is_frame_wise:
        return subject.plain(1 + shown)
    return subject.encoded(
        shown + subject.baseline_frames(options.baseline) + WITNESS, heads=1 + shown
    )


def _superpixel_occlusion(subject: Subject, options: Options) -> Cost:
    cost = _with_whole_clip(subject, PATCHES, PATCHES * subject.frames)
    return replace(cost, sure=ABOUT, why="one for each superpixel, and a clip has about so many")


def _windows(subject: Subject) -> SlidingWindows:
    clips = subject.blank()
    sizes = quarters(clips)
    return SlidingWindows(extent_of(clips[0]), sizes["sliding_window_shapes"], sizes["strides"])


def _touched_frames(subject: Subject, windows: SlidingWindows) -> int:
    """Frames that windows touch, of all windows together."""
    sizes = quarters(subject.blank())
    over_time = SlidingWindows(
        Extent(subject.frames, 1, 1),
        (sizes["sliding_window_shapes"][0], 1, 1),
        (sizes["strides"][0], 1, 1),
    )
    touched = over_time.hidden_sum(torch.ones(1, len(over_time))).sum()
    return int(touched) * windows.counts.height * windows.counts.width


def _with_whole_clip(
    subject: Subject, masks: int, changed_frames: int, sure: str = "", why: str = ""
) -> Cost:
    return _hidden(subject, 1 + masks, changed_frames, sure, why)


def _hidden(
    subject: Subject, masks: int, changed_frames: int, sure: str = "", why: str = ""
) -> Cost:
    """A clip under so many masks, which change so many of its frames, but hide none whole.

    Where masks hide a frame whole, fewer are encoded: the hidden frame is known from then on.
    """
    if not subject.is_frame_wise:
        return subject.plain(masks)
    return subject.encoded(
        subject.frames + changed_frames + WITNESS, heads=masks, sure=sure, why=why
    )


def _extremal(subject: Subject, options: Options) -> Cost:
    iterations = default_of(ExtremalPerturbation3D.solve, "max_iterations")
    steps = len(AREAS) * iterations
    cost = subject.plain(steps + 2 * len(AREAS), steps)
    return replace(cost, sure=AT_MOST, why="a search ends where nothing moves any more")


def _tsr(subject: Subject, options: Options) -> Cost:
    clip = subject.blank()[0]
    frame = Extent(1, *extent_of(clip)[1:])
    tile = Extent(1, *tile_of(subject.blank()))
    quantile = default_of(TemporalSaliencyRescaling.attribute, "gate_quantile")
    reach = ceil(round(quantile * (subject.frames - 1), 6))
    tiles = (subject.frames - reach) * len(SlidingWindows(frame, tile, tile))
    if isinstance(subject.model, FrameWise):
        return _tsr_of_frames(subject, subject.model, tiles)
    maps = 1 + subject.frames + tiles
    return replace(
        subject.plain(1 + maps, maps),
        sure=AT_MOST,
        why="tiles of a frame on which nothing depends need none; frames whose worth at the gate is "
        "equal to the last digit would add theirs",
    )


def _tsr_of_frames(subject: Subject, model: FrameWise, tiles: int) -> Cost:
    """Frames hidden, tiles hidden; and a pass back for every direction that gradients take."""
    frames = subject.frames
    moment = tuple(clip[:, :, 0] for clip in subject.blank())
    features: Tensor = model.encoder(*moment)
    block = max(1, TABLE_BYTES // (4 * frames * features.numel()))
    forward, backward = frames + WITNESS, frames
    for changes in (frames, tiles):
        parts = [min(block, changes - first) for first in range(0, changes, block)]
        forward += changes + frames * len(parts)
        backward += changes + frames * sum(min(part, features.numel()) for part in parts)
    return subject.encoded(
        forward,
        heads=1 + frames + tiles,
        backward=backward,
        sure=AT_MOST,
        why="one backward for each direction that gradients take, usually far fewer",
    )


COSTS: dict[str, Callable[[Subject, Options], Cost]] = {
    "gradcam": _gradcam,
    "gradient": _gradient,
    "input_cell": _input_cell,
    "tsr": _tsr,
    "occlusion": _occlusion,
    "flow_occlusion": _flow_occlusion,
    "frame_occlusion": _frame_occlusion,
    "superpixel_occlusion": _superpixel_occlusion,
    "rise": _rise,
    "extremal": _extremal,
    "sidu": _sidu,
    "random": _random,
}
