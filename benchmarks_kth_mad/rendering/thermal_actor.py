"""The actor of a scene as layers to lay over a place: paint with its pattern, warmth, and shadow."""

from collections.abc import Mapping
from math import pi
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.rendering.figures import Stroke, Tint, cover, paint
from benchmarks_kth_mad.rendering.motion import Body, Point
from benchmarks_kth_mad.rendering.scenes import Picture
from benchmarks_kth_mad.rendering.thermal_places import NIGHT_LIGHT, Color, Place, hue_color, luma

_OVERSAMPLING = 2
_RIM = 0.1  # room round the joints for the thickness of a limb, in body heights
_WARMTH = {"skin": 226.0, "hair": 168.0, "top": 176.0, "trousers": 158.0, "shoes": 122.0}
# on a hot day clothes and skin are hardly warmer than a wall in the sun
_HOT = {"skin": 169.0, "hair": 163.0, "top": 161.0, "trousers": 158.0, "shoes": 145.0}
_SHADOWS = {"day": 0.3, "night": 0.0, "hot": 0.4}  # the share of light that is missing there


class Looks(NamedTuple):
    """What a person looks like: shape, paint, and the paint of the pattern on it.

    ``stripes`` counts the pattern's periods per body height, down the trunk and across it; 0 is none.
    """

    body: Body
    paint: Mapping[str, Color]
    pattern: Mapping[str, Color]
    stripes: tuple[float, float]


class Stance(NamedTuple):
    """A figure in a frame: its strokes, its origin and size in pixels, and where it faces."""

    marks: list[Stroke]
    x: float
    ground: float
    stature: float
    facing: float


class Layers(NamedTuple):
    """The actor alone, in a window of the picture: RGB and warmth, and the share that is covered."""

    window: tuple[slice, slice]
    visible: Picture
    infrared: Picture
    share: Picture


def draw_looks(rng: np.random.Generator) -> Looks:
    """Draw a person, clothed."""
    body = Body(
        build=rng.uniform(0.9, 1.3),
        leg=rng.uniform(0.45, 0.5),
        shoulder=rng.uniform(0.085, 0.115),
        hair=0.0,
        skin=0.0,
        top=0.0,
        trousers=0.0,
        shoes=0.0,
        long_sleeves=bool(rng.random() < 0.6),
        coat=bool(rng.random() < 0.2),
    )
    hue = rng.random()
    colors = {
        "hair": hue_color(0.08, rng.uniform(0.2, 0.7), rng.uniform(25, 120)),
        "skin": hue_color(rng.uniform(0.05, 0.09), rng.uniform(0.3, 0.5), rng.uniform(130, 235)),
        "top": hue_color(hue, rng.uniform(0.55, 0.95), rng.uniform(90, 235)),
        "trousers": hue_color(rng.uniform(0.5, 0.75), rng.uniform(0.1, 0.6), rng.uniform(35, 130)),
        "shoes": hue_color(rng.random(), 0.3, rng.uniform(20, 90)),
    }
    value = 240 if luma(colors["top"]) < 120 else 60
    second = hue_color(hue + rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.9), value)
    stripes = ((14.0, 0.0), (0.0, 18.0), (12.0, 14.0))[int(rng.integers(3))]
    return Looks(body, colors, {**colors, "top": second}, stripes)


def draw_actor(stance: Stance, looks: Looks, place: Place) -> Layers:
    """Draw larger and scale down, so that limbs move by less than a pixel smoothly."""
    window = _window(stance, place)
    rows, columns = (part.stop - part.start for part in window)
    large = stance._replace(
        x=(stance.x - window[1].start) * _OVERSAMPLING,
        ground=(stance.ground - window[0].start) * _OVERSAMPLING,
        stature=stance.stature * _OVERSAMPLING,
    )
    warmth = _HOT if place.condition == "hot" else _WARMTH
    size = (rows * _OVERSAMPLING, columns * _OVERSAMPLING)
    plain, patterned = (np.zeros((*size, 4), np.uint8) for _ in range(2))
    covered = np.zeros(size, np.uint8)
    for canvas, tint in (
        (plain, _tint(looks.paint, warmth)),
        (patterned, _tint(looks.pattern, warmth)),
        (covered, cover),
    ):
        _paint(canvas, large, tint)
    second = _stripes(looks, large, size)[..., None]
    pixels = _shrink(plain * (1 - second) + patterned * second, rows, columns)
    return Layers(
        window,
        pixels[..., :3] * _light(stance, place, window[1]),
        pixels[..., 3],
        _shrink(covered / np.float32(255), rows, columns),
    )


