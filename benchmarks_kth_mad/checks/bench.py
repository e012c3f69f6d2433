"""What checks are made on: clips, what is known of them, and what every method says of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks_kth_mad.choice import by_turns
from benchmarks_kth_mad.data.item import batch_of
from benchmarks_kth_mad.data.masks import MaskKind
from benchmarks_kth_mad.data.sets import ActionSet, check_inputs
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import to_device
from benchmarks_kth_mad.methods import Clips, Options, attribute
from benchmarks_kth_mad.models import Checkpoint, VideoClassifier
from captum_video.metrics import join_clips

RANDOM = "random"
_BATCH = 8


@dataclass(frozen=True)
class Settings:
    """How much is asked, and by what means.

    Attributes:
        options: of the methods; its seed and baseline are those of the checks too.
        n_steps: of insertion and deletion.
        n_random: how many random maps stand for chance; a value of theirs is the mean of so many.
        device: where to compute.
    """

    options: Options = field(default_factory=Options)
    n_steps: int = 20
    n_random: int = 3
    device: str = "cpu"


@dataclass(frozen=True)
class Bench:
    """Clips of one kind, and the network that they are shown to.

    Attributes:
        model: clips to logits.
        names: of the clips.
        persons: who acts in each, because clips of one person are alike.
        clips: (N, C, T, H, W), one for each input of the model, on the device.
        targets: (N,), the class that is explained, on the device.
        masks: by kind, bool (N, 1, T, H, W), on the CPU.
        settings: of all checks.
        memo: what several checks share.
    """

    model: VideoClassifier
    names: list[str]
    persons: list[str]
    clips: Clips
    targets: Tensor
    masks: dict[MaskKind, Tensor]
    settings: Settings
    memo: dict[object, Any] = field(default_factory=dict)

    def first(self, count: int) -> "Bench":
        """The first so many clips, with a memory of their own."""
        return replace(
            self,
            names=self.names[:count],
            persons=self.persons[:count],
            clips=tuple(clip[:count] for clip in self.clips),
            targets=self.targets[:count],
            masks={kind: mask[:count] for kind, mask in self.masks.items()},
            memo={},
        )


@dataclass(frozen=True)
class Answer:
    """What one method says of the clips of a bench.

    Attributes:
        method: of `benchmarks_kth_mad.methods.METHODS`.
        options: that it was asked with; random maps differ in their seed.
        maps: one for each input, of its shape, on the device.
    """

    method: str
    options: Options
    maps: Clips

    def first(self, count: int) -> "Answer":
        """Of the first so many clips."""
        return replace(self, maps=tuple(one[:count] for one in self.maps))


def ask(bench: Bench, method: str) -> list[Answer]:
    """Explain all clips by one method: an answer, or several random ones."""
    options = bench.settings.options
    seeds = range(options.seed, options.seed + (bench.settings.n_random if method == RANDOM else 1))
    answers = []
    for seed in seeds:
        asked = replace(options, seed=seed)
        maps = attribute(method, bench.model, bench.clips, bench.targets, asked)
        answers.append(Answer(method, asked, tuple(one.detach().float() for one in maps)))
    return answers


def bench_of(checkpoint: Checkpoint, dataset: ActionSet, n_clips: int, settings: Settings) -> Bench:
    """Clips of a set, by turns of another class and another person; the predicted class is explained."""
    check_inputs(dataset, len(checkpoint.model.input_channels), checkpoint.name)
    chosen = by_turns(dataset, n_clips)
    model = checkpoint.model.to(settings.device).eval()
    items = [dataset[index] for index in chosen]
    clips = to_device(batch_of(items), settings.device)
    masks = {
        kind: torch.stack([dataset.mask(index, kind) for index in chosen])[:, None]
        for kind in dataset.mask_kinds
    }
    return Bench(
        model,
        [item["name"] for item in items],
        [dataset.records[index].group for index in chosen],
        clips,
        predicted(model, clips),
        masks,
        settings,
    )


def joined_bench(
    checkpoint: Checkpoint, dataset: ActionSet, n_clips: int, settings: Settings
) -> Bench:
    """Two actions of the same person one after the other, each at its own speed.

    What is explained is the class of the first of a pair, wherever it is shown; its frames are the
    mask of the kind ``"span"``.

    Raises:
        BenchmarkError: no person does two actions, or clips of several inputs.
    """
    if len(checkpoint.model.input_channels) > 1:
        raise BenchmarkError("temporal-pointing: takes a model of one spectrum")
    pairs = _pairs(dataset, n_clips)
    first, second = (
        torch.stack([torch.as_tensor(dataset[pair[part]]["clip"]) for pair in pairs])
        for part in (0, 1)
    )
    generator = torch.Generator().manual_seed(settings.options.seed)
    joined = join_clips(first, second, first.shape[2] + second.shape[2], generator)
    height, width = joined.clips.shape[3:]
    span = joined.frame_mask[:, None, :, None, None].expand(-1, -1, -1, height, width)
    records = dataset.records
    return Bench(
        checkpoint.model.to(settings.device).eval(),
        [f"{records[one].name}+{records[other].name}" for one, other in pairs],
        [records[one].group for one, _ in pairs],
        to_device((joined.clips,), settings.device),
        torch.tensor([records[one].label for one, _ in pairs], device=settings.device),
        {"span": span},
        settings,
    )


def predicted(model: VideoClassifier, clips: Clips) -> Tensor:
    """The class that the network gives each clip."""
    with torch.inference_mode():
        batches = zip(*(clip.split(_BATCH) for clip in clips), strict=True)
        found = torch.cat([model(*batch).argmax(1) for batch in batches])
    return found.clone()


def _pairs(dataset: ActionSet, n_clips: int) -> list[tuple[int, int]]:
    """Clips of one person in two classes, the first as `by_turns` has them."""
    order = by_turns(dataset, len(dataset))
    who = [(dataset.records[at].group, dataset.records[at].label) for at in range(len(dataset))]
    pairs: list[tuple[int, int]] = []
    for turn, one in enumerate(order):
        person, label = who[one]
        others = [at for at in order if who[at][0] == person and who[at][1] != label]
        if others:
            pairs.append((one, others[turn % len(others)]))
    if not pairs:
        raise BenchmarkError("temporal-pointing: no person of the test set does two actions")
    return pairs[:n_clips]
