"""Flow in colours: which way things move as hue, how fast as saturation; tensors in and out."""

import math

import torch
from torch import Tensor

from captum_video.clips import Layout, clip_of
from captum_video.visualization.overlay import color_limit, levels_of


@torch.no_grad()
def flow_to_rgb(flow: Tensor, *, limit: float | Tensor | None = None) -> Tensor:
    """Paint optical flow by the colour wheel: hue is direction, saturation is speed.

    Right is red, down yellow-green, left cyan, up violet, and what lies between them between
    (the hue is the angle of (dx, dy), which grows clockwise on the screen, since dy points down).
    What stands still is white; from ``limit`` on the colour is full.

    Args:
        flow: (N, 2, T, H, W) in pixels per frame, dx and dy, of `captum_video.flow.optical_flow`.
        limit: pixels per frame painted in full colour: one number, or (N,), one for each clip. By
            default the :func:`color_limit` of each clip's speed, so that clips do not compare.

    Returns:
        (N, 3, T, H, W) in [0, 1], float32; a clip without motion is white.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: another shape, not finite, or a limit below 0.

    Example:
        >>> import torch
        >>> right_and_left = torch.tensor([[2.0, -2.0], [0.0, 0.0]]).reshape(1, 2, 1, 1, 2)
        >>> flow_to_rgb(right_and_left)[0, :, 0, 0].T
        tensor([[1., 0., 0.],
                [0., 1., 1.]])
    """
    flow = clip_of(flow, Layout("n c t h w"), "flow")
    if flow.shape[1] != 2:
        raise ValueError(f"flow: expected (N, 2, T, H, W), got shape {tuple(flow.shape)}")
    dx, dy = flow.double().unbind(1)
    speed = torch.hypot(dx, dy)[:, None]
    saturation = levels_of(speed, color_limit(speed) if limit is None else limit)
    sixths = torch.atan2(dy, dx) * (3 / math.pi)
    # Each primary is full within one sixth of its own hue and gone from the second sixth on.
    distance = [((sixths - primary + 3) % 6 - 3).abs() for primary in (0, 2, 4)]
    hue = (2 - torch.stack(distance, 1)).clamp(0, 1)
    return (1 - saturation * (1 - hue)).float()
