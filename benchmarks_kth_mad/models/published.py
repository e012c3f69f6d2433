"""Torchvision's networks by name, with published weights, also for inputs of other channels."""

from typing import Any, TypeVar

from torch import nn
from torchvision.models import get_model, get_model_weights

from benchmarks_kth_mad.errors import BenchmarkError

Convolution = TypeVar("Convolution", nn.Conv2d, nn.Conv3d)


def torchvision_network(kind: str, name: str, weights: str | None) -> nn.Module:
    """Build a network of torchvision.

    Args:
        kind: what to call it in an error: ``"model"`` or ``"encoder"``.
        name: torchvision's.
        weights: published ones, by torchvision's name, fetched over the network; or None.

    Raises:
        BenchmarkError: weights that the network does not have, or that can not be fetched.
    """
    if weights is not None:
        known = [entry.name for entry in get_model_weights(name)]
        if weights not in known:
            raise BenchmarkError(
                f"{kind} {name}: expected weights {', '.join(known)}, got {weights!r}"
            )
    try:
        return get_model(name, weights=weights)
    except OSError as error:
        raise BenchmarkError(
            f"{kind} {name}: weights {weights} can not be fetched ({error}); go online, or train "
            f"without --weights"
        ) from error


def stem_for(convolution: Convolution, colours: int, others: int, pretrained: bool) -> Convolution:
    """A first convolution for other channels than torchvision's three.

    Args:
        convolution: torchvision's, for red, green and blue.
        colours: how many of the first channels are red, green and blue: 0 or 3.
        others: channels after them: gray, infrared, maps of motion.
        pretrained: start from its filters. The colours keep theirs, and each other channel gets
            their mean, as two-stream networks have done for optical flow. Otherwise all are fresh.
    """
    if colours == convolution.in_channels and not others:
        return convolution
    fresh = conv_like(convolution, colours + others, convolution.out_channels)
    if pretrained:
        filters = convolution.weight.detach()
        fresh.weight.data[:, :colours] = filters[:, :colours]
        fresh.weight.data[:, colours:] = filters.mean(1, keepdim=True)
    return fresh


def conv_like(convolution: Convolution, channels_in: int, channels_out: int) -> Convolution:
    """A fresh convolution of the same shape for other channels."""
    settings: dict[str, Any] = {
        name: getattr(convolution, name) for name in ("kernel_size", "stride", "padding")
    }
    bias = convolution.bias is not None
    fresh = type(convolution)(channels_in, channels_out, bias=bias, **settings)
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    return fresh
