"""Layers of a network: which there are, and which one is meant."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from captum_video._captum import arguments_of, forward
from captum_video.clips import Extent, Layout, clips_of, extent_of
from captum_video.modes import eager_mode, uncompiled


def find_layer(forward_func: Callable, layer: nn.Module | str) -> nn.Module:
    """The module that a name, or the module itself, stands for.

    Raises:
        TypeError: neither a module nor a name.
        ValueError: it is not in the model.
    """
    if isinstance(layer, str):
        network = uncompiled(forward_func)
        modules = dict(network.named_modules()) if isinstance(network, nn.Module) else {}
        if layer not in modules:
            raise ValueError(
                f"layer {layer!r} is not in the model; it has "
                f"{', '.join(name for name in modules if '.' not in name and name) or 'none'}"
            )
        return modules[layer]
    if not isinstance(layer, nn.Module):
        raise TypeError(f"layer: expected a module or its name, got {layer!r}")
    if isinstance(forward_func, nn.Module) and all(layer is not m for m in forward_func.modules()):
        raise ValueError(
            f"layer {type(layer).__name__} is not a module of {type(forward_func).__name__}; see "
            f"layer_candidates"
        )
    return layer


class LayerCandidate(NamedTuple):
    """A layer whose maps Grad-CAM can use."""

    name: str
    channels: int
    extent: Extent
    activation_layout: str


def layer_candidates(
    model: nn.Module,
    inputs: Tensor | tuple[Tensor, ...],
    layout: str | Layout = "n c t h w",
    additional_forward_args: Any = None,
) -> list[LayerCandidate]:
    """List the layers that a Grad-CAM could look at, in the order in which they run.

    Late layers know more of the class and less of the place: look for the last one whose map still
    has the frames and the pixels that the question needs.

    Args:
        model: the network.
        inputs: clips in ``layout``, or a tuple of them; one clip is enough.
        layout: how the inputs order their axes.
        additional_forward_args: Captum's.

    Returns:
        Name, channels, T x H x W of the map, and the activation layout to pass on; every module
        that gives a tensor (N, C, T', H', W'), or (N T', C, H', W') where frames are folded
        into the batch, with more than one place.

    Cost:
        One forward pass.

    Example:
        >>> import torch
        >>> from torchvision.models.video import r3d_18
        >>> for layer in layer_candidates(r3d_18(), torch.rand(1, 3, 16, 64, 64)):
        ...     if "." not in layer.name:
        ...         print(layer.name, layer.channels, layer.extent)
        stem 64 (16, 32, 32)
        layer1 64 (16, 32, 32)
        layer2 128 (8, 16, 16)
        layer3 256 (4, 8, 8)
        layer4 512 (2, 4, 4)
    """
    layout = Layout.of(layout)
    _, clips = clips_of(inputs, layout)
    n_clips = len(clips[0])
    found: dict[str, LayerCandidate] = {}

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            candidate = _candidate(name, output, n_clips)
            if candidate is not None:
                found.setdefault(name, candidate)

        return hook

    tensors = inputs if isinstance(inputs, tuple) else (inputs,)
    network = uncompiled(model)
    modules = network.named_modules() if isinstance(network, nn.Module) else ()
    handles = [m.register_forward_hook(note(name)) for name, m in modules if name]
    try:
        with torch.inference_mode(), eager_mode():
            forward(model, tensors, arguments_of(additional_forward_args, n_clips))
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


def _candidate(name: str, output: Any, n_clips: int) -> LayerCandidate | None:
    if not isinstance(output, Tensor) or output.ndim not in (4, 5) or len(output) % n_clips:
        return None
    if output.ndim == 5 and len(output) != n_clips:  # an attention's heads, folded into the batch
        return None
    pattern = "n c t h w" if output.ndim == 5 else "(n t) c h w"
    clip = Layout(pattern).to_clip(output, n=n_clips)
    extent = extent_of(clip)
    if extent.frames * extent.height * extent.width == 1:
        return None
    return LayerCandidate(name, clip.shape[1], extent, pattern)
