"""Networks that turn one frame into features: torchvision's by name, and one that trains on a CPU."""

from typing import Any

import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.models.resnet import BasicBlock

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import Normalize

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
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


class FrameEncoder(nn.Module):
    """A 2-D network with its input normalisation: frames (M, C, H, W) in [0, 1] to (M, features).

    Args:
        normalize: what the network expects of its input.
        network: whose children are stages of convolutions, then what makes features of their maps.
    """

    def __init__(self, normalize: Normalize, network: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.network = network

    @property
    def channels(self) -> int:
        """Channels of the frames it takes."""
        return self.normalize.mean.shape[1]

    @property
    def last_stage(self) -> nn.Module:
        """The last stage of convolutions, (M, K, h, w)."""
        stages = [
            module
            for name, module in self.network.named_children()
            if name != "classifier" and any(isinstance(m, nn.Conv2d) for m in module.modules())
        ]
        return stages[-1]

    def forward(self, frames: Tensor) -> Tensor:
        """Features of each frame by itself."""
        return self.network(self.normalize(frames))


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

    Raises:
        BenchmarkError: an unknown name, or weights that the network does not have, that need other
            channels, or that can not be fetched.
    """
    if name not in encoder_names():
        raise BenchmarkError(f"encoder {name!r}: expected one of {', '.join(encoder_names())}")
    network = (
        _small(features, channels, weights)
        if name == SMALL
        else _from_torchvision(name, features, channels, weights)
    )
    if channels == 3:
        normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD, axes=2, persistent=True)
    else:
        normalize = Normalize((0.5,), (0.25,), axes=2, persistent=True)
    return FrameEncoder(normalize, network)


def _small(features: int, channels: int, weights: str | None) -> nn.Module:
    if weights is not None:
        raise BenchmarkError(f"encoder {SMALL}: has no published weights, got {weights!r}")
    return SmallFrameNet(features, channels)


def _from_torchvision(name: str, features: int, channels: int, weights: str | None) -> nn.Module:
    if weights is not None:
        known = [entry.name for entry in get_model_weights(name)]
        if weights not in known:
            raise BenchmarkError(
                f"encoder {name}: expected weights {', '.join(known)}, got {weights!r}"
            )
        if channels != 3:
            raise BenchmarkError(
                f"encoder {name}: weights {weights} need 3 channels, got {channels}"
            )
    try:
        network = get_model(name, weights=weights)
    except OSError as error:
        raise BenchmarkError(
            f"encoder {name}: weights {weights} can not be fetched ({error}); go online, or train "
            f"without --weights"
        ) from error
    if channels != 3:
        _take_channels(network, channels)
    _give_features(network, features)
    return network


def _take_channels(network: nn.Module, channels: int) -> None:
    """Put a fresh first convolution in the place of that for RGB."""
    place, first = next(
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    )
    _replace(network, place, _conv_like(first, channels, first.out_channels))


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
        fresh = _conv_like(last, last.in_channels, features)
    _replace(network, place, nn.Sequential(fresh) if place == "fc" else fresh)


def _conv_like(convolution: nn.Conv2d, channels_in: int, channels_out: int) -> nn.Conv2d:
    settings: dict[str, Any] = {
        name: getattr(convolution, name) for name in ("kernel_size", "stride", "padding")
    }
    fresh = nn.Conv2d(channels_in, channels_out, bias=convolution.bias is not None, **settings)
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    return fresh


def _replace(network: nn.Module, place: str, fresh: nn.Module) -> None:
    parent, _, name = place.rpartition(".")
    setattr(network.get_submodule(parent), name, fresh)


def _halving_block(width_in: int, width_out: int) -> BasicBlock:
    shortcut = nn.Sequential(
        nn.Conv2d(width_in, width_out, 1, stride=2, bias=False), nn.BatchNorm2d(width_out)
    )
    return BasicBlock(width_in, width_out, stride=2, downsample=shortcut)
