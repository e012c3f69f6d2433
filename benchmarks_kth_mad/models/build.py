"""The video classifiers of the benchmark, by name."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models.video import R3D_18_Weights, r3d_18

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.resnet3d import SmallResNet3D

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)


class Normalize(nn.Module):
    """Shift and scale each channel; inside the model, so that attribution sees clips in [0, 1].

    Args:
        mean: of each channel.
        std: of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1, 1), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        """Normalise clips (N, C, T, H, W)."""
        return (clips - self.mean) / self.std


class VideoClassifier(nn.Module):
    """A network with its input normalisation: clips (N, C, T, H, W) in [0, 1] to logits (N, classes).

    Args:
        normalize: what the network expects of its input.
        network: a 3-D ResNet with stages named as torchvision's.
    """

    def __init__(self, normalize: Normalize, network: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.network = network

    @property
    def channels(self) -> int:
        """Channels of the clips it takes."""
        return self.normalize.mean.shape[1]

    @property
    def last_stage(self) -> nn.Module:
        """The last convolutional stage, (N, K, t, h, w): the usual layer for Grad-CAM and SIDU."""
        stages = [module for name, module in self.network.named_children() if "layer" in name]
        return stages[-1]

    def forward(self, clips: Tensor) -> Tensor:
        """Class logits (N, classes)."""
        return self.network(self.normalize(clips))


def build_model(
    name: str, n_classes: int, channels: int = 3, weights: str | None = None
) -> VideoClassifier:
    """Build a classifier; its weights are drawn from torch's global generator.

    Args:
        name: ``"r3d_18"`` (torchvision) or ``"r3d_small"`` (one that trains on a CPU).
        n_classes: number of logits.
        channels: of the clips, 1 or 3.
        weights: ``"KINETICS400_V1"`` starts ``r3d_18`` from torchvision's weights, which are
            fetched over the network; the classifying layer stays random.

    Raises:
        BenchmarkError: an unknown name, weights that the model does not have or that can not be
            fetched, or sizes out of range.
    """
    if name not in MODELS:
        raise BenchmarkError(f"model {name!r}: expected one of {', '.join(MODELS)}")
    if n_classes < 2:
        raise BenchmarkError(f"model {name}: expected at least 2 classes, got {n_classes}")
    if channels not in (1, 3):
        raise BenchmarkError(f"model {name}: expected 1 or 3 channels, got {channels}")
    network = MODELS[name](n_classes, channels, weights)
    if channels == 3:
        normalize = Normalize(KINETICS_MEAN, KINETICS_STD)
    else:
        normalize = Normalize((0.5,), (0.25,))
    # a third faster on a CPU, for training and for attribution alike
    return VideoClassifier(normalize, network).to(memory_format=torch.channels_last_3d)


def _r3d_18(n_classes: int, channels: int, weights: str | None) -> nn.Module:
    if weights is None:
        network = r3d_18(num_classes=n_classes)
        if channels != 3:
            network.stem[0] = _with_channels(network.stem[0], channels)
        return network
    known = [entry.name for entry in R3D_18_Weights]
    if weights not in known:
        raise BenchmarkError(f"model r3d_18: expected weights {', '.join(known)}, got {weights!r}")
    if channels != 3:
        raise BenchmarkError(f"model r3d_18: weights {weights} need 3 channels, got {channels}")
    try:
        network = r3d_18(weights=R3D_18_Weights[weights])
    except OSError as error:
        raise BenchmarkError(
            f"model r3d_18: weights {weights} can not be fetched ({error}); go online, or train "
            f"without --weights"
        ) from error
    network.fc = nn.Linear(network.fc.in_features, n_classes)
    return network


def _r3d_small(n_classes: int, channels: int, weights: str | None) -> nn.Module:
    if weights is not None:
        raise BenchmarkError(f"model r3d_small: has no published weights, got {weights!r}")
    return SmallResNet3D(n_classes, channels)


def _with_channels(convolution: nn.Conv3d, channels: int) -> nn.Conv3d:
    fresh = nn.Conv3d(
        channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        convolution.stride,  # type: ignore[arg-type]
        convolution.padding,  # type: ignore[arg-type]
        bias=False,
    )
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    return fresh


MODELS: dict[str, Callable[[int, int, str | None], nn.Module]] = {
    "r3d_18": _r3d_18,
    "r3d_small": _r3d_small,
}
