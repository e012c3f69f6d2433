"""The classifiers of the study, small on purpose: (N, steps, features) to two logits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from benchmarks_kth_mad.boxes.training import DECAY, PAPER, BoxRecipe
from captum_video.nn import InputCellAttentionLSTM

N_CLASSES = 2


@dataclass(frozen=True)
class Sizes:
    """Sizes of the networks; the defaults are those of Ismail et al., as released.

    Args:
        features: of the series.
        hidden: units of the LSTM, in each direction.
        attention_size: hidden units of the attention (d_a).
        hops: rows of the attention matrix (r).
        combine: how the input cell gives the hops to its gates, see `InputCellAttentionLSTM`.
        input_dropout: share of the inputs that training hides.
    """

    features: int = 100
    hidden: int = 5
    attention_size: int = 50
    hops: int = 20
    combine: Literal["mean", "concat"] = "mean"
    input_dropout: float = 0.1


class LastStep(nn.Module):
    """A recurrent layer whose output at the last step decides.

    A bidirectional layer's backward half has seen only the last input by then, which would explain why
    the published BiLSTM learns nothing of boxes at the beginning.
    """

    def __init__(self, layer: nn.Module, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.dropout = nn.Dropout(sizes.input_dropout)
        self.layer = layer
        self.classify = nn.Linear(width, N_CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        """Series (N, T, F) to logits (N, 2)."""
        output, _ = self.layer(self.dropout(inputs))
        return self.classify(output[:, -1])


class SelfAttention(nn.Module):
    """Structured self-attention over the outputs of an LSTM (Lin et al., ICLR 2017).

    Weights A = softmax over time of W2 tanh(W1 H), one row per hop; the rows of A H, side by side,
    decide.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.dropout = nn.Dropout(sizes.input_dropout)
        self.layer = nn.LSTM(sizes.features, sizes.hidden, batch_first=True)
        self.score = nn.Sequential(
            nn.Linear(sizes.hidden, sizes.attention_size, bias=False),
            nn.Tanh(),
            nn.Linear(sizes.attention_size, sizes.hops, bias=False),
        )
        self.classify = nn.Linear(sizes.hops * sizes.hidden, N_CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        """Series (N, T, F) to logits (N, 2)."""
        output, _ = self.layer(self.dropout(inputs))
        weights = self.score(output).softmax(1)
        return self.classify((weights.transpose(1, 2) @ output).flatten(1))


def _lstm(sizes: Sizes) -> nn.Module:
    return LastStep(nn.LSTM(sizes.features, sizes.hidden, batch_first=True), sizes.hidden, sizes)


def _bilstm(sizes: Sizes) -> nn.Module:
    layer = nn.LSTM(sizes.features, sizes.hidden, batch_first=True, bidirectional=True)
    return LastStep(layer, 2 * sizes.hidden, sizes)


def _input_cell(sizes: Sizes) -> nn.Module:
    layer = InputCellAttentionLSTM(
        sizes.features,
        sizes.hidden,
        attention_size=sizes.attention_size,
        hops=sizes.hops,
        combine=sizes.combine,
    )
    return LastStep(layer, sizes.hidden, sizes)


@dataclass(frozen=True)
class Entry:
    """A row of the table: how it is called, built and trained."""

    title: str
    build: Callable[[Sizes], nn.Module]
    recipe: BoxRecipe = PAPER


NETWORKS = {
    "lstm": Entry("LSTM", _lstm),
    "bilstm": Entry("BiLSTM", _bilstm),
    "self-attention": Entry("LSTM + self-attention", SelfAttention),
    "input-cell": Entry("LSTM + input-cell attention", _input_cell),
    "input-cell-decay": Entry("LSTM + input-cell attention, weight decay", _input_cell, DECAY),
}
