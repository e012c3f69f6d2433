"""Methods that look at a layer: Grad-CAM and SIDU."""

from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor

from benchmarks_kth_mad.data.item import inputs_of
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods.options import BASELINES, Clips, Options
from benchmarks_kth_mad.models import VideoClassifier
from captum_video.attr import SIDU3D, GradCAM3D, LayerCandidate, layer_candidates
from captum_video.clips import extent_of

_ICPR_THRESHOLD = 0.5


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


def last_spatiotemporal_layer(model: VideoClassifier, clips: Clips) -> str:
    """The last layer whose map has more than one frame and more than one pixel."""
    return _last_spatiotemporal(layer_candidates(model, clips)).name


def _of_own_layer(
    maps_of: Callable[[LayerCandidate], Clips],
    model: VideoClassifier,
    clips: Clips,
    options: Options,
) -> Clips:
    """For each input the map of its own stream's layer, or of the one layer that all inputs share."""
    layers = layers_of(model, clips, options)
    found = {layer: maps_of(layer) for layer in dict.fromkeys(layers)}
    return tuple(found[layer][number] for number, layer in enumerate(layers))


def layers_of(model: VideoClassifier, clips: Clips, options: Options) -> list[LayerCandidate]:
    """The layer of each input, found by one pass of the first clip; on the meta device by none."""
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


def _last_spatiotemporal(candidates: list[LayerCandidate]) -> LayerCandidate:
    found = [
        layer
        for layer in candidates
        if layer.extent.frames > 1 and layer.extent.height * layer.extent.width > 1
    ]
    if not found:
        raise BenchmarkError("no layer keeps frames and pixels apart; use longer clips")
    return found[-1]
