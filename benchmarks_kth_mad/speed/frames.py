"""What it saves to declare a CNN-LSTM frame-wise: ratios to Captum and to a plain loop over maps.

Ours and theirs are timed in turn in one process. What would take an hour one pass at a time is timed on
a part of it, and multiplied by the exact number of passes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from statistics import median
from typing import NamedTuple

import pandas as pd
import torch
from captum.attr import FeatureAblation, Saliency
from torch import Tensor, nn

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.models import build_model
from benchmarks_kth_mad.speed.clock import seconds_of
from captum_video.attr import SpatioTemporalOcclusion, TemporalSaliencyRescaling
from captum_video.nn import FrameWise, recurrent_gradients

TILE = 10
PART = 8
WHOLE, TIME_STEP = "whole map", "time step"


class Comparison(NamedTuple):
    """Who is timed against whom: names of contestants, and how often the second would have to run."""

    ours: str
    theirs: str
    times: float


class Undeclared(nn.Module):
    """The same network for methods that are not to know that it is frame-wise.

    Args:
        model: the network.
        one_by_one: encode a frame at a time, in a loop, as study B's code did.
    """

    def __init__(self, model: FrameWise, one_by_one: bool = False) -> None:
        super().__init__()
        self.encoder, self.head, self.one_by_one = model.encoder, model.head, one_by_one

    def forward(self, clips: Tensor) -> Tensor:
        """Class logits (N, classes)."""
        if self.one_by_one:
            features = [self.encoder(frame) for frame in clips.unbind(2)]
            return self.head(torch.stack(features, dim=1))
        features = self.encoder(clips.transpose(1, 2).flatten(0, 1))
        return self.head(features.unflatten(0, (len(clips), clips.shape[2])))


def study_network(device: str) -> FrameWise:
    """Study B's network with random weights: ResNet-18 on each frame, three LSTM layers of 256."""
    model = build_model("cnn_lstm", n_classes=2).eval().to(device)
    if not isinstance(model, FrameWise):
        raise TypeError("cnn_lstm: expected a frame-wise network")
    return model


