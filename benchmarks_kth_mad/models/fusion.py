"""Networks that see a scene twice: a visible clip and an infrared one of the same frames."""

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import Settings, VideoClassifier
from benchmarks_kth_mad.models.pan import PAN
from benchmarks_kth_mad.models.resnet3d import ResNet3D

INFRARED_CHANNELS = 1


class EarlyFusion(VideoClassifier):
    """One network of both spectra: infrared is one channel more.

    Args:
        network: takes the channels of the visible clip and one after them.
    """

    def __init__(self, network: VideoClassifier) -> None:
        super().__init__()
        self.network = network

    @property
    def channels(self) -> int:
        """Channels of the visible clips it takes."""
        return self.network.channels - INFRARED_CHANNELS

    @property
    def input_channels(self) -> tuple[int, ...]:
        """Channels of the visible and of the infrared clips."""
        return self.channels, INFRARED_CHANNELS

    @property
    def last_stage(self) -> nn.Module:
        """The network's."""
        return self.network.last_stage

    @property
    def settings(self) -> Settings:
        """The network's."""
        return self.network.settings

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Class logits (N, classes) of clips (N, C, T, H, W) and (N, 1, T, H, W) in [0, 1].

        Raises:
            BenchmarkError: the two differ in more than their channels.
        """
        _check_pair(visible, infrared, self.input_channels)
        return self.network(torch.cat([visible, infrared], dim=1))


class TwoStreamFusion(VideoClassifier):
    """A network for each spectrum, and one linear layer on the pooled features of both.

    So the logits are a sum: ``y = W_v f(visible) + W_i g(infrared) + b``. What the infrared adds
    does not depend on what the visible shows, and how much each contributes is known exactly.

    Args:
        visible: a network of its own for the visible clips; its last layer is taken off.
        infrared: the same for the infrared clips.
        n_classes: number of logits.

    Raises:
        BenchmarkError: a network whose logits are of no single linear layer.
    """

    def __init__(self, visible: VideoClassifier, infrared: VideoClassifier, n_classes: int) -> None:
        super().__init__()
        features = sum(_take_last_layer(stream) for stream in (visible, infrared))
        self.visible = visible
        self.infrared = infrared
        self.fc = nn.Linear(features, n_classes)

    @property
    def streams(self) -> tuple[VideoClassifier, VideoClassifier]:
        """The networks of the visible and of the infrared, which give features."""
        return self.visible, self.infrared

    @property
    def channels(self) -> int:
        """Channels of the visible clips it takes."""
        return self.visible.channels

    @property
    def input_channels(self) -> tuple[int, ...]:
        """Channels of the visible and of the infrared clips."""
        return self.visible.channels, self.infrared.channels

    @property
    def last_stage(self) -> nn.Module:
        """That of the visible; ``streams[1].last_stage`` is that of the infrared.

        A layer of one stream knows nothing of the other, so that its map explains one spectrum.
        """
        return self.visible.last_stage

    @property
    def settings(self) -> Settings:
        """Those of each network."""
        return self.visible.settings

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Class logits (N, classes) of clips (N, C, T, H, W) and (N, 1, T, H, W) in [0, 1].

        Raises:
            BenchmarkError: the two differ in more than their channels.
        """
        _check_pair(visible, infrared, self.input_channels)
        return self.fc(torch.cat([self.visible(visible), self.infrared(infrared)], dim=1))


def _take_last_layer(network: VideoClassifier) -> int:
    """Leave a network's features as they are; how many there are."""
    if not isinstance(network, ResNet3D | PAN):
        raise BenchmarkError(
            f"two-stream fusion: expected a 3-D ResNet or a PAN of one stream per spectrum, got "
            f"{type(network).__name__}"
        )
    last: Any = network.get_submodule(network.last_layer)
    network.set_submodule(network.last_layer, nn.Identity())
    return last.in_features


def _check_pair(visible: Tensor, infrared: Tensor, channels: tuple[int, ...]) -> None:
    for name, clips, count in zip(
        ("visible", "infrared"), (visible, infrared), channels, strict=True
    ):
        expected = (len(visible), count, *visible.shape[2:])
        if clips.ndim != 5 or tuple(clips.shape) != expected:
            raise BenchmarkError(
                f"{name}: expected clips {expected}, as long and as large as the visible ones, got "
                f"{tuple(clips.shape)}"
            )
