"""What every classifier of the benchmark is: clips in [0, 1] to logits, normalised inside."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

Settings = Mapping[str, str | int]


class VideoClassifier(nn.Module, ABC):
    """A network that takes clips (N, C, T, H, W) in [0, 1] and gives logits (N, classes)."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the clips it takes."""

    @property
    @abstractmethod
    def last_stage(self) -> nn.Module:
        """The last convolutional stage: the usual layer for Grad-CAM and SIDU.

        Its output is (N, K, t, h, w), or (N T, K, h, w) where each frame is encoded by itself.
        """

    @property
    def settings(self) -> Settings:
        """What `build_model` needs beside name, classes and channels to build the same again."""
        return {}


class Normalize(nn.Module):
    """Shift and scale each channel; inside the model, so that attribution sees clips in [0, 1].

    Args:
        mean: of each channel.
        std: of each channel.
        axes: that follow the channels: 3 for clips, 2 for frames.
        persistent: keep both in the checkpoint, where they are not the same for every model.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        axes: int = 3,
        persistent: bool = False,
    ) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            column = torch.tensor(values).view(1, -1, *[1] * axes)
            self.register_buffer(name, column, persistent=persistent)

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise inputs (N, C, ...)."""
        return (inputs - self.mean) / self.std


class Classifier3D(VideoClassifier):
    """A 3-D network with its input normalisation.

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
        """The last stage, (N, K, t, h, w)."""
        stages = [module for name, module in self.network.named_children() if "layer" in name]
        return stages[-1]

    def forward(self, clips: Tensor) -> Tensor:
        """Class logits (N, classes)."""
        return self.network(self.normalize(clips))
