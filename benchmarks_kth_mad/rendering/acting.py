"""One rendered video: a person, a place, an action, and the camera.

A person's looks and every place are the same for all actions, so that only pose and motion tell the
actions apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi
from operator import attrgetter
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.limits import check_bytes, check_pixels
from benchmarks_kth_mad.data.masks import MaskKind
from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.rendering.figures import Stroke, Tint, cover, cover_only, paint, strokes
from benchmarks_kth_mad.rendering.motion import (
    CYCLES_PER_SECOND,
    GAITS,
    Body,
    acting_limbs,
    pose,
    stand,
)
from benchmarks_kth_mad.rendering.people import change_clothes, draw_person, stand_out
from benchmarks_kth_mad.rendering.scenes import Picture, background

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
        span: act in so many frames only, one after the other, and stand still in the others, which
            tell nothing of the action; see `draw_span` for where. By default in all of them.
        text: the action's name is burned in, in red; see `benchmarks_kth_mad.data.captions`.
    """

    persons: int = 24
    scenarios: Sequence[int] = (1,)
    sequences: int = 2
    frames: int = 24
    height: int = 120
    width: int = 160
    seed: int = 0
    span: int | None = None
    text: bool = False

    def __post_init__(self) -> None:
        least = {"persons": 3, "sequences": 1, "frames": 4, "height": 24, "width": 32, "seed": 0}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise BenchmarkError(
                    f"render {name}: expected at least {minimum}, got {getattr(self, name)}"
                )
        check_pixels("render", self.height, self.width)
        check_bytes("render frames", self.frames, self.height, self.width, 3)
        known = range(1, SCENARIOS + 1)
        if not self.scenarios or any(scenario not in known for scenario in self.scenarios):
            raise BenchmarkError(
                f"render scenarios: expected some of 1 to {SCENARIOS}, got {list(self.scenarios)}"
            )
        if self.span is not None and not 1 <= self.span <= self.frames:
            raise BenchmarkError(
                f"render span: expected 1 to {self.frames}, the frames of a sequence, got {self.span}"
            )


class RenderedVideo(NamedTuple):
    """Frames uint8 (T, H, W), and what is known of them.

    ``masks`` are bool (T, H, W): those of the actor, of the limbs with which he acts where nothing
    hides them (none while he stands still), and with a span the frames in which he acts. ``ranges``
    are the subsequences as KTH counts them (from 1, both ends included).
    """

    frames: Frames
    masks: dict[MaskKind, Masks]
    ranges: tuple[tuple[int, int], ...]


def render_video(
    action: str, person: int, scenario: int, settings: RenderSettings
) -> RenderedVideo:
    """Render one video."""
    # one stream of numbers per thing that must not change with the others
    looks = np.random.default_rng([settings.seed, person])
    place = np.random.default_rng([settings.seed, person, scenario])
    acting = np.random.default_rng([settings.seed, person, scenario, ACTIONS.index(action)])
    body, stature = draw_person(looks), looks.uniform(0.52, 0.7) * settings.height
    if scenario == 3:
        body = change_clothes(body, place)
    scene = background(place, settings.height, settings.width, indoors=scenario == 4)
    body = stand_out(body, scene)
    tempo = acting.uniform(*CYCLES_PER_SECOND[action])
    facing = int(acting.choice((-1, 1)))
    shots: list[_Shot] = []
    ranges = []
    for sequence in range(settings.sequences):
        turned = facing * (-1) ** sequence if action in GAITS or action == "boxing" else 1
        track = _draw_track(acting, action, tempo, turned, stature, scenario, settings)
        visible = (0, settings.frames - 1)
        if settings.span is not None:
            # not the action's own: before and after, two actions differ by their noise alone. The
            # last number is not 0, because NumPy takes no notice of zeros at the end
            still = np.random.default_rng([settings.seed, person, scenario, sequence, 1])
            spot = _draw_track(still, "standing", 0.0, 1, stature, scenario, settings)
            track = _confine(track, spot, draw_span(still, settings.frames, settings.span))
        elif action in GAITS:
            visible = track.visible(settings.width)
        offset = sequence * settings.frames + 1
        ranges.append((visible[0] + offset, visible[1] + offset))
        shots += [_shoot(acting, scene, action, body, track, k) for k in range(settings.frames)]
    frames, actor, limb, acts = (np.stack(part) for part in zip(*shots, strict=True))
    masks: dict[MaskKind, Masks] = {"actor": actor, "limb": limb}
    if settings.span is not None:
        masks["span"] = acts
    return RenderedVideo(frames, masks, tuple(ranges))


