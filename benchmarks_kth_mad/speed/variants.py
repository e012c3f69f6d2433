"""Ways to run the same network faster: how much faster, and what that does to results."""

import copy
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.video import r3d_18

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.speed.clock import Work, interleaved
from benchmarks_kth_mad.speed.subject import N_CLASSES, full_batch
from captum_video.attr import RISE3D
from captum_video.metrics import insertion

EAGER = "eager float32, channels_last_3d"


@dataclass(frozen=True)
class Variant:
    """A network, the memory format of its clips, and the dtype of autocast if any."""

    network: nn.Module
    memory_format: torch.memory_format = torch.channels_last_3d
    dtype: torch.dtype | None = None


def variants_table(
    device: str = "cpu",
    rounds: int = 5,
    frames: int = 8,
    size: int = 56,
    n_masks: int = 200,
    n_steps: int = 50,
    network: nn.Module | None = None,
    compiled: bool = True,
) -> pd.DataFrame:
    """Time variants of a 3-D network in turn with eager float32, and compare results with its.

    Weights are random and the clip is noise, which is the harder case for agreement: scores hardly
    differ from mask to mask, so that rounding weighs more than in a trained network.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        rounds: of which medians are taken.
        frames: of the clip.
        size: its height and width.
        n_masks: of RISE, by coverage, which is linear in the scores; made full batches.
        n_steps: of insertion by the map of eager float32; made full batches.
        network: clips to logits; by default r3d_18 with six classes.
        compiled: also ``torch.compile``, which may take minutes before it runs.

    Returns:
        One row per variant: time of a clip in a batch of the engine's size, over that of eager
        float32 in ``channels_last_3d``; the correlation of its map with that one's, and the
        absolute difference of the areas under insertion, in probability. What does not run here is left
        out, and why is printed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = network or r3d_18(num_classes=N_CLASSES)
        clip = torch.rand(1, 3, frames, size, size)
    network, clip = copy.deepcopy(network).eval().to(device), clip.to(device)
    batch = min(full_batch([clip[0]]), n_masks)
    found = {}
    for name, make in progress_bar(_makers(network, device, compiled).items(), desc="variants"):
        try:
            variant = make()
            run = _timed(variant, clip, batch)
            run()
        except (NotImplementedError, RuntimeError) as error:
            print(f"no row for {name}: {str(error).strip().splitlines()[0]}")
            continue
        found[name] = (variant, Work(run, batch, EAGER))
    works = {name: work for name, (_, work) in found.items()}
    ratios = interleaved(works, {EAGER: works[EAGER]}, device, rounds)
    results: dict[str, tuple[Tensor, float]] = {}
    for name in progress_bar(found, desc="agreement"):
        ranking = results[EAGER][0] if results else None
        results[name] = _results(found[name][0], clip, ranking, batch, (n_masks, n_steps))
    rows = [
        {
            "variant": name,
            "wall / eager": round(ratios[name].wall, 3),
            "CPU / eager": round(ratios[name].cpu, 3),
            "correlation of maps": _correlation(results[EAGER][0], maps),
            "area difference": abs(area - results[EAGER][1]),
        }
        for name, (maps, area) in results.items()
    ]
    table = pd.DataFrame(rows)
    return table if device == "cpu" else table.drop(columns="CPU / eager")


def folded(network: nn.Module) -> nn.Module:
    """A copy in which every batch norm that follows a convolution is part of it.

    One follows the other where they are registered so in one module, and their channels agree: as in
    the ResNets of torchvision.
    """
    network = copy.deepcopy(network).eval()
    for parent in list(network.modules()):
        for (name, conv), (after, norm) in itertools.pairwise(list(parent.named_children())):
            if (
                isinstance(conv, nn.Conv2d | nn.Conv3d)
                and isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d)
                and norm.num_features == conv.out_channels
            ):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, after, nn.Identity())
    return network


def _makers(network: nn.Module, device: str, compiled: bool) -> dict[str, Callable[[], Variant]]:
    """Variants by name, each made when its turn comes; eager float32 is the first."""
    makers: dict[str, Callable[[], Variant]] = {
        EAGER: lambda: Variant(network),
        "contiguous": lambda: Variant(_Contiguous(network), torch.contiguous_format),
        "batch norm folded": lambda: Variant(folded(network)),
        "bfloat16 autocast": lambda: Variant(network, dtype=torch.bfloat16),
        "bfloat16 autocast, folded": lambda: Variant(folded(network), dtype=torch.bfloat16),
    }
    if device == "cuda":
        makers["float16 autocast"] = lambda: Variant(network, dtype=torch.float16)
    if compiled:
        makers["torch.compile"] = lambda: Variant(_compiled(network))
        makers["torch.compile, bfloat16 autocast"] = lambda: Variant(
            _compiled(network), dtype=torch.bfloat16
        )
        if device == "cuda":
            makers["torch.compile, CUDA graphs"] = lambda: Variant(
                _compiled(network, "reduce-overhead")
            )
            makers["torch.compile, CUDA graphs, bfloat16 autocast"] = lambda: Variant(
                _compiled(network, "reduce-overhead"), dtype=torch.bfloat16
            )
    return makers


class _Contiguous(nn.Module):
    """The engine hands a 3-D network its clips in ``channels_last_3d``: this one puts them back."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        return self.network(clips.contiguous())


def _compiled(network: nn.Module, mode: str = "default") -> nn.Module:
    """Of a copy, so that what is compiled for one variant is not found by another."""
    module = torch.compile(copy.deepcopy(network), mode=mode, dynamic=False)
    if not isinstance(module, nn.Module):
        raise TypeError(f"torch.compile: expected a module, got {type(module).__name__}")
    return module


@contextmanager
def _cast(variant: Variant, device: str) -> Iterator[None]:
    with torch.autocast(device, variant.dtype, enabled=variant.dtype is not None):
        yield


def _timed(variant: Variant, clip: Tensor, batch: int) -> Callable[[], None]:
    clips = clip.repeat(batch, 1, 1, 1, 1).contiguous(memory_format=variant.memory_format)

    def run() -> None:
        with torch.inference_mode(), _cast(variant, clip.device.type):
            variant.network(clips)

    return run


def _results(
    variant: Variant, clip: Tensor, ranking: Tensor | None, batch: int, counts: tuple[int, int]
) -> tuple[Tensor, float]:
    """A RISE map, and the area under insertion by a ranking, or by this map where there is none.

    All batches are full: what was compiled is compiled for one shape.
    """
    n_masks, n_points = (-(-count // batch) * batch for count in (counts[0], counts[1] + 1))
    with _cast(variant, clip.device.type):
        maps = RISE3D(variant.network).attribute(
            clip, None, 0, None, n_masks, batch, estimator="coverage"
        )
        curve = insertion(
            variant.network,
            clip,
            maps if ranking is None else ranking,
            target=0,
            perturbations_per_eval=batch,
            n_steps=n_points - 1,
        )
    return maps, float(curve.area)


def _correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).double())[0, 1])
