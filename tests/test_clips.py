import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import clips, layouts

from captum_video import Extent, Layout
from captum_video.clips import clip_of, clips_of, extent_of, window_of


@given(st.data(), clips())
def test_layouts_go_there_and_back(data, clip):
    layout = data.draw(layouts(clip.shape[1]))
    written = layout.from_clip(clip)
    assert written.ndim == layout.rank
    assert torch.equal(layout.to_clip(written, t=clip.shape[2]), clip)


@given(st.data(), clips())
def test_a_contiguous_tensor_is_viewed_not_copied(data, clip):
    layout = data.draw(layouts(clip.shape[1]))
    written = layout.from_clip(clip).clone(memory_format=torch.contiguous_format)
    layout.to_clip(written, t=clip.shape[2]).add_(1)
    assert torch.equal(layout.to_clip(written, t=clip.shape[2]), clip + 1)


def test_missing_axes_have_size_one():
    assert Layout("n t h w").to_clip(torch.zeros(2, 3, 4, 5)).shape == (2, 1, 3, 4, 5)
    assert Layout("n c h w").to_clip(torch.zeros(2, 3, 4, 5)).shape == (2, 3, 1, 4, 5)


def test_folded_frames_and_tokens():
    folded = torch.arange(6.0).reshape(6, 1, 1, 1)
    assert Layout("(n t) c h w").to_clip(folded, n=2)[1].flatten().tolist() == [3, 4, 5]
    tokens = torch.arange(2 * 9.0).reshape(2, 9, 1)
    clip = Layout("n (t h w) c", skip_tokens=1, t=2, h=2).to_clip(tokens)
    assert clip.shape == (2, 1, 2, 2, 2)
    assert clip[0].flatten().tolist() == list(range(1, 9))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Layout("n c t h"), None),
        (lambda: Layout("c t h w"), "expected an axis n"),
        (lambda: Layout("n c t h x"), "einops pattern"),
        (lambda: Layout("n c t t h w"), "einops pattern"),
        (lambda: Layout("n (t c h w"), "einops pattern"),
        (lambda: Layout("n ((t c) h) w"), "einops pattern"),
        (lambda: Layout("n ... h w"), "einops pattern"),
        (lambda: Layout("n (t c) h w", c=0), "positive sizes"),
        (lambda: Layout("n t h w", c=3), "of its own axes"),
        (lambda: Layout("n (t h w) c", skip_tokens=-1), "skip_tokens must be >= 0"),
        (
            lambda: Layout("n (t c) h w", c=3).to_clip(torch.zeros(1, 8, 2, 2)),
            r"got shape \(1, 8, 2, 2\)",
        ),
        (lambda: Layout("n (t h w) c").to_clip(torch.zeros(1, 8, 2)), "with no sizes"),
        (
            lambda: Layout("n (t h w) c", 1, t=1, h=1).from_clip(torch.zeros(1, 1, 1, 1, 1)),
            "one way",
        ),
    ],
)
def test_bad_layouts_say_why(make, message):
    if message is None:
        assert make().rank == 4
        return
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("tensor", "error", "message"),
    [
        ([1, 2], TypeError, "expected a tensor, got list"),
        (
            torch.zeros(1, 1, 1, 1, 1, dtype=torch.uint8),
            TypeError,
            "floating-point tensor, got torch.uint8",
        ),
        (
            torch.zeros(1, 1, 1, 1),
            ValueError,
            r"expected 5 axes in layout 'n c t h w', got shape \(1, 1, 1, 1\)",
        ),
        (torch.zeros(1, 1, 0, 1, 1), ValueError, "not empty"),
        (torch.full((1, 1, 1, 1, 1), torch.nan), ValueError, "NaN or infinity"),
    ],
)
def test_bad_clips_say_why(tensor, error, message):
    with pytest.raises(error, match=message):
        clip_of(tensor, Layout("n c t h w"))


def test_inputs_of_different_batch_sizes_are_refused():
    with pytest.raises(ValueError, match=r"as many clips in each, got \[2, 3\]"):
        clips_of((torch.zeros(2, 1, 1, 1, 1), torch.zeros(3, 1, 1, 1, 1)), Layout("n c t h w"))
    with pytest.raises(ValueError, match="empty tuple"):
        clips_of((), Layout("n c t h w"))


def test_windows_are_checked():
    assert window_of([1, 2, 3], "window") == Extent(1, 2, 3)
    with pytest.raises(ValueError, match=r"window \(4, 32, 32\) exceeds clip \(3, 112, 112\)"):
        window_of((4, 32, 32), "window", Extent(3, 112, 112))
    with pytest.raises(ValueError, match="at least 1"):
        window_of((0, 1, 1), "stride")
    for bad in [(1, 2), 3, (1.0, 1, 1), (True, 1, 1)]:
        with pytest.raises(TypeError, match="three whole numbers"):
            window_of(bad, "window")


def test_extent_reads_as_t_h_w():
    assert str(extent_of(torch.zeros(1, 2, 3, 4, 5))) == "(3, 4, 5)"


def test_features_of_a_sequence_count_as_width():
    sequence = torch.arange(24.0).reshape(2, 3, 4)
    clip = Layout("n t f").to_clip(sequence)
    assert clip.shape == (2, 1, 3, 1, 4)
    assert torch.equal(Layout("n t f").from_clip(clip), sequence)
    assert Layout("n (t f)", f=4).to_clip(sequence.flatten(1)).shape == (2, 1, 3, 1, 4)
    for pattern in ("n t f h", "n t f w"):
        with pytest.raises(ValueError, match="expected an einops pattern"):
            Layout(pattern)
