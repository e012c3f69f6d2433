"""The attribution methods of the benchmark, by name, with windows and grids that fit the clip."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from captum.attr import Saliency
from torch import Tensor
from torch.nn import functional

from benchmarks_kth_mad.data.item import inputs_of
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import VideoClassifier
from benchmarks_kth_mad.places import flow_of_clips, patches_of
from captum_video import baselines
from captum_video.attr import (
    RISE3D,
    SIDU3D,
    ExtremalPerturbation3D,
    GradCAM3D,
    InputCellAttribution,
    LayerCandidate,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
    layer_candidates,
)
from captum_video.clips import extent_of
from captum_video.modes import evaluation_mode, recurrent_gradients
from captum_video.nn import InputCellAttentionLSTM

RISE_GRID = (4, 7, 7)
COMPAT = ("icpr2022",)
_ICPR_GRID = (1, 8, 8)
_ICPR_KEPT = 0.1
_ICPR_THRESHOLD = 0.5
TILES = 12
BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "frame-mean": baselines.frame_mean,
    "blur": baselines.blur,
    "gray": baselines.constant,
    "black": baselines.zero,
    "freeze": baselines.freeze,
}


@dataclass(frozen=True)
class Options:
    """What the methods need to know beside the clip.

    ``layer`` names the layer of Grad-CAM and SIDU, None the last one whose map still has frames and
    pixels; ``n_samples`` is the number of RISE's masks; ``seed`` draws them and the random map;
    ``baseline`` names what hides. The mean frame takes the motion and leaves the scene: a gray box
    that comes and goes would itself be motion. ``compat="icpr2022"`` computes Grad-CAM, RISE and
    SIDU as the code of Bayer, Münch and Arens (ICPR 2022) does where it leaves the formulas, to
    compare with its numbers: a ReLU for each channel; sums of logits over M p, of masks that hardly
    change over time; similarity of logits, which is 0 as soon as they move.
    """

    layer: str | None = None
    n_samples: int = 500
    seed: int = 0
    baseline: str = "frame-mean"
    show_progress: bool = False
    compat: str | None = None


Clips = tuple[Tensor, ...]
"""One (N, C, T, H, W) per input of the model: visible and infrared, say."""

Method = Callable[[VideoClassifier, Clips, Tensor, Options], Clips]


def gradcam(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """Grad-CAM at the last layer with a map over space and time, or at the one asked for."""
    relu: Literal["sum", "channel"] = "channel" if options.compat == "icpr2022" else "sum"

    def of_layer(layer: LayerCandidate) -> Clips:
        method = GradCAM3D(model, layer.name, activation_layout=layer.activation_layout, relu=relu)
        return inputs_of(method.attribute(clips, target))

    return _of_own_layer(of_layer, model, clips, options)


def sidu(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """SIDU at Grad-CAM's layer, on probabilities."""
    as_published: dict[str, Any] = {"threshold": _ICPR_THRESHOLD, "activation": None}

    def of_layer(layer: LayerCandidate) -> Clips:
        method = SIDU3D(model, layer.name, activation_layout=layer.activation_layout)
        maps = method.attribute(
            clips,
            BASELINES[options.baseline],
            target,
            show_progress=options.show_progress,
            **(as_published if options.compat == "icpr2022" else {}),
        )
        return inputs_of(maps)

    return _of_own_layer(of_layer, model, clips, options)


def _of_own_layer(
    maps_of: Callable[[LayerCandidate], Clips],
    model: VideoClassifier,
    clips: Clips,
    options: Options,
) -> Clips:
    """For each input the map of its own stream's layer, or of the one layer that all inputs share."""
    layers = _layers(model, clips, options)
    found = {layer: maps_of(layer) for layer in dict.fromkeys(layers)}
    return tuple(found[layer][number] for number, layer in enumerate(layers))


