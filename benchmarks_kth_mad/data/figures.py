"""An articulated person, as strokes on a canvas: six actions, from joint angles over time.

Lengths are in body heights. x runs forward, y down, and the origin is the ground below the hips.
An angle is in radians from hanging straight down; positive is forward (seen from the side) or
outward (seen from the front).
"""

from dataclasses import dataclass
from math import cos, hypot, pi, radians, sin, sqrt
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

HEAD_RADIUS = 0.052
UPPER_ARM, FOREARM = 0.165, 0.15
FOOT = 0.085
ANKLE = 0.035
FAR_SHADE = 0.86


class Point(NamedTuple):
    """A place in the picture plane, in body heights."""

    x: float
    y: float

    def reach(self, angle: float, length: float) -> "Point":
        """The other end of a bone that leaves here."""
        return Point(self.x + length * sin(angle), self.y + length * cos(angle))


@dataclass(frozen=True)
class Body:
    """Proportions and shades (gray levels) of a person."""

    build: float
    leg: float
    shoulder: float
    hair: float
    skin: float
    top: float
    trousers: float
    shoes: float
    long_sleeves: bool
    coat: bool


@dataclass(frozen=True)
class Gait:
    """How somebody travels: amplitudes in degrees, the rest in body heights.

    ``swing`` says how early in the forward swing the knee bends most, in radians.
    """

    stride: float
    thigh: float
    thigh_offset: float
    knee_rest: float
    knee_swing: float
    swing: float
    arm: float
    elbow: float
    lean: float
    lift: float


GAITS = {
    "walking": Gait(0.86, 25, 2, 5, 58, 0.25, 22, 14, 2, 0.0),
    "jogging": Gait(1.15, 31, 8, 16, 70, 0.25, 30, 75, 5, 0.035),
    "running": Gait(1.75, 42, 12, 18, 95, 0.2, 45, 90, 12, 0.06),
}

CYCLES_PER_SECOND = {
    "boxing": (1.1, 1.7),
    "handclapping": (1.3, 2.0),
    "handwaving": (0.7, 1.1),
    "jogging": (1.2, 1.4),
    "running": (1.35, 1.6),
    "walking": (0.85, 1.05),
}


@dataclass(frozen=True)
class Pose:
    """Joints of one moment. A limb is its three joints from the trunk outward; a leg ends in a toe."""

    head: Point
    shoulders: tuple[Point, Point]
    hips: tuple[Point, Point]
    arms: tuple[list[Point], list[Point]]
    legs: tuple[list[Point], list[Point]]
    frontal: bool


class Stroke(NamedTuple):
    """A thick line through points, or a closed shape with a thick rim."""

    points: list[Point]
    width: float
    shade: float
    filled: bool = False


def pose(action: str, body: Body, phase: float) -> Pose:
    """The pose at a phase (radians; 2 pi is one cycle) of one of the six KTH actions."""
    if action in GAITS:
        return _travel(GAITS[action], body, phase)
    return {"boxing": _box, "handclapping": _clap, "handwaving": _wave}[action](body, phase)


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
    facing: int,
    shade: int | None = None,
) -> None:
    """Draw strokes onto a canvas, in place.

    Args:
        canvas: uint8 (H, W).
        marks: of one figure.
        origin: the figure's origin on the canvas (x, y), in pixels.
        scale: pixels per body height.
        facing: 1 looks right, -1 left.
        shade: draw everything with this one, to get a mask.
    """
    fixed_point = 16  # cv2 takes coordinates in sixteenths of a pixel with shift=4
    for mark in marks:
        corners = np.array(
            [(origin[0] + facing * scale * p.x, origin[1] + scale * p.y) for p in mark.points]
        )
        corners = np.rint(corners * fixed_point).astype(np.int32)
        gray = float(mark.shade if shade is None else shade)
        width = max(round(mark.width * scale), 1)
        if mark.filled:
            cv2.fillPoly(canvas, [corners], gray, cv2.LINE_AA, shift=4)
        cv2.polylines(canvas, [corners], mark.filled, gray, width, cv2.LINE_AA, shift=4)


