"""The attribution methods of the benchmark, by name, with windows and grids that fit the clip."""

from torch import Tensor

from benchmarks_kth_mad.data.item import inputs_of
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods.by_gradient import gradient, input_cell, rescaled_gradient
from benchmarks_kth_mad.methods.by_hiding import (
    extremal,
    flow_occlusion,
    frame_occlusion,
    occlusion,
    random_map,
    rise,
    rise_grid,
    superpixel_occlusion,
)
from benchmarks_kth_mad.methods.by_layer import gradcam, last_spatiotemporal_layer, sidu
from benchmarks_kth_mad.methods.options import BASELINES, COMPAT, Clips, Method, Options
from benchmarks_kth_mad.models import VideoClassifier
from captum_video.nn import FrameWise, InputCellAttentionLSTM

__all__ = [
    "BASELINES",
    "COMPAT",
    "DEFAULT_METHODS",
    "DRAWN",
    "METHODS",
    "Clips",
    "Method",
    "Options",
    "above_zero",
    "applicable_methods",
    "attribute",
    "lacking",
    "last_spatiotemporal_layer",
    "rise_grid",
]

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
DRAWN = ("rise", "extremal", "random")
"""Methods that draw from ``Options.seed``; clips that are explained together share what is drawn."""
NO_NATURAL_ZERO = ("rise", "sidu", "random")
NEEDS: dict[str, tuple[str, type]] = {
    "tsr": ("a network that reads frame by frame", FrameWise),
    "input_cell": ("input-cell attention", InputCellAttentionLSTM),
}
"""What a method needs of a network, in words, and the module that is it."""
DEFAULT_METHODS = ("gradcam", "occlusion", "rise", "random")


def lacking(name: str, model: VideoClassifier) -> str | None:
    """What the method of this name needs and the network has not; None where it suits.

    Temporal Saliency Rescaling of a network that reads all frames at once would take a pass of it
    for each tile.
    """
    need, kind = NEEDS.get(name, ("", VideoClassifier))
    return None if any(isinstance(module, kind) for module in model.modules()) else need


def applicable_methods(model: VideoClassifier) -> list[str]:
    """The methods that suit a network: some are for networks that read frame by frame."""
    return [name for name in METHODS if lacking(name, model) is None]


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
