"""Temporal shift: a 2-D network sees the neighbouring segments without a single weight more."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, Bottleneck

DIVISOR = 8


def temporal_shift(features: Tensor, segments: int, fold: int) -> Tensor:
    """Give each segment ``fold`` channels of the next one and ``fold`` of the one before.

    Args:
        features: (N segments, K, h, w), the segments of a clip one after the other.
        segments: of a clip.
        fold: channels that come from the next segment, and as many from the previous one; zero
            beyond the first and the last. The other channels stay.

    Returns:
        Features of the same shape.

    Example:
        >>> features = torch.tensor([[1.0, 10, 100], [2, 20, 200], [3, 30, 300]])[..., None, None]
        >>> temporal_shift(features, segments=3, fold=1).flatten(1)
        tensor([[  2.,   0., 100.],
                [  3.,  10., 200.],
                [  0.,  20., 300.]])
    """
    clips = features.unflatten(0, (-1, segments))
    following = functional.pad(clips[:, 1:, :fold], (0, 0) * 3 + (0, 1))
    previous = functional.pad(clips[:, :-1, fold : 2 * fold], (0, 0) * 3 + (1, 0))
    rest = features[:, 2 * fold :]  # of four axes, so that channels_last lasts
    return torch.cat([following.flatten(0, 1), previous.flatten(0, 1), rest], dim=1)


class TemporalShift(nn.Module):
    """A layer behind a temporal shift of an eighth of its input's channels either way.

    Args:
        net: the layer, of folded segments (N segments, K, h, w).
        segments: of a clip.
    """

    def __init__(self, net: nn.Module, segments: int) -> None:
        super().__init__()
        self.net = net
        self.segments = segments

    def forward(self, features: Tensor) -> Tensor:
        """What the layer makes of the shifted features."""
        return self.net(temporal_shift(features, self.segments, features.shape[1] // DIVISOR))


def shift_residual_branches(network: nn.Module, segments: int, every: int = 1) -> None:
    """Put the temporal shift before the first convolution of residual blocks, in place.

    The shortcut passes by the shift, so that what a segment shows of itself is not lost.

    Args:
        network: a ResNet whose stages are named ``layer1``, ``layer2`` ...
        segments: of a clip.
        every: which blocks of a stage: 1 for each, 2 for the first, the third ...
    """
    for name, stage in network.named_children():
        if name.startswith("layer"):
            blocks = [one for one in stage.modules() if isinstance(one, BasicBlock | Bottleneck)]
            for block in blocks[::every]:
                block.conv1 = TemporalShift(block.conv1, segments)
