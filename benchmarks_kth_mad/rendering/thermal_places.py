"""Places that a colour camera and an infrared camera see from the same spot, pixel on pixel.

Paint, texture, shadow and lamplight belong to the visible; warmth belongs to the infrared. Some things
are in one alone on purpose: posters and paving have the warmth of what they are on, while a pipe and a
vent have the paint of what is round them.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.rendering.scenes import Picture

CONDITIONS = ("day", "night", "hot")
_LARGER = 2  # drawn larger and scaled down, so that edges are smooth
_COOL = 70.0  # gray level of what has the temperature of the air by day
# in steps, and without noise, a colour frame takes half the room in a file
_STEP = {"day": 8.0, "night": 2.0, "hot": 8.0}
NIGHT_LIGHT = (0.1, 0.11, 0.15)  # what is left of the light, by channel

Color = tuple[float, float, float]


class Place(NamedTuple):
    """A place without people.

    ``visible`` is RGB float32 (H, W, 3) and ``infrared`` float32 (H, W), both in gray levels.
    ``light`` says from where and how steeply the light comes: from -1, low on the left, to 1.
    """

    visible: Picture
    infrared: Picture
    light: float
    condition: str


def hue_color(hue: float, saturation: float, value: float) -> Color:
    """RGB in gray levels of a hue and a saturation in 0..1, and a value in 0..255."""
    sector = (hue % 1.0) * 6
    channels = [np.clip(abs((sector - shift) % 6 - 3) - 1, 0, 1) for shift in (0, 2, 4)]
    r, g, b = (value * (1 - saturation * (1 - float(share))) for share in channels)
    return r, g, b


def luma(color: Sequence[float]) -> float:
    """How bright a colour looks (ITU-R BT.601)."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def draw_place(rng: np.random.Generator, height: int, width: int, condition: str) -> Place:
    """Draw a place; all draws are the same in every condition.

    Args:
        rng: decides everything about the place.
        height: rows.
        width: columns.
        condition: ``"day"``; ``"night"``, dark in the visible; or ``"hot"``, when the ground is as warm
            as a person.
    """
    canvas = _Canvas(rng, height * _LARGER, width * _LARGER)
    canvas.wall_and_ground()
    for _ in range(rng.integers(2, 5)):
        canvas.poster()
    if rng.random() < 0.5:
        canvas.tree()
    if rng.random() < 0.6:
        canvas.car()
    canvas.pipe()
    if rng.random() < 0.7:
        canvas.vent()
    lamp = canvas.lamp()
    light = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1))
    visible = canvas.visible + _texture(rng, height * _LARGER, width * _LARGER)[..., None]
    visible = _shrink(visible) * (1 + 0.12 * light * np.linspace(-1, 1, width))[None, :, None]
    infrared = cv2.GaussianBlur(_shrink(canvas.infrared), (0, 0), height / 140)
    visible = _seen(visible, condition, lamp[0] / _LARGER, lamp[1] / _LARGER)
    steps = np.rint(np.clip(visible, 0, 255) / _STEP[condition])
    return Place(
        (steps * _STEP[condition]).astype(np.float32),
        _warmed(np.asarray(infrared, np.float32), condition),
        light,
        condition,
    )


def _seen(visible: NDArray, condition: str, x: float, y: float) -> NDArray:
    """The place in this light; at night the lamp is all there is."""
    if condition == "day":
        return visible
    if condition == "hot":
        return visible * np.array([1.15, 1.1, 0.98]) + 6
    height, width = visible.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - y, columns - x) / height
    glow = np.exp(-((distance / 0.22) ** 2))[..., None]
    dark = visible * np.array(NIGHT_LIGHT) + 4
    return dark + glow * (0.35 * visible + 60) * np.array([1.0, 0.85, 0.55])


def _warmed(infrared: NDArray, condition: str) -> Picture:
    """The place at this temperature; heated things stay as warm as they are."""
    heat = infrared - _COOL
    if condition == "night":
        return np.asarray(_COOL - 22 + np.where(heat > 25, heat + 12, 0.6 * heat), np.float32)
    if condition == "hot":
        return np.asarray(150 + 0.45 * heat, np.float32)
    return infrared


