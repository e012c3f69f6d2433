"""Predictions of clips, and their maps by every method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.item import batch_of, inputs_of
from benchmarks_kth_mad.data.sets import ActionSet, check_inputs
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import Clips, Options, attribute
from benchmarks_kth_mad.models import Checkpoint, VideoClassifier


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

    def over(self, change: Callable[[Clips], Clips]) -> "Explained":
        """The same with clips and maps changed, moved elsewhere, say."""
        maps = {name: change(maps) for name, maps in self.maps.items()}
        return replace(self, clips=change(self.clips), maps=maps)

    def one_by_one(self) -> "list[Explained]":
        """Each clip by itself."""
        return [self._at(slice(place, place + 1)) for place in range(len(self.names))]

    def _at(self, places: slice) -> "Explained":
        part = self.over(lambda clips: tuple(one[places] for one in clips))
        return replace(
            part,
            names=self.names[places],
            persons=self.persons[places],
            labels=self.labels[places],
            targets=self.targets[places],
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
    explained = seen(checkpoint, dataset, chosen, device)
    model = checkpoint.model.to(device)
    for name in progress_bar(methods, desc="methods"):
        explained.maps[name] = maps_of(model, explained, name, options, device)
    return explained


def seen(
    checkpoint: Checkpoint, dataset: ActionSet, chosen: Sequence[int], device: str
) -> Explained:
    """Some clips, and what the model says of them; maps of no method yet."""
    check_inputs(dataset, len(checkpoint.model.input_channels), checkpoint.name)
    items = [dataset[index] for index in chosen]
    clips = batch_of(items)
    return Explained(
        names=[item["name"] for item in items],
        persons=[dataset.records[index].group for index in chosen],
        clips=clips,
        labels=torch.tensor([item["label"] for item in items]),
        targets=predicted(checkpoint, to_device(clips, device)),
        maps={},
    )


def predicted(checkpoint: Checkpoint, clips: Clips) -> Tensor:
    """The class (N,) that the model says each clip to be, on the CPU; computed where the clips are."""
    model = checkpoint.model.to(clips[0].device)
    with torch.inference_mode():
        batches = zip(*(clip.split(8) for clip in clips), strict=True)
        return torch.cat([model(*batch).argmax(1) for batch in batches]).cpu()


def maps_of(
    model: VideoClassifier, explained: Explained, method: str, options: Options, device: str
) -> Clips:
    """The maps of one method, on the CPU."""
    clips, targets = to_device(explained.clips, device), explained.targets.to(device)
    found = attribute(method, model, clips, targets, options)
    # maps are equal over channels, so one is fetched
    return tuple(one[:, :1].float().cpu().expand(one.shape) for one in found)


def to_device(clips: Clips, device: str) -> Clips:
    """The same clips, there; those in pinned memory arrive while this process goes on."""
    return tuple(clip.to(device, non_blocking=True) for clip in clips)
