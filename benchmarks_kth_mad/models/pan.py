"""The persistent appearance network, PAN (Zhang et al., arXiv 2008.03462), in all its variants.

A clip is cut into segments of a few neighbouring frames. A 2-D ResNet with temporal shift sees each
segment as one picture with many channels: a frame of it, maps of what moved within it, or both.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Settings,
    VideoClassifier,
    last_convolutions,
    normalize_for,
    visible_colours,
)
from benchmarks_kth_mad.models.frame_encoders import SMALL, SmallFrameNet
from benchmarks_kth_mad.models.pan_parts import PersistenceOfAppearance, VariousTimescalePooling
from benchmarks_kth_mad.models.published import stem_for, torchvision_network
from benchmarks_kth_mad.models.temporal_shift import shift_residual_branches

Variant = Literal["lite", "pa", "rgb", "full"]
Consensus = Literal["vap", "average"]
SHIFTED_BLOCKS = {SMALL: 1, "resnet18": 1, "resnet50": 1, "resnet101": 2}
"""The encoders, and which of a stage's blocks are shifted: each, or every second one."""


@dataclass(frozen=True)
class PANSettings:
    """The parts of a PAN and their sizes; the defaults are study A's.

    Args:
        variant: what the network sees of a segment: ``"rgb"`` its first frame, ``"pa"`` the maps of
            what moved between its frames, ``"lite"`` both in one picture; ``"full"`` is one
            network of the first and one of the second kind, their logits averaged.
        encoder: ``"resnet18"``, ``"resnet50"``, ``"resnet101"`` or ``"small"``.
        consensus: ``"vap"`` pools over several timescales, ``"average"`` takes the mean of the
            segments' logits.
        segments: of a clip; with ``"vap"`` a power of two.
        frames_per_segment: neighbouring frames; a clip has ``segments`` times as many. One is
            enough for ``"rgb"``, and of more it sees only the first.
        dropout: probability of dropping a feature before the last layer in training.

    Raises:
        BenchmarkError: an unknown name, or a number out of range.
    """

    variant: Variant = "lite"
    encoder: str = "resnet50"
    consensus: Consensus = "vap"
    segments: int = 8
    frames_per_segment: int = 4
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for name, known in (
            ("variant", get_args(Variant)),
            ("encoder", tuple(SHIFTED_BLOCKS)),
            ("consensus", get_args(Consensus)),
        ):
            if getattr(self, name) not in known:
                raise BenchmarkError(
                    f"PAN {name} {getattr(self, name)!r}: expected one of {', '.join(known)}"
                )
        least = {"segments": 1, "frames_per_segment": 1 if self.variant == "rgb" else 2}
        for name, minimum in least.items():
            size = getattr(self, name)
            if not isinstance(size, int) or isinstance(size, bool) or size < minimum:
                raise BenchmarkError(
                    f"PAN {name}: expected a whole number of at least {minimum}, got {size!r}"
                )
        if self.consensus == "vap" and (self.segments < 2 or self.segments & (self.segments - 1)):
            raise BenchmarkError(
                f"PAN segments: expected a power of two with consensus vap, got {self.segments}"
            )
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise BenchmarkError(f"PAN dropout: expected 0 <= p < 1, got {self.dropout!r}")

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return self.segments * self.frames_per_segment


