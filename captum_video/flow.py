"""Optical flow: how far every pixel moves from frame to frame, to hold maps against motion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_video.clips import Layout, clip_of

# Luma of RGB by ITU-R BT.601, as video has it and OpenCV computes it.
_LUMA = (0.299, 0.587, 0.114)
# As in the overlay: resizing overshoots a little, a normalised clip misses [0, 1] by far more.
_TOLERANCE = 0.05
_DIS_PATCH = 8

Preset: TypeAlias = Literal["ultrafast", "fast", "medium"]
Gray: TypeAlias = NDArray[np.uint8]
Estimator: TypeAlias = Callable[[Gray, Gray], NDArray[np.float32]]


@dataclass(frozen=True)
class Farneback:
    """Flow from polynomial expansion (Farnebäck, SCIA 2003): smooth, and still where nothing shows.

    The defaults are those with which saliency of KTH networks was compared with flow before.

    Args:
        pyr_scale: size of each level of the image pyramid over the one below, in (0, 1).
        levels: levels of the pyramid; each doubles the motion that can be found (at scale 0.5).
        winsize: pixels over which motion is averaged; larger is smoother.
        iterations: per level.
        poly_n: pixels of the neighbourhood that a polynomial is fitted to; 5 or 7.
        poly_sigma: standard deviation, in pixels, of the weight in that neighbourhood; above 0.

    Raises:
        ValueError: one of them out of range.
    """

    pyr_scale: float = 0.5
    levels: int = 3
    winsize: int = 15
    iterations: int = 3
    poly_n: int = 5
    poly_sigma: float = 1.2

    def __post_init__(self) -> None:
        if not 0 < self.pyr_scale < 1:
            raise ValueError(f"pyr_scale: expected a number in (0, 1), got {self.pyr_scale}")
        if not self.poly_sigma > 0:
            raise ValueError(f"poly_sigma: expected pixels above 0, got {self.poly_sigma}")
        for name, least in {"levels": 1, "winsize": 2, "iterations": 1, "poly_n": 3}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: expected a whole number from {least}, got {value!r}")


@dataclass(frozen=True)
class DIS:
    """Flow from dense inverse search (Kroeger et al., ECCV 2016): sharp at edges, dense everywhere.

    Args:
        preset: OpenCV's ``"ultrafast"``, ``"fast"`` or ``"medium"``, from hasty to careful.

    Raises:
        ValueError: another preset.
    """

    preset: Preset = "medium"

    def __post_init__(self) -> None:
        if self.preset not in ("ultrafast", "fast", "medium"):
            raise ValueError(
                f"preset: expected 'ultrafast', 'fast' or 'medium', got {self.preset!r}"
            )


Method: TypeAlias = Literal["farneback", "dis"] | Farneback | DIS


def optical_flow(
    clip: Tensor, method: Method = "farneback", layout: str | Layout = "n c t h w"
) -> Tensor:
    """Estimate how far every pixel moves until the next frame, by OpenCV.

    At frame t lies the motion from t to t + 1: what is seen at column x and row y of frame t is
    seen at ``(x + dx, y + dy)`` in frame t + 1. The last frame has no next one; it gets the motion
    that led to it, which is the flow from T - 1 back to T - 2 with its sign turned, so that it lies on
    the pixels of the last frame. Zeros there would count evidence in the last frame as evidence
    without motion.

    Args:
        clip: N clips in ``layout``, in [0, 1], gray or RGB (of which the luma is taken). Rounded to 8
            bits, as OpenCV wants it.
        method: ``"farneback"``, ``"dis"``, or a `Farneback` or `DIS` with parameters of your own.
        layout: how the clip orders its axes.

    Returns:
        (N, 2, T, H, W) float32 on the clip's device, in pixels per frame: channel 0 is dx, positive
        to the right; channel 1 is dy, positive *downwards*.

    Raises:
        ImportError: OpenCV is not installed.
        TypeError: the clip is no floating-point tensor, or ``method`` something else.
        ValueError: a clip of one frame; neither 1 nor 3 channels; values outside [0, 1] by more than
            0.05; frames too small for the method.

    Cost:
        T flows per clip, one after the other on the CPU: some 20 ms each at 160 x 120 on two cores
        (Farneback; DIS about two thirds of it).

    Note:
        Flow is an estimate, and is made up where nothing has texture: DIS spreads the motion of a
        person over a plain background, Farneback leaves it still. Farneback is smooth across the
        edges of what moves, and within ``winsize`` of the border of the frame can be half a pixel off
        even in a still scene.

    Example:
        >>> import torch
        >>> optical_flow(torch.rand(1, 3, 4, 32, 48)).shape
        torch.Size([1, 2, 4, 32, 48])
    """
    frames = _gray_of(clip_of(clip, Layout.of(layout), "clip").detach())
    estimate = _estimator_of(method, frames.shape[2:])
    flows = np.stack([_flow_of(one, estimate) for one in frames])
    return torch.from_numpy(flows).movedim(-1, 1).contiguous().to(clip.device)


def flow_magnitude(flow: Tensor) -> Tensor:
    """The speed of every pixel, whichever way it moves.

    Args:
        flow: (N, 2, T, H, W) in pixels per frame, of :func:`optical_flow`.

    Returns:
        (N, 1, T, H, W) in pixels per frame, at least 0.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: another shape, or not finite.

    Example:
        >>> import torch
        >>> flow_magnitude(torch.tensor([3.0, -4.0]).reshape(1, 2, 1, 1, 1)).item()
        5.0
    """
    flow = clip_of(flow, Layout("n c t h w"), "flow")
    if flow.shape[1] != 2:
        raise ValueError(f"flow: expected (N, 2, T, H, W), got shape {tuple(flow.shape)}")
    return torch.linalg.vector_norm(flow, dim=1, keepdim=True)


def _gray_of(clip: Tensor) -> Gray:
    """Luma of clips (N, C, T, H, W) in [0, 1]: (N, T, H, W) in 0..255."""
    if clip.shape[2] < 2:
        raise ValueError(
            f"clip: expected at least 2 frames, between which something can move, got {clip.shape[2]}"
        )
    if clip.shape[1] not in (1, 3):
        raise ValueError(f"clip: expected 1 channel (gray) or 3 (RGB), got {clip.shape[1]}")
    low, high = clip.min().item(), clip.max().item()
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise ValueError(
            f"clip: expected values in [0, 1], got from {low:.3g} to {high:.3g}; undo the "
            f"normalisation first (clip * std + mean), or divide by 255"
        )
    clip = clip.double().clamp(0, 1)
    if clip.shape[1] == 3:
        clip = (clip * clip.new_tensor(_LUMA).view(1, 3, 1, 1, 1)).sum(1, keepdim=True)
    return (clip[:, 0] * 255).round().to(torch.uint8).cpu().numpy()


def _flow_of(frames: Gray, estimate: Estimator) -> NDArray[np.float32]:
    """Flow (T, H, W, 2) of one gray clip (T, H, W)."""
    forwards = [estimate(frames[t], frames[t + 1]) for t in range(len(frames) - 1)]
    return np.stack([*forwards, -estimate(frames[-1], frames[-2])])


def _estimator_of(method: Method, size: tuple[int, ...]) -> Estimator:
    """The function from two gray frames of this height and width to their flow."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError("optical_flow needs OpenCV: pip install captum-video[video]") from error

    if isinstance(method, str) and method in ("farneback", "dis"):
        method = Farneback() if method == "farneback" else DIS()
    if isinstance(method, Farneback):
        return _farneback(cv2, method, size)
    if isinstance(method, DIS):
        _refuse_sizes_that_crash_dis(size)
        search: Any = cv2.DISOpticalFlow.create(
            getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{method.preset.upper()}")
        )
        return lambda here, there: search.calc(here, there, None)
    raise TypeError(f"method: expected 'farneback', 'dis', Farneback or DIS, got {method!r}")


