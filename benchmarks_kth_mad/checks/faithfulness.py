"""Checks of faithfulness: does the score of the network follow the map?"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from benchmarks_kth_mad.checks.bench import Answer, Bench
from benchmarks_kth_mad.evaluation import METRICS, Unit
from benchmarks_kth_mad.methods import BASELINES
from benchmarks_kth_mad.places import patches_of
from captum_video.curves import Curve
from captum_video.metrics import (
    average_drop_and_increase,
    minimal_mask,
)

_SHARE = 0.9


def area_of(game: str, unit: Unit) -> Callable[[Bench, Answer], Tensor]:
    """The check that takes the area under the curve of a game, played with a unit."""
    return partial(_area, game=game, unit=unit)


def _area(bench: Bench, answer: Answer, game: str, unit: Unit) -> Tensor:
    return _curve(bench, answer, game, unit).area


def smallest_share(bench: Bench, answer: Answer) -> Tensor:
    """Least share of the voxels, best first, that brings back nine tenths of the score."""
    return minimal_mask(_curve(bench, answer, "insertion", "voxel"), _SHARE)


def drop(bench: Bench, answer: Answer) -> Tensor:
    """Share of the score that is lost when the clip is seen through its map."""
    return _seen_through_map(bench, answer).drop


def increase(bench: Bench, answer: Answer) -> Tensor:
    """1 where the score rises when the clip is seen through its map."""
    return _seen_through_map(bench, answer).increase.double()


def _curve(bench: Bench, answer: Answer, game: str, unit: Unit) -> Curve:
    key = (answer.method, answer.options.seed, game, unit)
    if key not in bench.memo:
        regions = _superpixels(bench) if unit == "superpixel" else None
        played = METRICS[game](
            bench.model,
            unit="voxel" if unit == "superpixel" else unit,
            n_steps=bench.settings.n_steps,
            baselines=BASELINES[bench.settings.options.baseline],
        )
        bench.memo[key] = played.evaluate(
            bench.clips, answer.maps, bench.targets, feature_mask=regions
        )
    return bench.memo[key]


def _superpixels(bench: Bench) -> tuple[Tensor, ...]:
    """Patches of like colour of every input, the same for all methods."""
    if "superpixels" not in bench.memo:
        bench.memo["superpixels"] = patches_of(bench.clips)
    return bench.memo["superpixels"]


def _seen_through_map(bench: Bench, answer: Answer) -> Any:
    key = (answer.method, answer.options.seed, "drop")
    if key not in bench.memo:
        bench.memo[key] = average_drop_and_increase(
            bench.model,
            bench.clips,
            answer.maps,
            BASELINES[bench.settings.options.baseline],
            target=bench.targets,
        )
    return bench.memo[key]
