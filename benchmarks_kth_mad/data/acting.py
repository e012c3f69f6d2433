"""One rendered video: a person, a place, an action, and the camera.

A person's looks and every place are the same for all actions, so that only pose and motion tell the
actions apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.data.figures import Stroke, cover, paint, strokes
from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.motion import CYCLES_PER_SECOND, GAITS, Body, pose
from benchmarks_kth_mad.data.scenes import Picture, background
from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError

FPS = 25
SCENARIOS = 4
OVERSAMPLING = 2

Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class RenderSettings:
    """How much to render, and how large.

    Args:
        persons: how many; at least 3, so that each split has one.
        scenarios: of KTH: 1 outdoors, 2 outdoors with a changing scale, 3 outdoors in other clothes,
            4 indoors.
        sequences: subsequences per video; the walkers turn round between them.
        frames: of each subsequence. Those who travel are annotated only while they are in view.
        height: rows.
        width: columns.
        seed: the same seed renders the same set; a person looks the same in any subset.
        text: the action's name is burned in, in red; see `benchmarks_kth_mad.data.captions`.
    """

    persons: int = 24
    scenarios: Sequence[int] = (1,)
    sequences: int = 2
    frames: int = 24
    height: int = 120
    width: int = 160
    seed: int = 0
    text: bool = False

    def __post_init__(self) -> None:
        least = {"persons": 3, "sequences": 1, "frames": 4, "height": 24, "width": 32, "seed": 0}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise BenchmarkError(
                    f"render {name}: expected at least {minimum}, got {getattr(self, name)}"
                )
        known = range(1, SCENARIOS + 1)
        if not self.scenarios or any(scenario not in known for scenario in self.scenarios):
            raise BenchmarkError(
                f"render scenarios: expected some of 1 to {SCENARIOS}, got {list(self.scenarios)}"
            )


def render_video(
    action: str, person: int, scenario: int, settings: RenderSettings
) -> tuple[Frames, Masks, tuple[tuple[int, int], ...]]:
    """Render one video.

    Returns:
        Frames uint8 (T, H, W), the actor's masks bool (T, H, W), and the subsequences as KTH counts
        them (from 1, both ends included).
    """
    # one stream of numbers per thing that must not change with the others
    looks = np.random.default_rng([settings.seed, person])
    place = np.random.default_rng([settings.seed, person, scenario])
    acting = np.random.default_rng([settings.seed, person, scenario, ACTIONS.index(action)])
    body, stature = _draw_person(looks), looks.uniform(0.52, 0.7) * settings.height
    if scenario == 3:
        body = _change_clothes(body, place)
    scene = background(place, settings.height, settings.width, indoors=scenario == 4)
    body = _stand_out(body, scene)
    tempo = acting.uniform(*CYCLES_PER_SECOND[action])
    facing = int(acting.choice((-1, 1)))
    frames: list[Frames] = []
    masks: list[Masks] = []
    ranges = []
    for sequence in range(settings.sequences):
        track = _draw_track(acting, action, tempo, stature, scenario, settings)
        visible = track.visible(settings.width) if action in GAITS else (0, settings.frames - 1)
        offset = sequence * settings.frames + 1
        ranges.append((visible[0] + offset, visible[1] + offset))
        turned = facing * (-1) ** sequence if action in GAITS or action == "boxing" else 1
        for k in range(settings.frames):
            marks = strokes(pose(action, body, float(track.phase[k])), body)
            frame, mask = _picture(scene, marks, track, k, turned)
            frames.append(_expose(acting, frame, track.light[k]))
            masks.append(mask)
    return np.stack(frames), np.stack(masks), tuple(ranges)


@dataclass(frozen=True)
class _Track:
    """Where the actor is in each frame: phase, place and size in pixels (facing right), light."""

    phase: NDArray[np.float64]
    x: NDArray[np.float64]
    ground: float
    scale: NDArray[np.float64]
    light: NDArray[np.float64]

    def visible(self, width: int) -> tuple[int, int]:
        """First and last frame with the hips inside the picture."""
        inside = np.flatnonzero((self.x >= 0) & (self.x <= width))
        return int(inside[0]), int(inside[-1])


def _draw_track(
    rng: np.random.Generator,
    action: str,
    tempo: float,
    stature: float,
    scenario: int,
    settings: RenderSettings,
) -> _Track:
    seconds = np.arange(settings.frames) / FPS
    middle = seconds - seconds[-1] / 2
    scale = stature * np.ones(settings.frames)
    if scenario == 2:
        grows = rng.uniform(-0.25, 0.25)
        scale = stature * (0.9 + grows * np.linspace(-1, 1, settings.frames))
    x = settings.width * rng.uniform(0.42, 0.58) + 0.01 * stature * np.sin(2 * pi * 0.4 * seconds)
    if action in GAITS:
        speed = GAITS[action].stride * tempo * stature
        x = settings.width * rng.uniform(0.46, 0.54) + speed * middle
    return _Track(
        phase=rng.uniform(0, 2 * pi) + 2 * pi * tempo * seconds,
        x=x,
        ground=settings.height * rng.uniform(0.86, 0.94),
        scale=scale,
        light=1 + 0.03 * np.sin(2 * pi * (rng.uniform(0.1, 0.5) * seconds + rng.uniform())),
    )


def _picture(
    scene: Picture, marks: list[Stroke], track: _Track, k: int, facing: int
) -> tuple[Picture, Masks]:
    """Draw larger and scale down, so that limbs move by less than a pixel smoothly."""
    height, width = scene.shape
    large = (width * OVERSAMPLING, height * OVERSAMPLING)
    canvas = np.zeros(large[::-1], np.uint8)
    covered = np.zeros(large[::-1], np.uint8)
    x = track.x[k] if facing > 0 else width - track.x[k]
    origin = (float(x) * OVERSAMPLING, track.ground * OVERSAMPLING)
    scale = float(track.scale[k]) * OVERSAMPLING
    paint(canvas, marks, origin, scale, facing)
    paint(covered, marks, origin, scale, facing, cover)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(covered, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    share /= 255
    return small + scene * (1 - share), share >= 0.5


def _expose(rng: np.random.Generator, picture: Picture, light: float) -> Frames:
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(picture * np.float32(light) + 2 * noise, 0, 255).astype(np.uint8)


def _draw_person(rng: np.random.Generator) -> Body:
    return Body(
        build=rng.uniform(0.85, 1.3),
        leg=rng.uniform(0.45, 0.5),
        shoulder=rng.uniform(0.085, 0.115),
        hair=rng.uniform(20, 150),
        skin=rng.uniform(110, 215),
        top=rng.uniform(20, 240),
        trousers=rng.uniform(20, 200),
        shoes=rng.uniform(15, 120),
        long_sleeves=bool(rng.random() < 0.5),
        coat=False,
    )


def _change_clothes(body: Body, rng: np.random.Generator) -> Body:
    return replace(
        body,
        top=rng.uniform(20, 240),
        trousers=rng.uniform(20, 200),
        long_sleeves=True,
        coat=bool(rng.random() < 0.6),
    )


def _stand_out(body: Body, scene: Picture) -> Body:
    """Move clothes that nearly have the place's gray level away from it, so that they can be seen."""
    rows = scene.shape[0]
    top, bottom = float(scene[rows // 3 : rows // 2].mean()), float(scene[rows * 2 // 3 :].mean())

    def away(shade: float, level: float) -> float:
        if abs(shade - level) >= 55:
            return shade
        return level - 65 if level > 110 else level + 65

    return replace(
        body,
        top=away(body.top, top),
        skin=away(body.skin, top),
        trousers=away(body.trousers, bottom),
        shoes=away(body.shoes, bottom),
    )
