"""Softmax attention over the past for every step at once: exact, linear in time and memory.

The scores do not depend on the step that looks back, so what step t sees is a ratio of two running
sums, ``sum_{s<=t} exp(e_s) x_s / sum_{s<=t} exp(e_s)``. Steps are taken in blocks: within a block
they see each other through a small triangular matrix, earlier blocks through their sums.

One maximum subtracted from the whole sequence would not do: the first steps would underflow to 0/0,
and what they see depend on the future. So there are two ways to keep the exponentials in range, and
neither looks ahead: none is needed where the scores are known to be small, and it is faster by far;
otherwise each step is scaled by the maximum of its own past.
"""

import math

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

SAFE_SCORE = 20.0
"""Up to this magnitude exp(score), sums of it over a sequence, and what derivatives make of them (the
third power of one over a sum) are normal numbers in float32."""

BLOCK_SIZE = 64
SCALED_BLOCK_SIZE = 16  # one exponential for each pair of steps in a block: smaller is cheaper


def attend(scores: Tensor, values: Tensor, average: bool, block_size: int = BLOCK_SIZE) -> Tensor:
    """What each step sees of its past and itself, for scores in ``-SAFE_SCORE .. SAFE_SCORE``.

    Args:
        scores: (N, T, hops), before the softmax over time.
        values: (N, T, F), of the same dtype.
        average: the mean over hops, or all of them.
        block_size: changes the cost, not the result.

    Returns:
        (N, T, F) for the mean, or (N, T, hops, F).
    """
    mass = scores.exp()
    share = 1 / mass.cumsum(1)
    if not average:  # the result is as large as the running sums themselves
        return (mass[..., None] * values[:, :, None]).cumsum(1) * share[..., None]
    steps = scores.shape[1]
    mass, share, values = _in_blocks(block_size, mass, share / scores.shape[-1], values)
    within = (share @ mass.mT).tril()
    sums = mass.mT @ values
    earlier = functional.pad(sums[:, :-1].cumsum(1), (0, 0, 0, 0, 1, 0))
    seen = within @ values + share @ earlier
    return seen.flatten(1, 2)[:, :steps]


def attend_scaled(
    scores: Tensor, values: Tensor, average: bool, block_size: int = SCALED_BLOCK_SIZE
) -> Tensor:
    """The same for scores of any size: every exponent is at most 0, and one at each step is 0."""
    steps = scores.shape[1]
    scores, values = _in_blocks(block_size, scores, values)
    peaks = scores.detach().flatten(1, 2).cummax(1).values  # they cancel: no gradient need pass
    peaks = peaks.unflatten(1, scores.shape[1:3])
    within = _scaled_within(scores, peaks)
    earlier, mass, arriving = _carried(within[:, :, -1], values, peaks)
    share = 1 / (within.sum(3) + arriving * mass[:, :, None])
    if average:
        share = share / scores.shape[-1]
        seen = (within @ share[..., None]).squeeze(-1) @ values + (arriving * share) @ earlier
    else:
        near = torch.einsum("nctsk,ncsf->nctkf", within, values)
        seen = (near + arriving[..., None] * earlier[:, :, None]) * share[..., None]
    return seen.flatten(1, 2)[:, :steps]


def dense_weights(scores: Tensor) -> Tensor:
    """The attention itself, (N, hops, T, T): row t sums to 1 over s <= t."""
    rows = scores.mT[:, :, None].expand(-1, -1, scores.shape[1], -1)
    return rows.masked_fill(_later(scores.shape[1], scores.device), -math.inf).softmax(-1)


def _in_blocks(block_size: int, *sequences: Tensor) -> list[Tensor]:
    """(N, T, K) as (N, blocks, steps, K); zeros fill up the last block."""
    steps = sequences[0].shape[1]
    n_blocks = math.ceil(steps / block_size)
    length = math.ceil(steps / n_blocks)
    padding = (0, 0, 0, n_blocks * length - steps)
    return [
        rearrange(functional.pad(sequence, padding), "n (c b) k -> n c b k", b=length)
        for sequence in sequences
    ]


def _later(length: int, device: torch.device) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def _scaled_within(scores: Tensor, peaks: Tensor) -> Tensor:
    """``exp(e_s - peak_t)`` for s <= t in each block, else 0: (N, C, t, s, hops)."""
    exponents = scores[:, :, None] - peaks[:, :, :, None]
    later = _later(scores.shape[2], scores.device)[..., None]
    return exponents.masked_fill(later, -math.inf).exp()


def _carried(last: Tensor, values: Tensor, peaks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over all earlier blocks: values (N, C, hops, F), mass (N, C, hops).

    Both are scaled by the peak at the end of the block before; third, what brings that scale to
    each step's own: (N, C, t, hops), 0 in the first block.
    """
    sums = torch.cat([last.mT @ values, last.sum(2)[..., None]], -1)
    ends = functional.pad(peaks[:, :-1, -1], (0, 0, 1, 0), value=-math.inf)
    decays = (ends[:, :-1] - ends[:, 1:]).exp()[..., None]
    carried = [torch.zeros_like(sums[:, 0])]
    for decay, added in zip(decays.unbind(1), sums.unbind(1)[:-1], strict=True):
        carried.append(carried[-1] * decay + added)
    earlier = torch.stack(carried, 1)
    return earlier[..., :-1], earlier[..., -1], (ends[:, :, None] - peaks).exp()
