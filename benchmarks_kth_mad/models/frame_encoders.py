"""Networks that turn one frame into features: torchvision's by name, and one that trains on a CPU."""

import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import list_models
from torchvision.models.resnet import BasicBlock

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NormalizedNetwork,
    normalize_for,
)
from benchmarks_kth_mad.models.published import conv_like, stem_for, torchvision_network

SMALL = "small"
WIDTHS = (8, 16, 32)
COLUMNS = 8
# convolutional, for any picture size, one output in training as in evaluation
_FAMILIES = (
    "alexnet",
    "convnext",
    "densenet",
    "efficientnet",
    "mnasnet",
    "mobilenet",
    "regnet",
    "resnet",
    "resnext",
    "shufflenet",
    "squeezenet",
    "vgg",
    "wide_resnet",
)


class FrameEncoder(NormalizedNetwork):
    """A 2-D network with its input normalisation: frames (M, C, H, W) in [0, 1] to (M, features)."""


class SmallFrameNet(nn.Module):
    """A 2-D ResNet narrow enough to train on a CPU; its modules are named as torchvision's.

    A frame of 48 x 64 ends in a map of 6 x 8. Each feature counts by its largest response in each
    eighth of the picture's width: an actor fills a twentieth of the picture, and a mean over all of
    it would drown him; and how fast he crosses it can only be told from where he is in each frame.

    Args:
        features: of each frame.
        channels: of the frames.
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        entrance = nn.Conv2d(channels, WIDTHS[0], kernel_size=5, stride=2, padding=2, bias=False)
        self.stem = nn.Sequential(entrance, nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True))
        self.layer1 = BasicBlock(WIDTHS[0], WIDTHS[0])
        self.layer2 = _halving_block(WIDTHS[0], WIDTHS[1])
        self.layer3 = _halving_block(WIDTHS[1], WIDTHS[2])
        self.fc = nn.Linear(WIDTHS[2] * COLUMNS, features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, frames: Tensor) -> Tensor:
        """Features (M, features) of normalised frames (M, C, H, W)."""
        maps = self.layer3(self.layer2(self.layer1(self.stem(frames))))
        # no module, or Grad-CAM would take what it gives, without rows, for the last map
        largest = functional.adaptive_max_pool2d(maps, (1, COLUMNS))
        return self.fc(largest.flatten(1))


def encoder_names() -> list[str]:
    """The names that `build_encoder` knows."""
    names = list_models(module=torchvision.models)
    return [SMALL, *(name for name in names if name.startswith(_FAMILIES))]


def build_encoder(
    name: str, features: int, channels: int = 3, weights: str | None = None
) -> FrameEncoder:
    """Build a frame encoder; its weights are drawn from torch's global generator.

    Args:
        name: a classification network of torchvision, such as ``"resnet18"``, whose last layer gives
            way to one with ``features`` outputs; or ``"small"``.
        features: of each frame.
        channels: of the frames, 1 or 3.
        weights: published weights to start from, by torchvision's name, such as
            ``"IMAGENET1K_V1"``; they are fetched over the network, and the last layer stays random.
            For gray frames the filters of the first layer are averaged over the colours.

    Raises:
        BenchmarkError: an unknown name, or weights that the network does not have or that can not
            be fetched.
    """
    if name not in encoder_names():
        raise BenchmarkError(f"encoder {name!r}: expected one of {', '.join(encoder_names())}")
    network = (
        _small(features, channels, weights)
        if name == SMALL
        else _from_torchvision(name, features, channels, weights)
    )
    normalize = normalize_for(channels, IMAGENET_MEAN, IMAGENET_STD, axes=2, persistent=True)
    return FrameEncoder(normalize, network)


def _small(features: int, channels: int, weights: str | None) -> nn.Module:
    if weights is not None:
        raise BenchmarkError(f"encoder {SMALL}: has no published weights, got {weights!r}")
    return SmallFrameNet(features, channels)


def _from_torchvision(name: str, features: int, channels: int, weights: str | None) -> nn.Module:
    network = torchvision_network("encoder", name, weights)
    if channels != 3:
        place, first = next(
            (n, module) for n, module in network.named_modules() if isinstance(module, nn.Conv2d)
        )
        _replace(network, place, stem_for(first, 0, channels, weights is not None))
    _give_features(network, features)
    return network


def _give_features(network: nn.Module, features: int) -> None:
    """Put a fresh layer in the place of the last; in study B's place for ResNets, ``fc.0``."""
    place, last = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ][-1]
    fresh: nn.Module
    if isinstance(last, nn.Linear):
        fresh = nn.Linear(last.in_features, features)
    else:  # SqueezeNet classifies by a convolution and takes the mean of its map
        fresh = conv_like(last, last.in_channels, features)
    _replace(network, place, nn.Sequential(fresh) if place == "fc" else fresh)


def _replace(network: nn.Module, place: str, fresh: nn.Module) -> None:
    parent, _, name = place.rpartition(".")
    setattr(network.get_submodule(parent), name, fresh)


def _halving_block(width_in: int, width_out: int) -> BasicBlock:
    shortcut = nn.Sequential(
        nn.Conv2d(width_in, width_out, 1, stride=2, bias=False), nn.BatchNorm2d(width_out)
    )
    return BasicBlock(width_in, width_out, stride=2, downsample=shortcut)
