"""First-order estimates of what hiding a place takes from the score, and when not to trust them."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from captum_video._captum import (
    Target,
    arguments_of,
    forward,
    select,
    take_arguments,
    take_target,
)
from captum_video.clips import Layout, map_dtype
from captum_video.masks import Chosen, MaskStream
from captum_video.modes import full_precision

Exact = Literal["all", "outliers", "none"]
_MASK_BYTES = 10 * 2**20
_FENCE = 1.5


def check_exact(exact: object) -> None:
    """Raise ValueError unless this says which places are hidden in fact."""
    if exact not in ("all", "outliers", "none"):
        raise ValueError(f"exact: expected 'all', 'outliers' or 'none', got {exact!r}")


def first_order_drops(
    forward_func: Callable,
    clips: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    masks: Sequence[Sequence[MaskStream]],
    exact: Exact,
    scores_of: Callable[[Any], Tensor],
    *,
    layout: Layout,
    target: Target,
    additional_forward_args: Any,
) -> list[Tensor]:
    """What each perturbation of each clip takes from the score, by the gradient at the whole clip.

    Args:
        forward_func: the model; takes inputs in ``layout``.
        clips: one (N, C, T, H, W) per input.
        baselines: what hides, broadcastable to each input.
        masks: for each clip, one stream per input.
        exact: whether ``"outliers"`` of the estimates are replaced by what is in fact lost.
        scores_of: scores of the clips under such masks.
        layout: how the model wants its inputs.
        target: Captum's target, at most one per clip.
        additional_forward_args: Captum's; tensors have one entry per clip.

    Raises:
        ValueError: a score that is not finite or has no gradient.
    """
    arguments = arguments_of(additional_forward_args, len(clips[0]))
    whole, drops = [], []
    for n, streams in enumerate(masks):
        score, slopes = _slopes(
            forward_func,
            [clip[n : n + 1] for clip in clips],
            layout,
            take_target(target, [n], len(clips[0])),
            take_arguments(arguments, [n]),
        )
        whole.append(score)
        effects = [
            (slope * (clip[n] - baseline[n if len(baseline) > 1 else 0])).sum(0)
            for slope, clip, baseline in zip(slopes, clips, baselines, strict=True)
        ]
        parts = [_hidden(*pair) for pair in zip(streams, effects, strict=True)]
        drops.append(torch.stack(parts).sum(0))
    if exact == "outliers":
        _replace_outliers(drops, whole, masks, scores_of)
    return drops


def _slopes(
    forward_func: Callable,
    clips: list[Tensor],
    layout: Layout,
    target: Target,
    arguments: tuple | None,
) -> tuple[Tensor, list[Tensor]]:
    """Score of one clip, and its gradient at each input: (C, T, H, W)."""
    dtype = map_dtype(clips[0].dtype)
    with torch.inference_mode(False), torch.enable_grad():
        leaves = [clip.detach().clone().requires_grad_() for clip in clips]
        # cloned once more, so that the network may go on in place
        inputs = tuple(layout.from_clip(leaf.clone()) for leaf in leaves)
        outputs = forward(forward_func, inputs, arguments, gradients=True)
        score = select(outputs, target, 1)[0]
        if not score.requires_grad:
            raise ValueError(
                "forward_func: the score does not depend on the inputs by a differentiable path, "
                "so there is no first-order estimate; exact='all' needs none"
            )
        slopes = torch.autograd.grad(score, leaves, allow_unused=True, materialize_grads=True)
    found = [slope[0].to(dtype) for slope in slopes]
    if not all(torch.isfinite(one).all() for one in (score, *found)):
        raise ValueError("forward_func: expected finite scores and gradients, got NaN or infinity")
    return score.detach().to(dtype), found


def _hidden(stream: MaskStream, effect: Tensor) -> Tensor:
    """Sum of an effect (T, H, W) over what each mask hides: (masks,)."""
    step = max(1, _MASK_BYTES // (4 * effect.numel()))
    with full_precision(effect):
        parts = [
            (1 - stream[start : start + step].to(effect)).flatten(1) @ effect.flatten()
            for start in range(0, len(stream), step)
        ]
    return torch.cat(parts)


def _replace_outliers(
    drops: list[Tensor],
    whole: list[Tensor],
    masks: Sequence[Sequence[MaskStream]],
    scores_of: Callable[[Any], Tensor],
) -> None:
    chosen = [_outliers(drop) for drop in drops]
    if not any(len(numbers) for numbers in chosen):
        return
    scores = scores_of(
        [
            [Chosen(stream, numbers) for stream in streams]
            for streams, numbers in zip(masks, chosen, strict=True)
        ]
    )
    for drop, score, numbers, after in zip(drops, whole, chosen, scores, strict=True):
        drop[numbers] = score - after[: len(numbers)]


def _outliers(drops: Tensor) -> Tensor:
    """Numbers of the estimates outside Tukey's fences."""
    first, third = torch.quantile(drops, drops.new_tensor([0.25, 0.75]))
    reach = _FENCE * (third - first)
    return ((drops < first - reach) | (drops > third + reach)).nonzero()[:, 0]