def occlusion_table(model: FrameWise, clip: Tensor, rounds: int = 3) -> pd.DataFrame:
    """Occlusion of frames and of windows against Captum's `FeatureAblation`, one window per pass.

    Args:
        model: takes clips (1, C, T, H, W).
        clip: one of them.
        rounds: of which medians are taken.

    Returns:
        One row per kind of window and of network (all frames in one batch, or a frame at a time):
        how many windows, and how many times faster.
    """
    frames, height, width = clip.shape[2:]
    quarter = (-(-height // 4), -(-width // 4))
    contestants: dict[str, Callable[[], object]] = {}
    comparisons: dict[str, Comparison] = {}
    for name, window, count in (
        ("whole frames", (1, height, width), frames),
        ("windows of 1 frame", (1, *quarter), 16 * frames),
        ("windows of 3 frames", (3, *quarter), 16 * -(-frames // 3)),
    ):
        part = min(PART, frames // window[0])
        contestants[name] = partial(
            SpatioTemporalOcclusion(model).attribute, clip, window, target=0
        )
        for loop, network in _loops(model).items():
            contestants[name + loop] = partial(_ablate, network, clip, window, part)
            # Captum also takes what is in no window for one
            comparisons[f"{count} {name}, against {loop}"] = Comparison(
                name, name + loop, (count + 1) / (part + 2)
            )
    return _compare(contestants, comparisons, rounds, clip.device.type)


def _loops(model: FrameWise) -> dict[str, Undeclared]:
    return {
        "batches": Undeclared(model).eval(),
        "frame by frame": Undeclared(model, one_by_one=True).eval(),
    }


def _ablate(model: nn.Module, clip: Tensor, window: tuple[int, int, int], part: int) -> Tensor:
    groups = torch.zeros((1, 1, *clip.shape[2:]), dtype=torch.long, device=clip.device)
    for i in range(part):
        groups[:, :, i * window[0] : (i + 1) * window[0], : window[1], : window[2]] = i + 1
    with torch.no_grad():
        return FeatureAblation(model).attribute(clip, target=0, feature_mask=groups)


def rescaling_table(
    model: FrameWise, clip: Tensor, rounds: int = 3, tolerance: float = 1e-2
) -> pd.DataFrame:
    """Temporal Saliency Rescaling of `Saliency` against a loop over maps.

    Args:
        model: takes clips (1, C, T, H, W).
        clip: one of them.
        rounds: of which medians are taken.
        tolerance: compared with 0, which leaves nothing out.

    Returns:
        One row per work (the whole map, on tiles of 10 x 10, or its time step alone), tolerance and kind
        of loop (all frames in one batch, or a frame at a time): maps, how many times faster, and the
        correlation of the result with that of tolerance 0.
    """
    found: dict[str, Tensor] = {}
    loops = _loops(model)
    contestants: dict[str, Callable[[], object]] = {
        name: partial(_one_map, network, clip) for name, network in loops.items()
    }
    comparisons, described = {}, []
    for (work, maps), value in product(_rescalings(clip.shape).items(), (tolerance, 0.0)):
        name = f"{work}, tolerance {value:g}"
        contestants[name] = partial(_rescale, model, clip, work, value, found)
        for loop in loops:
            comparisons[f"TSR, {name}, against {loop}"] = Comparison(name, loop, maps)
            described.append((f"TSR, {work}", maps, value, loop, name, f"{work}, tolerance 0"))
    times = _compare(contestants, comparisons, rounds, clip.device.type).drop(columns="work")
    rows = [
        (*row, torch.corrcoef(torch.stack([found[name], found[exact]]))[0, 1].item())
        for *row, name, exact in described
    ]
    columns = ["work", "maps", "tolerance", "loop", "correlation"]
    table = pd.DataFrame(rows, columns=columns).join(times)
    return table[[*columns[:-1], *times.columns, "correlation"]]


def _rescalings(shape: Sequence[int]) -> dict[str, int]:
    """How many maps a loop makes for the whole of it, and for its time step."""
    frames, height, width = shape[2:]
    passing = int(0.45 * (frames - 1)) + 1  # at the .55 quantile
    tiles = -(-height // TILE) * -(-width // TILE)
    return {WHOLE: 1 + frames + passing * tiles, TIME_STEP: 1 + frames}


def _rescale(
    model: FrameWise, clip: Tensor, work: str, tolerance: float, found: dict[str, Tensor]
) -> None:
    whole = work == WHOLE
    maps, times = TemporalSaliencyRescaling(Saliency(model)).attribute(
        clip,
        (TILE, TILE) if whole else (clip.shape[3], clip.shape[4]),
        target=0,
        gate_threshold=None if whole else float("inf"),
        tolerance=tolerance,
        return_time_contributions=True,
    )
    found[f"{work}, tolerance {tolerance:g}"] = (maps if whole else times).flatten()


def _one_map(network: nn.Module, clip: Tensor) -> None:
    with recurrent_gradients(network):
        Saliency(network).attribute(clip.clone().requires_grad_(), target=0)


def _compare(
    contestants: Mapping[str, Callable[[], object]],
    comparisons: Mapping[str, Comparison],
    rounds: int,
    device: str,
) -> pd.DataFrame:
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in progress_bar(range(rounds), desc="rounds"):
        for name, run in contestants.items():
            seconds[name].append(seconds_of(run, device))
    clocks = ("wall", "CPU") if device == "cpu" else ("wall",)
    rows = []
    for work, (ours, theirs, times) in comparisons.items():
        row: dict[str, object] = {"work": work}
        for i, clock in enumerate(clocks):
            own, other = (median(one[i] for one in seconds[name]) for name in (ours, theirs))
            row[f"times faster ({clock})"] = times * other / own
        rows.append(row)
    return pd.DataFrame(rows)
