"""The CNN-LSTM of study B: each frame encoded by itself, then a recurrent head over the features."""

from dataclasses import asdict, dataclass
from typing import Literal

from torch import Tensor, nn

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import Settings, VideoClassifier
from benchmarks_kth_mad.models.frame_encoders import FrameEncoder, build_encoder
from captum_video.nn import FrameWise, InputCellAttentionLSTM

Cell = Literal["lstm", "input_cell"]


@dataclass(frozen=True)
class CNNLSTMSettings:
    """The parts of a CNN-LSTM and their sizes; the defaults are study B's.

    Args:
        encoder: of frames; see `build_encoder`.
        cell: ``"lstm"``, or ``"input_cell"`` for input-cell attention (Ismail et al., arXiv
            1910.12370), which lets each step see all frames so far.
        features: of each frame.
        hidden: units of each recurrent layer.
        layers: recurrent layers.
        wide: units between the last step and the logits.
        attention_size: width of the attention's first layer; only with ``"input_cell"``.
        hops: rows of attention; only with ``"input_cell"``.

    Raises:
        BenchmarkError: an unknown cell, or a size below 1.
    """

    encoder: str = "resnet18"
    cell: Cell = "lstm"
    features: int = 300
    hidden: int = 256
    layers: int = 3
    wide: int = 128
    attention_size: int = 50
    hops: int = 20

    def __post_init__(self) -> None:
        if self.cell not in ("lstm", "input_cell"):
            raise BenchmarkError(f"cell {self.cell!r}: expected lstm or input_cell")
        for name, size in asdict(self).items():
            if name not in ("encoder", "cell") and not (isinstance(size, int) and size >= 1):
                raise BenchmarkError(
                    f"CNN-LSTM {name}: expected a whole number of at least 1, got {size!r}"
                )


class SequenceHead(nn.Module):
    """Features (N, T, F) to logits (N, classes): recurrent layers, and two more on the last step.

    Args:
        settings: sizes.
        n_classes: number of logits.
    """

    def __init__(self, settings: CNNLSTMSettings, n_classes: int) -> None:
        super().__init__()
        sizes = (settings.features, settings.hidden, settings.layers)
        self.lstm: nn.Module
        if settings.cell == "lstm":
            self.lstm = nn.LSTM(*sizes, batch_first=True)
        else:
            self.lstm = InputCellAttentionLSTM(
                *sizes, attention_size=settings.attention_size, hops=settings.hops
            )
        self.fc1 = nn.Linear(settings.hidden, settings.wide)
        self.fc2 = nn.Linear(settings.wide, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Class logits of sequences of features."""
        return self.fc2(self.fc1(self.lstm(features)[0][:, -1]).relu())


class CNNLSTM(FrameWise, VideoClassifier):
    """A frame encoder and a recurrent head; clips (N, C, T, H, W) in [0, 1] of any length.

    Args:
        n_classes: number of logits.
        channels: of the clips, 1 or 3.
        weights: published weights for the encoder to start from; see `build_encoder`.
        settings: parts and sizes.

    Raises:
        BenchmarkError: what `build_encoder` refuses.
    """

    encoder: FrameEncoder

    def __init__(
        self,
        n_classes: int,
        channels: int = 3,
        weights: str | None = None,
        settings: CNNLSTMSettings | None = None,
    ) -> None:
        parts = settings or CNNLSTMSettings()
        encoder = build_encoder(parts.encoder, parts.features, channels, weights)
        super().__init__(encoder, SequenceHead(parts, n_classes))
        self._parts = parts

    @property
    def channels(self) -> int:
        """Channels of the clips it takes."""
        return self.encoder.channels

    @property
    def last_stage(self) -> nn.Module:
        """The encoder's last stage of convolutions, (N T, K, h, w)."""
        return self.encoder.last_stage

    @property
    def settings(self) -> Settings:
        """Its `CNNLSTMSettings`."""
        return asdict(self._parts)
