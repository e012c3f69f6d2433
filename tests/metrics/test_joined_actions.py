import oracles_metrics as oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import layouts

from captum_video import Layout
from captum_video.attr import SpatioTemporalOcclusion
from captum_video.metrics import energy_in_mask, join_clips, temporal_pointing


def numbered(n_clips, frames, start=0, channels=1):
    """Clips whose pixels tell clip and frame."""
    number = torch.arange(frames) + start + 100.0 * torch.arange(n_clips)[:, None]
    return number[:, None, :, None, None].expand(-1, channels, -1, 2, 3).contiguous()


@given(st.data(), st.integers(1, 7), st.integers(1, 7), st.integers(2, 9), st.booleans())
@settings(max_examples=40)
def test_frames_are_those_of_a_slow_count(data, n, m, total, with_lengths):
    first, second = numbered(3, n), numbered(3, m, start=50)
    lengths = st.lists(st.integers(1, 40), min_size=3, max_size=3)
    given_ = (data.draw(lengths), data.draw(lengths)) if with_lengths else None
    seed = data.draw(st.integers(0, 99))
    before = first.clone(), second.clone()
    joined, mask = join_clips(
        first, second, total, torch.Generator().manual_seed(seed), lengths=given_
    )
    assert joined.shape == (3, 1, total, 2, 3)
    assert mask.shape == (3, total)
    assert mask.dtype == torch.bool
    for i in range(3):
        pair = (given_[0][i], given_[1][i]) if given_ else None
        target, other = oracles.joined_frames(n, m, total, pair)
        own, rest = [x + 100 * i for x in target], [x + 100 * i + 50 for x in other]
        seen = joined[i, 0, :, 0, 0].tolist()
        assert seen == (own + rest if mask[i, 0] else rest + own)
        assert mask[i].tolist() == [x in own for x in seen]
    again = join_clips(first, second, total, torch.Generator().manual_seed(seed), lengths=given_)
    assert torch.equal(again.clips, joined)
    assert torch.equal(first, before[0])
    assert torch.equal(second, before[1])


def test_lengths_share_the_frames_and_neither_part_is_empty():
    clip = numbered(4, 16)
    lengths = ([30, 1, 100, 7], [10, 100, 1, 9])
    found = join_clips(clip, clip, lengths=lengths).frame_mask.sum(1)
    assert found.tolist() == [12, 1, 15, 7]
    assert join_clips(clip, clip, 5).frame_mask.sum(1).tolist() == [2] * 4


def test_both_sides_are_drawn_and_the_state_of_torch_is_left_alone():
    clip, state = numbered(200, 2), torch.get_rng_state()
    mask = join_clips(clip, clip).frame_mask
    assert 60 < mask[:, 0].sum() < 140
    assert torch.equal(torch.get_rng_state(), state)
    other = join_clips(clip, clip, generator=torch.Generator().manual_seed(1)).frame_mask
    assert not torch.equal(mask, other)


@given(st.data(), layouts(3))
@settings(max_examples=15)
def test_layouts_do_not_matter(data, layout):
    if "(n c)" in layout.pattern:
        layout = Layout("n t c h w")
    first, second = numbered(2, 4, channels=3), numbered(2, 4, 50, channels=3)
    expected = join_clips(first, second)
    found = join_clips(layout.from_clip(first), layout.from_clip(second), layout=layout)
    assert torch.equal(found.clips, layout.from_clip(expected.clips))
    scores = temporal_pointing(found.clips, found.frame_mask, layout=layout)
    assert torch.equal(scores, temporal_pointing(expected.clips, expected.frame_mask))


def test_hits_and_misses():
    mask = torch.tensor([[True, True, False, False]])
    cases = {
        (0.0, 2, 1, 1): 1,
        (1.0, 1, 3, 0): 0,
        (2.0, 0, 2, 0): 0.5,
        (0.0, 0, 0, 0): 0.5,  # chance
        (-3.0, -1, -2, -2): 1,  # sums keep their sign
    }
    for values, expected in cases.items():
        maps = torch.tensor(values).view(1, 1, 4, 1, 1).expand(1, 3, 4, 2, 5)
        found = temporal_pointing(maps, mask)
        assert found.tolist() == [expected]
        assert found.dtype == torch.float64
    # many weak pixels outweigh one strong one
    maps = torch.zeros(1, 1, 4, 2, 5)
    maps[0, 0, 0, 0, 0], maps[0, 0, 3] = 3, 0.5
    assert temporal_pointing(maps, mask).item() == 0
    maps[0, 0, 3] = 0.2
    assert temporal_pointing(maps, mask).item() == 1


def test_occlusion_finds_the_action_that_a_model_knows():
    """The target is bright; the model scores brightness; its map lies in the part of the target."""
    first = torch.rand(6, 1, 8, 4, 4) + 1
    joined, mask = join_clips(first, torch.zeros_like(first))
    method = SpatioTemporalOcclusion(lambda x: x.mean((2, 3, 4)))
    maps = method.attribute(joined, (1, None, None), target=0)
    assert temporal_pointing(maps, mask).tolist() == [1] * 6
    energy = energy_in_mask(maps, mask[:, None, :, None, None])
    torch.testing.assert_close(energy, torch.ones_like(energy))
    noise = torch.rand(400, 1, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    chance = temporal_pointing(noise, mask[:1]).mean().item()
    assert chance == pytest.approx(0.5, abs=0.08)


CLIP = torch.rand(2, 1, 4, 3, 3)
MASK = torch.ones(2, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: join_clips(CLIP, CLIP[:1]), ValueError, r"second: .* got \(1, 1, 4, 3, 3\)"),
        (lambda: join_clips(CLIP, CLIP[..., :2]), ValueError, "second: expected the clips, chan"),
        (lambda: join_clips(CLIP, CLIP, 1), ValueError, "frames: .* at least 2, got 1"),
        (lambda: join_clips(CLIP, CLIP, 2.5), ValueError, "frames: expected a whole number"),
        (lambda: join_clips(CLIP[:, :, :1], CLIP), ValueError, "frames: .* got 1"),
        (lambda: join_clips(CLIP, [1]), TypeError, "second: expected a tensor, got list"),
        (
            lambda: join_clips(CLIP, CLIP, lengths=([1, 2], [1])),
            ValueError,
            r"lengths: expected two times 2 positive numbers of frames, got \[1, 2\] and \[1\]",
        ),
        (lambda: join_clips(CLIP, CLIP, lengths=([1, 0], [1, 1])), ValueError, r"got \[1, 0\]"),
        (lambda: temporal_pointing(CLIP, MASK[:, :3]), ValueError, r"mask: expected \(2 or 1, .*4"),
        (lambda: temporal_pointing(CLIP, MASK[0]), ValueError, r"frame_mask: .*\(2 or 1, 4\)"),
        (lambda: temporal_pointing(CLIP, 0 * MASK), ValueError, "got none in"),
        (lambda: temporal_pointing(CLIP, 3 * MASK), ValueError, "values in"),
        (lambda: temporal_pointing(CLIP, [1]), TypeError, "frame_mask: expected a tensor, got"),
        (lambda: temporal_pointing(CLIP * torch.nan, MASK), ValueError, "attributions: expected f"),
    ],
)
def test_bad_input_says_why(call, error, message):
    with pytest.raises(error, match=message):
        call()
