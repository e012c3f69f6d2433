"""Flow has the size, the sign and the place it says."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import layouts

from captum_video import Layout
from captum_video.flow import DIS, Farneback, flow_magnitude, optical_flow

cv2 = pytest.importorskip("cv2")
REAL = Path(os.environ.get("CAPTUM_VIDEO_REAL_DATA", Path(__file__).parents[1] / "../shared/data"))
each_method = pytest.mark.parametrize("method", ["farneback", "dis"])


def textured(dx: float, dy: float, n_frames: int = 4, size=(80, 112), seed=0) -> torch.Tensor:
    """A smooth random pattern, moved by (dx, dy) from frame to frame: (1, 1, T, H, W).

    Built of waves, so that it is known between the pixels too.
    """
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    frames = np.zeros((n_frames, *size))
    for _ in range(60):
        (u, v), phase = generator.uniform(-0.5, 0.5, 2), generator.uniform(0, 2 * np.pi)
        for t in range(n_frames):
            frames[t] += np.cos(u * (x - t * dx) + v * (y - t * dy) + phase)
    frames = np.round((frames - frames.min()) / (frames.max() - frames.min()) * 255) / 255
    return torch.from_numpy(frames).float()[None, None]


def inside(flow: torch.Tensor, border: int = 20) -> torch.Tensor:
    return flow[..., border:-border, border:-border]


@each_method
@pytest.mark.parametrize("motion", [(2, 0), (0, -2), (-1.5, 0.5), (3, 2)])
def test_a_moved_pattern_has_the_flow_it_was_moved_by(method, motion):
    flow = inside(optical_flow(textured(*motion), method))
    assert flow.shape == (1, 2, 4, 40, 72)
    expected = torch.tensor(motion, dtype=torch.float32).view(1, 2, 1, 1, 1)
    error = (flow - expected).abs()
    # The last frame is among them: it has the motion that led to it.
    assert (error.mean((0, 1, 3, 4)) < 0.05).all()
    assert error.max() < 0.3


@each_method
def test_what_stands_still_has_no_flow(method):
    flow = optical_flow(textured(0, 0), method)
    assert inside(flow).abs().max() < 1e-3
    # Farneback's polynomials reach over the border, so that there it sees what is not.
    assert flow.abs().max() <= (0.6 if method == "farneback" else 0)
    assert optical_flow(torch.full((1, 1, 3, 24, 24), 0.5), method).abs().max() == 0


@each_method
def test_each_frame_has_the_motion_to_the_next(method):
    """Still, then one jump, then still: the flow is at the frame before the jump."""
    still, moved = textured(3, 0, 2).unbind(2)
    clip = torch.stack([still, still, still, moved, moved], dim=2)
    dx = inside(optical_flow(clip, method))[0, 0].mean((1, 2))
    torch.testing.assert_close(dx, torch.tensor([0.0, 0, 3, 0, 0]), atol=0.1, rtol=0)


@each_method
def test_flow_of_the_last_frame_lies_on_its_own_pixels(method):
    """A square jumps 6 pixels to the right over a still background: so does the flow."""
    clip = textured(0, 0, 2, (64, 96), seed=1)
    square = textured(0, 0, 1, (24, 24))[:, :, 0]
    clip[:, :, 0, 20:44, 20:44] = square
    clip[:, :, 1, 20:44, 26:50] = square
    dx = optical_flow(clip, method)[0, 0, :, 24:40]
    first, last = (dx > 3).float()
    columns = torch.arange(96.0)
    centers = [(one * columns).sum() / one.sum() for one in (first, last)]
    assert centers[0] == pytest.approx(31.5, abs=3)
    assert centers[1] == pytest.approx(37.5, abs=3)
    assert centers[1] - centers[0] > 1.5  # a repeated flow would not move at all


@given(st.data(), st.integers(0, 99))
def test_layouts_and_gray_or_colour_change_nothing(data, seed):
    gray = textured(1, -1, 3, (24, 32), seed)
    clip = gray.expand(-1, 3, -1, -1, -1)
    expected = optical_flow(gray)
    torch.testing.assert_close(optical_flow(clip), expected, atol=0, rtol=0)
    layout = data.draw(layouts(3))
    if not layout.pattern.startswith("(n c)"):
        torch.testing.assert_close(optical_flow(layout.from_clip(clip), layout=layout), expected)
    frames = Layout("n t h w").from_clip(gray)
    torch.testing.assert_close(optical_flow(frames, layout="n t h w"), expected)


def test_luma_is_that_of_opencv():
    colour = torch.randint(256, (1, 3, 2, 24, 32)).float() / 255
    bgr = (colour[0] * 255).round().byte().permute(1, 2, 3, 0).numpy()[..., ::-1]
    here, there = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in bgr)
    expected = cv2.calcOpticalFlowFarneback(here, there, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    flow = optical_flow(colour)[0, :, 0].permute(1, 2, 0)
    # OpenCV's luma is in fixed point: a pixel in a thousand rounds the other way.
    assert (flow - torch.from_numpy(expected)).abs().mean() < 0.01


def test_clips_do_not_see_each_other_and_stay_as_they_are():
    clips = torch.cat([textured(2, 0), textured(0, 1, seed=3)]).requires_grad_()
    before = clips.detach().clone()
    flow = optical_flow(clips)
    assert flow.dtype == torch.float32
    assert not flow.requires_grad
    assert torch.equal(clips, before)
    assert torch.equal(optical_flow(clips.flip(0)), flow.flip(0))
    assert torch.equal(optical_flow(clips[1:].double()), flow[1:])


def test_options_reach_opencv():
    clip = textured(2, 1)
    assert torch.equal(optical_flow(clip, Farneback()), optical_flow(clip))
    assert torch.equal(optical_flow(clip, DIS("medium")), optical_flow(clip, "dis"))
    assert not torch.equal(optical_flow(clip, Farneback(winsize=9)), optical_flow(clip))
    assert not torch.equal(optical_flow(clip, DIS("ultrafast")), optical_flow(clip, "dis"))


@each_method
@pytest.mark.parametrize("size", [(12, 12), (8, 39), (16, 79), (79, 16), (33, 159)])
def test_small_and_long_frames(method, size):
    assert torch.isfinite(optical_flow(torch.rand(1, 1, 2, *size), method)).all()


@pytest.mark.parametrize(
    ("clip", "options", "error", "message"),
    [
        (torch.rand(1, 1, 1, 24, 24), {}, ValueError, "at least 2 frames, .* got 1"),
        (torch.rand(1, 2, 2, 24, 24), {}, ValueError, r"1 channel \(gray\) or 3 .* got 2"),
        (torch.rand(1, 1, 2, 24, 24) * 255, {}, ValueError, r"\[0, 1\], got .* undo"),
        (torch.rand(1, 1, 2, 24, 24) - 0.5, {}, ValueError, r"\[0, 1\], got from -0\."),
        (torch.rand(1, 1, 2, 4, 24), {}, ValueError, "poly_n = 5 .* got 4 x 24"),
        (torch.rand(1, 1, 2, 11, 11), {"method": "dis"}, ValueError, "at least 12.* got 11 x 11"),
        (torch.rand(1, 1, 2, 8, 40), {"method": "dis"}, ValueError, "at least 16 .* got 8 x 40"),
        (torch.rand(1, 1, 2, 120, 16), {"method": "dis"}, ValueError, "at least 32 .* 120 x 16"),
        (torch.rand(1, 1, 2, 24, 24), {"method": "raft"}, TypeError, "method: .* got 'raft'"),
        (torch.rand(1, 2, 24, 24), {}, ValueError, "clip: expected 5 axes"),
        (torch.ones(1, 1, 2, 24, 24).byte(), {}, TypeError, "clip: .* 255"),
        (torch.full((1, 1, 2, 24, 24), torch.nan), {}, ValueError, "NaN"),
    ],
)
def test_bad_clips_say_why(clip, options, error, message):
    with pytest.raises(error, match=message):
        optical_flow(clip, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Farneback(pyr_scale=1), r"pyr_scale: .*\(0, 1\), got 1"),
        (lambda: Farneback(levels=0), "levels: .* from 1, got 0"),
        (lambda: Farneback(winsize=7.5), "winsize: .* got 7.5"),
        (lambda: Farneback(poly_sigma=0), "poly_sigma: .* got 0"),
        (lambda: DIS("slow"), "preset: .* got 'slow'"),
    ],
)
def test_bad_options_say_why(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_without_opencv_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"pip install captum-video\[video\]"):
        optical_flow(torch.rand(1, 1, 2, 24, 24))


def test_magnitude():
    flow = torch.tensor([[3.0, -4.0], [0.0, 0.0]]).reshape(2, 2, 1, 1, 1).expand(-1, -1, 3, 2, 2)
    assert torch.equal(flow_magnitude(flow)[:, 0, 0, 0, 0], torch.tensor([5.0, 0.0]))
    assert flow_magnitude(flow).shape == (2, 1, 3, 2, 2)
    with pytest.raises(ValueError, match=r"\(N, 2, T, H, W\), got"):
        flow_magnitude(torch.rand(1, 3, 2, 2, 2))


@each_method
@pytest.mark.skipif(
    not (REAL / "kth").is_dir(), reason=f"no KTH at {REAL / 'kth'} (set CAPTUM_VIDEO_REAL_DATA)"
)
def test_real_footage_moves_where_the_person_is(method):
    """The person is where the clip differs from its median frame, which shares no code with flow."""
    video = pytest.importorskip("benchmarks_kth_mad.data.video")
    path = REAL / "kth/walking/person01_walking_d1_uncomp.avi"
    clip = torch.from_numpy(video.read_frames(path, 0, 59)).float()[None, None] / 255
    person = ((clip - clip.median(2, keepdim=True).values).abs() > 0.15)[:, :, 20:32]
    speed = flow_magnitude(optical_flow(clip[:, :, 20:32], method))
    assert person.float().mean() < 0.1
    assert speed[person].mean() > 4 * speed[~person].mean()
