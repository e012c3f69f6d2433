"""The experiment: one network that reads the text and one that never saw any, explained alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from benchmarks_kth_mad.data.captioned import Captioned, Words
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import Explained, explain
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.methods import METHODS, above_zero
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.planted.plan import Footage, Plan
from benchmarks_kth_mad.planted.reading import Reading, reading_of, require_reading
from benchmarks_kth_mad.planted.scores import energy_in_frames, grown, pointing, voxel_auc
from benchmarks_kth_mad.training import train
from captum_video.metrics import energy_in_mask

TEXT, CLEAN = "text", "clean"
"""What a network was trained on."""
_TAUGHT: dict[str, Words] = {TEXT: "every", CLEAN: "none"}


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        rows: one per network, method and clip.
        readings: of each network, by what it was trained on.
        drawn: maps of each network, of the clips to draw.
        masks: of the text of these clips, as measured, bool (N, 1, T, H, W).
        left_out: methods that do not apply to the network, and why.
        persons: in the clips that were explained.
        unseen: whether no person of theirs was trained on.
    """

    rows: pd.DataFrame
    readings: dict[str, Reading]
    drawn: dict[str, Explained]
    masks: torch.Tensor
    left_out: dict[str, str]
    persons: int
    unseen: bool


def run_planted(footage: Footage, plan: Plan, out: Path, device: str) -> Outcome:
    """Train both networks, prove what they read, explain the same held-out clips with text.

    Args:
        footage: the videos, clean and with text.
        plan: what to do.
        out: folder for the networks and ``rows.csv``.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        BenchmarkError: the network trained on text does not read it.
    """
    shown = footage.clips("test", plan.clip, plan.shown, "own", plan.recipe.seed)
    chosen = by_turns(shown, plan.clips)
    readings, rows, drawn = {}, [], {}
    left_out: dict[str, str] = {}
    unseen = True
    for trained_on in (TEXT, CLEAN):
        checkpoint, strangers = _trained(trained_on, footage, plan, out, device)
        unseen &= strangers
        readings[trained_on] = reading_of(checkpoint, footage, plan, device)
        if trained_on == TEXT:
            require_reading(readings[trained_on])
        explained, left_out = explain_all(checkpoint, shown, plan, chosen, device)
        found = score_rows(explained, shown, chosen, plan.dilate)
        rows.append(found.assign(**{"trained on": trained_on}))
        drawn[trained_on] = explained.first(plan.pictures)
    table = pd.concat(rows, ignore_index=True)
    table.insert(0, "trained on", table.pop("trained on"))
    with whole_file(out / "rows.csv") as path:
        table.to_csv(path, index=False)
    masks = _masks(shown, chosen, plan.dilate)[: plan.pictures, None]
    persons = table["person"].nunique()
    return Outcome(table, readings, drawn, masks, left_out, persons, unseen)


def explain_all(
    checkpoint: Checkpoint, dataset: Captioned, plan: Plan, chosen: Sequence[int], device: str
) -> tuple[Explained, dict[str, str]]:
    """Maps of the methods asked for, or of all that apply, and why the others do not."""
    maps, left_out = {}, {}
    for name in plan.methods or METHODS:
        try:
            found = explain(checkpoint, dataset, [name], plan.options, chosen, device)
        except BenchmarkError as error:
            if plan.methods is not None:
                raise
            left_out[name] = str(error).removeprefix(f"{name}: ")
        else:
            maps.update(found.maps)
    if not maps:
        raise BenchmarkError("planted: no method applies to this network")
    return replace(found, maps=maps), left_out


def score_rows(
    explained: Explained, dataset: Captioned, chosen: Sequence[int], dilate: int
) -> pd.DataFrame:
    """Where the maps of some clips lie: one row per method and clip."""
    masks = _masks(dataset, chosen, dilate)
    shown = torch.stack([dataset.shows(index) for index in chosen])
    classes = dataset.classes
    parts = []
    for method in explained.maps:
        maps = above_zero(method, explained.of_only_input()[1][method][:, 0])
        scores = {
            "energy": energy_in_mask(maps, masks),
            "area": masks.double().mean((1, 2, 3)),
            "time energy": energy_in_frames(maps, shown),
            "time area": shown.double().mean(1),
            "pointing": pointing(maps, masks),
            "auc": voxel_auc(maps, masks),
        }
        parts.append(
            pd.DataFrame(
                {
                    "method": method,
                    "clip": explained.names,
                    "person": explained.persons,
                    "text": [classes[int(label)] for label in explained.labels],
                    "explained": [classes[int(target)] for target in explained.targets],
                    **{name: values.tolist() for name, values in scores.items()},
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def by_turns(dataset: Captioned, n_clips: int) -> list[int]:
    """So many clips, every time of another person and another class as far as there are any."""
    persons = sorted({record.person for record in dataset.records})
    turns: dict[tuple[int, int], int] = {}
    order = []
    for index, record in enumerate(dataset.records):
        number = persons.index(record.person)
        key = (record.person, record.label)
        turns[key] = turns.get(key, 0) + 1
        away = (record.label - number) % len(dataset.classes)
        order.append((turns[key], away, number, index))
    return [index for *_, index in sorted(order)[:n_clips]]


def _trained(
    trained_on: str, footage: Footage, plan: Plan, out: Path, device: str
) -> tuple[Checkpoint, bool]:
    """A network, and whether it was tested on nobody whom it was trained on."""
    words, seed = _TAUGHT[trained_on], plan.recipe.seed
    # a clip without text comes once in an epoch, one with text as often as there are names
    turns = len(footage.classes) if words == "none" else 1
    training, held_out = (
        footage.clips(split, plan.clip, plan.shown, words, seed, random_start=split == "train")
        for split in ("train", "test")
    )
    found = train(
        plan.model,
        training,
        held_out,
        path=out / "networks" / f"{plan.model}_{trained_on}.pt",
        recipe=replace(plan.recipe, epochs=plan.recipe.epochs * turns, device=device),
        show_progress=False,
    )
    return found.checkpoint, set(held_out.persons) == set(found.unseen_persons)


def _masks(dataset: Captioned, chosen: Sequence[int], dilate: int) -> torch.Tensor:
    return grown(torch.stack([dataset.mask(index) for index in chosen]), dilate)
