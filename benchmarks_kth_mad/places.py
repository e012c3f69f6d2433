"""What belongs together in the clips of the benchmark: by how it moves, and by its colour."""

import torch
from torch import Tensor

from benchmarks_kth_mad.errors import BenchmarkError
from captum_video.flow import DIS, Farneback, optical_flow
from captum_video.regions import superpixels

FLOWS = ("farneback", "dis")
STUDY_HEIGHT = 120
PATCHES = 200


def flow_of_clips(clips: Tensor, name: str = "farneback") -> Tensor:
    """Optical flow (N, 2, T, H, W) of clips (N, C, T, H, W) in [0, 1].

    Farneback's window covers the share of the frame that study B's 15 of 120 pixels did.

    Raises:
        BenchmarkError: an unknown estimator, or clips that it can not take.
    """
    if name not in FLOWS:
        raise BenchmarkError(f"flow {name!r}: expected one of {', '.join(FLOWS)}")
    window = max(5, round(Farneback().winsize * clips.shape[3] / STUDY_HEIGHT))
    try:
        return optical_flow(clips, Farneback(winsize=window) if name == "farneback" else DIS())
    except ValueError as error:
        raise BenchmarkError(f"flow {name}: {error}") from error


def patches_of(clips: tuple[Tensor, ...]) -> Tensor:
    """Labels (N, 1, T, H, W) of superpixels over the volume, the same ones for all inputs of a model.

    About 200 per clip, from regular seeds: nothing is drawn.
    """
    return superpixels(torch.cat(clips, dim=1), PATCHES)
