"""The curve of a score while the first units of a ranking are shown or hidden, more and more."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from captum_video import baselines as replacements
from captum_video._captum import Target
from captum_video.baselines import Baseline
from captum_video.clips import Layout, clips_of, extent_of
from captum_video.curves import Curve
from captum_video.masks import RankedPrefixes, labels_of
from captum_video.metrics._ranking import Units, maps_of, ranks_of
from captum_video.perturb import PerturbationsPerEval, perturbed_scores


def prefix_curve(
    forward_func: Callable,
    inputs: Tensor | tuple[Tensor, ...],
    attributions: Tensor | tuple[Tensor, ...],
    baselines: Baseline | tuple[Baseline, ...],
    additional_forward_args: Any,
    target: Target,
    perturbations_per_eval: PerturbationsPerEval,
    show_progress: bool,
    *,
    inserts: bool,
    layout: Layout,
    units: Units,
    activation: Callable[[Tensor], Tensor] | None,
    feature_mask: Tensor | tuple[Tensor, ...] | None,
) -> Curve:
    """Insertion, or deletion; for arguments and errors see the public functions."""
    _, clips = clips_of(inputs, layout)
    maps = maps_of(attributions, clips, layout)
    labels = _labels_of(feature_mask, clips, units)
    ranks = [
        ranks_of([one[i] for one in maps], units, labels and [one[i] for one in labels])
        for i in range(len(clips[0]))
    ]
    n_units = [1 + max(int(rank.max()) for rank in row) for row in ranks]
    kept = _counts(n_units, min(units.n_steps, max(n_units)))
    if not inserts:
        kept = kept.flip(1)
    if units.best_first != inserts:  # what is kept longest, or comes last, is the worst
        ranks = [
            [count - 1 - rank for rank in row] for count, row in zip(n_units, ranks, strict=True)
        ]
    if labels is None:
        sizes = [torch.ones(count) for count in n_units[:1]]
    else:
        sizes = [torch.cat([rank.flatten() for rank in row]).bincount() for row in ranks]
    masks = [
        [RankedPrefixes(rank, counts, extent_of(rank)) for rank in row]
        for row, counts in zip(ranks, kept, strict=True)
    ]
    del maps, labels, ranks  # as large as the clips together, and of no use from here on
    scores = perturbed_scores(
        forward_func,
        clips,
        replacements.resolve(baselines, clips, layout),
        masks,
        layout=layout,
        target=target,
        activation=activation,
        additional_forward_args=additional_forward_args,
        perturbations_per_eval=perturbations_per_eval,
        show_progress=show_progress,
        description="Insertion" if inserts else "Deletion",
    )
    shares = [_changed(*pair, inserts) for pair in zip(sizes, kept[: len(sizes)], strict=True)]
    fractions = shares[0] if feature_mask is None else torch.stack(shares)
    return Curve(fractions.to(scores), scores)


def _labels_of(feature_mask: Any, clips: tuple[Tensor, ...], units: Units) -> list[Tensor] | None:
    if feature_mask is None:
        return None
    if units.unit != "voxel":
        raise ValueError(
            f"feature_mask: units are its regions, so expected no unit, got {units.unit!r}"
        )
    return labels_of(feature_mask, clips)


def _counts(n_units: list[int], n_steps: int) -> Tensor:
    """How many units each clip shows after each step: (N, S+1), from none to all."""
    total, step = torch.tensor(n_units)[:, None], torch.arange(n_steps + 1)
    return (2 * step * total + n_steps) // (2 * n_steps)


def _changed(sizes: Tensor, kept: Tensor, inserts: bool) -> Tensor:
    """Share of all units, counted by their sizes, that has changed where so many are kept: (S+1,)."""
    sizes = sizes.cpu().double()
    first = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    shown = first[kept]
    return (shown if inserts else first[-1] - shown) / first[-1]