class _Canvas:
    """Both pictures of a place, drawn together."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng = rng
        self.height, self.width = height, width
        self.visible = np.zeros((height, width, 3), np.float32)
        self.infrared = np.zeros((height, width), np.float32)
        self.horizon = int(height * rng.uniform(0.56, 0.66))
        self.wall = hue_color(rng.random(), rng.uniform(0.05, 0.35), rng.uniform(115, 215))
        ground = float(rng.choice((0.09, 0.12, 0.3, 0.6)))
        self.ground = hue_color(ground, rng.uniform(0.08, 0.35), rng.uniform(95, 175))

    def wall_and_ground(self) -> None:
        """A wall with a ramp of light, bricks or boards, and paving that runs to a far point."""
        rng, rows = self.rng, np.linspace(-1, 1, self.height, dtype=np.float32)[:, None]
        self.visible[: self.horizon] = self.wall
        self.visible[self.horizon :] = self.ground
        self.visible *= (1 + rng.uniform(-0.12, 0.12) * rows)[..., None]
        self.infrared[:] = _COOL + rng.uniform(-6, 6) * rows
        self.infrared[: self.horizon] += np.float32(rng.uniform(-7, 7))
        course = int(rng.integers(8, 18) * self.height / 192)
        for y in range(self.horizon - course, 0, -course):
            self._line((0, y), (self.width, y), _shaded(self.wall, 0.9), 1)
        far = (int(self.width * rng.uniform(0.3, 0.7)), int(self.horizon - self.height * 0.15))
        for x in np.linspace(-1.2, 2.2, 14) * self.width:
            slope = (self.height - far[1]) / (self.horizon - far[1])
            top = (int(far[0] + (x - far[0]) / slope), self.horizon)
            self._line(top, (int(x), self.height), _shaded(self.ground, 0.88), 1)
        self._line((0, self.horizon), (self.width, self.horizon), _shaded(self.wall, 0.6), 2)

    def poster(self) -> None:
        """Bright paint on the wall, of the wall's warmth: infrared does not see it."""
        rng = self.rng
        x, y = int(rng.uniform(0, 0.88) * self.width), int(rng.uniform(0.08, 0.5) * self.horizon)
        w, h = int(rng.uniform(0.07, 0.18) * self.width), int(rng.uniform(0.2, 0.42) * self.horizon)
        hue, value = rng.random(), rng.uniform(110, 235)
        self._box((x, y), (x + w, y + h), hue_color(hue, rng.uniform(0.45, 0.9), value))
        stripe = hue_color(
            hue + rng.uniform(0.25, 0.75), rng.uniform(0.3, 0.9), rng.uniform(90, 240)
        )
        for part in np.linspace(0.2, 0.8, int(rng.integers(2, 4))):
            level = int(y + part * h)
            self._line((x + 2, level), (x + w - 2, level), stripe, max(int(h * 0.12), 1))

    def tree(self) -> None:
        """Green and mottled; as cool as the air."""
        rng = self.rng
        x, top = int(rng.uniform(0, 1) * self.width), int(rng.uniform(0.15, 0.45) * self.horizon)
        self._line((x, top), (x, self.horizon + 4), hue_color(0.07, 0.5, 80), 6)
        for _ in range(14):
            at = (x + int(rng.normal(0, 14)), top + int(rng.normal(0, 12)))
            green = hue_color(rng.uniform(0.24, 0.36), 0.6, rng.uniform(60, 150))
            cv2.circle(self.visible, at, int(rng.integers(6, 14)), green, -1, cv2.LINE_AA)
            cv2.circle(self.infrared, at, 8, _COOL - 4, -1, cv2.LINE_AA)

    def car(self) -> None:
        """A parked car that has just been driven: paint in the visible, a hot engine in the infrared."""
        rng = self.rng
        w, h = int(0.34 * self.width), int(0.13 * self.height)
        x, y = int(rng.uniform(-0.1, 0.76) * self.width), self.horizon + int(0.02 * self.height)
        paint = hue_color(rng.random(), rng.uniform(0.2, 0.85), rng.uniform(70, 220))
        roof = [(x + w // 5, y - h), (x + w * 3 // 5, y - h), (x + w * 4 // 5, y - h // 2)]
        body = np.array([(x, y), (x, y - h // 2), *roof, (x + w, y - h // 3), (x + w, y)])
        cv2.fillPoly(self.visible, [body], paint, cv2.LINE_AA)
        cv2.fillPoly(self.infrared, [body], _COOL + 8, cv2.LINE_AA)
        self._box((x + w // 4, y - h * 7 // 8), (x + w * 3 // 5, y - h // 2), (60, 70, 85))
        hood = np.array([(x + w * 3 // 4, y - h // 2), (x + w, y - h // 3), (x + w, y), roof[2]])
        cv2.fillPoly(self.infrared, [hood], _COOL + 85, cv2.LINE_AA)
        for wheel in (0.2, 0.8):
            at = (x + int(wheel * w), y)
            cv2.circle(self.visible, at, h // 4, (25, 25, 28), -1, cv2.LINE_AA)
            cv2.circle(self.infrared, at, h // 4, _COOL + 35, -1, cv2.LINE_AA)

    def pipe(self) -> None:
        """Hot water behind paint of the wall's colour: the visible hardly shows it."""
        rng = self.rng
        x, y = int(rng.uniform(0.08, 0.92) * self.width), int(rng.uniform(0.15, 0.6) * self.horizon)
        route = [(0 if x < self.width / 2 else self.width, y), (x, y), (x, self.horizon)]
        for first, second in pairwise(route):
            self._line(first, second, _shaded(self.wall, 0.95), 4)
            cv2.line(self.infrared, first, second, _COOL + rng.uniform(70, 100), 5, cv2.LINE_AA)

    def vent(self) -> None:
        """Warm air from the ground, which is painted no differently."""
        rng = self.rng
        at = (int(rng.uniform(0.1, 0.9) * self.width), int(rng.uniform(0.8, 0.92) * self.height))
        axes = (int(0.06 * self.width), int(0.025 * self.height))
        cv2.ellipse(self.visible, at, axes, 0, 0, 360, _shaded(self.ground, 0.93), 1, cv2.LINE_AA)
        warmth = _COOL + rng.uniform(45, 75)
        cv2.ellipse(self.infrared, at, axes, 0, 0, 360, warmth, -1, cv2.LINE_AA)

    def lamp(self) -> tuple[int, int]:
        """A post with a lamp, hot at the top; where its light is."""
        x, top = int(self.rng.uniform(0.05, 0.95) * self.width), int(0.14 * self.height)
        self._line((x, top), (x, self.horizon + 6), (70, 72, 76), 3)
        cv2.circle(self.visible, (x, top), 5, (225, 220, 190), -1, cv2.LINE_AA)
        cv2.line(self.infrared, (x, top), (x, self.horizon + 6), _COOL + 6, 3, cv2.LINE_AA)
        cv2.circle(self.infrared, (x, top), 6, _COOL + 120, -1, cv2.LINE_AA)
        return x, top

    def _line(self, first: tuple, second: tuple, color: Color, width: int) -> None:
        cv2.line(self.visible, first, second, color, width, cv2.LINE_AA)

    def _box(self, corner: tuple, other: tuple, color: Color) -> None:
        cv2.rectangle(self.visible, corner, other, color, -1)


def _shaded(color: Color, share: float) -> Color:
    return color[0] * share, color[1] * share, color[2] * share


def _shrink(picture: NDArray) -> NDArray:
    height, width = picture.shape[:2]
    size = (width // _LARGER, height // _LARGER)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _texture(rng: np.random.Generator, height: int, width: int) -> Picture:
    grain = np.zeros((height, width), np.float32)
    for sigma, strength in ((8.0, 2.5), (24.0, 4.5)):
        noise = rng.standard_normal((height, width), dtype=np.float32)
        smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma * height / 192), np.float32)
        grain += smooth * np.float32(strength / max(float(smooth.std()), 1e-6))
    return grain
