"""What a rendered set knows of its clips: the limbs that act, and the only frames that tell the action."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import pi
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.sampling import ClipShape, frame_numbers
from benchmarks_kth_mad.rendering.acting import (
    RenderedVideo,
    RenderSettings,
    draw_span,
    render_video,
)
from benchmarks_kth_mad.rendering.figures import cover_only, paint, strokes
from benchmarks_kth_mad.rendering.motion import GAITS, Body, acting_limbs, pose, stand
from benchmarks_kth_mad.rendering.render import render_kth

SMALL = RenderSettings(persons=3, sequences=2, frames=12, height=72, width=96)
SPAN = replace(SMALL, span=3)
BODY = Body(1.0, 0.48, 0.1, 30, 180, 90, 60, 40, long_sleeves=True, coat=False)


@pytest.fixture(scope="module")
def spans() -> dict[str, RenderedVideo]:
    """All actions of one person at one place."""
    return {action: render_video(action, 2, 1, SPAN) for action in ACTIONS}


@pytest.fixture(scope="module")
def span_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "span"
    return render_kth(root, ["walking", "boxing"], SPAN)


@pytest.mark.parametrize("scenario", [1, 2, 3, 4])
@pytest.mark.parametrize("action", ACTIONS)
def test_limbs_are_a_part_of_the_actor(action: str, scenario: int) -> None:
    masks = render_video(action, 1, scenario, replace(SMALL, sequences=1, frames=4)).masks
    assert set(masks) == {"actor", "limb"}
    assert not (masks["limb"] & ~masks["actor"]).any()
    share = masks["limb"].sum() / masks["actor"].sum()
    assert (0.35 < share < 0.85) if action in GAITS else (0.08 < share < 0.35)


@pytest.mark.parametrize("action", ACTIONS)
def test_feet_are_limbs_of_who_travels_alone(action: str) -> None:
    masks = render_video(action, 1, 1, replace(SMALL, sequences=1)).masks
    lowest = np.zeros_like(masks["actor"])
    for k, actor in enumerate(masks["actor"]):
        bottom = np.flatnonzero(actor.any(1))[-1]
        lowest[k, bottom - 2 : bottom + 1] = actor[bottom - 2 : bottom + 1]
    seen = masks["limb"][lowest]
    assert seen.all() if action in GAITS else not seen.any()


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("action", ACTIONS)
def test_limbs_are_where_their_shade_is_seen(action: str, phase: float) -> None:
    """Paint the figure twice, the limbs once white and once black: what differs is what is seen."""
    limbs = acting_limbs(action)
    marks = strokes(pose(action, BODY, phase), BODY)

    def drawn(tint: Callable) -> np.ndarray:
        canvas = np.full((240, 200), 128, np.uint8)
        paint(canvas, marks, (100, 225), 200, 1, tint)
        return canvas.astype(int)

    white = drawn(lambda mark: 255 if mark.limb in limbs else 90)
    black = drawn(lambda mark: 0 if mark.limb in limbs else 90)
    canvas = np.zeros((240, 200), np.uint8)
    paint(canvas, marks, (100, 225), 200, 1, cover_only(limbs))
    # rims are blended in whole gray levels, layer on layer
    assert np.abs(canvas.astype(int) - (white - black)).max() <= 12
    assert (white - black == 255).sum() > 500


def test_a_limb_behind_the_trunk_does_not_count() -> None:
    marks = strokes(pose("walking", BODY, pi / 2), BODY)
    hidden = next(mark for mark in marks if mark.limb == "arm")
    trunk = next(mark for mark in marks if mark.filled)
    assert trunk.limb is None

    def covered(*order) -> int:
        canvas = np.zeros((240, 200), np.uint8)
        paint(canvas, list(order), (100, 225), 200, 1, cover_only(["arm"]))
        return int((canvas > 127).sum())

    hidden = hidden._replace(points=trunk.points[:2])
    assert covered(hidden, trunk) == 0
    assert covered(trunk, hidden) == covered(hidden) > 50


def test_before_and_after_all_actions_look_alike(spans: dict[str, RenderedVideo]) -> None:
    """Up to the noise, whose deviation is 2 gray levels in each of two frames."""
    first = spans[ACTIONS[0]]
    idle = ~first.masks["span"].any((1, 2))
    for other in list(spans.values())[1:]:
        assert (other.masks["span"] == first.masks["span"]).all()
        assert (other.masks["actor"][idle] == first.masks["actor"][idle]).all()
        difference = other.frames[idle].astype(int) - first.frames[idle]
        assert np.abs(difference).max() < 20
        assert difference.std() == pytest.approx(2 * 2**0.5, rel=0.1)
        assert np.abs(difference.mean((1, 2))).max() < 0.3
        # averaged over time and small places: nobody stands elsewhere, however faintly
        blurred = cv2.blur(difference.mean(0), (5, 5))
        assert np.abs(blurred).max() < 5 * 2 * 2**0.5 / (idle.sum() * 25) ** 0.5
        acting = np.abs(other.frames[~idle].astype(int) - first.frames[~idle])
        assert (acting > 40).mean() > 0.005


@pytest.mark.parametrize("scenario", [2, 3, 4])
def test_in_other_scenarios_too(scenario: int) -> None:
    first, second = (render_video(action, 1, scenario, SPAN) for action in ("boxing", "running"))
    idle = ~first.masks["span"].any((1, 2))
    difference = first.frames[idle].astype(int) - second.frames[idle]
    assert np.abs(difference).max() < 20


def test_masks_of_the_span(spans: dict[str, RenderedVideo]) -> None:
    for video in spans.values():
        span = video.masks["span"]
        assert span.shape == video.frames.shape
        acts = span.any((1, 2))
        assert (span == acts[:, None, None]).all()
        assert video.ranges == ((1, 12), (13, 24))
        for part in (acts[:12], acts[12:]):
            first = int(np.flatnonzero(part)[0])
            assert part.tolist() == [first <= k < first + 3 for k in range(12)]
        assert not video.masks["limb"][~acts].any()
        assert video.masks["limb"][acts].any((1, 2)).all()
        assert video.masks["actor"].any((1, 2)).all()


def test_who_travels_does_so_within_the_span_alone() -> None:
    settings = replace(SMALL, sequences=1, frames=24, span=9)
    masks = render_video("walking", 1, 1, settings).masks
    acts = masks["span"].any((1, 2))
    middles = np.array([np.nonzero(mask)[1].mean() for mask in masks["actor"]])
    assert np.ptp(middles[~acts]) < 1
    assert np.ptp(middles[acts]) > 6
    assert middles[acts].mean() == pytest.approx(middles[~acts].mean(), abs=3)


def test_a_span_changes_neither_person_nor_place() -> None:
    with_span, without = (render_video("handwaving", 2, 1, s) for s in (SPAN, SMALL))
    empty = ~(with_span.masks["actor"].any(0) | without.masks["actor"].any(0))
    assert empty.mean() > 0.5
    difference = with_span.frames.mean(0)[empty] - without.frames.mean(0)[empty]
    assert np.abs(difference - difference.mean()).mean() < 2


def test_spans_of_any_length_and_of_a_subset() -> None:
    for span in (1, 12):
        masks = render_video("running", 1, 1, replace(SMALL, span=span)).masks
        assert masks["span"].any((1, 2)).sum() == 2 * span
    more = replace(SPAN, persons=9, scenarios=(1, 2))
    first, again = (render_video("boxing", 3, 1, settings) for settings in (SPAN, more))
    np.testing.assert_array_equal(first.frames, again.frames)


@given(st.integers(4, 90), st.data(), st.integers(1, 3), st.integers(0, 2**16))
def test_the_clip_in_the_centre_holds_the_span(
    frames: int, data: st.DataObject, stride: int, seed: int
) -> None:
    span = data.draw(st.integers(1, frames))
    drawn = draw_span(np.random.default_rng(seed), frames, span)
    assert len(drawn) == span
    assert 0 <= drawn.start <= drawn.stop <= frames
    least = max(frames - 2 * (frames // 6), span)
    size = data.draw(st.integers(-(-(least - 1) // stride) + 1, 2 * frames))
    numbers = frame_numbers(frames, ClipShape(frames=size, stride=stride))
    inside = set(range(numbers[0], numbers[-1] + 1))
    assert set(drawn) <= inside
    if stride == 1:
        assert set(drawn) <= set(numbers)


def test_every_place_in_the_middle_is_possible() -> None:
    rng = np.random.default_rng(0)
    starts = {draw_span(rng, 24, 6).start for _ in range(300)}
    assert starts == set(range(4, 15))
    assert {draw_span(rng, 24, 24).start for _ in range(5)} == {0}
    assert {draw_span(rng, 24, 21).start for _ in range(50)} == {1}
    assert {draw_span(rng, 14, 13).start for _ in range(50)} == {0}


def test_spans_differ_between_sequences_persons_and_seeds() -> None:
    def starts(person: int, seed: int) -> tuple[int, ...]:
        settings = replace(SPAN, frames=24, sequences=4, seed=seed, height=24, width=32)
        acts = render_video("boxing", person, 1, settings).masks["span"].any((1, 2))
        return tuple(int(np.flatnonzero(part)[0]) for part in np.split(acts, 4))

    one = starts(1, 0)
    assert len(set(one)) > 1
    assert one != starts(2, 0)
    assert one != starts(1, 1)
    assert one == starts(1, 0)


def test_the_loader_reads_them(span_set: Path) -> None:
    clip = ClipShape(frames=8, height=36, width=48, channels=1)
    data = KTH(span_set, clip, ["walking", "boxing"], "all")
    assert data.mask_kinds == ("actor", "limb", "span")
    for index in range(len(data)):
        span, limb, actor = (data.mask(index, kind) for kind in ("span", "limb", "actor"))
        assert span.shape == (8, 36, 48)
        acts = span.flatten(1).any(1)
        assert acts.sum() == 3
        assert torch.equal(span, acts[:, None, None].expand_as(span))
        assert limb[acts].any()
        assert not limb[~acts].any()
        assert not (limb & ~actor).any()


def test_the_neutral_pose() -> None:
    neutral = stand(BODY)
    assert neutral.frontal
    for left, right in (neutral.arms, neutral.legs):
        np.testing.assert_allclose(np.array(left) * (-1, 1), right)
    assert max(joint.y for leg in neutral.legs for joint in leg) == 0
    for arm in neutral.arms:
        lengths = [np.hypot(a.x - b.x, a.y - b.y) for a, b in pairwise(arm)]
        assert lengths == pytest.approx([0.165, 0.15])
        assert neutral.hips[0].y - 0.1 < arm[-1].y < neutral.hips[0].y + 0.1
