"""One rendered scene of the multispectral set: one actor, seen in colour and in infrared at once.

A person's looks and every place are the same for all actions, so that only pose and motion tell the
actions apart.
"""

from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.data.limits import check_bytes, check_pixels
from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS, MAD_CYCLES_PER_SECOND, mad_pose
from benchmarks_kth_mad.rendering.figures import strokes
from benchmarks_kth_mad.rendering.motion import GAITS
from benchmarks_kth_mad.rendering.scenes import Picture
from benchmarks_kth_mad.rendering.thermal_actor import (
    Layers,
    Stance,
    draw_actor,
    draw_looks,
    draw_shadow,
)
from benchmarks_kth_mad.rendering.thermal_places import Place, draw_place

FPS = 25
_TURN = ("day", "night", "day", "hot")

Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class MADSettings:
    """How much to render, and how large.

    Args:
        persons: how many; at least 3. A quarter of them is for testing.
        sequences: scenes per person and action, each in another place.
        frames: of each scene.
        height: rows.
        width: columns.
        seed: the same seed renders the same set; a person looks the same in any subset.
    """

    persons: int = 12
    sequences: int = 2
    frames: int = 34
    height: int = 84
    width: int = 112
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"persons": 3, "sequences": 1, "frames": 4, "height": 24, "width": 32, "seed": 0}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise BenchmarkError(
                    f"render {name}: expected at least {minimum}, got {getattr(self, name)}"
                )
        check_pixels("render", self.height, self.width)
        check_bytes("render frames", self.frames, self.height, self.width, 3)


class Scene(NamedTuple):
    """Both spectra of a scene, uint8 (T, H, W, 3) and (T, H, W), and what is true of it.

    ``masks`` bool (T, H, W) holds where the actor covers at least half of a pixel, in both.
    """

    visible: Frames
    infrared: Frames
    masks: Masks
    condition: str


class _Track(NamedTuple):
    """Where the actor is in each frame: phase, place (pixels), facing, and the light on it all."""

    phase: NDArray[np.float64]
    x: NDArray[np.float64]
    ground: float
    facing: NDArray[np.float64]
    light: NDArray[np.float64]


def condition_of(action: str, person: int, sequence: int) -> str:
    """Half of the scenes are by day, a quarter at night, and a quarter on a hot day.

    Over four persons every action meets every condition equally often.
    """
    return _TURN[(person + MAD_ACTIONS.index(action) + sequence) % len(_TURN)]


def render_scene(action: str, person: int, sequence: int, settings: MADSettings) -> Scene:
    """Render one scene in both spectra."""
    # one stream of numbers per thing that must not change with the others; a zero at the end of a
    # key would not count, and make two streams one
    seed, number = settings.seed, MAD_ACTIONS.index(action) + 1
    shape, where, acting = (
        np.random.default_rng([seed, *key])
        for key in ((person,), (person, sequence), (person, sequence, number))
    )
    condition = condition_of(action, person, sequence)
    place = draw_place(where, settings.height, settings.width, condition)
    looks, stature = draw_looks(shape), shape.uniform(0.52, 0.66) * settings.height
    track = _draw_track(acting, action, stature, settings)
    camera = _Camera(acting, place)
    visible, infrared, masks = [], [], []
    for k in range(settings.frames):
        marks = strokes(mad_pose(action, looks.body, float(track.phase[k])), looks.body)
        stance = Stance(marks, float(track.x[k]), track.ground, stature, float(track.facing[k]))
        actor = draw_actor(stance, looks, place)
        visible.append(camera.visible(actor, draw_shadow(stance, place), track.light[k]))
        infrared.append(camera.infrared(actor))
        masks.append(np.zeros(place.infrared.shape, bool))
        masks[-1][actor.window] = actor.share >= 0.5
    return Scene(np.stack(visible), np.stack(infrared), np.stack(masks), condition)


def _draw_track(
    rng: np.random.Generator, action: str, stature: float, settings: MADSettings
) -> _Track:
    seconds = np.arange(settings.frames) / FPS
    tempo = rng.uniform(*MAD_CYCLES_PER_SECOND[action])
    # who falls does it from the start, or most clips would show somebody who stands
    start = rng.uniform(0, 0.4) if action == "falling" else rng.uniform(0, 2 * pi)
    side = float(rng.choice((-1, 1)))
    facing = side * np.ones(settings.frames)
    x = settings.width * rng.uniform(0.42, 0.58) + 0.01 * stature * np.sin(2 * pi * 0.4 * seconds)
    if action == "falling":
        x -= side * 0.4 * stature
    if action in GAITS:
        speed = GAITS[action].stride * tempo * stature
        facing = side * _to_and_fro(rng, seconds, 0.7 * settings.width / speed)
        way = speed * np.cumsum(facing) / FPS
        x = settings.width * rng.uniform(0.47, 0.53) + way - (way.max() + way.min()) / 2
    return _Track(
        phase=start + 2 * pi * tempo * seconds,
        x=x,
        ground=settings.height * rng.uniform(0.87, 0.94),
        facing=facing,
        light=1 + 0.03 * np.sin(2 * pi * (rng.uniform(0.2, 0.6) * seconds + rng.uniform())),
    )


def _to_and_fro(
    rng: np.random.Generator, seconds: NDArray[np.float64], longest: float
) -> NDArray[np.float64]:
    """Facing over time: who travels turns round near the middle, or before the picture ends."""
    leg = min(longest, 0.9 * max(float(seconds[-1]), 1 / FPS))
    middle = seconds[-1] / 2 + leg * rng.uniform(-0.12, 0.12)
    swing = np.sin(pi * (seconds - middle) / leg)
    return np.tanh(6 * swing) / np.tanh(6)


class _Camera:
    """Two cameras at one spot, of which the infrared one is noisy."""

    def __init__(self, rng: np.random.Generator, place: Place) -> None:
        self._rng = rng
        self._place = place
        # uncooled infrared sensors keep a faint pattern of columns
        columns = rng.standard_normal(place.infrared.shape[1], dtype=np.float32)
        self._columns = 0.6 * columns

    def visible(self, actor: Layers, shadow: Picture, light: float) -> Frames:
        """RGB uint8 (H, W, 3)."""
        picture = self._place.visible * (1 - shadow[..., None])
        behind = picture[actor.window] * (1 - actor.share)[..., None]
        picture[actor.window] = actor.visible + behind
        return _digits(picture * np.float32(light))

    def infrared(self, actor: Layers) -> Frames:
        """Gray uint8 (H, W), in steps of two: noise in finer ones would fill the files."""
        picture = self._place.infrared.copy()
        behind = picture[actor.window] * (1 - actor.share)
        picture[actor.window] = actor.infrared + behind
        blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), len(picture) / 150), np.float32)
        noise = self._rng.standard_normal(picture.shape, dtype=np.float32)
        return 2 * _digits((blurred + self._columns + 0.8 * noise) / 2)


def _digits(picture: Picture) -> Frames:
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)
