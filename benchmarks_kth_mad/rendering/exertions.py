"""The eight actions of the rendered multispectral set: five of KTH's, and three more.

Jogging is left out: in a second of video nobody can tell it from running for sure.
"""

from math import cos, pi, radians, sin

from benchmarks_kth_mad.rendering.motion import (
    ANKLE,
    CYCLES_PER_SECOND,
    FOOT,
    FOREARM,
    UPPER_ARM,
    Body,
    Point,
    Pose,
    pose,
    trunk_length,
    two_bones,
)

MAD_ACTIONS = (
    "bending",
    "boxing",
    "falling",
    "handclapping",
    "handwaving",
    "kicking",
    "running",
    "walking",
)

MAD_CYCLES_PER_SECOND = {
    **{name: tempo for name, tempo in CYCLES_PER_SECOND.items() if name in MAD_ACTIONS},
    "bending": (0.6, 0.85),
    "falling": (0.8, 1.0),
    "kicking": (0.9, 1.3),
}


def mad_pose(action: str, body: Body, phase: float) -> Pose:
    """The pose at a phase (radians; 2 pi is one cycle) of one of the eight actions.

    Who falls lies on the ground from then on, whatever the phase.
    """
    own = {"bending": _bend, "falling": _fall, "kicking": _kick}
    return own[action](body, phase) if action in own else pose(action, body, phase)


def _bend(body: Body, phase: float) -> Pose:
    """Down to the ground as if to pick something up, and back."""
    down = 0.5 - 0.5 * cos(phase)
    hip = Point(-0.1 * down, -body.leg * 0.965 - ANKLE + 0.13 * down)
    lean = radians(4 + 92 * down)
    neck = hip.reach(pi - lean, trunk_length(body))
    arms = []
    for ahead in (0.02, -0.02):
        waist = Point(neck.x + 0.13 + ahead, neck.y + 0.2)
        hand = _between(waist, Point(neck.x + 0.04 + ahead, -0.05), down)
        arms.append(two_bones(neck, hand, UPPER_ARM, FOREARM, 1))
    legs = [_standing_leg(body, hip, foot) for foot in (0.04, -0.05)]
    head = neck.reach(pi - 0.85 * lean, 0.115)
    return Pose(head, (neck, neck), (hip, hip), (arms[0], arms[1]), (legs[0], legs[1]), False)


def _kick(body: Body, phase: float) -> Pose:
    """One leg swings far back and high up, again and again; the trunk and the arms make up for it."""
    swing = sin(phase)
    hip = Point(0.0, -body.leg * 0.965 - ANKLE)
    lean = radians(2 - 14 * max(0.0, swing) + 10 * max(0.0, -swing))
    neck = hip.reach(pi - lean, trunk_length(body))
    arms = []
    for side in (1, -1):
        upper = radians(20 + side * 45 * swing)
        elbow = neck.reach(upper, UPPER_ARM)
        arms.append([neck, elbow, elbow.reach(upper + radians(35), FOREARM)])
    thigh = radians(28 + 60 * swing)
    shin = thigh - radians(14 + 75 * max(0.0, cos(phase + 0.5)) ** 2)
    knee = hip.reach(thigh, body.leg / 2)
    ankle = knee.reach(shin, body.leg / 2)
    legs = (
        _standing_leg(body, hip, 0.0),
        [hip, knee, ankle, ankle.reach(shin + pi / 2, FOOT)],
    )
    head = neck.reach(pi - lean - radians(6), 0.115)
    return Pose(head, (neck, neck), (hip, hip), (arms[0], arms[1]), legs, False)


def _fall(body: Body, phase: float) -> Pose:
    """Onto the knees, forward, and flat on the ground; once."""
    gone = min(max((phase / (2 * pi) - 0.06) / 0.56, 0.0), 1.0)
    shin_tilt = radians(86 * _ease(1.5 * gone))
    thigh_tilt = radians(86 * _ease(1.7 * gone - 0.7) - 14 * sin(pi * gone))
    trunk_tilt = radians(3 + 83 * _ease(1.6 * gone - 0.6) + 14 * sin(pi * gone))
    ankle = Point(0.0, -ANKLE - 0.015 * gone)
    knee = ankle.reach(pi - shin_tilt, body.leg / 2)
    hip = knee.reach(pi - thigh_tilt, body.leg / 2)
    neck = hip.reach(pi - trunk_tilt, trunk_length(body))
    arms = []
    for ahead in (8, -8):
        upper = radians(8 + 90 * _ease(1.4 * gone) + ahead * (1 - gone))
        elbow = neck.reach(upper, UPPER_ARM)
        arms.append([neck, elbow, elbow.reach(upper + radians(12 * (1 - gone)), FOREARM)])
    leg = [hip, knee, ankle, Point(FOOT, 0.0)]
    head = neck.reach(pi - trunk_tilt, 0.115)
    return Pose(head, (neck, neck), (hip, hip), (arms[0], arms[1]), (leg, leg), False)


def _standing_leg(body: Body, hip: Point, foot: float) -> list[Point]:
    leg = two_bones(hip, Point(foot, -ANKLE), body.leg / 2, body.leg / 2, -1)
    return [*leg, Point(foot + FOOT, 0.0)]


def _between(first: Point, second: Point, share: float) -> Point:
    return Point(
        first.x + (second.x - first.x) * share,
        first.y + (second.y - first.y) * share,
    )


def _ease(share: float) -> float:
    """From 0 to 1 with no jerk at either end."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)
