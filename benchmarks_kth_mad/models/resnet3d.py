"""3D-ResNets: torchvision's, and one narrow enough to train on a CPU in a minute."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock, Conv3DNoTemporal, Conv3DSimple

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NormalizedNetwork,
    Settings,
    VideoClassifier,
    normalize_for,
    settings_from,
    visible_colours,
)
from benchmarks_kth_mad.models.published import stem_for, torchvision_network

WIDTHS = (16, 32, 64)
KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)
NORMALIZATIONS = {
    "kinetics": (KINETICS_MEAN, KINETICS_STD),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
}


@dataclass(frozen=True)
class ResNet3DSettings:
    """What of a 3D-ResNet can be chosen.

    Args:
        normalization: of the colours: ``"kinetics"``, as torchvision's weights expect, or
            ``"imagenet"``, as study A trained its own.

    Raises:
        BenchmarkError: an unknown one.
    """

    normalization: str = "kinetics"

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise BenchmarkError(
                f"normalization {self.normalization!r}: expected {' or '.join(NORMALIZATIONS)}"
            )


class ResNet3D(NormalizedNetwork, VideoClassifier):
    """A 3D-ResNet with its input normalisation.

    Args:
        network: whose stages give (N, K, t, h, w) and are named as torchvision's, the last layer
            ``fc``.
        channels: of the clips.
        settings: what was chosen.
    """

    def __init__(self, network: nn.Module, channels: int, settings: ResNet3DSettings) -> None:
        mean, std = NORMALIZATIONS[settings.normalization]
        super().__init__(normalize_for(channels, mean, std), network)
        self._settings = settings

    @property
    def last_layer(self) -> str:
        """The name of the linear layer that gives the logits."""
        return "network.fc"

    @property
    def settings(self) -> Settings:
        """Its `ResNet3DSettings`."""
        return asdict(self._settings)


def build_resnet3d(
    name: str, n_classes: int, channels: int, weights: str | None, settings: Settings
) -> ResNet3D:
    """Build ``"r3d_18"`` or ``"r3d_small"``.

    Args:
        name: which.
        n_classes: number of logits.
        channels: of the clips: gray, or three colours, and infrared after either.
        weights: published weights of torchvision's to start from, by name; see `stem_for` for what
            becomes of the first layer where the clips have other channels. The last stays random.
        settings: `ResNet3DSettings`.

    Raises:
        BenchmarkError: settings or weights that the network does not have, or that can not be
            fetched.
    """
    chosen = settings_from(name, ResNet3DSettings(), settings)
    build = {"r3d_18": _r3d_18, "r3d_small": _r3d_small}[name]
    model = ResNet3D(build(n_classes, channels, weights), channels, chosen)
    # a third faster on a CPU, for training and for attribution alike
    return model.to(memory_format=torch.channels_last_3d)


def _r3d_18(n_classes: int, channels: int, weights: str | None) -> nn.Module:
    network = torchvision_network("model", "r3d_18", weights)
    colours = visible_colours(channels)
    stem = network.stem[0]  # type: ignore[index]
    network.stem[0] = stem_for(stem, colours, channels - colours, weights is not None)  # type: ignore
    network.fc = nn.Linear(network.fc.in_features, n_classes)  # type: ignore
    return network


def _r3d_small(n_classes: int, channels: int, weights: str | None) -> nn.Module:
    if weights is not None:
        raise BenchmarkError(f"model r3d_small: has no published weights, got {weights!r}")
    return SmallResNet3D(n_classes, channels)


class SmallResNet3D(nn.Module):
    """Torchvision's 3-D basic blocks in three stages; its modules are named as those of ``r3d_18``.

    The last stage keeps a quarter of the frames and an eighth of rows and columns: a clip of
    16 x 48 x 64 ends in a map of 4 x 6 x 8, fine enough for Grad-CAM. Two things let it learn from a
    hundred clips. The kernels of the stem start with a zero sum over time, so that at first it
    sees only what moves. And each feature counts by its largest response, wherever it is: an
    actor fills a twentieth of the picture, and a mean over all of it would drown him.

    Args:
        n_classes: number of logits.
        channels: of the clips.
    """

    def __init__(self, n_classes: int, channels: int = 3) -> None:
        super().__init__()
        entrance = nn.Conv3d(channels, WIDTHS[0], kernel_size=5, stride=2, padding=2, bias=False)
        self.stem = nn.Sequential(entrance, nn.BatchNorm3d(WIDTHS[0]), nn.ReLU(inplace=True))
        self.layer1 = BasicBlock(WIDTHS[0], WIDTHS[0], Conv3DSimple)
        self.layer2 = _halving_block(WIDTHS[0], WIDTHS[1], Conv3DNoTemporal)
        self.layer3 = _halving_block(WIDTHS[1], WIDTHS[2], Conv3DSimple)
        self.pool = nn.AdaptiveMaxPool3d(1)
        self.fc = nn.Linear(WIDTHS[2], n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        with torch.no_grad():
            entrance.weight -= entrance.weight.mean(dim=2, keepdim=True)

    def forward(self, clips: Tensor) -> Tensor:
        """Class logits (N, classes) of normalised clips (N, C, T, H, W)."""
        maps = self.layer3(self.layer2(self.layer1(self.stem(clips))))
        return self.fc(self.pool(maps).flatten(1))


def _halving_block(
    width_in: int, width_out: int, convolution: type[Conv3DSimple | Conv3DNoTemporal]
) -> BasicBlock:
    """A block that halves rows and columns, and frames where its convolution spans time."""
    shortcut = nn.Sequential(
        nn.Conv3d(width_in, width_out, 1, stride=convolution.get_downsample_stride(2), bias=False),
        nn.BatchNorm3d(width_out),
    )
    return BasicBlock(width_in, width_out, convolution, stride=2, downsample=shortcut)
