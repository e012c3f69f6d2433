"""What is the persistent appearance network's own: appearance that persists, and pooling over it.

Zhang et al., arXiv 2008.03462. The weights are named as in the authors' checkpoints.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

PA_FEATURES = 8
PA_EPSILON = 1e-6


class PersistenceOfAppearance(nn.Module):
    """How much the boundaries move from frame to frame: a cheap stand-in for optical flow.

    ``PA_i(x) = || F_i(x) - F_{i+1}(x) + 1e-6 ||_2`` over the 8 features F of one convolution. The
    small number is the authors'; it keeps the gradient finite where nothing moves. A convolution is
    linear, so that the difference of features is taken as the feature of the difference, which
    costs less and rounds less. The bias cancels: it is there for the authors' checkpoints only.

    Args:
        channels: of the frames.
        spread: standard deviation of the weights at first. The authors' .001 gives maps a
            hundredth as large as the picture beside them.
    """

    def __init__(self, channels: int, spread: float = 0.001) -> None:
        super().__init__()
        self.shallow_conv = nn.Conv2d(channels, PA_FEATURES, kernel_size=7, padding=3)
        nn.init.normal_(self.shallow_conv.weight, 0, spread)
        self.shallow_conv.bias = nn.Parameter(torch.zeros(PA_FEATURES), requires_grad=False)

    def forward(self, segments: Tensor) -> Tensor:
        """Maps (M, m - 1, H, W) of segments (M, m, C, H, W), one per pair of neighbours."""
        steps = segments[:, :-1] - segments[:, 1:]
        changes = functional.conv2d(steps.flatten(0, 1), self.shallow_conv.weight, padding=3)
        maps = torch.linalg.vector_norm(changes + PA_EPSILON, dim=1)
        return maps.unflatten(0, steps.shape[:2])


class VariousTimescalePooling(nn.Module):
    """VAP: the largest features over several timescales, weighed by how much each tells.

    At the timescale s every s-th segment makes a group, and each of the s groups gives its largest
    features; with 8 segments 1 + 2 + 4 = 7 candidates. Two layers on their means weigh them.

    Args:
        segments: of a clip; a power of two.
        features: of each segment.
        n_classes: number of logits.
        dropout: probability of dropping a feature in training.
    """

    def __init__(self, segments: int, features: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.segments = segments
        candidates = segments - 1  # 1 + 2 + 4 + ... + segments / 2
        self.TES = nn.Sequential(
            nn.Linear(candidates, 4 * candidates, bias=False),
            nn.ReLU(),
            nn.Linear(4 * candidates, candidates, bias=False),
        )
        self.dropout = nn.Dropout(dropout)
        self.pred = nn.Linear(features, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, classes) of the features (N segments, D)."""
        clips = features.unflatten(0, (-1, self.segments))
        candidates = self._candidates(clips)
        weights = self.TES(candidates.mean(2)).softmax(1)
        return self.pred(self.dropout((weights[..., None] * candidates).sum(1)))

    def _candidates(self, clips: Tensor) -> Tensor:
        """The largest features of each group of segments, (N, segments - 1, D)."""
        groups = []
        scale = 1
        while scale < self.segments:
            # segments k, k + scale, k + 2 scale ... are column k
            groups.append(clips.unflatten(1, (-1, scale)).amax(1))
            scale *= 2
        return torch.cat(groups, dim=1)