def draw_shadow(stance: Stance, place: Place) -> Picture:
    """The share of light that the actor takes from the ground, (H, W); in the visible alone."""
    canvas = np.zeros(place.infrared.shape, np.uint8)
    share = _SHADOWS[place.condition]
    if share == 0:
        return canvas.astype(np.float32)
    flat = [
        mark._replace(
            points=[
                Point(stance.facing * p.x + 0.55 * place.light * p.y, 0.24 * p.y)
                for p in mark.points
            ],
            width=0.8 * mark.width,
        )
        for mark in stance.marks
    ]
    _paint(canvas, stance._replace(marks=flat, facing=1.0), cover)
    soft = np.asarray(cv2.GaussianBlur(canvas, (0, 0), stance.stature / 60))
    return soft.astype(np.float32) * np.float32(share / 255)


def _paint(canvas: NDArray[np.uint8], stance: Stance, tint: Tint) -> None:
    origin = (stance.x, stance.ground)
    paint(canvas, stance.marks, origin, stance.stature, stance.facing, tint)


def _tint(colors: Mapping[str, Color], warmth: Mapping[str, float]) -> Tint:
    """RGB and warmth of a stroke; a limb that is farther away is darker, but no cooler."""

    def tint(mark: Stroke) -> tuple[float, ...]:
        return *(channel * mark.light for channel in colors[mark.part]), warmth[mark.part]

    return tint


def _window(stance: Stance, place: Place) -> tuple[slice, slice]:
    """The part of the picture that the actor is in: at least a pixel, whoever has left it."""
    xs = [stance.facing * p.x for mark in stance.marks for p in mark.points]
    ys = [p.y for mark in stance.marks for p in mark.points]
    bounds = []
    for values, origin, length in zip(
        (ys, xs), (stance.ground, stance.x), place.infrared.shape, strict=True
    ):
        low = int(origin + stance.stature * (min(values) - _RIM))
        high = int(origin + stance.stature * (max(values) + _RIM)) + 1
        low = min(max(low, 0), length - 1)
        bounds.append(slice(low, max(min(high, length), low + 1)))
    return bounds[0], bounds[1]


def _stripes(looks: Looks, stance: Stance, size: tuple[int, int]) -> Picture:
    """Stripes or checks that go with the trunk: the share of the second paint, (H, W) in 0..1."""
    corners = next(mark for mark in stance.marks if mark.filled).points
    neck, hip = (
        np.array([stance.facing * (first.x + second.x) / 2, (first.y + second.y) / 2])
        for first, second in (corners[:2], corners[2:])
    )
    down = (hip - neck) / max(float(np.hypot(*(hip - neck))), 1e-6)
    rows, columns = np.indices(size, dtype=np.float32, sparse=True)
    x = (columns - stance.x) / stance.stature - neck[0]
    y = (rows - stance.ground) / stance.stature - neck[1]
    share = np.zeros(size, np.float32)
    for count, way in zip(
        looks.stripes, (x * down[0] + y * down[1], x * down[1] - y * down[0]), strict=True
    ):
        if count:
            share = np.maximum(share, np.clip(0.5 + 3 * np.cos(2 * pi * count * way), 0, 1))
    return share.astype(np.float32)


def _light(stance: Stance, place: Place, columns: slice) -> Picture:
    """How light falls on the actor, (1, W, 3): more of it on the side that it comes from."""
    if place.condition == "night":
        return np.array(NIGHT_LIGHT, np.float32)[None, None]
    across = (np.arange(columns.start, columns.stop) - stance.x) / (0.12 * stance.stature)
    side = 1 + 0.25 * place.light * np.clip(across, -1, 1)
    return np.repeat(side[None, :, None], 3, axis=2).astype(np.float32)


def _shrink(picture: NDArray, rows: int, columns: int) -> Picture:
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
