"""What every classifier of the benchmark is: clips in [0, 1] to logits, normalised inside."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from benchmarks_kth_mad.errors import BenchmarkError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Settings = Mapping[str, str | int | float]
SomeSettings = TypeVar("SomeSettings", bound=Any)  # a dataclass


class VideoClassifier(nn.Module, ABC):
    """A network that takes clips (N, C, T, H, W) in [0, 1] and gives logits (N, classes).

    Most take one clip; those that see a scene in two spectra take two, visible and infrared.
    """

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the clips it takes; of two, those of the visible."""

    @property
    def input_channels(self) -> tuple[int, ...]:
        """Channels of each clip that ``forward`` takes: of one, or of visible and infrared."""
        return (self.channels,)

    @property
    def streams(self) -> tuple[nn.Module, ...]:
        """The networks of the clips, where each is seen by one of its own; else this one alone."""
        return (self,)

    @property
    @abstractmethod
    def last_stage(self) -> nn.Module:
        """The last convolutional stage: the usual layer for Grad-CAM and SIDU.

        Its output is (N, K, t, h, w), or (N t, K, h, w) where frames or segments are folded into the
        batch.
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


def visible_colours(channels: int) -> int:
    """How many of an input's first channels are red, green and blue: three, or none of them."""
    return 3 if channels >= 3 else 0


def normalize_for(
    channels: int,
    mean: Sequence[float],
    std: Sequence[float],
    axes: int = 3,
    persistent: bool = False,
) -> Normalize:
    """The normalisation of clips whose first three channels, where there are so many, are colours.

    Args:
        channels: of the input: gray, or colours, and infrared after either.
        mean: of red, green and blue.
        std: of red, green and blue.
        axes: see `Normalize`.
        persistent: see `Normalize`.

    Returns:
        One that shifts every channel that is no colour by .5 and divides it by .25: networks for
        these start from scratch, and no published set tells what warmth is like.
    """
    colours = visible_colours(channels)
    others = channels - colours
    return Normalize(
        (*mean[:colours], *[0.5] * others), (*std[:colours], *[0.25] * others), axes, persistent
    )


def settings_from(name: str, default: SomeSettings, given: Settings) -> SomeSettings:
    """A model's settings with those in place that differ from its own.

    Args:
        name: of the model.
        default: its own settings, a dataclass.
        given: values by name of the field.

    Raises:
        BenchmarkError: a setting that the model does not have, or a value that it refuses.
    """
    known = [one.name for one in fields(default)]
    for one in given:
        if one not in known:
            raise BenchmarkError(
                f"model {name}: setting {one!r}: expected one of {', '.join(known)}"
            )
    return replace(default, **given)


class NormalizedNetwork(nn.Module):
    """A network with its input normalisation.

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
        """Channels of the inputs it takes."""
        return self.normalize.mean.shape[1]

    @property
    def last_stage(self) -> nn.Module:
        """The last stage of convolutions."""
        return last_convolutions(self.network)

    def forward(self, inputs: Tensor) -> Tensor:
        """What the network makes of inputs in [0, 1]."""
        return self.network(self.normalize(inputs))


def last_convolutions(network: nn.Module) -> nn.Module:
    """The last child with a convolution, other than a classifier."""
    stages = [
        child
        for name, child in network.named_children()
        if name != "classifier"
        and any(isinstance(module, nn.Conv2d | nn.Conv3d) for module in child.modules())
    ]
    return stages[-1]
