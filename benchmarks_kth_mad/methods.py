"""The attribution methods of the benchmark, by name, with windows and grids that fit the clip."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from captum.attr import Saliency
from torch import Tensor

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import VideoClassifier
from captum_video import baselines
from captum_video.attr import (
    RISE3D,
    SIDU3D,
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
    that comes and goes would itself be motion.
    """

    layer: str | None = None
    n_samples: int = 500
    seed: int = 0
    baseline: str = "frame-mean"
    show_progress: bool = False


Method = Callable[[VideoClassifier, Tensor, Tensor, Options], Tensor]


def gradcam(model: VideoClassifier, clips: Tensor, target: Tensor, options: Options) -> Tensor:
    """Grad-CAM at the last layer with a map over space and time, or at the one asked for."""
    name, layout = _layer(model, clips, options)
    return GradCAM3D(model, name, activation_layout=layout).attribute(clips, target)


def sidu(model: VideoClassifier, clips: Tensor, target: Tensor, options: Options) -> Tensor:
    """SIDU at Grad-CAM's layer, on probabilities."""
    name, layout = _layer(model, clips, options)
    return SIDU3D(model, name, activation_layout=layout).attribute(
        clips, BASELINES[options.baseline], target, show_progress=options.show_progress
    )


def _layer(model: VideoClassifier, clips: Tensor, options: Options) -> tuple[str, str]:
    """Name and activation layout of the layer that was asked for, or of the default one."""
    candidates = layer_candidates(model, clips[:1])
    if options.layer is None:
        chosen = _last_spatiotemporal(candidates)
        return chosen.name, chosen.activation_layout
    layouts = {layer.name: layer.activation_layout for layer in candidates}
    return options.layer, layouts.get(options.layer, "n c t h w")


def gradient(model: VideoClassifier, clips: Tensor, target: Tensor, options: Options) -> Tensor:
    """Size of the score's gradient (Captum's Saliency), summed over channels."""
    inputs = clips.detach().clone().requires_grad_()
    with evaluation_mode(model), recurrent_gradients(model):
        maps = Saliency(model).attribute(inputs, target.tolist())
    return maps.detach().sum(1, keepdim=True).expand_as(clips)


def occlusion(model: VideoClassifier, clips: Tensor, target: Tensor, options: Options) -> Tensor:
    """Windows of a quarter of the clip along each axis, moved by half of that."""
    frames, height, width = (max(1, length // 4) for length in extent_of(clips))
    strides = (max(1, frames // 2), max(1, height // 2), max(1, width // 2))
    return _occlusion(model, clips, target, options, (frames, height, width), strides)


def frame_occlusion(
    model: VideoClassifier, clips: Tensor, target: Tensor, options: Options
) -> Tensor:
    """One whole frame after the other: when, not where."""
    window = (1, *extent_of(clips)[1:])
    return _occlusion(model, clips, target, options, window, window)


def _occlusion(
    model: VideoClassifier,
    clips: Tensor,
    target: Tensor,
    options: Options,
    window: tuple[int, int, int],
    strides: tuple[int, int, int],
) -> Tensor:
    return SpatioTemporalOcclusion(model).attribute(
        clips,
        window,
        strides,
        BASELINES[options.baseline],
        target,
        show_progress=options.show_progress,
    )


def rise(model: VideoClassifier, clips: Tensor, target: Tensor, options: Options) -> Tensor:
    """RISE on logits, by regression."""
    return RISE3D(model).attribute(
        clips,
        BASELINES[options.baseline],
        target,
        n_samples=options.n_samples,
        show_progress=options.show_progress,
        grid_shape=rise_grid(clips),
        generator=torch.Generator().manual_seed(options.seed),
    )


def random_map(model: VideoClassifier, clips: Tensor, target: Tensor, options: Options) -> Tensor:
    """A map that knows nothing, smooth at the scale of RISE's cells: what every method must beat."""
    generator = torch.Generator().manual_seed(options.seed)
    small = torch.rand(len(clips), 1, *rise_grid(clips), generator=generator).to(clips.device)
    maps = torch.nn.functional.interpolate(small, tuple(extent_of(clips)), mode="trilinear")
    return maps.expand_as(clips)


def rise_grid(clips: Tensor) -> tuple[int, int, int]:
    """RISE's cells over frames, height and width; fewer where a clip is smaller."""
    frames, height, width = map(min, RISE_GRID, extent_of(clips))
    return frames, height, width


def rescaled_gradient(
    model: VideoClassifier, clips: Tensor, target: Tensor, options: Options
) -> Tensor:
    """Temporal Saliency Rescaling of the gradient, on tiles of a twelfth of the frame."""
    height, width = (max(1, length // TILES) for length in extent_of(clips)[1:])
    return TemporalSaliencyRescaling(Saliency(model)).attribute(
        clips,
        (height, width),
        BASELINES[options.baseline],
        target,
        show_progress=options.show_progress,
    )


def input_cell(model: VideoClassifier, clips: Tensor, target: Tensor, options: Options) -> Tensor:
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
    return maps.sum(1, keepdim=True).expand_as(clips)


METHODS: dict[str, Method] = {
    "gradcam": gradcam,
    "gradient": gradient,
    "input_cell": input_cell,
    "tsr": rescaled_gradient,
    "occlusion": occlusion,
    "frame_occlusion": frame_occlusion,
    "rise": rise,
    "sidu": sidu,
    "random": random_map,
}
DEFAULT_METHODS = ("gradcam", "occlusion", "rise", "random")


def attribute(
    name: str, model: VideoClassifier, clips: Tensor, target: Tensor, options: Options
) -> Tensor:
    """Explain clips (N, C, T, H, W) by the method of this name; maps of the same shape.

    Raises:
        BenchmarkError: an unknown method, or options that it refuses.
    """
    if name not in METHODS:
        raise BenchmarkError(f"method {name!r}: expected one of {', '.join(METHODS)}")
    try:
        return METHODS[name](model, clips, target, options)
    except (ValueError, BenchmarkError) as error:
        raise BenchmarkError(f"{name}: {error}") from error


def last_spatiotemporal_layer(model: VideoClassifier, clip: Tensor) -> str:
    """The last layer whose map has more than one frame and more than one pixel."""
    return _last_spatiotemporal(layer_candidates(model, clip)).name


def _last_spatiotemporal(candidates: list[LayerCandidate]) -> LayerCandidate:
    found = [
        layer
        for layer in candidates
        if layer.extent.frames > 1 and layer.extent.height * layer.extent.width > 1
    ]
    if not found:
        raise BenchmarkError("no layer keeps frames and pixels apart; use longer clips")
    return found[-1]
