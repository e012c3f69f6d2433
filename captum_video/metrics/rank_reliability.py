"""Reliability: whether a metric ranks methods alike from clip to clip."""

from typing import NamedTuple

import torch
from torch import Tensor

from captum_video.metrics._ranks import centered_ranks

_ROUNDING = 1e-12


class Reliability(NamedTuple):
    """How far a metric can be trusted on a set of videos.

    Attributes:
        alpha: weighted mean of the rank correlations of all pairs of videos, in [-1, 1].
        random_is_worst: share of the videos on which no method has a worse value than the random map.
    """

    alpha: float
    random_is_worst: float


def reliability(values: Tensor, random: int, higher_is_better: bool) -> Reliability:
    """Whether a metric ranks methods alike on all videos of a set. Higher is more reliable.

    With R(i, m) how many of the M methods are worse than m on video i, and

        w(i)  = (M - 1 - R(i, random)) / (M - 1)
        alpha = sum over i < j of w(i) w(j) rho(i, j) / sum over i < j of w(i) w(j),

    where rho(i, j) is Spearman's correlation of the values of all M methods, the random map among
    them, on videos i and j (Li et al., arXiv 2109.00222; the weights as in their released code). A
    video on which the random map does well says little, and so counts little. Ties have the average
    rank in rho; in R, equal methods are not worse than each other, so a random map that shares the last
    place still has weight 1. Decided here, where the code divides by zero or gives NaN: a video on
    which all methods are equal correlates with none (rho = 0), and alpha is 0 where no pair of
    videos has weight.

    Args:
        values: (videos, methods), a metric's value of each method on each video.
        random: the column of the random map; negative counts from the end.
        higher_is_better: which direction the metric calls better; see `HIGHER_IS_BETTER`.

    Returns:
        alpha and the share of the videos on which the random map is worst, ties for the last place
        included.

    Raises:
        TypeError: values are no floating-point tensor, random is no whole number.
        ValueError: fewer than two videos or methods, NaN or infinity, no such column.

    Cost:
        A sort of each video's values; pairs of videos are never written out.

    Note:
        It lies about metrics that are stably wrong: one that always prefers the same poor method is
        perfectly reliable. It grows with how different the methods are, so compare metrics on the same
        methods and videos only; and with two or three methods, chance alone gives extreme values.

    Example:
        >>> import torch
        >>> values = torch.tensor([[0.1, 0.5, 0.9], [0.2, 0.3, 0.4], [0.0, 0.8, 0.7]])
        >>> found = reliability(values, random=0, higher_is_better=True)
        >>> round(found.alpha, 4), found.random_is_worst
        (0.6667, 1.0)
    """
    _check(values, random)
    scores = values.detach().double() * (1 if higher_is_better else -1)
    worse = (scores < scores[:, random, None]).sum(1)
    weight = 1 - worse.double() / (scores.shape[1] - 1)
    ranks = centered_ranks(scores)
    length = ranks.norm(dim=1, keepdim=True)
    ranks = ranks / length.where(length > 0, 1)
    # twice the sum over pairs is the square of the sum less the squares
    together = (weight @ ranks).square().sum() - (weight.square() @ ranks.square()).sum()
    pairs = weight.sum().square() - weight.square().sum()
    alpha = (together / pairs).clamp(-1, 1).item() if pairs > _ROUNDING else 0.0
    return Reliability(alpha, (worse == 0).double().mean().item())


def _check(values: Tensor, random: int) -> None:
    if not isinstance(values, Tensor) or not values.is_floating_point():
        raise TypeError(
            f"values: expected a floating-point tensor, got "
            f"{values.dtype if isinstance(values, Tensor) else type(values).__name__}"
        )
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(
            f"values: expected (videos, methods), at least two of each, got {tuple(values.shape)}"
        )
    if not torch.isfinite(values).all():
        raise ValueError("values: expected finite values, got NaN or infinity")
    if not isinstance(random, int) or isinstance(random, bool):
        raise TypeError(f"random: expected the number of a column, got {random!r}")
    if not -values.shape[1] <= random < values.shape[1]:
        raise ValueError(f"random: expected a column of {values.shape[1]}, got {random}")