def _travel(gait: Gait, body: Body, phase: float) -> Pose:
    hip = Point(0.0, 0.0)
    legs = [_striding_leg(gait, body, hip, phase + shift) for shift in (pi, 0.0)]
    lowest = max(max(leg[2].y + ANKLE, leg[3].y) for leg in legs)
    # a runner is in the air when the thighs are farthest apart
    drop = -lowest - gait.lift * sin(phase) ** 2
    trunk = pi - radians(gait.lean)
    neck = hip.reach(trunk, _trunk_length(body))
    arms = [_swinging_arm(gait, neck, phase + shift) for shift in (0.0, pi)]
    head = neck.reach(pi - radians(gait.lean + 4), 0.115)
    return _at_height(
        Pose(head, (neck, neck), (hip, hip), (arms[0], arms[1]), (legs[0], legs[1]), False), drop
    )


def _striding_leg(gait: Gait, body: Body, hip: Point, phase: float) -> list[Point]:
    thigh = radians(gait.thigh_offset + gait.thigh * sin(phase))
    bent = max(0.0, cos(phase + gait.swing)) ** 2
    shin = thigh - radians(gait.knee_rest + gait.knee_swing * bent)
    knee = hip.reach(thigh, body.leg / 2)
    ankle = knee.reach(shin, body.leg / 2)
    return [hip, knee, ankle, ankle.reach(shin + pi / 2, FOOT)]


def _swinging_arm(gait: Gait, shoulder: Point, phase: float) -> list[Point]:
    upper = radians(gait.arm * sin(phase) - gait.elbow / 6)
    elbow = shoulder.reach(upper, UPPER_ARM)
    bend = radians(gait.elbow * (1 + 0.25 * sin(phase)))
    return [shoulder, elbow, elbow.reach(upper + bend, FOREARM)]


def _box(body: Body, phase: float) -> Pose:
    sway = 0.02 * sin(phase)
    hip = Point(sway, -body.leg * 0.965 - ANKLE - 0.008 * cos(2 * phase))
    neck = hip.reach(pi - radians(6), _trunk_length(body))
    shoulders = (Point(neck.x + 0.03, neck.y), Point(neck.x - 0.02, neck.y + 0.01))
    arms = []
    for shoulder, side in zip(shoulders, (pi, 0.0), strict=True):
        punch = max(0.0, sin(phase + side)) ** 1.3
        hand = Point(shoulder.x + 0.11 + 0.19 * punch, shoulder.y + 0.01 - 0.05 * (1 - punch))
        arms.append(_two_bones(shoulder, hand, UPPER_ARM, FOREARM, 1))
    legs = []
    for foot in (0.13, -0.12):
        ankle = Point(foot, -ANKLE)
        leg = _two_bones(hip, ankle, body.leg / 2, body.leg / 2, -1)
        legs.append([*leg, Point(foot + FOOT, 0.0)])
    head = Point(neck.x + 0.025, neck.y - 0.11)
    return Pose(head, shoulders, (hip, hip), (arms[0], arms[1]), (legs[0], legs[1]), False)


def _clap(body: Body, phase: float) -> Pose:
    apart = 0.02 + 0.26 * (0.5 + 0.5 * cos(phase))
    arms = []
    shoulders = _front_shoulders(body)
    for side, shoulder in zip((-1, 1), shoulders, strict=True):
        hand = Point(side * apart, shoulder.y + 0.06)
        arms.append(_two_bones(shoulder, hand, UPPER_ARM * 0.95, FOREARM * 0.95, side))
    return _front(body, (arms[0], arms[1]))


