"""What explaining holds in memory at its peak, each case in a process of its own.

Counted is the peak of a call above what its process holds before it: model and clip are there, and
everything has run once on a tiny clip, which loads what is loaded once. On a CPU that is resident memory, so
what an allocator keeps counts as well.
"""

import contextlib
import gc
import multiprocessing
import re
import resource
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

import pandas as pd
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torchvision.models.video import r3d_18

from benchmarks_kth_mad.console import progress_bar
from captum_video.attr import RISE3D, GradCAM3D, SpatioTemporalOcclusion
from captum_video.metrics import deletion, insertion

Result = TypeVar("Result")
MIB = 2**20
COUNTS = (864, 4000)
"""Four times a cube, for occlusion; both above the points that RISE's fit has on 4 x 7 x 7 cells."""
FEWEST = 4
TINY = (4, 16)
"""Frames, and height and width, of the clip that everything runs on first."""


class Held(NamedTuple):
    """Bytes at the peak above those before, perturbed clips, and bytes of the largest chunk of them."""

    added: int
    passes: int
    chunk: int


def perturbation_memory_table(
    device: str = "cpu",
    frames: int = 16,
    size: int = 112,
    counts: Sequence[int] = COUNTS,
    processes: int = 1,
) -> pd.DataFrame:
    """Peak memory of methods and metrics by their number of perturbations.

    The network is a mean over the clip, so that what counts is the method and its engine.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        frames: of the clip.
        size: its height and width.
        counts: of perturbations, four times a cube for occlusion to meet them.
        processes: of which the median is taken; each case runs in so many of its own.

    Returns:
        One row per work and count: perturbed clips, added MiB, MiB of the largest chunk of clips that
        the network was given, and how many such chunks were added.
    """
    cases = [(name, count) for name in PERTURBING for count in counts]
    rows = []
    for name, count in progress_bar(cases, desc="memory"):
        measure = partial(perturbing_memory, name, count, device, frames, size)
        found = [in_own_process(measure) for _ in range(processes)]
        added = median(held.added for held in found)
        rows.append(
            {
                "work": name,
                "perturbations": found[0].passes,
                "added MiB": round(added / MIB, 1),
                "chunk MiB": round(found[0].chunk / MIB, 1),
                "added / chunk": round(added / found[0].chunk, 2),
            }
        )
    return pd.DataFrame(rows)


def gradcam_memory_table(
    device: str = "cpu", frames: int = 16, size: int = 112, processes: int = 9
) -> pd.DataFrame:
    """Peak memory of Grad-CAM on r3d_18 beside a plain forward pass of the same clip.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        frames: of the clip.
        size: its height and width.
        processes: of which the median is taken; each case runs in so many of its own, with the
            allocator as it is by default.

    Returns:
        One row for the forward pass in inference mode, for GradCAM3D on ``layer4``, and for Captum's
        LayerGradCam there: added MiB, and as a multiple of the forward pass's.
    """
    cases = [name for name in LOOKING for _ in range(processes)]
    found: dict[str, list[int]] = {name: [] for name in LOOKING}
    for name in progress_bar(cases, desc="memory"):
        measure = partial(looking_memory, name, device, frames, size)
        found[name].append(in_own_process(measure))
    added = {name: median(values) / MIB for name, values in found.items()}
    return pd.DataFrame(
        {
            "work": list(added),
            "added MiB": [round(one, 1) for one in added.values()],
            "added / forward": [round(one / added[FORWARD], 3) for one in added.values()],
        }
    )


def in_own_process(measure: Callable[[], Result]) -> Result:
    """Run it in a fresh interpreter, and hand back what it returns."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure)


def perturbing_memory(name: str, count: int, device: str, frames: int, size: int) -> Held:
    """Measure one work of `PERTURBING` in this process."""
    model, run = _Mean(), PERTURBING[name]
    run(model, torch.rand(1, 3, TINY[0], TINY[1], TINY[1], device=device), FEWEST)
    model.passes = model.largest = 0
    clip = torch.rand(1, 3, frames, size, size, device=device)
    added = added_bytes(lambda: run(model, clip, count), device)
    return Held(added, model.passes, model.largest)


def looking_memory(name: str, device: str, frames: int, size: int) -> int:
    """Measure one work of `LOOKING` in this process."""
    model, run = r3d_18().eval().to(device), LOOKING[name]
    run(model, torch.rand(1, 3, TINY[0], TINY[1], TINY[1], device=device))
    clip = torch.rand(1, 3, frames, size, size, device=device)
    return added_bytes(lambda: run(model, clip), device)


def added_bytes(run: Callable[[], object], device: str) -> int:
    """Bytes held at the peak of a call above those held before it; on Linux or CUDA.

    Elsewhere the peak before can not be forgotten, and what lies below it is not seen.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    before = _resident()
    run()
    return _peak_resident() - before


class _Mean(nn.Module):
    """One number a clip; notes how many clips it was given, and the bytes of the largest batch."""

    passes = 0
    largest = 0

    def forward(self, clip: Tensor) -> Tensor:
        self.passes += len(clip)
        self.largest = max(self.largest, clip.numel() * clip.element_size())
        return clip.mean((1, 2, 3, 4))


def _rise(model: nn.Module, clip: Tensor, count: int) -> None:
    RISE3D(model).attribute(clip, n_samples=count, grid_shape=(4, 7, 7))


def _occlude(model: nn.Module, clip: Tensor, count: int) -> None:
    """Hide windows that overlap: twice as many along height and width as along time."""
    along_time = max(1, round((count / 4) ** (1 / 3)))
    places = (along_time, 2 * along_time, 2 * along_time)
    lengths = clip.shape[2:]
    strides = tuple(length // n for length, n in zip(lengths, places, strict=True))
    windows = tuple(
        length - (n - 1) * stride
        for length, n, stride in zip(lengths, places, strides, strict=True)
    )
    SpatioTemporalOcclusion(model).attribute(clip, windows, strides)


def _insert(model: nn.Module, clip: Tensor, count: int) -> None:
    insertion(model, clip, clip, activation=None, n_steps=count - 1)


def _delete(model: nn.Module, clip: Tensor, count: int) -> None:
    deletion(model, clip, clip, activation=None, n_steps=count - 1)


def _forward(model: nn.Module, clip: Tensor) -> None:
    with torch.inference_mode():
        model(clip)


def _look(model: nn.Module, clip: Tensor) -> None:
    GradCAM3D(model, "layer4").attribute(clip, target=0)


def _look_by_captum(model: nn.Module, clip: Tensor) -> None:
    LayerGradCam(model, model.get_submodule("layer4")).attribute(clip, target=0)


PERTURBING = {
    "RISE3D": _rise,
    "SpatioTemporalOcclusion": _occlude,
    "Insertion": _insert,
    "Deletion": _delete,
}
FORWARD = "forward pass"
LOOKING = {FORWARD: _forward, "GradCAM3D": _look, "Captum LayerGradCam": _look_by_captum}


def _resident() -> int:
    """Bytes now; from here on the peak is counted anew where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak_resident() -> int:
    return _status("VmHWM")


def _status(field: str) -> int:
    """Of the process itself: `getrusage` tells a spawned one its parent's peak."""
    told = Path("/proc/self/status")
    if told.is_file():
        found = re.search(rf"{field}:\s+(\d+) kB", told.read_text())
        if found:
            return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
