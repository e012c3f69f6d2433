"""Ranks of values, and how far two rankings agree."""

import torch
from torch import Tensor


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's correlation along the last axis; 0 where one of the two is constant."""
    a, b = (centered_ranks(one) for one in (a, b))
    scale = (a.square().sum(-1) * b.square().sum(-1)).sqrt()
    return ((a * b).sum(-1) / scale.where(scale > 0, 1)).clamp(-1, 1)


def centered_ranks(values: Tensor) -> Tensor:
    """Ranks along the last axis less their mean; equal values share the average of their ranks.

    Ranks and their mean are multiples of one half, so equal values stay exactly equal, and a
    constant row exactly 0.
    """
    ordered, order = values.sort(-1)
    place = torch.arange(values.shape[-1], device=values.device).expand_as(order)
    changes = ordered[..., 1:] != ordered[..., :-1]
    edge = changes.new_ones((*values.shape[:-1], 1))
    first = place.where(torch.cat([edge, changes], -1), 0).cummax(-1).values
    last = place.where(torch.cat([changes, edge], -1), values.shape[-1]).flip(-1)
    last = last.cummin(-1).values.flip(-1)
    ranks = (first + last).double() / 2 - (values.shape[-1] - 1) / 2
    return torch.empty_like(ranks).scatter_(-1, order, ranks)
