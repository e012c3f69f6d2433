"""What is timed: a network, clips, a layer, and the plain passes that are the floor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks_kth_mad.methods import last_spatiotemporal_layer
from benchmarks_kth_mad.models import VideoClassifier, build_model
from benchmarks_kth_mad.speed.clock import Work
from benchmarks_kth_mad.speed.counting import counted_passes
from captum_video.attr import LayerCandidate, layer_candidates
from captum_video.perturb import rows_that_fit

BATCHED, SINGLE, BACKWARD = "a clip of a batch", "one clip", "forward and backward"
N_CLASSES = 6
_COPIES, _COPIES_BACKWARD = 64, 256
"""Memory of a pass in inputs, on a GPU: generous, as the engine's first estimate."""


@dataclass(frozen=True)
class Subject:
    """A network with random weights, which do not matter to the time, and a clip of noise.

    Attributes:
        model: clips to logits, in eval mode.
        clips: one clip (1, C, T, H, W) per input.
        layer: that Grad-CAM looks at.
    """

    model: VideoClassifier
    clips: tuple[Tensor, ...]
    layer: LayerCandidate

    @property
    def module(self) -> nn.Module:
        """The layer itself."""
        return self.model.get_submodule(self.layer.name)

    def batch_of(self, count: int) -> tuple[Tensor, ...]:
        """So many copies of the clip, in memory of their own."""
        return tuple(clip.repeat(count, 1, 1, 1, 1) for clip in self.clips)

    def counted(self, run: Callable[[], object], floor: str) -> Work:
        """Run something for the first time, which also warms up, and count its passes."""
        with counted_passes(self.model, self.clips[0].shape[2]) as passes:
            run()
        return Work(run, passes.forward, floor)

    def floors(self) -> dict[str, Work]:
        """Plain passes, each run once, in the memory format that suits the network."""
        rows = [clip[0] for clip in self.clips]
        most, fewer = full_batch(rows), rows_that_fit(rows, _COPIES_BACKWARD)
        many, some, one = (
            tuple(stored_for(self.model, clip) for clip in self.batch_of(count))
            for count in (most, fewer, 1)
        )
        works = {
            BATCHED: Work(forward(self.model, many), most),
            BACKWARD: Work(with_backward(self.model, some), fewer),
            SINGLE: Work(forward(self.model, one), 1),
        }
        for work in works.values():
            work.run()
        return works


def subject_of(name: str, device: str, frames: int, size: int) -> Subject:
    """A network of `benchmarks_kth_mad.models.MODELS` and a clip of noise."""
    model = build_model(name, N_CLASSES).eval().to(device)
    shapes = [(1, c, frames, size, size) for c in model.input_channels]
    clips = tuple(torch.rand(shape, device=device) for shape in shapes)
    wanted = last_spatiotemporal_layer(model, clips)
    layer = next(one for one in layer_candidates(model, clips) if one.name == wanted)
    return Subject(model, clips, layer)


def full_batch(row: Sequence[Tensor]) -> int:
    """Clips in a batch as the engine makes them.

    Args:
        row: one clip (C, T, H, W) per input.
    """
    return rows_that_fit(row, _COPIES)


def stored_for(network: nn.Module, clips: Tensor) -> Tensor:
    """In the memory format in which the engine hands clips to such a network."""
    if any(isinstance(module, nn.Conv3d) for module in network.modules()):
        return clips.contiguous(memory_format=torch.channels_last_3d)
    return clips


def forward(network: nn.Module, clips: tuple[Tensor, ...]) -> Callable[[], object]:
    """A plain forward pass."""

    def run() -> None:
        with torch.inference_mode():
            network(*clips)

    return run


def with_backward(network: nn.Module, clips: tuple[Tensor, ...]) -> Callable[[], object]:
    """A forward pass, and one backward to the clips."""

    def run() -> None:
        leaves = [clip.detach().requires_grad_() for clip in clips]
        torch.autograd.grad(network(*leaves)[:, 0].sum(), leaves)

    return run
