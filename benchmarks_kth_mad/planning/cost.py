"""Passes through a network, and whose clips they are counted for."""

from dataclasses import dataclass
from fractions import Fraction

import torch

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.methods import BASELINES, Clips
from benchmarks_kth_mad.models import Settings, VideoClassifier, build_model
from captum_video.baselines import resolve
from captum_video.clips import Layout
from captum_video.nn import FrameWise

EXACT, AT_MOST, ABOUT = "", "at most", "about"
_ORDER = (EXACT, AT_MOST, ABOUT)


@dataclass(frozen=True)
class Cost:
    """What one clip takes of a network.

    Attributes:
        forward: clips that run through it; of a frame-wise network frames of its encoder, over T.
        backward: clips that a gradient runs back through from the output, likewise.
        heads: of a frame-wise network, clips through its head, 0 of any other.
        sure: ``EXACT``, or ``AT_MOST`` or ``ABOUT`` so many, where it depends on what the clip shows.
        why: on what it depends.
    """

    forward: Fraction = Fraction(0)
    backward: Fraction = Fraction(0)
    heads: int = 0
    sure: str = EXACT
    why: str = ""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.forward + other.forward,
            self.backward + other.backward,
            self.heads + other.heads,
            max(self.sure, other.sure, key=_ORDER.index),
            self.why or other.why,
        )


@dataclass(frozen=True)
class Subject:
    """A network without its weights, and the clips that it takes: all that passes depend on.

    Attributes:
        model: on the meta device.
        clip: the clips' shape.
    """

    model: VideoClassifier
    clip: ClipShape

    @classmethod
    def of(cls, model: VideoClassifier, clip: ClipShape) -> "Subject":
        """Take the weights off a network: it is of no other use afterwards."""
        return cls(model.to("meta"), clip)

    @classmethod
    def named(cls, name: str, clip: ClipShape, settings: Settings | None = None) -> "Subject":
        """A network by name of `benchmarks_kth_mad.models.MODELS`.

        Raises:
            BenchmarkError: what `build_model` refuses.
        """
        with torch.device("meta"):
            return cls(build_model(name, 2, clip.channels, settings=settings), clip)

    @property
    def is_frame_wise(self) -> bool:
        """Whether the network encodes frames one by one, so that those that stay are known."""
        return isinstance(self.model, FrameWise)

    @property
    def frames(self) -> int:
        """T."""
        return self.clip.frames

    def blank(self, device: str = "meta") -> Clips:
        """A clip for each input; on the meta device it has a shape and no values."""
        sizes = (self.clip.frames, self.clip.height, self.clip.width)
        return tuple(
            torch.empty((1, channels, *sizes), device=device)
            for channels in self.model.input_channels
        )

    def baseline_frames(self, baseline: str) -> int:
        """Frames that an encoder has to see of a hidden clip: one where they are all the same view."""
        clip = torch.zeros(1, 1, self.frames, 12, 12)
        (hidden,) = resolve(BASELINES[baseline], (clip,), Layout.of("n c t h w"))
        return 1 if hidden.stride(2) == 0 else self.frames

    def plain(self, forward: int, backward: int = 0) -> Cost:
        """Whole clips, one after the other."""
        return Cost(
            Fraction(forward), Fraction(backward), heads=forward if self.is_frame_wise else 0
        )

    def encoded(self, frames: int, heads: int, backward: int = 0, **doubt: str) -> Cost:
        """Frames through the encoder of a frame-wise network, and clips through its head."""
        return Cost(Fraction(frames, self.frames), Fraction(backward, self.frames), heads, **doubt)
