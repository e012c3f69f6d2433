"""Grad-CAM over space and time."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from captum.attr import GradientAttribution, LayerAttribution
from torch import Tensor, nn
from torch.nn import functional

from captum_video._captum import Target, arguments_of, forward, log_usage, select, take_target
from captum_video.attr._activations import as_clips, recording
from captum_video.attr._layers import find_layer
from captum_video.clips import Layout, clips_of, extent_of, spread_over_channels
from captum_video.perturb import as_read

Weighting = Literal["clip", "frame", "voxel", "plusplus"]
Relu = Literal["sum", "channel"] | None


class GradCAM3D(LayerAttribution, GradientAttribution):
    """Where and when the features of a layer raise the score.

    ``S = ReLU(sum_k w_k A_k)``, upsampled to the clip (trilinear), with A the layer's maps, y the
    score, and the weights by name:

    - ``"clip"``: the gradient averaged over space and time (Selvaraju et al., arXiv 1610.02391; what
      Captum's LayerGradCam computes; study papers that sum instead differ by a constant);
    - ``"frame"``: averaged over space only, a weight per frame of the map;
    - ``"voxel"``: the gradient itself (HiResCAM, arXiv 2011.08891);
    - ``"plusplus"``: Grad-CAM++ (Chattopadhay et al., arXiv 1710.11063, eq. 19), from first
      derivatives.

    Args:
        forward_func: the model.
        layer: a module of it, or the module's name.
        layout: how the inputs order their axes.
        activation_layout: how the layer's output orders its axes: ``"(n t) c h w"`` for a 2-D
            network on folded frames, ``Layout("n (t h w) c", skip_tokens=1, t=8, h=14)`` for
            tokens. A layer that runs once per frame, in a loop, has ``"n c h w"``: its calls are
            stacked as frames.
        weighting: see above.
        relu: ``"sum"`` after the sum over channels (paper); ``"channel"`` before it, each channel
            by itself (code of Bayer et al., ICPR 2022); None keeps evidence against the target.

    Raises:
        ValueError: the layer is not in the model, or an option is unknown.

    Example:
        >>> import torch
        >>> from torchvision.models.video import r3d_18
        >>> model = r3d_18(num_classes=4)
        >>> cam = GradCAM3D(model, model.layer4)
        >>> cam.attribute(torch.rand(1, 3, 8, 32, 32), target=2).shape
        torch.Size([1, 3, 8, 32, 32])
    """

    def __init__(
        self,
        forward_func: Callable,
        layer: nn.Module | str,
        layout: str | Layout = "n c t h w",
        activation_layout: str | Layout = "n c t h w",
        weighting: Weighting = "clip",
        relu: Relu = "sum",
    ) -> None:
        super().__init__(forward_func, find_layer(forward_func, layer))
        if weighting not in ("clip", "frame", "voxel", "plusplus"):
            raise ValueError(
                f"weighting: expected 'clip', 'frame', 'voxel' or 'plusplus', got {weighting!r}"
            )
        if relu not in ("sum", "channel", None):
            raise ValueError(f"relu: expected 'sum', 'channel' or None, got {relu!r}")
        self.layout = Layout.of(layout)
        self.activation_layout = Layout.of(activation_layout)
        self.weighting = weighting
        self.relu = relu

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: Any = None,
        attribute_to_layer_input: bool = False,
    ) -> Tensor | tuple[Tensor, ...]:
        """Weight the layer's maps by the gradient of the score.

        Args:
            inputs: clips in the declared layout, or a tuple of them.
            target: Captum's `target <https://captum.ai/api/layer.html>`_.
            additional_forward_args: Captum's; tensors have one entry per clip.
            attribute_to_layer_input: use what enters the layer instead of what leaves it.

        Returns:
            Shape of the inputs; the same map for each input of a tuple, and over all channels. In
            units of score: higher speaks for the target, and with a ReLU nothing is below 0.

        Raises:
            TypeError: an input or the layer's output is of a wrong kind.
            ValueError: the layer does not run, or the score does not depend on it; a target out of
                range; clips that are empty or not finite.

        Cost:
            One forward pass, and one backward pass from the score down to the layer. Below the
            layer no graph is kept.
        """
        is_tuple, clips = clips_of(inputs, self.layout)
        n_clips = len(clips[0])
        tensors = inputs if isinstance(inputs, tuple) else (inputs,)
        arguments = arguments_of(additional_forward_args, n_clips)
        with recording(self.layer, attribute_to_layer_input, graph=True) as captured:
            outputs = forward(
                self.forward_func,
                as_read(tensors, self.forward_func, self.layout),
                arguments,
                gradients=True,
            )
            row_target = take_target(target, range(n_clips), n_clips)
            score = select(outputs, row_target, n_clips)
            activations = as_clips(captured, self.activation_layout, n_clips)
            gradients = _gradients(score, captured)
        slopes = as_clips(gradients, self.activation_layout, n_clips)
        cam = self._combine(activations, slopes)
        maps = tuple(
            spread_over_channels(
                functional.interpolate(cam, tuple(extent_of(clip)), mode="trilinear"),
                clip,
                self.layout,
            )
            for clip in clips
        )
        return maps if is_tuple else maps[0]

    def _combine(self, activations: Tensor, slopes: Tensor) -> Tensor:
        """Weights times maps, summed over channels: (N, 1, T', H', W')."""
        weighted = _weights(activations, slopes, self.weighting) * activations
        if self.relu == "channel":
            weighted = weighted.relu()
        cam = weighted.sum(1, keepdim=True)
        return cam.relu() if self.relu == "sum" else cam


def _weights(activations: Tensor, slopes: Tensor, weighting: Weighting) -> Tensor:
    if weighting == "voxel":
        return slopes
    if weighting == "frame":
        return slopes.mean((3, 4), keepdim=True)
    if weighting == "clip":
        return slopes.mean((2, 3, 4), keepdim=True)
    square, cube = slopes.square(), slopes.pow(3)
    norm = 2 * square + activations.sum((2, 3, 4), keepdim=True) * cube
    alpha = torch.where(norm != 0, square / torch.where(norm != 0, norm, 1), 0)
    return (alpha * slopes.relu()).sum((2, 3, 4), keepdim=True)


def _gradients(score: Tensor, captured: list[Tensor]) -> list[Tensor]:
    if not score.requires_grad:
        raise ValueError(
            "layer: the score does not depend on it by a differentiable path (is what follows it "
            "run under torch.no_grad?)"
        )
    gradients = torch.autograd.grad(score.sum(), captured, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise ValueError("layer: the score does not depend on its output")
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(captured, gradients, strict=True)
    ]
