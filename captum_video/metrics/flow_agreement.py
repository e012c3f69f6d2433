"""Agreement with optical flow: whether the evidence lies where something moves."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from captum_video.clips import Layout, clip_of
from captum_video.metrics._energy import energy_share
from captum_video.metrics._ranks import rank_correlation


@dataclass(frozen=True)
class FlowAgreement:
    """How far maps of N clips agree with motion, over each clip and in each of its T frames.

    All are float64. The correlations lie in [-1, 1], 0 being chance; the rest are shares in [0, 1].

    Attributes:
        correlation: (N,), Spearman's rank correlation of map and speed over all voxels of the clip.
        frame_correlation: (N, T), the same over the pixels of each frame.
        energy: (N,), share of the map's positive mass that lies on moving voxels.
        frame_energy: (N, T), the same within each frame.
        moving_area: (N,), share of the voxels that move: what ``energy`` is by chance.
        frame_moving_area: (N, T), what ``frame_energy`` is by chance.
    """

    correlation: Tensor
    frame_correlation: Tensor
    energy: Tensor
    frame_energy: Tensor
    moving_area: Tensor
    frame_moving_area: Tensor

    higher_is_better: ClassVar[bool] = True


@torch.no_grad()
def flow_agreement(
    attributions: Tensor,
    magnitude: Tensor,
    *,
    moving_threshold: float = 0.5,
    absolute: bool = False,
    layout: str | Layout = "n c t h w",
) -> FlowAgreement:
    """Compare maps with the speed of every pixel, by order and by mass. Higher is more agreement.

    Two numbers, because neither tells all. The rank correlation asks whether faster places get more
    evidence; it knows no threshold, but every still pixel counts as much as a moving one. The energy
    ``sum of max(S, 0) over moving voxels / sum of max(S, 0)`` asks where the evidence lies; it must
    be read beside the area that moves, which is what a uniform or a random map scores.

    Where there is nothing to compare, chance is given, so that means over clips and frames hold: a
    correlation of 0 where the map or the speed is the same everywhere, and an energy equal to the
    moving area where the map has no positive mass.

    Args:
        attributions: maps of N clips in ``layout``; summed over channels. Of several inputs, the
            maps of the one that the flow was taken from: cameras see different motion.
        magnitude: (N, 1, T, H, W) in pixels per frame, of
            :func:`captum_video.flow.flow_magnitude`, whatever the ``layout``.
        moving_threshold: pixels per frame above which a voxel counts as moving; at least 0. It is in
            pixels of the clip that the flow was taken from: halve it where that was shrunk by two.
        absolute: whether to take the absolute value before summing over channels, as for plain
            gradients, whose sign says little. Otherwise evidence against the target ranks lowest,
            and has no mass.
        layout: how the attributions order their axes.

    Returns:
        Per clip and per frame; see `FlowAgreement`.

    Raises:
        TypeError: no floating-point tensors.
        ValueError: not finite, shapes that do not fit, a speed or a threshold below 0.

    Cost:
        Two sorts of N T H W numbers; no pass of the model.

    Note:
        It says whether a map follows motion, never whether the model does. It lies where the
        background moves (a panning camera, trees): then motion is everywhere, and evidence on the
        actor looks no better than chance. It lies where the actor stands still at the telling moment,
        and where the evidence is not motion at all (posture, place, a ball). Flow is itself an
        estimate, and smooth: a sharp map on a sharp edge loses by that.

    Example:
        >>> import torch
        >>> speed = torch.tensor([0.0, 0.0, 1.0, 2.0]).reshape(1, 1, 1, 2, 2)
        >>> found = flow_agreement(torch.ones(1, 3, 1, 2, 2), speed)
        >>> found.energy, found.moving_area, found.correlation
        (tensor([0.5000], dtype=torch.float64), tensor([0.5000], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """
    maps, speed = _maps_and_speed(attributions, magnitude, absolute, Layout.of(layout))
    if not moving_threshold >= 0:
        raise ValueError(
            f"moving_threshold: expected pixels per frame, at least 0, got {moving_threshold}"
        )
    moving = (speed > moving_threshold).double()
    return FlowAgreement(
        correlation=rank_correlation(maps.flatten(1), speed.flatten(1)),
        frame_correlation=rank_correlation(maps, speed),
        energy=energy_share(maps.flatten(1), moving.flatten(1)),
        frame_energy=energy_share(maps, moving),
        moving_area=moving.mean((1, 2)),
        frame_moving_area=moving.mean(2),
    )


def _maps_and_speed(
    attributions: Tensor, magnitude: Tensor, absolute: bool, layout: Layout
) -> tuple[Tensor, Tensor]:
    """Both as (N, T, pixels) in float64, on the device of the attributions."""
    if isinstance(attributions, tuple):
        raise TypeError(
            f"attributions: expected the maps of one input, got a tuple of {len(attributions)}; call "
            f"flow_agreement for each, with the flow of that input"
        )
    maps = clip_of(attributions, layout, "attributions").double()
    speed = clip_of(magnitude, Layout("n c t h w"), "magnitude").to(maps)
    if speed.shape[1] != 1:
        raise ValueError(
            f"magnitude: expected one channel, of flow_magnitude(flow), got shape "
            f"{tuple(speed.shape)}"
        )
    if maps.shape[:1] + maps.shape[2:] != speed.shape[:1] + speed.shape[2:]:
        raise ValueError(
            f"attributions: expected the (N, T, H, W) = {tuple(speed[:, 0].shape)} of magnitude, got "
            f"{tuple(maps[:, 0].shape)}"
        )
    if speed.min() < 0:
        raise ValueError(f"magnitude: expected speeds of at least 0, got {speed.min().item():.3g}")
    maps = (maps.abs() if absolute else maps).sum(1)
    return maps.flatten(2), speed[:, 0].flatten(2)
