"""How near the methods come to the floor: the forward passes that they can not do without.

Every figure is a ratio to the time of as many clips in a plain batched forward pass, taken in turn in
one process, because absolute seconds on a shared machine mean nothing.
"""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import pandas as pd
import torch
from captum.attr import Occlusion
from torch import Tensor, nn
from torchvision.models.video import r3d_18

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.speed.clock import seconds_of
from captum_video.attr import RISE3D, SIDU3D, GradCAM3D, SpatioTemporalOcclusion
from captum_video.metrics import deletion, insertion

BATCH = {"cpu": 4, "cuda": 32}
MASK_COUNTS = (500, 4000)
N_MASKS = 15


@dataclass(frozen=True)
class Work:
    """Something to time, and how many clips it has to run through the network."""

    run: Callable[[], object]
    passes: int


def ratio_table(
    device: str = "cpu",
    frames: int = 16,
    size: int = 112,
    rounds: int = 5,
    autocast: bool = False,
    captum: bool = True,
) -> pd.DataFrame:
    """Time r3d_18 in every method against its plain forward pass.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        frames: of the clip.
        size: its height and width.
        rounds: how often everything is timed, each between two runs of the floor; medians are
            reported.
        autocast: bfloat16 for the network, in the floor as well.
        captum: time Captum's occlusion too, which takes longer.

    Returns:
        One row per method: passes, time per pass as a multiple of the floor (wall clock, and CPU
        time where the work is done there).
    """
    model = r3d_18().eval().to(device)
    clip = torch.rand(1, 3, frames, size, size, device=device)
    window = (frames // 2, size // 4, size // 4)
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        works = _works(model, clip, window, captum)
    plain = clip.repeat(BATCH[device], 1, 1, 1, 1)
    floor = Work(_forward(model, plain), BATCH[device])
    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        for work in (floor, *works.values()):  # first runs compile and allocate
            work.run()
        for _ in progress_bar(range(rounds), desc="rounds"):
            before = _time(floor, device)
            for name, work in works.items():
                own, after = _time(work, device), _time(floor, device)
                ratios[name].append(
                    (2 * own[0] / (before[0] + after[0]), 2 * own[1] / (before[1] + after[1]))
                )
                before = after
    rows = [
        {
            "work": name,
            "passes": works[name].passes,
            "wall / floor": median(wall for wall, _ in found),
            "CPU / floor": median(cpu for _, cpu in found),
        }
        for name, found in ratios.items()
    ]
    table = pd.DataFrame(rows).round(3)
    return table if device == "cpu" else table.drop(columns="CPU / floor")


def _works(
    model: nn.Module, clip: Tensor, window: tuple[int, int, int], captum: bool
) -> dict[str, Work]:
    def rise() -> None:
        RISE3D(model).attribute(clip, target=0, n_samples=16)

    level = _level(model, clip, N_MASKS)

    def sidu() -> None:
        SIDU3D(model, "layer4").attribute(clip, target=0, threshold=level)

    def occlusion() -> None:
        SpatioTemporalOcclusion(model).attribute(clip, window, target=0)

    def captum_occlusion(per_eval: int) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                Occlusion(model).attribute(
                    clip, (3, *window), (3, *window), target=0, perturbations_per_eval=per_eval
                )

        return run

    maps = torch.rand_like(clip)
    works = {
        "RISE3D": Work(rise, 16),
        "SIDU3D": Work(sidu, 1 + N_MASKS),
        "SpatioTemporalOcclusion": Work(occlusion, 33),
        "Insertion": Work(lambda: insertion(model, clip, maps, target=0, n_steps=15), 16),
        "Deletion": Work(lambda: deletion(model, clip, maps, target=0, n_steps=15), 16),
        "GradCAM3D": Work(lambda: GradCAM3D(model, "layer4").attribute(clip, target=0), 1),
        "one forward pass, one clip": Work(_forward(model, clip), 1),
    }
    if captum:
        works["Captum Occlusion, 1 per pass"] = Work(captum_occlusion(1), 33)
        works["Captum Occlusion, 8 per pass"] = Work(captum_occlusion(8), 33)
    return works


def _level(model: nn.Module, clip: Tensor, count: int) -> float:
    """A threshold that so many channels of the last layer pass, or a map would take 513 passes."""
    maps: list[Tensor] = []
    handle = model.get_submodule("layer4").register_forward_hook(
        lambda module, args, output: maps.append(output)
    )
    with handle, torch.inference_mode():
        model(clip)
    largest = maps[0].float().amax((0, 2, 3, 4)).sort(descending=True).values
    return float(largest[count - 1] + largest[count]) / 2


def _forward(model: nn.Module, clips: Tensor) -> Callable[[], None]:
    """A plain forward pass, in the memory format that suits 3-D convolutions."""
    clips = clips.contiguous(memory_format=torch.channels_last_3d)

    def run() -> None:
        with torch.inference_mode():
            model(clips)

    return run


def _time(work: Work, device: str) -> tuple[float, float]:
    """Wall and CPU seconds per clip."""
    found = seconds_of(work.run, device)
    return found.wall / work.passes, found.cpu / work.passes


def memory_table(frames: int = 16, size: int = 112) -> pd.DataFrame:
    """Peak memory that RISE adds to a process that has run it with eight masks, by masks.

    The network is a mean over the clip, so that what is measured is the method and its engine. Each
    count runs in a process of its own.

    Returns:
        One row per number of masks: MiB above that.
    """
    context = multiprocessing.get_context("spawn")
    rows = []
    for count in MASK_COUNTS:
        with context.Pool(1) as pool:
            added = pool.apply(_added_memory, (count, frames, size))
        rows.append({"RISE3D masks": count, "added MiB": round(added / 2**20, 1)})
    return pd.DataFrame(rows)


def _added_memory(n_masks: int, frames: int, size: int) -> int:
    clip = torch.rand(1, 3, frames, size, size)

    def explain(count: int) -> None:
        RISE3D(_Mean()).attribute(clip, n_samples=count, keep_probability=0.5)

    explain(8)  # loads what is loaded once
    before = _peak_memory()
    explain(n_masks)
    return _peak_memory() - before


class _Mean(nn.Module):
    def forward(self, clip: Tensor) -> Tensor:
        """One number a clip."""
        return clip.mean((1, 2, 3, 4))


def _peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