def draw_span(rng: np.random.Generator, frames: int, span: int) -> range:
    """Choose the frames in which somebody acts: ``span`` of them in the middle two thirds.

    A clip of two thirds of the sequence or more, cut from its centre, then holds the whole span. A
    longer span lies in the centre.
    """
    margin, rest = frames // 6, frames - span
    if rest < 2 * margin:
        return range(rest // 2, rest // 2 + span)  # where a clip as long begins, too
    first = int(rng.integers(margin, rest - margin, endpoint=True))
    return range(first, first + span)


@dataclass(frozen=True)
class _Track:
    """What the actor does in each frame: phase, place and size in pixels, direction, light."""

    phase: NDArray[np.float64]
    x: NDArray[np.float64]
    ground: float
    scale: NDArray[np.float64]
    light: NDArray[np.float64]
    facing: NDArray[np.int64]
    acts: NDArray[np.bool_]

    def visible(self, width: int) -> tuple[int, int]:
        """First and last frame with the hips inside the picture."""
        inside = np.flatnonzero((self.x >= 0) & (self.x <= width))
        return int(inside[0]), int(inside[-1])


def _draw_track(
    rng: np.random.Generator,
    action: str,
    tempo: float,
    facing: int,
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
        x=x if facing > 0 else settings.width - x,
        ground=settings.height * rng.uniform(0.86, 0.94),
        scale=scale,
        light=1 + 0.03 * np.sin(2 * pi * (rng.uniform(0.1, 0.5) * seconds + rng.uniform())),
        facing=np.full(settings.frames, facing),
        acts=np.ones(settings.frames, np.bool_),
    )


def _confine(track: _Track, spot: _Track, span: range) -> _Track:
    """Act on somebody's spot for a span; before and after he stands there, as if nothing had been.

    Who travels is on the spot in the middle of the span. He begins and ends at once, because a way
    there and back would tell in which direction and how fast he goes.
    """
    acts = np.zeros(len(track.x), np.bool_)
    acts[span.start : span.stop] = True
    travelled = track.x - track.x[acts].mean()
    return replace(
        spot,
        phase=track.phase,
        x=spot.x + np.where(acts, travelled, 0.0),
        facing=np.where(acts, track.facing, 1),
        acts=acts,
    )


class _Shot(NamedTuple):
    """One frame: the picture, and masks of the actor, of his acting limbs, and whether he acts."""

    frame: Frames
    actor: Masks
    limb: Masks
    acts: Masks


def _shoot(
    rng: np.random.Generator, scene: Picture, action: str, body: Body, track: _Track, k: int
) -> _Shot:
    acts = bool(track.acts[k])
    marks = strokes(pose(action, body, float(track.phase[k])) if acts else stand(body), body)
    shade = _draw(scene.shape, marks, track, k, attrgetter("shade"))
    share = _draw(scene.shape, marks, track, k, cover) / np.float32(255)
    limb = _draw(scene.shape, marks, track, k, cover_only(acting_limbs(action) if acts else ()))
    frame = _expose(rng, shade + scene * (1 - share), track.light[k])
    return _Shot(frame, share >= 0.5, limb >= 127.5, np.full(scene.shape, acts))


def _draw(
    shape: tuple[int, ...], marks: list[Stroke], track: _Track, k: int, tint: Tint
) -> Picture:
    """Draw larger and scale down, so that limbs move by less than a pixel smoothly."""
    height, width = shape
    canvas = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING), np.uint8)
    origin = (float(track.x[k]) * OVERSAMPLING, track.ground * OVERSAMPLING)
    paint(canvas, marks, origin, float(track.scale[k]) * OVERSAMPLING, int(track.facing[k]), tint)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def _expose(rng: np.random.Generator, picture: Picture, light: float) -> Frames:
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(picture * np.float32(light) + 2 * noise, 0, 255).astype(np.uint8)
