"""What every method of the benchmark needs to know beside the clip."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from benchmarks_kth_mad.models import VideoClassifier
from captum_video import baselines

COMPAT = ("icpr2022",)
BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "frame-mean": baselines.frame_mean,
    "blur": baselines.blur,
    "gray": baselines.constant,
    "black": baselines.zero,
    "freeze": baselines.freeze,
}


@dataclass(frozen=True)
class Options:
    """What the methods need to know beside the clip.

    ``layer`` names the layer of Grad-CAM and SIDU, None the last one whose map still has frames and
    pixels; ``n_samples`` is the number of RISE's masks; ``seed`` draws them and the random map;
    ``baseline`` names what hides. The mean frame takes the motion and leaves the scene: a gray box
    that comes and goes would itself be motion. ``compat="icpr2022"`` computes Grad-CAM, RISE and
    SIDU as the code of Bayer, Münch and Arens (ICPR 2022) does where it leaves the formulas, to
    compare with its numbers: a ReLU for each channel; sums of logits over M p, of masks that hardly
    change over time; similarity of logits, which is 0 as soon as they move.
    """

    layer: str | None = None
    n_samples: int = 500
    seed: int = 0
    baseline: str = "frame-mean"
    show_progress: bool = False
    compat: str | None = None


Clips = tuple[Tensor, ...]
"""One (N, C, T, H, W) per input of the model: visible and infrared, say."""

Method = Callable[[VideoClassifier, Clips, Tensor, Options], Clips]


def over_channels(maps: Clips, clips: Clips) -> Clips:
    """Maps of one channel, seen as large as their clips."""
    return tuple(one.expand_as(clip) for one, clip in zip(maps, clips, strict=True))
