"""What one trained network gives on one test set: one row per measure, method and clip."""

from collections.abc import Sequence

import pandas as pd
import torch

from benchmarks_kth_mad.data.item import batch_of
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.evaluation import (
    Explained,
    explain,
    measure,
    predict,
    to_device,
)
from benchmarks_kth_mad.methods import BASELINES, above_zero
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.multispectral.config import StudyConfig
from captum_video.metrics import energy_in_mask, half_energy_area, modality_score

ACTOR, HALF = "energy on actor", "area of half energy"
SPECTRUM_NAMES = ("visible", "infrared")
_BATCH = 8


def accuracy_rows(checkpoint: Checkpoint, dataset: MAD, device: str) -> pd.DataFrame:
    """Whether each clip of the set is labelled right: measure ``"accuracy"``, 1 or 0."""
    found = predict(checkpoint, dataset, device)
    return pd.DataFrame(
        {
            "measure": "accuracy",
            "method": "",
            "scene": [record.scene for record in dataset.records],
            "person": [record.group for record in dataset.records],
            "value": (found["label"] == found["predicted"]).astype(float),
        }
    )


def map_rows(
    checkpoint: Checkpoint,
    dataset: MAD,
    chosen: Sequence[int],
    config: StudyConfig,
    device: str,
) -> tuple[pd.DataFrame, Explained]:
    """Explain some clips, and measure their maps: insertion and deletion, and how focused they are.

    Returns:
        Rows, and the clips with their maps.
    """
    explained = explain(checkpoint, dataset, config.methods, config.options(), chosen, device)
    maps = config.maps
    areas, _ = measure(
        checkpoint,
        explained,
        config.metrics,
        maps.unit,
        maps.steps,
        maps.baseline,
        device,
        config.compat,
    )
    scenes = [dataset.records[index].scene for index in chosen]
    scene_of = dict(zip(explained.names, scenes, strict=True))
    person_of = dict(zip(explained.names, explained.persons, strict=True))
    rows = [
        pd.DataFrame(
            {
                "measure": areas["metric"],
                "method": areas["method"],
                "scene": areas["clip"].map(scene_of),
                "person": areas["clip"].map(person_of),
                "value": areas["area"],
            }
        )
    ]
    if "actor" in dataset.mask_kinds:
        actor = torch.stack([dataset.mask(index) for index in chosen])[:, None]
        rows += focus_rows(explained, scenes, actor)
    return pd.concat(rows, ignore_index=True), explained


def focus_rows(explained: Explained, scenes: list[str], actor: torch.Tensor) -> list[pd.DataFrame]:
    """Energy on the actor and area of half the energy, averaged over the model's inputs."""
    rows = []
    for method, maps in explained.maps.items():
        single = [above_zero(method, one[:, :1]) for one in maps]
        values = {
            ACTOR: [energy_in_mask(one, actor) for one in single],
            HALF: [half_energy_area(one) for one in single],
        }
        rows += [
            pd.DataFrame(
                {
                    "measure": name,
                    "method": method,
                    "scene": scenes,
                    "person": explained.persons,
                    "value": torch.stack(found).mean(0).tolist(),
                }
            )
            for name, found in values.items()
        ]
    return rows


def modality_rows(
    checkpoint: Checkpoint, dataset: MAD, config: StudyConfig, device: str
) -> pd.DataFrame:
    """What each spectrum adds to the probability of the predicted class: Shapley values, ablation."""
    model = checkpoint.model.to(device)
    rows = []
    for start in range(0, len(dataset), _BATCH):
        places = range(start, min(start + _BATCH, len(dataset)))
        clips = to_device(batch_of([dataset[place] for place in places]), device)
        with torch.inference_mode():
            target = model(*clips).argmax(1)
        found = modality_score(
            model, clips, BASELINES[config.maps.baseline], target=target, activation="softmax"
        )
        for name, values in (("Shapley", found.shapley), ("ablation", found.ablation)):
            for spectrum, column in zip(SPECTRUM_NAMES, values.T.tolist(), strict=True):
                rows += [
                    {
                        "measure": f"{name}, {spectrum}",
                        "method": "",
                        "scene": dataset.records[place].scene,
                        "person": dataset.records[place].group,
                        "value": value,
                    }
                    for place, value in zip(places, column, strict=True)
                ]
    return pd.DataFrame(rows)


def one_of_each(dataset: MAD, n_clips: int) -> list[int]:
    """So many clips, by turns of another class and another person, so that few speak for many.

    Returns:
        Places in the data set, in order of scene names, so that sets of other spectra give the
        same scenes.
    """
    by_class: dict[int, list[int]] = {}
    for place in sorted(range(len(dataset)), key=lambda place: dataset.records[place].scene):
        by_class.setdefault(dataset.records[place].label, []).append(place)
    turns = [
        (turn, label, places[(turn + number) % len(places)])
        for number, (label, places) in enumerate(sorted(by_class.items()))
        for turn in range(len(places))
    ]
    return [place for _, _, place in sorted(turns)[:n_clips]]
