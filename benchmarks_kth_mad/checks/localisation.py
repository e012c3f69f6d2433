"""Checks of localisation: does the map lie where the evidence is known to lie?

A mask that is empty in a clip (a limb out of sight) asks nothing there: the value is NaN, and no row is
made of it. Of several inputs the values are averaged.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks_kth_mad.checks.bench import Answer, Bench
from benchmarks_kth_mad.data.masks import MaskKind
from benchmarks_kth_mad.methods import above_zero
from captum_video.metrics import (
    energy_in_mask,
    pointing,
    precision_and_recall,
    temporal_pointing,
    weighted_jaccard,
)

Values = Callable[[Bench, Answer], Tensor]
_Measure = Callable[[Tensor, Tensor], Tensor]


def energy(kind: MaskKind) -> Values:
    """The check for the share of a map's evidence that lies in masks of a kind."""
    return partial(_in_masks, kind=kind, measure=energy_in_mask)


def pointed(kind: MaskKind) -> Values:
    """The check whether the highest voxel lies in masks of a kind, or a pixel beside."""
    return partial(_in_masks, kind=kind, measure=partial(pointing, tolerance=1))


def jaccard(kind: MaskKind) -> Values:
    """The check how far a map's evidence covers masks of a kind, and nothing else."""
    return partial(_in_masks, kind=kind, measure=_positive_jaccard)


def area_of(name: str, kind: MaskKind) -> Values:
    """The check for one of the areas of `precision_and_recall`, by its name there."""
    return partial(_area, name=name, kind=kind)


def found_in_time(bench: Bench, answer: Answer) -> Tensor:
    """1 where the frame with the most evidence shows the action that was asked for."""
    (evidence,), span = _evidence(answer), bench.masks["span"]
    return temporal_pointing(evidence.cpu(), span[:, 0, :, 0, 0])


def _in_masks(bench: Bench, answer: Answer, kind: MaskKind, measure: _Measure) -> Tensor:
    mask = bench.masks[kind]
    seen = mask.flatten(1).any(1)
    values = torch.full((len(mask),), torch.nan, dtype=torch.float64)
    if seen.any():
        found = [measure(one[seen.to(one.device)].cpu(), mask[seen]) for one in _evidence(answer)]
        values[seen] = torch.stack(found).double().mean(0)
    return values


def _evidence(answer: Answer) -> list[Tensor]:
    """One channel of each input's map, which are all alike; 0 means nothing."""
    return [above_zero(answer.method, one[:, :1]) for one in answer.maps]


def _positive_jaccard(maps: Tensor, mask: Tensor) -> Tensor:
    return weighted_jaccard(maps.clamp(min=0), mask)


def _area(bench: Bench, answer: Answer, name: str, kind: MaskKind) -> Tensor:
    key = (answer.method, answer.options.seed, "areas", kind)
    if key not in bench.memo:
        bench.memo[key] = {
            part: _in_masks(bench, answer, kind, partial(_part, part=part))
            for part in ("aup", "aur", "aupr")
        }
    return bench.memo[key][name]


def _part(maps: Tensor, mask: Tensor, part: str) -> Tensor:
    found: Any = precision_and_recall(maps.clamp(min=0), mask)
    return getattr(found, part)