def _wave(body: Body, phase: float) -> Pose:
    raised = radians(105 - 55 * cos(phase))
    bend = radians(12 + 10 * sin(phase))
    arms = []
    for side, shoulder in zip((-1, 1), _front_shoulders(body), strict=True):
        elbow = shoulder.reach(side * raised, UPPER_ARM)
        arms.append([shoulder, elbow, elbow.reach(side * (raised + bend), FOREARM)])
    return _front(body, (arms[0], arms[1]))


def _front(body: Body, arms: tuple[list[Point], list[Point]]) -> Pose:
    hip = -body.leg - ANKLE
    hips = (Point(-0.05, hip), Point(0.05, hip))
    legs = []
    for side, joint in zip((-1, 1), hips, strict=True):
        ankle = Point(side * 0.075, -ANKLE)
        knee = Point((joint.x + ankle.x) / 2, (joint.y + ankle.y) / 2)
        legs.append([joint, knee, ankle, Point(side * 0.1, 0.0)])
    shoulders = _front_shoulders(body)
    head = Point(0.0, shoulders[0].y - 0.115)
    return Pose(head, shoulders, hips, arms, (legs[0], legs[1]), True)


def _front_shoulders(body: Body) -> tuple[Point, Point]:
    height = -body.leg - ANKLE - _trunk_length(body)
    return Point(-body.shoulder, height), Point(body.shoulder, height)


def _trunk_length(body: Body) -> float:
    return 1.0 - body.leg - ANKLE - 0.115 - 1.35 * HEAD_RADIUS


def _two_bones(root: Point, end: Point, first: float, second: float, side: int) -> list[Point]:
    """Root, middle joint and end, by the law of cosines; ``side`` picks which way the joint bends."""
    dx, dy = end.x - root.x, end.y - root.y
    distance = min(max(hypot(dx, dy), 1e-6), (first + second) * 0.999)
    along = (first**2 - second**2 + distance**2) / (2 * distance)
    across = side * sqrt(max(first**2 - along**2, 0.0))
    ux, uy = dx / hypot(dx, dy), dy / hypot(dx, dy)
    middle = Point(root.x + along * ux - across * uy, root.y + along * uy + across * ux)
    return [root, middle, Point(root.x + distance * ux, root.y + distance * uy)]


def _at_height(pose: Pose, drop: float) -> Pose:
    def move(points: list[Point]) -> list[Point]:
        return [Point(point.x, point.y + drop) for point in points]

    def pair(points: tuple[Point, Point]) -> tuple[Point, Point]:
        first, second = move(list(points))
        return first, second

    return Pose(
        move([pose.head])[0],
        pair(pose.shoulders),
        pair(pose.hips),
        (move(pose.arms[0]), move(pose.arms[1])),
        (move(pose.legs[0]), move(pose.legs[1])),
        pose.frontal,
    )


def _arm(joints: list[Point], body: Body, depth: float) -> list[Stroke]:
    shoulder, elbow, hand = joints
    sleeve = body.top if body.long_sleeves else body.skin
    return [
        Stroke([shoulder, elbow], 0.062 * body.build, body.top * depth * 0.93),
        Stroke([elbow, hand], 0.046 * body.build, sleeve * depth * 0.93),
        Stroke([hand, hand], 0.052, body.skin * depth),
    ]


def _leg(joints: list[Point], body: Body, depth: float) -> list[Stroke]:
    hip, knee, ankle, toe = joints
    return [
        Stroke([ankle, toe], 0.045, body.shoes * depth),
        Stroke([knee, ankle], 0.066 * body.build, body.trousers * depth),
        Stroke([hip, knee], 0.096 * body.build, body.trousers * depth),
    ]


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
        Stroke([neck, pose.head], 0.055, body.skin * 0.85),
        Stroke(outline, rim, body.top, filled=True),
        Stroke([crown, Point(pose.head.x, pose.head.y)], 2 * HEAD_RADIUS, body.hair),
        Stroke(
            [Point(pose.head.x + (0.0 if pose.frontal else 0.014), pose.head.y + 0.008)] * 2,
            2 * HEAD_RADIUS * 0.88,
            body.skin,
        ),
    ]
