"""Labels of what belongs together in a clip."""

import itertools
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, extents

from captum_video import Extent, Layout
from captum_video.regions import random_superpixels, segments, superpixels

MAKERS = {
    "volume": lambda clip, **options: superpixels(clip, 12, **options),
    "frames": lambda clip, **options: superpixels(clip, 5, frame_distance=None, **options),
    "random": lambda clip, **options: random_superpixels(clip, 4, **options),
}
each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def is_connected(place) -> bool:
    """Whether a set of voxels (T, H, W) hangs together by its faces: a flood from its first."""
    places = {tuple(voxel) for voxel in place.nonzero().tolist()}
    reached = [places.pop()]
    for t, y, x in reached:
        for dt, dy, dx in itertools.product((-1, 0, 1), repeat=3):
            near = (t + dt, y + dy, x + dx)
            if abs(dt) + abs(dy) + abs(dx) == 1 and near in places:
                places.remove(near)
                reached.append(near)
    return not places


def walker(frames=8):
    """A bright square that goes right by two pixels a frame, on a dark ground: (1, 1, T, 20, 30)."""
    clip = torch.zeros(1, 1, frames, 20, 30)
    for t in range(frames):
        clip[..., t, 6:14, 2 + 2 * t : 10 + 2 * t] = 1
    return clip


@given(extents, st.integers(1, 7))
def test_segments_are_runs(extent, length):
    labels = segments(extent, length)
    assert labels.shape == tuple(extent)
    assert labels[:, 0, 0].tolist() == [t // length for t in range(extent.frames)]
    assert (labels == labels[:, :1, :1]).all()


@each_maker
@given(
    clip=clips(extent=st.builds(Extent, st.integers(1, 4), st.integers(4, 8), st.integers(4, 8)))
)
@settings(max_examples=12)
def test_every_voxel_has_a_label_and_patches_hang_together(make, clip):
    labels = make(clip)
    assert labels.shape == (len(clip), 1, *clip.shape[2:])
    assert labels.dtype == torch.int64
    for one in labels[:, 0]:
        names = one.unique()
        assert torch.equal(names, torch.arange(len(names)))
        assert all(is_connected(one == name) for name in names)


@each_maker
def test_scale_other_clips_and_the_global_generator_do_not_matter(make):
    clip, state = torch.rand(3, 3, 4, 10, 12), torch.get_rng_state()
    before, labels = clip.clone(), make(clip)
    assert torch.equal(labels, make(clip))
    assert torch.equal(labels, make(8 * clip - 4))  # a power of two: to the bit
    assert torch.equal(labels[1:2], make(clip[1:2]))
    layout = Layout("n t c h w")
    assert torch.equal(labels, make(layout.from_clip(clip), layout=layout))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(clip, before)


@each_maker
def test_a_clip_of_one_color_is_divided_too(make):
    labels = make(torch.full((1, 3, 4, 12, 12), 0.3))
    assert len(labels.unique()) > 1


def test_superpixels_keep_a_moving_square_apart():
    """Patches do not mix square and ground, and go along with the square."""
    clip = walker()
    labels = superpixels(clip, 20, 1.0)
    for name in labels.unique():
        assert len(clip[labels == name].unique()) == 1
    inside = labels[clip == 1].unique()
    spans = [(labels[0, 0] == name).any(2).any(1).sum() for name in inside]
    assert max(spans) > 4  # no place is inside the square for longer
    alone = superpixels(clip, 20, 1.0, frame_distance=None)
    for t in range(8):
        assert set(alone[0, 0, t].unique().tolist()).isdisjoint(alone[0, 0, :t].unique().tolist())


def test_color_and_gray_mean_the_same_by_compactness():
    """A gray clip is as compact in one channel as in three, but for the curve of lightness."""
    gray = walker()
    assert torch.equal(superpixels(gray, 20), superpixels(gray.expand(-1, 3, -1, -1, -1), 20))


def test_random_superpixels_follow_their_generator_and_edges():
    clip = walker()

    def drawn(seed, compactness=0.0):
        return random_superpixels(clip, 15, compactness, torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(0), random_superpixels(clip, 15, 0.0))
    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))
    assert drawn(3).unique().tolist() == list(range(15))
    source = torch.Generator().manual_seed(3)
    seeds = torch.randperm(clip.numel(), generator=source)[:15]
    assert drawn(3).flatten()[seeds].tolist() == list(range(15))


def test_random_patches_of_great_compactness_are_the_cells_of_their_seeds():
    clip = torch.rand(1, 1, 4, 9, 9)
    labels = random_superpixels(clip, 5, 1e6)[0, 0]
    seeds = torch.randperm(clip.numel(), generator=torch.Generator().manual_seed(0))[:5]
    where = torch.stack(torch.unravel_index(seeds, labels.shape), 1).double()
    voxels = torch.cartesian_prod(*map(torch.arange, labels.shape)).double()
    away = torch.cdist(voxels, where)
    mine = away.gather(1, labels.flatten()[:, None])[:, 0]
    # the flood goes from voxel to voxel, and so may miss the nearest seed by less than one of them
    assert (mine - away.amin(1)).max() < 1
    assert ((mine - away.amin(1)) < 1e-9).double().mean() > 0.9


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: segments(Extent(2, 2, 2), 0), ValueError, "length: .* from 1, got 0"),
        (
            lambda x: superpixels(x, 0),
            ValueError,
            "n_segments: expected a whole number from 1, got 0",
        ),
        (lambda x: superpixels(x, 9.5), ValueError, "n_segments: .* got 9.5"),
        (
            lambda x: superpixels(x, 9, 0),
            ValueError,
            "compactness: expected a number above 0, got 0",
        ),
        (lambda x: superpixels(x, 9, frame_distance=0), ValueError, "frame_distance: .* above 0"),
        (lambda x: superpixels(x[0]), ValueError, "clip: expected 5 axes"),
        (lambda x: superpixels(x / 0), ValueError, "clip: expected finite values"),
        (lambda x: superpixels(x.int()), TypeError, "clip: .*torch.int32"),
        (lambda x: random_superpixels(x, 99), ValueError, "from 1 to 32, got 99"),
        (lambda x: random_superpixels(x, 2, -1), ValueError, "compactness: .* at least 0, got -1"),
    ],
)
def test_bad_regions_say_why(make, error, message):
    with pytest.raises(error, match=message):
        make(torch.rand(1, 1, 2, 4, 4))


def test_without_scikit_image_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match=r"pip install captum-video\[superpixels\]"):
        superpixels(torch.rand(1, 1, 2, 4, 4))
