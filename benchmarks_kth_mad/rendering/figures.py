"""An articulated person as strokes on a canvas, from the farthest limb to the nearest."""

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.rendering.motion import HEAD_RADIUS, Body, Limb, Point, Pose

FAR_SHADE = 0.86


class Stroke(NamedTuple):
    """A thick line through points, or a closed shape with a thick rim.

    ``part`` names the field of `Body` that it shows, and ``light`` is the share of its shade there:
    what is farther away is darker. ``limb`` is None for the trunk and the head.
    """

    points: list[Point]
    width: float
    part: str
    shade: float
    light: float = 1.0
    filled: bool = False
    limb: Limb | None = None


Tint = Callable[[Stroke], float | Sequence[float]]


def cover(_: Stroke) -> float:
    """The tint of a mask."""
    return 255.0


def cover_only(limbs: Collection[Limb]) -> Tint:
    """The tint of a mask of some limbs: what is drawn over them takes them away again."""
    return lambda mark: 255.0 if mark.limb in limbs else 0.0


def strokes(pose: Pose, body: Body) -> list[Stroke]:
    """The strokes of a pose, from the farthest to the nearest."""
    far = 1.0 if pose.frontal else FAR_SHADE
    far_arm, near_arm = (
        _arm(arm, body, depth) for arm, depth in zip(pose.arms, (far, 1.0), strict=True)
    )
    far_leg, near_leg = (
        _leg(leg, body, depth) for leg, depth in zip(pose.legs, (far, 1.0), strict=True)
    )
    trunk = _trunk(pose, body)
    if pose.frontal:
        return far_leg + near_leg + trunk + far_arm + near_arm
    return far_arm + far_leg + near_leg + trunk + near_arm


def paint(
    canvas: NDArray[np.uint8],
    marks: list[Stroke],
    origin: tuple[float, float],
    scale: float,
    facing: float,
    tint: Tint = attrgetter("shade"),
) -> None:
    """Draw strokes onto a canvas, in place.

    Args:
        canvas: uint8 (H, W), or (H, W, C) with up to four channels.
        marks: of one figure.
        origin: the figure's origin on the canvas (x, y), in pixels.
        scale: pixels per body height.
        facing: 1 looks right, -1 left; between them, who turns round is seen narrower.
        tint: what to draw a stroke with, a number or one per channel; its shade by default.
    """
    fixed_point = 16  # cv2 takes coordinates in sixteenths of a pixel with shift=4
    for mark in marks:
        corners = np.array(
            [(origin[0] + facing * scale * p.x, origin[1] + scale * p.y) for p in mark.points]
        )
        corners = np.rint(corners * fixed_point).astype(np.int32)
        color = tint(mark)
        width = max(round(mark.width * scale), 1)
        if mark.filled:
            cv2.fillPoly(canvas, [corners], color, cv2.LINE_AA, shift=4)
        cv2.polylines(canvas, [corners], mark.filled, color, width, cv2.LINE_AA, shift=4)


def _arm(joints: list[Point], body: Body, depth: float) -> list[Stroke]:
    shoulder, elbow, hand = joints
    sleeve = "top" if body.long_sleeves else "skin"
    marks = [
        _stroke(body, "top", [shoulder, elbow], 0.062 * body.build, depth * 0.93),
        _stroke(body, sleeve, [elbow, hand], 0.046 * body.build, depth * 0.93),
        _stroke(body, "skin", [hand, hand], 0.052, depth),
    ]
    return [mark._replace(limb="arm") for mark in marks]


def _leg(joints: list[Point], body: Body, depth: float) -> list[Stroke]:
    hip, knee, ankle, toe = joints
    marks = [
        _stroke(body, "shoes", [ankle, toe], 0.045, depth),
        _stroke(body, "trousers", [knee, ankle], 0.066 * body.build, depth),
        _stroke(body, "trousers", [hip, knee], 0.096 * body.build, depth),
    ]
    return [mark._replace(limb="leg") for mark in marks]


def _trunk(pose: Pose, body: Body) -> list[Stroke]:
    left, right = pose.shoulders
    neck = Point((left.x + right.x) / 2, (left.y + right.y) / 2)
    thick = 0.09 if pose.frontal else 0.135
    hem = 0.13 if body.coat else 0.0
    rim = thick * body.build * (1.12 if body.coat else 1.0)
    low = [Point(p.x * (1.3 if body.coat else 1.0), p.y + hem) for p in pose.hips]
    # the rim is drawn round the corners, so they move in by half of it
    inset = rim / 2
    outline = [
        Point(left.x, left.y + inset * 0.6),
        Point(right.x, right.y + inset * 0.6),
        Point(low[1].x, low[1].y - inset * 0.4),
        Point(low[0].x, low[0].y - inset * 0.4),
    ]
    crown = Point(pose.head.x, pose.head.y - 0.022)
    return [
        _stroke(body, "skin", [neck, pose.head], 0.055, 0.85),
        _stroke(body, "top", outline, rim, filled=True),
        _stroke(body, "hair", [crown, Point(pose.head.x, pose.head.y)], 2 * HEAD_RADIUS),
        _stroke(
            body,
            "skin",
            [Point(pose.head.x + (0.0 if pose.frontal else 0.014), pose.head.y + 0.008)] * 2,
            2 * HEAD_RADIUS * 0.88,
        ),
    ]


def _stroke(
    body: Body,
    part: str,
    points: list[Point],
    width: float,
    light: float = 1.0,
    filled: bool = False,
) -> Stroke:
    return Stroke(points, width, part, getattr(body, part) * light, light, filled)
