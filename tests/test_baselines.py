from functools import partial

import pytest
import torch
from hypothesis import given
from strategies import clips

from captum_video import Layout, baselines

CANONICAL = Layout("n c t h w")
ALL = [
    baselines.zero,
    baselines.constant,
    baselines.channel_mean,
    baselines.frame_mean,
    baselines.freeze,
    baselines.previous,
    baselines.reverse,
    baselines.shuffle,
    baselines.spatial_blur,
    baselines.temporal_blur,
    baselines.blur,
]


@given(clips())
def test_every_baseline_keeps_shape_and_leaves_the_clip(clip):
    for baseline in ALL:
        before, state = clip.clone(), torch.get_rng_state()
        made = baseline(clip)
        assert made.shape == clip.shape, baseline
        assert torch.isfinite(made).all()
        assert torch.equal(clip, before)
        assert torch.equal(torch.get_rng_state(), state)


@given(clips())
def test_every_baseline_but_zero_keeps_a_constant_clip(clip):
    flat = torch.full_like(clip, 0.5)
    for baseline in ALL[1:]:
        torch.testing.assert_close(baseline(flat), flat)


def test_each_does_what_its_name_says():
    clip = torch.arange(12.0).reshape(1, 2, 3, 1, 2)
    assert baselines.zero(clip).abs().sum() == 0
    assert baselines.constant(clip, 7).unique() == 7
    assert baselines.channel_mean(clip)[0, :, 0, 0, 0].tolist() == [2.5, 8.5]
    assert baselines.frame_mean(clip)[0, 0, 1, 0].tolist() == [2, 3]
    assert torch.equal(baselines.freeze(clip, 1)[:, :, 2], clip[:, :, 1])
    assert torch.equal(baselines.freeze(clip, -1)[:, :, 0], clip[:, :, 2])
    assert torch.equal(baselines.previous(clip), clip[:, :, [1, 0, 1]])
    assert torch.equal(baselines.previous(clip[:, :, :1]), clip[:, :, :1])
    assert torch.equal(baselines.reverse(clip)[:, :, 0], clip[:, :, 2])
    shuffled = baselines.shuffle(clip, torch.Generator().manual_seed(3))
    assert not torch.equal(shuffled, clip)
    assert torch.equal(shuffled.sort(2).values, clip)


def test_blurs_stay_on_their_axes():
    point = torch.zeros(1, 1, 9, 17, 17)
    point[0, 0, 4, 8, 8] = 1
    space = baselines.spatial_blur(point, 1.5)
    time = baselines.temporal_blur(point, 1.5)
    both = baselines.blur(point, (1.5, 1.5))
    assert space[0, 0, 4].count_nonzero() > 1
    assert space.sum((3, 4)).count_nonzero() == 1
    assert time[0, 0, :, 8, 8].count_nonzero() > 1
    assert time.sum(2).count_nonzero() == 1
    for blurred in (space, time, both):
        torch.testing.assert_close(blurred.sum(), torch.tensor(1.0))
    # A Gaussian of variance sigma² (the kernel is cut at two sigma, which narrows it a little).
    profile, place = time[0, 0, :, 8, 8], torch.arange(9.0) - 4
    assert abs((profile * place**2).sum().item() - 1.5**2) < 0.5
    outer = space[0, 0, 4, 8][:, None] * space[0, 0, 4, :, 8][None] / space[0, 0, 4, 8, 8]
    torch.testing.assert_close(space[0, 0, 4], outer.T)


def test_resolve_takes_what_captum_takes_and_functions():
    clip = torch.rand(2, 3, 4, 5, 6)
    for given_, expected in [
        (None, torch.zeros_like(clip)),
        (0.5, torch.full_like(clip, 0.5)),
        (torch.tensor(2), torch.full_like(clip, 2)),
        (clip[:1], clip[:1].expand_as(clip)),
        (clip, clip),
        (baselines.reverse, clip.flip(2)),
        (partial(baselines.freeze, frame=2), clip[:, :, 2:3].expand_as(clip)),
    ]:
        (made,) = baselines.resolve(given_, (clip,), CANONICAL)
        assert torch.equal(made.expand_as(clip), expected)
    first, second = baselines.resolve((1, None), (clip, clip), CANONICAL)
    assert (first.unique(), second.unique()) == (1, 0)


@pytest.mark.parametrize(
    ("given_", "error", "message"),
    [
        ("black", TypeError, "expected None, a number, a tensor or a function, got 'black'"),
        ((0, 0), ValueError, r"one per input \(1\), got 2"),
        (torch.zeros(1, 1, 1, 1, 1), ValueError, r"expected \(2, 3, 4, 5, 6\)"),
        (torch.zeros(3, 3, 4, 5, 6), ValueError, "expected"),
        (lambda clip: clip * torch.nan, ValueError, "NaN or infinity"),
        (lambda clip: clip[:, :, :1], ValueError, "expected"),
        (float("nan"), ValueError, "NaN or infinity"),
        (partial(baselines.freeze, frame=4), ValueError, "expected a frame of 4, got frame 4"),
        (partial(baselines.spatial_blur, sigma=0.0), ValueError, "expected sigma > 0, got 0"),
        (partial(baselines.temporal_blur, sigma=-1.0), ValueError, "expected sigma > 0"),
    ],
)
def test_bad_baselines_say_why(given_, error, message):
    with pytest.raises(error, match=message):
        baselines.resolve(given_, (torch.rand(2, 3, 4, 5, 6),), CANONICAL)
