"""How an articulated person moves: six actions, as joint positions over time.

Lengths are in body heights. x runs forward, y down, and the origin is the ground below the hips.
An angle is in radians from hanging straight down; positive is forward (seen from the side) or
outward (seen from the front).
"""

from dataclasses import dataclass
from math import cos, hypot, pi, radians, sin, sqrt
from typing import Literal, NamedTuple, TypeAlias

HEAD_RADIUS = 0.052
UPPER_ARM, FOREARM = 0.165, 0.15
FOOT = 0.085
ANKLE = 0.035

Limb: TypeAlias = Literal["arm", "leg"]


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


def pose(action: str, body: Body, phase: float) -> Pose:
    """The pose at a phase (radians; 2 pi is one cycle) of one of the six KTH actions."""
    if action in GAITS:
        return _travel(GAITS[action], body, phase)
    return {"boxing": _box, "handclapping": _clap, "handwaving": _wave}[action](body, phase)


def acting_limbs(action: str) -> tuple[Limb, ...]:
    """What an action is made of: all four limbs of who travels, else the arms; the feet stand."""
    return ("arm", "leg") if action in GAITS else ("arm",)


def stand(body: Body) -> Pose:
    """The pose of who does nothing: seen from the front, the arms hanging."""
    arms = []
    for side, shoulder in zip((-1, 1), _front_shoulders(body), strict=True):
        elbow = shoulder.reach(side * radians(10), UPPER_ARM)
        arms.append([shoulder, elbow, elbow.reach(side * radians(3), FOREARM)])
    return _front(body, (arms[0], arms[1]))


def _travel(gait: Gait, body: Body, phase: float) -> Pose:
    hip = Point(0.0, 0.0)
    legs = [_striding_leg(gait, body, hip, phase + shift) for shift in (pi, 0.0)]
    lowest = max(max(leg[2].y + ANKLE, leg[3].y) for leg in legs)
    # a runner is in the air when the thighs are farthest apart
    drop = -lowest - gait.lift * sin(phase) ** 2
    trunk = pi - radians(gait.lean)
    neck = hip.reach(trunk, trunk_length(body))
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
    neck = hip.reach(pi - radians(6), trunk_length(body))
    shoulders = (Point(neck.x + 0.03, neck.y), Point(neck.x - 0.02, neck.y + 0.01))
    arms = []
    for shoulder, side in zip(shoulders, (pi, 0.0), strict=True):
        punch = max(0.0, sin(phase + side)) ** 1.3
        hand = Point(shoulder.x + 0.11 + 0.19 * punch, shoulder.y + 0.01 - 0.05 * (1 - punch))
        arms.append(two_bones(shoulder, hand, UPPER_ARM, FOREARM, 1))
    legs = []
    for foot in (0.13, -0.12):
        ankle = Point(foot, -ANKLE)
        leg = two_bones(hip, ankle, body.leg / 2, body.leg / 2, -1)
        legs.append([*leg, Point(foot + FOOT, 0.0)])
    head = Point(neck.x + 0.025, neck.y - 0.11)
    return Pose(head, shoulders, (hip, hip), (arms[0], arms[1]), (legs[0], legs[1]), False)


def _clap(body: Body, phase: float) -> Pose:
    apart = 0.02 + 0.26 * (0.5 + 0.5 * cos(phase))
    arms = []
    shoulders = _front_shoulders(body)
    for side, shoulder in zip((-1, 1), shoulders, strict=True):
        hand = Point(side * apart, shoulder.y + 0.06)
        arms.append(two_bones(shoulder, hand, UPPER_ARM * 0.95, FOREARM * 0.95, side))
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
    height = -body.leg - ANKLE - trunk_length(body)
    return Point(-body.shoulder, height), Point(body.shoulder, height)


def trunk_length(body: Body) -> float:
    """From the hips to the neck."""
    return 1.0 - body.leg - ANKLE - 0.115 - 1.35 * HEAD_RADIUS


def two_bones(root: Point, end: Point, first: float, second: float, side: int) -> list[Point]:
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