def _layers(model: VideoClassifier, clips: Clips, options: Options) -> list[LayerCandidate]:
    """The layer of each input."""
    candidates = layer_candidates(model, tuple(clip[:1] for clip in clips))
    if options.layer is not None:
        found = {layer.name: layer for layer in candidates}
        unknown = LayerCandidate(options.layer, 0, extent_of(clips[0]), "n c t h w")
        return [found.get(options.layer, unknown)] * len(clips)
    if len(model.streams) == 1:
        return [_last_spatiotemporal(candidates)] * len(clips)
    names = {module: name for name, module in model.named_modules()}
    return [
        _last_spatiotemporal(
            [layer for layer in candidates if layer.name.startswith(f"{names[stream]}.")]
        )
        for stream in model.streams
    ]


def gradient(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """Size of the score's gradient (Captum's Saliency), summed over channels."""
    inputs = tuple(clip.detach().clone().requires_grad_() for clip in clips)
    with evaluation_mode(model), recurrent_gradients(model):
        maps = Saliency(model).attribute(inputs, target.tolist())
    return _over_channels(tuple(one.detach().sum(1, keepdim=True) for one in maps), clips)


def occlusion(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """Windows of a quarter of the clip along each axis, moved by half of that."""
    return _occlusion(model, clips, target, options, **_quarters(clips))


def flow_occlusion(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """The windows of `occlusion`, each going along with what moves in its input (Farneback)."""
    flow = tuple(flow_of_clips(clip) for clip in clips)
    return _occlusion(model, clips, target, options, **_quarters(clips), flow=flow)


def frame_occlusion(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options
) -> Clips:
    """One whole frame after the other: when, not where."""
    return _occlusion(model, clips, target, options, sliding_window_shapes=(1, None, None))


def superpixel_occlusion(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options
) -> Clips:
    """One superpixel of the volume after the other."""
    return _occlusion(model, clips, target, options, feature_mask=patches_of(clips))


def _quarters(clips: Clips) -> dict[str, Any]:
    sizes = [max(1, length // 4) for length in extent_of(clips[0])]
    strides = tuple(max(1, size // 2) for size in sizes)
    return {"sliding_window_shapes": tuple(sizes), "strides": strides}


def _occlusion(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options, **places: Any
) -> Clips:
    return SpatioTemporalOcclusion(model).attribute(
        clips,
        baselines=BASELINES[options.baseline],
        target=target,
        show_progress=options.show_progress,
        **places,
    )


def rise(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """RISE on logits, by regression."""
    as_published: dict[str, Any] = {
        "estimator": "expectation",
        "keep_probability": _ICPR_KEPT,
        "grid_shape": _at_most(_ICPR_GRID, clips[0]),
    }
    ours = {"grid_shape": rise_grid(clips[0])}
    maps = RISE3D(model).attribute(
        clips,
        BASELINES[options.baseline],
        target,
        n_samples=options.n_samples,
        show_progress=options.show_progress,
        generator=torch.Generator().manual_seed(options.seed),
        **(as_published if options.compat == "icpr2022" else ours),
    )
    return inputs_of(maps)


def extremal(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """Extremal perturbations of five volumes, of all inputs at once."""
    maps = ExtremalPerturbation3D(model).attribute(
        clips,
        baselines=BASELINES[options.baseline],
        target=target,
        show_progress=options.show_progress,
        generator=torch.Generator().manual_seed(options.seed),
    )
    return inputs_of(maps)


def random_map(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """A map that knows nothing, smooth at the scale of RISE's cells: what every method must beat."""
    generator = torch.Generator().manual_seed(options.seed)
    small = torch.rand(len(target), 1, *rise_grid(clips[0]), generator=generator)
    maps = functional.interpolate(
        small.to(clips[0].device), tuple(extent_of(clips[0])), mode="trilinear"
    )
    return _over_channels((maps,) * len(clips), clips)


def rise_grid(clip: Tensor) -> tuple[int, int, int]:
    """RISE's cells over frames, height and width; fewer where a clip is smaller."""
    return _at_most(RISE_GRID, clip)


def _at_most(grid: tuple[int, int, int], clip: Tensor) -> tuple[int, int, int]:
    frames, height, width = map(min, grid, extent_of(clip))
    return frames, height, width


def rescaled_gradient(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options
) -> Clips:
    """Temporal Saliency Rescaling of the gradient, on tiles of a twelfth of the frame."""
    height, width = (max(1, length // TILES) for length in extent_of(clips[0])[1:])
    return TemporalSaliencyRescaling(Saliency(model)).attribute(
        clips,
        (height, width),
        BASELINES[options.baseline],
        target,
        show_progress=options.show_progress,
    )


def input_cell(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """First-order effect through what the cell attended to, back at the pixels, summed over channels.

    Raises:
        BenchmarkError: the network has no input-cell attention.
    """
    cells = [module for module in model.modules() if isinstance(module, InputCellAttentionLSTM)]
    if len(cells) != 1:
        raise BenchmarkError(
            "the network has no input-cell attention; train cnn_lstm_small_attention"
        )
    maps = InputCellAttribution(model, cells[0]).attribute(
        clips, target, kind="attention_x_gradient", to_inputs=True
    )
    return _over_channels(tuple(one.sum(1, keepdim=True) for one in maps), clips)


def _over_channels(maps: Clips, clips: Clips) -> Clips:
    return tuple(one.expand_as(clip) for one, clip in zip(maps, clips, strict=True))


METHODS: dict[str, Method] = {
    "gradcam": gradcam,
    "gradient": gradient,
    "input_cell": input_cell,
    "tsr": rescaled_gradient,
    "occlusion": occlusion,
    "flow_occlusion": flow_occlusion,
    "frame_occlusion": frame_occlusion,
    "superpixel_occlusion": superpixel_occlusion,
    "rise": rise,
    "extremal": extremal,
    "sidu": sidu,
    "random": random_map,
}
NO_NATURAL_ZERO = ("rise", "sidu", "random")
DEFAULT_METHODS = ("gradcam", "occlusion", "rise", "random")


def attribute(
    name: str, model: VideoClassifier, clips: Tensor | Clips, target: Tensor, options: Options
) -> Clips:
    """Explain clips by the method of this name.

    Args:
        name: of `METHODS`.
        model: clips to logits.
        clips: (N, C, T, H, W), one for each input of the model; a tensor is the only one.
        target: (N,), the class to explain.
        options: of the methods.

    Returns:
        A map for each input, of its shape.

    Raises:
        BenchmarkError: an unknown method, or options that it refuses.
    """
    if name not in METHODS:
        raise BenchmarkError(f"method {name!r}: expected one of {', '.join(METHODS)}")
    try:
        return METHODS[name](model, inputs_of(clips), target, options)
    except (ValueError, BenchmarkError) as error:
        raise BenchmarkError(f"{name}: {error}") from error


def above_zero(name: str, maps: Tensor) -> Tensor:
    """Evidence of a method's maps (N, ...): those whose 0 means nothing count above their mean."""
    if name not in NO_NATURAL_ZERO:
        return maps
    return maps - maps.flatten(1).mean(1).view(-1, *[1] * (maps.ndim - 1))


def last_spatiotemporal_layer(model: VideoClassifier, clips: Clips) -> str:
    """The last layer whose map has more than one frame and more than one pixel."""
    return _last_spatiotemporal(layer_candidates(model, clips)).name


def _last_spatiotemporal(candidates: list[LayerCandidate]) -> LayerCandidate:
    found = [
        layer
        for layer in candidates
        if layer.extent.frames > 1 and layer.extent.height * layer.extent.width > 1
    ]
    if not found:
        raise BenchmarkError("no layer keeps frames and pixels apart; use longer clips")
    return found[-1]