class PAN(VideoClassifier):
    """One stream: clips (N, C, segments x frames per segment, H, W) in [0, 1] to logits.

    Its weights are named as in the authors' checkpoints; the normalisation, ImageNet's for colours,
    is the same for all and not among them. What moved is measured on normalised frames.

    Args:
        n_classes: number of logits.
        channels: of the clips: gray, or three colours, and infrared after either.
        weights: published weights for the encoder to start from, by torchvision's name; see
            `stem_for` for its first layer, where maps and infrared are further channels.
        settings: parts and sizes.

    Raises:
        BenchmarkError: the variant of two streams, or weights that the encoder does not have or
            that can not be fetched.
    """

    def __init__(
        self,
        n_classes: int,
        channels: int = 3,
        weights: str | None = None,
        settings: PANSettings | None = None,
    ) -> None:
        super().__init__()
        self._settings = chosen = settings or PANSettings()
        if chosen.variant == "full":
            raise BenchmarkError("PAN variant full: has two streams; it is built by FullPAN")
        self.normalize = normalize_for(channels, IMAGENET_MEAN, IMAGENET_STD, axes=2)
        colours = visible_colours(channels) if chosen.variant != "pa" else 0
        pictures = channels - colours if chosen.variant != "pa" else 0
        maps = chosen.frames_per_segment - 1 if chosen.variant != "rgb" else 0
        if maps:
            # at their published size, maps would be lost beside a frame in a small network's few steps
            spread = 0.1 if chosen.encoder == SMALL else 0.001
            self.PA = PersistenceOfAppearance(channels, spread)
        self.base_model = _backbone(chosen, colours, pictures + maps, weights)
        features = self.base_model.fc.in_features
        if chosen.consensus == "vap":
            self.base_model.fc = VariousTimescalePooling(
                chosen.segments, features, n_classes, chosen.dropout
            )
        else:
            self.base_model.fc = nn.Dropout(chosen.dropout)
            self.new_fc = nn.Linear(features, n_classes)

    @property
    def channels(self) -> int:
        """Channels of the clips it takes."""
        return self.normalize.mean.shape[1]

    @property
    def last_stage(self) -> nn.Module:
        """The encoder's last stage of convolutions, (N segments, K, h, w)."""
        return last_convolutions(self.base_model)

    @property
    def last_layer(self) -> str:
        """The name of the linear layer that gives the logits."""
        return "base_model.fc.pred" if self._settings.consensus == "vap" else "new_fc"

    @property
    def settings(self) -> Settings:
        """Its `PANSettings`."""
        return asdict(self._settings)

    def forward(self, clips: Tensor) -> Tensor:
        """Class logits (N, classes).

        Raises:
            BenchmarkError: clips of another length.
        """
        scores = self.base_model(self.pictures(clips))
        if self._settings.consensus == "vap":
            return scores
        return self.new_fc(scores).unflatten(0, (-1, self._settings.segments)).mean(1)

    def pictures(self, clips: Tensor) -> Tensor:
        """What the encoder sees: each segment's first frame, then its maps.

        Returns:
            (N segments, K, H, W), with K the channels of a frame, as many as there are maps, or
            both together.

        Raises:
            BenchmarkError: clips of another length.
        """
        sizes = (self._settings.segments, self._settings.frames_per_segment)
        if clips.ndim != 5 or clips.shape[2] != self._settings.frames:
            raise BenchmarkError(
                f"PAN: expected clips (N, C, T, H, W) of {self._settings.frames} frames, {sizes[0]} "
                f"segments of {sizes[1]}, got shape {tuple(clips.shape)}"
            )
        frames = self.normalize(clips.transpose(1, 2).flatten(0, 1))
        segments = frames.unflatten(0, (-1, sizes[1]))
        if self._settings.variant == "rgb":
            return segments[:, 0]
        maps = self.PA(segments)
        return maps if self._settings.variant == "pa" else torch.cat([segments[:, 0], maps], dim=1)


class FullPAN(VideoClassifier):
    """Two streams that never meet, one of pictures and one of motion; their logits are averaged.

    Args:
        n_classes: number of logits.
        channels: see `PAN`.
        weights: see `PAN`.
        settings: of both streams.

    Raises:
        BenchmarkError: see `PAN`.
    """

    def __init__(
        self,
        n_classes: int,
        channels: int = 3,
        weights: str | None = None,
        settings: PANSettings | None = None,
    ) -> None:
        super().__init__()
        self._settings = replace(settings or PANSettings(), variant="full")
        self.rgb = PAN(n_classes, channels, weights, replace(self._settings, variant="rgb"))
        self.pa = PAN(n_classes, channels, weights, replace(self._settings, variant="pa"))

    @property
    def channels(self) -> int:
        """Channels of the clips it takes."""
        return self.rgb.channels

    @property
    def last_stage(self) -> nn.Module:
        """That of the stream of motion, which alone has seen every frame."""
        return self.pa.last_stage

    @property
    def settings(self) -> Settings:
        """Its `PANSettings`."""
        return asdict(self._settings)

    def forward(self, clips: Tensor) -> Tensor:
        """Class logits (N, classes)."""
        return (self.rgb(clips) + self.pa(clips)) / 2


def _backbone(settings: PANSettings, colours: int, others: int, weights: str | None) -> Any:
    """A ResNet for pictures of these channels, with temporal shift; its last layer will go."""
    network: Any
    if settings.encoder == SMALL:
        if weights is not None:
            raise BenchmarkError(f"encoder {SMALL}: has no published weights, got {weights!r}")
        network = SmallFrameNet(1, colours + others)
    else:
        network = torchvision_network("encoder", settings.encoder, weights)
        network.conv1 = stem_for(network.conv1, colours, others, weights is not None)
    shift_residual_branches(network, settings.segments, SHIFTED_BLOCKS[settings.encoder])
    return network
