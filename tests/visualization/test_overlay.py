import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captum_video.clips import Layout
from captum_video.visualization import color_limit, overlay
from captum_video.visualization.overlay import palette_of

MEAN, STD = (0.43, 0.39, 0.38), (0.23, 0.22, 0.21)


def clip_and_map(n=2, c=3, t=3, h=4, w=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    clips = torch.rand(n, c, t, h, w, generator=generator)
    return clips, torch.randn(n, c, t, h, w, generator=generator)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sign", ["positive", "all"])
def test_no_evidence_leaves_the_plain_clip(channels, sign):
    clips, _ = clip_and_map(c=channels)
    painted = overlay(clips, torch.zeros_like(clips), sign=sign)
    assert torch.equal(painted, clips.expand(-1, 3, -1, -1, -1))


@pytest.mark.parametrize(("sign", "value"), [("positive", 7.0), ("all", 7.0), ("all", -7.0)])
def test_one_voxel_of_evidence_colours_itself_alone(sign, value):
    clips, _ = clip_and_map()
    attributions = torch.zeros_like(clips)
    attributions[1, :, 2, 3, 0] = value
    painted = overlay(clips, attributions, sign=sign, alpha=0.6)
    color = palette_of(None, sign)[-1 if value > 0 else 0]
    expected = clips.clone()
    expected[1, :, 2, 3, 0] = 0.4 * clips[1, :, 2, 3, 0] + 0.6 * color
    torch.testing.assert_close(painted, expected)


def test_all_is_red_for_and_blue_against():
    clips = torch.full((1, 1, 1, 1, 2), 0.5)
    painted = overlay(clips, torch.tensor([1.0, -1.0]).view(1, 1, 1, 1, 2), sign="all")
    (red_for, red_against), (blue_for, blue_against) = painted[0, 0].flatten(), painted[0, 2, 0, 0]
    assert red_for > blue_for
    assert blue_against > red_against


def test_positive_leaves_out_evidence_against():
    clips, attributions = clip_and_map()
    kept = attributions.mean(1, keepdim=True).clamp(min=0)
    assert torch.equal(overlay(clips, attributions), overlay(clips, kept))


def test_opacity_is_proportional_to_strength():
    clips = torch.zeros(1, 1, 1, 1, 4)
    ramp = torch.tensor([0.0, 0.25, 0.5, 1.0]).view_as(clips)
    painted = overlay(clips, ramp, limit=1.0, alpha=0.8, cmap="binary_r")
    # On a black clip the gray colour map gives strength x opacity.
    torch.testing.assert_close(painted[0, 0, 0, 0], 0.8 * ramp.flatten() ** 2, atol=2e-3, rtol=0)


def test_map_of_one_channel_equals_the_same_map_on_every_channel():
    clips, attributions = clip_and_map()
    one = attributions[:, :1]
    torch.testing.assert_close(overlay(clips, one), overlay(clips, one.expand(-1, 3, -1, -1, -1)))


def test_denormalize_by_numbers_equals_denormalize_by_function():
    clips, attributions = clip_and_map()
    mean, std = (torch.tensor(one).view(3, 1, 1, 1) for one in (MEAN, STD))
    normal = (clips - mean) / std
    plain = overlay(clips, attributions)
    torch.testing.assert_close(overlay(normal, attributions, denormalize=(MEAN, STD)), plain)
    by_function = overlay(normal, attributions, denormalize=lambda x: x * std + mean)
    torch.testing.assert_close(by_function, plain)


@pytest.mark.parametrize("pattern", ["n t c h w", Layout("n (t c) h w", c=3)])
def test_layouts_give_the_same_picture(pattern):
    clips, attributions = clip_and_map()
    layout = Layout.of(pattern)
    painted = overlay(layout.from_clip(clips), layout.from_clip(attributions), layout=layout)
    torch.testing.assert_close(painted, overlay(clips, attributions))
    limits = color_limit(layout.from_clip(attributions), layout=layout)
    torch.testing.assert_close(limits, color_limit(attributions))


@given(
    seed=st.integers(0, 99),
    channels=st.sampled_from([1, 3]),
    size=st.tuples(*[st.integers(1, 4)] * 4),
    sign=st.sampled_from(["positive", "all"]),
    exponent=st.integers(-30, 30),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=40, deadline=None)
def test_properties(seed, channels, size, sign, exponent, dtype):
    n, t, h, w = size
    clips, attributions = (one.to(dtype) for one in clip_and_map(n, channels, t, h, w, seed))
    before = clips.clone(), attributions.clone()
    painted = overlay(clips, attributions, sign=sign)
    assert painted.shape == (n, 3, t, h, w)
    assert painted.dtype == torch.float32
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert torch.equal(clips, before[0])
    assert torch.equal(attributions, before[1])
    # A power of two scales exactly, so the unit of the map does not show.
    assert torch.equal(overlay(clips, attributions * 2.0**exponent, sign=sign), painted)
    alone = torch.cat(
        [overlay(clips[i : i + 1], attributions[i : i + 1], sign=sign) for i in range(n)]
    )
    assert torch.equal(alone, painted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_painted_in_float32(dtype):
    clips, attributions = (one.to(dtype) for one in clip_and_map())
    painted = overlay(clips, attributions)
    torch.testing.assert_close(painted, overlay(clips.float(), attributions.float()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_device_of_the_clips_is_kept():
    clips, attributions = clip_and_map()
    expected = overlay(clips, attributions)
    painted = overlay(clips.cuda(), attributions.cuda())
    assert painted.is_cuda
    torch.testing.assert_close(painted.cpu(), expected, atol=0.01, rtol=0)
    painted = overlay(clips, attributions.cuda(), limit=color_limit(attributions.cuda()))
    torch.testing.assert_close(painted, expected, atol=0.01, rtol=0)


def test_gradients_are_not_recorded():
    clips, attributions = (one.requires_grad_() for one in clip_and_map())
    assert not overlay(clips, attributions).requires_grad


def test_small_overshoot_is_clamped():
    clips = torch.tensor([-0.04, 1.04]).view(1, 1, 1, 1, 2)
    assert overlay(clips, clips * 0)[0, 0].flatten().tolist() == [0, 1]


def test_color_limit_is_per_clip_or_for_all():
    attributions = torch.stack([torch.full((1, 2, 2, 2), 3.0), torch.full((1, 2, 2, 2), 5.0)])
    assert color_limit(attributions).tolist() == [3, 5]
    assert color_limit(attributions, percentile=100, per_clip=False).tolist() == [5, 5]


def test_color_limit_is_shared_by_the_strongest_method():
    _, first = clip_and_map(seed=1)
    _, second = clip_and_map(seed=2)
    shared = color_limit(first, second)
    assert torch.equal(shared, torch.maximum(color_limit(first), color_limit(second)))


def test_color_limit_cuts_off_no_more_than_stated():
    attributions = torch.arange(1.0, 1001).view(1, 1, 10, 10, 10)
    limit = color_limit(attributions, percentile=99)
    assert limit.tolist() == [990]
    assert (attributions > limit).sum() == 10


def test_color_limit_counts_evidence_against_only_when_shown():
    attributions = torch.tensor([1.0, -4.0]).view(1, 1, 1, 1, 2)
    assert color_limit(attributions).tolist() == [1]
    assert color_limit(attributions, sign="all").tolist() == [4]


def test_limit_for_each_clip_equals_limits_one_by_one():
    clips, attributions = clip_and_map()
    both = overlay(clips, attributions, limit=torch.tensor([0.5, 2.0]))
    assert torch.equal(both[:1], overlay(clips[:1], attributions[:1], limit=0.5))
    assert torch.equal(both[1:], overlay(clips[1:], attributions[1:], limit=2.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clips": torch.rand(2, 2, 3, 4, 5)}, r"clips: expected 1 channel .* got 2"),
        ({"clips": torch.rand(2, 4, 3, 4, 5)}, r"clips: expected 1 channel .* got 4"),
        ({"clips": torch.rand(2, 3, 3, 4, 5) * 255}, r"clips: .*denormalize=\(mean, std\)"),
        ({"clips": torch.rand(2, 3, 3, 4, 5) - 1}, r"clips: expected colours in \[0, 1\]"),
        ({"clips": torch.rand(3, 3, 4, 5)}, "clips: expected 5 axes"),
        ({"attributions": torch.rand(2, 3, 4, 4, 5)}, r"attributions: .*\(2, 3, 4, 5\), got"),
        ({"attributions": torch.full((2, 3, 3, 4, 5), torch.nan)}, "attributions: .*finite"),
        ({"sign": "negative"}, "sign: expected 'positive' or 'all', got 'negative'"),
        ({"alpha": 1.5}, "alpha: .* got 1.5"),
        ({"cmap": "rainbows"}, "cmap: .* got 'rainbows'"),
        ({"limit": -1.0}, "limit: .* got -1.0"),
        ({"limit": torch.ones(3)}, "limit: .* 2 clips"),
        ({"denormalize": ((0.5, 0.5), 0.2)}, "denormalize: .* 3 channels, got 2 and 1"),
        ({"denormalize": lambda x: x[:, :, :1]}, "denormalize: expected it to keep the shape"),
    ],
)
def test_bad_values(change, message):
    clips, attributions = clip_and_map()
    with pytest.raises(ValueError, match=message):
        overlay(**({"clips": clips, "attributions": attributions} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clips": torch.zeros(2, 3, 3, 4, 5, dtype=torch.uint8)}, "clips: .*/ 255"),
        ({"attributions": [[1.0]]}, "attributions: expected a tensor, got list"),
        ({"denormalize": 0.5}, r"denormalize: expected a function or \(mean, std\)"),
    ],
)
def test_bad_types(change, message):
    clips, attributions = clip_and_map()
    with pytest.raises(TypeError, match=message):
        overlay(**({"clips": clips, "attributions": attributions} | change))


def test_color_limit_refuses_nothing_and_differing_batches():
    with pytest.raises(ValueError, match="at least one"):
        color_limit()
    with pytest.raises(ValueError, match=r"got N = \[1, 2\]"):
        color_limit(torch.rand(1, 1, 1, 2, 2), torch.rand(2, 1, 1, 2, 2))
    with pytest.raises(ValueError, match="percentile"):
        color_limit(torch.rand(1, 1, 1, 2, 2), percentile=0)
