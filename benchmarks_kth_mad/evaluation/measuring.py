"""Insertion and deletion of maps: areas and curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd
from torch import Tensor

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.explained import Explained, to_device
from benchmarks_kth_mad.methods import BASELINES, Options
from benchmarks_kth_mad.models import Checkpoint, VideoClassifier
from benchmarks_kth_mad.places import patches_of
from captum_video import Curve
from captum_video.metrics import Deletion, Insertion

METRICS = {"insertion": Insertion, "deletion": Deletion}
Unit = Literal["voxel", "cell", "frame", "segment", "superpixel"]
UNITS: tuple[Unit, ...] = get_args(Unit)


def measure(
    checkpoint: Checkpoint,
    explained: Explained,
    metrics: Sequence[str],
    unit: Unit,
    n_steps: int,
    baseline: str,
    device: str,
    compat: str | None = None,
) -> tuple[pd.DataFrame, dict[str, dict[str, Curve]]]:
    """Insertion and deletion of every map.

    With ``compat="icpr2022"`` an area is taken over the number of the step, as the code of that
    study did, and not over the share of units: it is as many times larger as there are steps.
    Superpixels are those of each clip, the same for every map; see `benchmarks_kth_mad.places`.

    Returns:
        One row per metric, method and clip, with the area; and the curves by metric and method.
    """
    model = checkpoint.model.to(device)
    played = Played(unit, n_steps, baseline)
    patches = played.patches(explained)
    rows: list[dict[str, object]] = []
    curves: dict[str, dict[str, Curve]] = {}
    pairs = [(metric, method) for metric in dict.fromkeys(metrics) for method in explained.maps]
    for metric, method in progress_bar(pairs, desc="metrics"):
        curve = played.curve(metric, model, explained, method, device, patches)
        curves.setdefault(metric, {})[method] = curve
        unit_of_area = curve.fractions.shape[-1] - 1 if compat == "icpr2022" else 1
        areas = curve.area * unit_of_area
        for name, label, target, area in zip(
            explained.names, explained.labels, explained.targets, areas, strict=True
        ):
            rows.append(
                {
                    "metric": metric,
                    "method": method,
                    "clip": name,
                    "label": checkpoint.classes[int(label)],
                    "explained": checkpoint.classes[int(target)],
                    "baseline": baseline,
                    "unit": unit,
                    "area": area.item(),
                }
            )
    return pd.DataFrame(rows), curves


@dataclass(frozen=True)
class Played:
    """How insertion and deletion are played.

    Attributes:
        unit: what comes in or goes at once.
        n_steps: of a curve.
        baseline: what hides; a name of `benchmarks_kth_mad.methods.BASELINES`.
    """

    unit: Unit = "voxel"
    n_steps: int = 50
    baseline: str = Options.baseline

    def patches(self, explained: Explained) -> Tensor | None:
        """The superpixels of the clips, where these are the unit: the same for every map."""
        return patches_of(explained.clips) if self.unit == "superpixel" else None

    def curve(
        self,
        metric: str,
        model: VideoClassifier,
        explained: Explained,
        method: str,
        device: str,
        patches: Tensor | None,
    ) -> Curve:
        """The curves of one metric for the maps of one method, on the CPU.

        Raises:
            BenchmarkError: an unknown metric, or what it refuses.
        """
        if metric not in METRICS:
            raise BenchmarkError(f"metric {metric!r}: expected one of {', '.join(METRICS)}")
        clips, targets = to_device(explained.clips, device), explained.targets.to(device)
        maps = to_device(explained.maps[method], device)
        try:
            game = METRICS[metric](
                model,
                unit="voxel" if self.unit == "superpixel" else self.unit,
                n_steps=self.n_steps,
                baselines=BASELINES[self.baseline],
            )
            curve = game.evaluate(clips, maps, targets, feature_mask=patches)
        except ValueError as error:
            raise BenchmarkError(f"{metric}: {error}") from error
        return Curve(curve.fractions.cpu(), curve.scores.cpu())