def _farneback(cv2: Any, method: Farneback, size: tuple[int, ...]) -> Estimator:
    if min(size) < method.poly_n:
        raise ValueError(
            f"clip: expected frames of at least poly_n = {method.poly_n} pixels a side for "
            f"'farneback', got {size[0]} x {size[1]}"
        )
    options = (
        method.pyr_scale,
        method.levels,
        method.winsize,
        method.iterations,
        method.poly_n,
        method.poly_sigma,
        0,
    )
    return lambda here, there: cv2.calcOpticalFlowFarneback(here, there, None, *options)


def _refuse_sizes_that_crash_dis(size: tuple[int, ...]) -> None:
    """Refuse what OpenCV 5.0 reads beyond the end of.

    It takes the number of pyramid levels from the long side alone; a short side that holds no whole
    patch at the coarsest of them ends the process (seen for instance at 8 x 40 and 16 x 120).
    """
    shrunk = 1
    while max(size) >= 20 * 2 * shrunk:
        shrunk *= 2
    least = _DIS_PATCH * shrunk
    if max(size) < 12 or min(size) < least:
        raise ValueError(
            f"clip: expected frames of at least {least} pixels a side, one of them at least 12, for "
            f"'dis', got {size[0]} x {size[1]}; 'farneback' takes smaller ones"
        )
