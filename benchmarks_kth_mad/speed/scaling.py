"""How the ratio to the floor goes along one axis at a time: frames, size, masks, clips, classes.

Frames and size are those of a real network's clip, with few passes. Masks, clips and classes are
counted on a network that costs next to nothing, so that thousands of passes are affordable and what
a method does itself shows.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models.video import r3d_18

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.speed.clock import Work, interleaved, seconds_of
from benchmarks_kth_mad.speed.subject import BATCHED, N_CLASSES, forward, full_batch, stored_for
from captum_video.attr import RISE3D, GradCAM3D
from captum_video.metrics import insertion

REAL, CHEAP = "r3d_18", "cheap"
TOGETHER = "all clips at once"
_MOST_OF_A_FLOOR = 128
_FLOOR_ROUNDS = 3


@dataclass(frozen=True)
class Preset:
    """Values of every axis, and what stays as it is where another axis goes.

    Attributes:
        frames: of the real network's clip.
        sizes: its height and width.
        masks: perturbations of one clip of the cheap network.
        clips: of the cheap network, each perturbed ``masks[0]`` times.
        classes: outputs of the cheap network, all explained by one run of RISE with ``masks[0]``.
        usual: frames, and height and width, of the real network's clip where they stay.
        cheap: those of the cheap network's.
        passes: perturbations of the real network's clip.
    """

    frames: tuple[int, ...]
    sizes: tuple[int, ...]
    masks: tuple[int, ...]
    clips: tuple[int, ...]
    classes: tuple[int, ...]
    usual: tuple[int, int]
    cheap: tuple[int, int]
    passes: int


def _preset(
    frames: tuple[int, ...],
    sizes: tuple[int, ...],
    usual: tuple[int, int],
    cheap: tuple[int, int],
    passes: int = 8,
) -> Preset:
    return Preset(frames, sizes, (100, 400, 1600), (1, 2, 4, 8), (10, 400), usual, cheap, passes)


PRESETS = {
    "small": _preset((4, 8, 16), (28, 56, 112), usual=(4, 56), cheap=(16, 56)),
    "full": _preset((8, 16, 32), (56, 112, 224), usual=(8, 56), cheap=(16, 112)),
    "cuda": _preset((8, 16, 32), (56, 112, 224), usual=(16, 112), cheap=(16, 112), passes=512),
}


@dataclass(frozen=True)
class _Point:
    """Works at one value of one axis, and their floors."""

    axis: str
    value: int
    network: str
    works: dict[str, Work]
    floors: dict[str, Work]


def scaling_table(
    device: str = "cpu", rounds: int = 3, preset: str | Preset = "small"
) -> pd.DataFrame:
    """Time RISE, insertion and Grad-CAM along every axis, each in turn with its floor.

    The floor of RISE and insertion is a plain forward pass of the same network on a batch as large as
    the engine's chunk; that of Grad-CAM, which takes its clips at once, a plain pass of these.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        rounds: of which medians are taken, after everything has run once.
        preset: values of the axes: ``"small"`` or ``"full"`` for a CPU, ``"cuda"``, or your own.

    Returns:
        One row per axis, value, network and work: clips run through the network; time per pass over
        the floor's; milliseconds of a pass, and how many of them are not the floor's (of CPU time on a
        CPU, of the wall's elsewhere).

    Raises:
        BenchmarkError: no such preset.
    """
    if isinstance(preset, str):
        if preset not in PRESETS:
            raise BenchmarkError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
        preset = PRESETS[preset]
    rows = []
    for make in progress_bar(_points(preset, device), desc="values"):
        rows += _rows(make(), device, rounds)
    table = pd.DataFrame(rows)
    return table if device == "cpu" else table.drop(columns="CPU / floor")


def _points(preset: Preset, device: str) -> list[Callable[[], _Point]]:
    """What to measure, each made when its turn comes."""
    real = r3d_18(num_classes=N_CLASSES).eval().to(device)
    cheap, few = _cheap(N_CLASSES).to(device), preset.masks[0]
    frames, size = preset.usual
    along = [("frames", value, (1, value, size)) for value in preset.frames]
    along += [("height and width", value, (1, frames, value)) for value in preset.sizes]
    points: list[Callable[[], _Point]] = [
        partial(_point, axis, value, real, _noise(shape, device), preset.passes, "layer4")
        for axis, value, shape in along
    ]
    points += [
        partial(_point, "masks", value, cheap, _noise((1, *preset.cheap), device), value)
        for value in preset.masks
    ]
    points += [
        partial(_point, "clips", value, cheap, _noise((value, *preset.cheap), device), few, "1")
        for value in preset.clips
    ]
    points += [
        partial(_classes_point, value, _noise((1, *preset.cheap), device), few)
        for value in preset.classes
    ]
    return points


def _noise(shape: tuple[int, int, int], device: str) -> Callable[[], Tensor]:
    """Clips (N, 3, T, S, S), N, T and S being what is given."""
    count, frames, size = shape
    return lambda: torch.rand(count, 3, frames, size, size, device=device)


def _cheap(n_classes: int) -> nn.Sequential:
    """A 3-D network that takes its clip in patches, and little time."""
    patches = nn.Conv3d(3, 8, (1, 4, 4), stride=(1, 4, 4))
    head = nn.Linear(8, n_classes)
    return nn.Sequential(patches, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), head).eval()


def _point(
    axis: str,
    value: int,
    model: nn.Module,
    make: Callable[[], Tensor],
    passes: int,
    layer: str | None = None,
) -> _Point:
    """RISE and insertion with so many passes per clip; Grad-CAM too, where a layer is named."""
    clips = make()
    total = passes * len(clips)

    def rise() -> None:
        RISE3D(model).attribute(clips, target=0, n_samples=passes)

    def insert() -> None:
        insertion(model, clips, clips, target=0, n_steps=passes - 1)

    works = {"RISE3D": Work(rise, total, BATCHED), "insertion": Work(insert, total, BATCHED)}
    floors = {BATCHED: _floor(model, clips, total)}
    if layer is not None:
        cam = GradCAM3D(model, layer)
        works["GradCAM3D"] = Work(lambda: cam.attribute(clips, target=0), len(clips), TOGETHER)
        floors[TOGETHER] = Work(forward(model, (stored_for(model, clips),)), len(clips))
    return _Point(axis, value, CHEAP if isinstance(model, nn.Sequential) else REAL, works, floors)


def _classes_point(value: int, make: Callable[[], Tensor], passes: int) -> _Point:
    clips = make()
    model = _cheap(value).to(clips.device)

    def rise() -> None:
        RISE3D(model).estimate(clips, n_samples=passes, every_output=True)

    floors = {BATCHED: _floor(model, clips, passes)}
    return _Point("classes", value, CHEAP, {"RISE3D": Work(rise, passes, BATCHED)}, floors)


def _floor(model: nn.Module, clips: Tensor, total: int) -> Work:
    """Batches of the engine's size, again and again: long enough beside what is compared with it."""
    size = min(full_batch([clips[0]]), total)
    run = forward(model, (stored_for(model, clips[:1].repeat(size, 1, 1, 1, 1)),))
    times = max(1, min(total, _MOST_OF_A_FLOOR) // size)

    def repeated() -> None:
        for _ in range(times):
            run()

    return Work(repeated, times * size)


def _rows(point: _Point, device: str, rounds: int) -> list[dict[str, object]]:
    with warnings.catch_warnings():
        # with as few masks as this the fit may well be of no use
        warnings.filterwarnings("ignore", message="RISE3D: the regression")
        for work in (*point.floors.values(), *point.works.values()):
            work.run()
        ratios = interleaved(point.works, point.floors, device, rounds)
    floors = {name: _milliseconds(floor, device) for name, floor in point.floors.items()}
    rows = []
    for name, found in ratios.items():
        work = point.works[name]
        floor, times = floors[work.floor], found.cpu if device == "cpu" else found.wall
        rows.append(
            {
                "axis": point.axis,
                "value": point.value,
                "network": point.network,
                "work": name,
                "passes": work.passes,
                "CPU / floor": round(found.cpu, 3),
                "wall / floor": round(found.wall, 3),
                "ms per pass": round(times * floor, 3),
                "own ms per pass": round((times - 1) * floor, 3),
            }
        )
    return rows


def _milliseconds(floor: Work, device: str) -> float:
    """Of a pass: CPU time on a CPU."""
    found = [seconds_of(floor.run, device) for _ in range(_FLOOR_ROUNDS)]
    clock = "cpu" if device == "cpu" else "wall"
    return 1e3 * median(getattr(one, clock) for one in found) / floor.passes
