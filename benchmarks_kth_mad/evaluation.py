"""Predictions, maps and curves of a run: what the commands compute and write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import pandas as pd
import torch
from torch import Tensor

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.item import batch_of, inputs_of
from benchmarks_kth_mad.data.sets import ActionSet, check_inputs
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.methods import BASELINES, Clips, Options, attribute
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.places import patches_of
from benchmarks_kth_mad.runs import Run, require
from captum_video import Curve
from captum_video.metrics import Deletion, Insertion

METRICS = {"insertion": Insertion, "deletion": Deletion}
Unit = Literal["voxel", "cell", "frame", "segment", "superpixel"]
UNITS: tuple[Unit, ...] = get_args(Unit)
_COLUMNS = ["metric", "method", "clip", "label", "explained", "baseline", "unit", "area"]


@dataclass(frozen=True)
class Explained:
    """Clips, what the model said of them, and the maps of every method.

    ``clips`` and the maps of a method are (N, C, T, H, W), one for each input of the model;
    ``labels`` and ``targets`` are (N,): the true class, and the predicted one, which the maps
    explain. ``persons`` tells who acts in each clip, because clips of one person are alike.
    """

    names: list[str]
    persons: list[str]
    clips: Clips
    labels: Tensor
    targets: Tensor
    maps: dict[str, Clips]

    def of_input(self, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Clips and maps of one of the model's inputs."""
        return self.clips[number], {name: maps[number] for name, maps in self.maps.items()}

    def first(self, count: int) -> "Explained":
        """The first so many clips, in memory of their own."""
        return Explained(
            self.names[:count],
            self.persons[:count],
            tuple(clip[:count].clone() for clip in self.clips),
            self.labels[:count],
            self.targets[:count],
            {
                name: tuple(one[:count, :1].clone() for one in maps)
                for name, maps in self.maps.items()
            },
        )

    def of_only_input(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Clips and maps of a model that takes one clip.

        Raises:
            BenchmarkError: it takes visible and infrared.
        """
        if len(self.clips) > 1:
            raise BenchmarkError(
                "this command takes a model of one spectrum, got one of visible and infrared"
            )
        return self.of_input(0)


def predict(
    checkpoint: Checkpoint, dataset: ActionSet, device: str, batch_size: int = 8
) -> pd.DataFrame:
    """Classify every clip.

    Returns:
        One row per clip: name, label, predicted class, its probability.
    """
    check_inputs(dataset, len(checkpoint.model.input_channels), checkpoint.name)
    model = checkpoint.model.to(device)
    rows = []
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size)
    for batch in progress_bar(loader, desc="predict"):
        clips = to_device(inputs_of(batch["clip"]), device)
        with torch.inference_mode():
            chances = model(*clips).softmax(1).cpu()
        for name, label, chance in zip(
            batch["name"], batch["label"].tolist(), chances, strict=True
        ):
            rows.append(
                {
                    "clip": name,
                    "label": checkpoint.classes[label],
                    "predicted": checkpoint.classes[int(chance.argmax())],
                    "probability": round(chance.max().item(), 4),
                }
            )
    return pd.DataFrame(rows)


def explain(
    checkpoint: Checkpoint,
    dataset: ActionSet,
    methods: Sequence[str],
    options: Options,
    chosen: Sequence[int],
    device: str,
) -> Explained:
    """Attribute the predicted class of some clips.

    Args:
        checkpoint: the model.
        dataset: of its classes and clip shape.
        methods: names; see `benchmarks_kth_mad.methods`.
        options: of the methods.
        chosen: which clips, by their place in the data set; see `benchmarks_kth_mad.choice`.
        device: where to compute.

    Returns:
        Everything on the CPU.
    """
    check_inputs(dataset, len(checkpoint.model.input_channels), checkpoint.name)
    items = [dataset[index] for index in chosen]
    clips = batch_of(items)
    model = checkpoint.model.to(device)
    on_device = to_device(clips, device)
    with torch.inference_mode():
        batches = zip(*(clip.split(8) for clip in on_device), strict=True)
        targets = torch.cat([model(*batch).argmax(1) for batch in batches])
    maps = {}
    for name in progress_bar(methods, desc="methods"):
        found = attribute(name, model, on_device, targets, options)
        maps[name] = tuple(one.float().cpu() for one in found)
    return Explained(
        names=[item["name"] for item in items],
        persons=[dataset.records[index].group for index in chosen],
        clips=clips,
        labels=torch.tensor([item["label"] for item in items]),
        targets=targets.cpu(),
        maps=maps,
    )


def to_device(clips: Clips, device: str) -> Clips:
    """The same clips, there."""
    return tuple(clip.to(device) for clip in clips)


def save_explained(run: Run, explained: Explained) -> None:
    """Write clips and maps; maps are equal over channels, so one channel is kept."""
    content = {
        "names": explained.names,
        "persons": explained.persons,
        "clips": explained.clips,
        "labels": explained.labels,
        "targets": explained.targets,
        "maps": {
            name: tuple(one[:, :1].clone() for one in maps) for name, maps in explained.maps.items()
        },
    }
    with whole_file(run.attributions) as path:
        torch.save(content, path)


def load_explained(run: Run) -> Explained:
    """Read what `save_explained` wrote.

    Raises:
        BenchmarkError: no such file, or not one of ours.
    """
    require(run.attributions, "attribute")
    try:
        explained = Explained(**torch.load(run.attributions, weights_only=True))
        maps = [one for every in explained.maps.values() for one in every]
        parts = [*explained.clips, explained.labels, explained.targets, *maps]
        lengths = {len(explained.persons), *map(len, parts)}
        if lengths != {len(explained.names)}:
            raise ValueError("a part for some of the clips only")
        return explained
    except Exception as error:  # zip, pickle and type errors: whatever a foreign file gives
        raise BenchmarkError(
            f"{run.attributions}: not maps that can be read; run attribute again"
        ) from error


def load_rows(run: Run) -> pd.DataFrame:
    """Read the areas that `measure` gave: one row per metric, method and clip.

    Raises:
        BenchmarkError: no such file, not one of ours, or one that lacks rows.
    """
    require(run.rows, "evaluate")
    try:
        rows = pd.read_csv(run.rows, dtype={"area": float})[_COLUMNS]
        keys = rows[["metric", "method", "clip"]]
        whole = len(rows) == keys.nunique().prod() and not keys.duplicated().any()
        if rows.empty or not whole or rows.isna().any(axis=None):
            raise ValueError("rows are missing, or there twice")
        if not set(rows["metric"]) <= set(METRICS):
            raise ValueError("rows of another metric")
    except (ValueError, KeyError) as error:
        raise BenchmarkError(
            f"{run.rows}: not rows that can be read; run evaluate again"
        ) from error
    return rows


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
    clips, targets = to_device(explained.clips, device), explained.targets.to(device)
    patches = patches_of(explained.clips) if unit == "superpixel" else None
    rows: list[dict[str, object]] = []
    curves: dict[str, dict[str, Curve]] = {}
    pairs = [(metric, method) for metric in dict.fromkeys(metrics) for method in explained.maps]
    for metric, method in progress_bar(pairs, desc="metrics"):
        if metric not in METRICS:
            raise BenchmarkError(f"metric {metric!r}: expected one of {', '.join(METRICS)}")
        try:
            game = METRICS[metric](
                model,
                unit="voxel" if unit == "superpixel" else unit,
                n_steps=n_steps,
                baselines=BASELINES[baseline],
            )
            maps = to_device(explained.maps[method], device)
            curve = game.evaluate(clips, maps, targets, feature_mask=patches)
        except ValueError as error:
            raise BenchmarkError(f"{metric}: {error}") from error
        curve = replace(curve, fractions=curve.fractions.cpu(), scores=curve.scores.cpu())
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


def save_curves(run: Run, curves: dict[str, dict[str, Curve]]) -> None:
    """Write the curves as plain tensors."""
    content = {
        metric: {method: (curve.fractions, curve.scores) for method, curve in methods.items()}
        for metric, methods in curves.items()
    }
    with whole_file(run.curves) as path:
        torch.save(content, path)


def load_curves(run: Run) -> dict[str, dict[str, Curve]]:
    """Read what `save_curves` wrote.

    Raises:
        BenchmarkError: no such file, or not one of ours.
    """
    require(run.curves, "evaluate")
    try:
        content = torch.load(run.curves, weights_only=True)
        curves = {
            metric: {method: Curve(*parts) for method, parts in content[metric].items()}
            for metric in METRICS
            if metric in content
        }
        areas = [curve.area for methods in curves.values() for curve in methods.values()]
        if len(curves) != len(content) or not torch.stack(areas).isfinite().all():
            raise ValueError("not curves, or of another metric")
        return curves
    except Exception as error:  # zip, pickle and type errors: whatever a foreign file gives
        raise BenchmarkError(
            f"{run.curves}: not curves that can be read; run evaluate again"
        ) from error
