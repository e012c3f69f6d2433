"""Our methods and metrics as works to time, each with about thirty passes at most."""

from collections.abc import Callable, Mapping

import torch
from captum.attr import Saliency
from torch import Tensor, nn

from benchmarks_kth_mad.speed.clock import Work
from benchmarks_kth_mad.speed.subject import BACKWARD, BATCHED, SINGLE, Subject
from captum_video import metrics
from captum_video.attr import (
    RISE3D,
    SIDU3D,
    ExtremalPerturbation3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
)
from captum_video.clips import Layout, extent_of

N_MASKS = 16
N_STEPS = 15
AREAS = (0.05, 0.1, 0.2, 0.4)
Runs = Mapping[str, Callable[[], object]]


def own_works(subject: Subject) -> dict[str, Work]:
    """Everything of ours that can be asked of a network and a clip, by name, floor by floor."""
    kinds: dict[str, Runs] = {
        BATCHED: _perturbing(subject) | _measuring(subject),
        BACKWARD: _descending(subject),
        SINGLE: _looking(subject) | _without_passes(subject),
    }
    return {
        name: subject.counted(run, floor)
        for floor, runs in kinds.items()
        for name, run in runs.items()
    }


def windows_of(clip: Tensor) -> tuple[int, int, int]:
    """A window that tiles a clip 2 x 4 x 4 times."""
    frames, height, width = extent_of(clip)
    return -(-frames // 2), -(-height // 4), -(-width // 4)


def _perturbing(subject: Subject) -> dict[str, Callable[[], object]]:
    model, clips = subject.model, subject.clips
    by_layer = subject.layer.name, "n c t h w", subject.layer.activation_layout
    level = _level(subject, N_MASKS - 1)
    return {
        "RISE3D": lambda: RISE3D(model).attribute(clips, target=0, n_samples=2 * N_MASKS),
        "SIDU3D": lambda: SIDU3D(model, *by_layer).attribute(clips, target=0, threshold=level),
        "SpatioTemporalOcclusion": lambda: SpatioTemporalOcclusion(model).attribute(
            clips, tuple(windows_of(clip) for clip in clips), target=0
        ),
    }


def _measuring(subject: Subject) -> dict[str, Callable[[], object]]:
    model, clips = subject.model, subject.clips
    maps = tuple(torch.rand_like(clip) for clip in clips)
    many = subject.batch_of(N_MASKS // 2)
    many_maps = tuple(torch.rand_like(clip) for clip in many)
    found: dict[str, Callable[[], object]] = {
        "insertion": lambda: metrics.insertion(model, clips, maps, target=0, n_steps=N_STEPS),
        "deletion": lambda: metrics.deletion(model, clips, maps, target=0, n_steps=N_STEPS),
        "average_drop_and_increase": lambda: metrics.average_drop_and_increase(
            model, many, many_maps, target=0
        ),
    }
    split = _split(model, subject.batch_of(N_MASKS // 4))
    if split is not None:
        found["modality_score"] = lambda: metrics.modality_score(*split, target=0)
    return found


def _descending(subject: Subject) -> dict[str, Callable[[], object]]:
    model, clips = subject.model, subject.clips
    whole = tuple((clip.shape[3], clip.shape[4]) for clip in clips)
    return {
        "ExtremalPerturbation3D": lambda: ExtremalPerturbation3D(model).attribute(
            clips, AREAS, target=0, max_iterations=6
        ),
        "TemporalSaliencyRescaling, time": lambda: TemporalSaliencyRescaling(
            Saliency(model)
        ).attribute(clips, whole[0], target=0, gate_threshold=float("inf")),
    }


def _looking(subject: Subject) -> dict[str, Callable[[], object]]:
    def gradcam(model: nn.Module) -> Tensor:
        cam = GradCAM3D(
            model, subject.layer.name, activation_layout=subject.layer.activation_layout
        )
        maps = cam.attribute(subject.clips, target=0)
        return maps[0]

    modules = subject.model.named_modules()
    learnt = [name for name, module in modules if list(module.parameters(recurse=False))]
    return {
        "GradCAM3D": lambda: gradcam(subject.model),
        "parameter_randomization": lambda: metrics.parameter_randomization(
            subject.model, gradcam, layers=learnt[: -1 - N_STEPS : -5]
        ),
    }


def _without_passes(subject: Subject) -> dict[str, Callable[[], object]]:
    """Metrics that ask a map alone: of the size of the first input."""
    maps = torch.rand_like(subject.clips[0][:, :1])
    mask = torch.zeros_like(maps, dtype=torch.bool)
    mask[:, :, ::2, ::2, ::2] = True
    frames = torch.zeros(1, maps.shape[2], dtype=torch.bool, device=maps.device)
    frames[:, ::2] = True
    curve = metrics.insertion(
        lambda x: x.mean((1, 2, 3, 4)), subject.clips[0], maps, activation=None, n_steps=N_STEPS
    )
    return {
        "energy_in_mask": lambda: metrics.energy_in_mask(maps, mask),
        "euclidean_distance": lambda: metrics.euclidean_distance(maps, mask),
        "flow_agreement": lambda: metrics.flow_agreement(maps, maps.flip(4)),
        "half_energy_area": lambda: metrics.half_energy_area(maps),
        "minimal_mask": lambda: metrics.minimal_mask(curve),
        "pointing": lambda: metrics.pointing(maps, mask),
        "precision_and_recall": lambda: metrics.precision_and_recall(maps, mask),
        "random_maps": lambda: list(metrics.random_maps(subject.clips)),
        "temporal_pointing": lambda: metrics.temporal_pointing(maps, frames),
        "weighted_jaccard": lambda: metrics.weighted_jaccard(maps, mask),
    }


def _level(subject: Subject, count: int) -> float:
    """A threshold that so many channels of the layer pass, or SIDU would take hundreds of passes."""
    found: list[Tensor] = []
    handle = subject.module.register_forward_hook(lambda module, args, output: found.append(output))
    with handle, torch.inference_mode():
        subject.model(*subject.clips)
    maps = Layout.of(subject.layer.activation_layout).to_clip(
        found[0], t=subject.layer.extent.frames
    )
    largest = maps.float().amax((0, 2, 3, 4)).sort(descending=True).values
    return float(largest[count - 1] + largest[count]) / 2


class _Split(nn.Module):
    """A network of one clip as one of two inputs: its first channels, and the last."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, first: Tensor, last: Tensor) -> Tensor:
        """Logits (N, classes)."""
        return self.model(torch.cat([first, last], 1))


def _split(
    model: nn.Module, clips: tuple[Tensor, ...]
) -> tuple[nn.Module, tuple[Tensor, ...]] | None:
    """A network and clips with two inputs; None where there is one of one channel."""
    if len(clips) > 1:
        return model, clips
    if clips[0].shape[1] < 2:
        return None
    return _Split(model), (clips[0][:, :-1], clips[0][:, -1:])
