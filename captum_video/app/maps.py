"""The table of methods: each makes a map of a clip of any size, with what fits that size."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from captum.attr import Saliency
from torch import Tensor

from captum_video import baselines
from captum_video.app.layers import layer_of
from captum_video.app.network import KnownLayer, Network
from captum_video.attr import (
    RISE3D,
    SIDU3D,
    ExtremalPerturbation3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
)
from captum_video.clips import Extent, extent_of
from captum_video.modes import recurrent_gradients

_RISE_CELLS = (4, 7, 7)


class Question:
    """What a method is asked.

    Args:
        network: what is explained.
        clip: (1, 3, T, H, W) in [0, 1].
        target: index of the class.
        layer: the name of a layer; None is the last that keeps frames and pixels.
        baseline: the name of what hides, in `captum_video.baselines`.
        n_masks: of RISE.
        window: frames, height and width hidden at once; None fits the clip.
        seed: of what is drawn.
        show_progress: show a bar.
    """

    def __init__(
        self,
        network: Network,
        clip: Tensor,
        target: int,
        *,
        layer: str | None = None,
        baseline: str = "zero",
        n_masks: int = 200,
        window: tuple[int, int, int] | None = None,
        seed: int = 0,
        show_progress: bool = False,
    ) -> None:
        self.network = network
        self.model = network.module
        self.clip = clip
        self.target = target
        self.asked_layer = layer
        self.baseline = getattr(baselines, baseline)
        self.n_masks = n_masks
        self.window = window or _window_of(extent_of(clip))
        self.seed = seed
        self.show_progress = show_progress

    @cached_property
    def layer(self) -> KnownLayer:
        """Where Grad-CAM and SIDU look."""
        return layer_of(self.network, self.clip, self.asked_layer)

    @property
    def generator(self) -> torch.Generator:
        """Draws the same for each method, whichever others there are."""
        return torch.Generator().manual_seed(self.seed)


class Method(NamedTuple):
    """A method of the command.

    Attributes:
        title: its name in pictures.
        make: the map, in the shape of the clip.
        looks_at_layer: whether the layer plays a part.
        from_mean: whether its numbers have no zero of their own, so that pictures show what lies
            above their mean.
    """

    title: str
    make: Callable[[Question], Tensor]
    looks_at_layer: bool = False
    from_mean: bool = False


def map_of(method: Method, question: Question) -> Tensor:
    """The map of a method, (T, H, W), float32, on the CPU."""
    with recurrent_gradients(question.model):
        maps = method.make(question)
    return maps.detach()[0, 0].float().cpu()  # the same over all channels


def gradcam(question: Question) -> Tensor:
    """Grad-CAM at the question's layer."""
    layer = question.layer
    method = GradCAM3D(question.model, layer.name, activation_layout=layer.layout)
    return method.attribute(question.clip, question.target)


def sidu(question: Question) -> Tensor:
    """SIDU at the question's layer."""
    layer = question.layer
    method = SIDU3D(question.model, layer.name, activation_layout=layer.layout)
    return method.attribute(
        question.clip,
        question.baseline,
        question.target,
        show_progress=question.show_progress,
    )


def occlusion(question: Question) -> Tensor:
    """Windows that move by half of themselves."""
    frames, height, width = question.window
    strides = max(1, frames // 2), max(1, height // 2), max(1, width // 2)
    return SpatioTemporalOcclusion(question.model).attribute(
        question.clip,
        question.window,
        strides,
        question.baseline,
        question.target,
        show_progress=question.show_progress,
    )


def rise(question: Question) -> Tensor:
    """RISE on scores, by regression."""
    cells = zip(_RISE_CELLS, extent_of(question.clip), strict=True)
    frames, height, width = (min(one, most) for one, most in cells)
    return RISE3D(question.model).attribute(
        question.clip,
        question.baseline,
        question.target,
        n_samples=question.n_masks,
        show_progress=question.show_progress,
        grid_shape=(frames, height, width),
        generator=question.generator,
    )


def extremal(question: Question) -> Tensor:
    """Extremal perturbations of five volumes."""
    return ExtremalPerturbation3D(question.model).attribute(
        question.clip,
        baselines=question.baseline,
        target=question.target,
        show_progress=question.show_progress,
        generator=question.generator,
    )


def rescaled_gradient(question: Question) -> Tensor:
    """Temporal Saliency Rescaling of the gradient."""
    return TemporalSaliencyRescaling(Saliency(question.model)).attribute(
        question.clip,
        question.window[1:],
        question.baseline,
        question.target,
        show_progress=question.show_progress,
    )


METHODS = {
    "gradcam": Method("Grad-CAM", gradcam, looks_at_layer=True),
    "occlusion": Method("Occlusion", occlusion),
    "rise": Method("RISE", rise, from_mean=True),
    "sidu": Method("SIDU", sidu, looks_at_layer=True, from_mean=True),
    "extremal": Method("Extremal", extremal),
    "tsr": Method("TSR", rescaled_gradient),
}


def _window_of(extent: Extent) -> tuple[int, int, int]:
    """A quarter of the frames and a sixth of the sides."""
    frames, height, width = extent
    return max(1, frames // 4), max(1, height // 6), max(1, width // 6)
