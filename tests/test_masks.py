import itertools

import numpy as np
import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import extents, windows

from captum_video import Extent
from captum_video.masks import (
    FeatureMaps,
    Joined,
    RandomGrids,
    RankedPrefixes,
    SlidingWindows,
    Untouched,
    unrepeated,
)


def random_grids(extent, grid, n_masks=50, p=0.4, seed=0):
    return RandomGrids(extent, grid, p, n_masks, torch.Generator().manual_seed(seed))


@st.composite
def streams(draw):
    extent = draw(extents)
    kind = draw(st.sampled_from(["windows", "grids", "maps", "prefixes", "untouched"]))
    seed = draw(st.integers(0, 999))
    source = torch.Generator().manual_seed(seed)
    if kind == "windows":
        return extent, SlidingWindows(extent, *draw(windows(extent)))
    if kind == "grids":
        return extent, random_grids(extent, draw(windows(extent))[0], seed=seed)
    if kind == "maps":
        return extent, FeatureMaps(torch.rand(5, 2, 3, 3, generator=source), extent, quantile=0.5)
    if kind == "prefixes":
        n = extent.frames * extent.height * extent.width
        ranks = torch.randperm(n, generator=source).reshape(extent)
        return extent, RankedPrefixes(ranks, torch.arange(n + 1), extent)
    return extent, Untouched(extent)


@given(st.data(), streams())
def test_every_stream_keeps_its_contract(data, drawn):
    extent, masks = drawn
    every = masks[:]
    assert every.shape == (len(masks), 1, *extent)
    assert every.dtype == torch.float32
    assert every.min() >= 0
    assert every.max() <= 1 + 1e-6
    a = data.draw(st.integers(0, len(masks)))
    b = data.draw(st.integers(a, len(masks)))
    assert torch.equal(torch.cat([masks[:a], masks[a:b], masks[b:]]), every)
    assert torch.equal(masks[:], every)


@given(st.data(), extents)
def test_windows_cover_every_voxel_and_do_not_wrap(data, extent):
    window, strides = data.draw(windows(extent))
    masks = SlidingWindows(extent, window, strides)
    hidden = 1 - masks[:][:, 0]
    assert (hidden.sum(0) >= 1).all()
    for one in hidden:
        places = one.nonzero()
        span = places.amax(0) - places.amin(0) + 1
        assert span.prod() == len(places)
        assert all(s <= w for s, w in zip(span.tolist(), window, strict=True))
    weights = torch.rand(2, len(masks))
    torch.testing.assert_close(
        masks.hidden_sum(weights), torch.einsum("nk,kthw->nthw", weights, hidden)
    )


@given(st.data(), st.builds(Extent, st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)))
@settings(max_examples=25)
def test_random_grids_equal_voxel_by_voxel_interpolation(data, extent):
    grid, _ = data.draw(windows(extent))
    masks = random_grids(extent, grid, n_masks=4)
    cells = [-(-length // g) for length, g in zip(extent, grid, strict=True)]
    for i in range(4):
        bits, shift = masks._bits[i].numpy().astype(float), masks._shifts[i].tolist()
        assert all(0 <= s < c for s, c in zip(shift, cells, strict=True))
        expected = oracles.kept_mask(bits, shift, cells, extent)
        np.testing.assert_allclose(masks[i : i + 1][0, 0].numpy(), expected, atol=1e-6)


def test_random_grids_adjoint_and_covariance():
    extent = Extent(5, 9, 8)
    masks = random_grids(extent, (2, 3, 4), n_masks=200)
    weights = torch.rand(3, 200, dtype=torch.float64)
    direct = torch.einsum("nk,kthw->nthw", weights, masks[:][:, 0].double())
    torch.testing.assert_close(masks.kept_sum(weights), direct, rtol=1e-6, atol=1e-6)

    # The covariance in closed form, against every shift and the moments of independent bits.
    places = [torch.arange(length) for length in extent]
    kernels = masks.covariances(places, torch.float64)
    for kernel, axis in zip(kernels, masks._axes, strict=True):
        expected = sum(u.double() @ u.double().T for u in axis) / len(axis)
        torch.testing.assert_close(kernel, expected)
    many = random_grids(Extent(2, 3, 3), (1, 2, 2), n_masks=40_000)
    values = many[:].flatten(1)
    torch.testing.assert_close(values.mean(0), torch.full((18,), 0.4), atol=0.01, rtol=0)
    kernels = many.covariances([torch.arange(length) for length in (2, 3, 3)], torch.float32)
    exact = 0.4 * 0.6 * torch.einsum("ab,cd,ef->acebdf", *kernels).reshape(18, 18)
    torch.testing.assert_close(torch.cov(values.T), exact, atol=0.01, rtol=0)


def test_random_grids_depend_on_the_generator_only():
    extent, state = Extent(4, 8, 8), torch.get_rng_state()
    first = random_grids(extent, (2, 2, 2), seed=1)[:]
    assert torch.equal(random_grids(extent, (2, 2, 2), seed=1)[:], first)
    assert not torch.equal(random_grids(extent, (2, 2, 2), seed=2)[:], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_grid_of_one_cell_a_voxel_has_independent_bits():
    masks = random_grids(Extent(2, 2, 2), (2, 2, 2))
    assert set(masks[:].unique().tolist()) == {0.0, 1.0}


def test_feature_maps_follow_their_rule():
    maps = torch.tensor([[0.0, 1.0], [0.0, 0.0], [4.0, 2.0]]).reshape(3, 1, 1, 2)
    extent = Extent(1, 1, 2)
    hard = FeatureMaps(maps, extent, threshold=0.5)
    assert hard.channels.tolist() == [0, 2]
    assert hard[:].reshape(2, 2).tolist() == [[0, 1], [1, 1]]
    soft = FeatureMaps(maps, extent, soft=True)
    assert soft[:].reshape(2, 2).tolist() == [[0, 1], [1, 0]]
    half = FeatureMaps(maps, extent, quantile=0.5)  # the second of 0, 1, 2, 4 is 1
    assert half.channels.tolist() == [2]
    assert half[:].reshape(1, 2).tolist() == [[1, 1]]


def test_feature_maps_adjoint_at_map_size():
    masks = FeatureMaps(torch.rand(6, 2, 3, 4), Extent(5, 9, 10), quantile=0.6)
    weights = torch.rand(2, len(masks))
    direct = torch.einsum("nk,kthw->nthw", weights, masks[:][:, 0])
    torch.testing.assert_close(masks.kept_sum(weights), direct, atol=1e-5, rtol=1e-5)


def test_prefixes_grow_by_rank():
    ranks = torch.randperm(24).reshape(2, 3, 4)
    masks = RankedPrefixes(ranks, torch.arange(25), Extent(2, 3, 4))[:]
    assert masks.flatten(1).sum(1).tolist() == list(range(25))
    for k, (less, more) in enumerate(itertools.pairwise(masks)):
        assert ((more - less)[0].nonzero() == (ranks == k).nonzero()).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda e: SlidingWindows(e, (5, 1, 1), (1, 1, 1)),
            r"window \(5, 1, 1\) exceeds clip \(4, 8, 8\)",
        ),
        (lambda e: SlidingWindows(e, (2, 2, 2), (0, 1, 1)), "stride: expected sizes of at least 1"),
        (lambda e: SlidingWindows(e, (2, 2, 2), (1, 3, 1)), r"stride \(1, 3, 1\) exceeds window"),
        (lambda e: random_grids(e, (5, 2, 2)), r"grid_shape \(5, 2, 2\) exceeds clip"),
        (
            lambda e: random_grids(e, (2, 2, 2), p=1.0),
            "keep_probability: expected 0 < p < 1, got 1.0",
        ),
        (lambda e: random_grids(e, (2, 2, 2), n_masks=0), "at least 1 mask, got 0"),
        (lambda e: FeatureMaps(torch.rand(1, 1, 1, 1), e), "exactly one of"),
        (lambda e: FeatureMaps(torch.rand(1, 1, 1, 1), e, quantile=1.0), "0 <= quantile < 1"),
        (lambda e: FeatureMaps(torch.rand(1, 1, 1), e, soft=True), r"expected \(K, T, H, W\)"),
        (
            lambda e: FeatureMaps(torch.ones(1, 1, 1, 1), e, threshold=2.0),
            "no map keeps anything; the largest value is 1, expected one above 2",
        ),
        (lambda e: FeatureMaps(torch.ones(3, 2, 2, 2), e, quantile=0.5), "one value everywhere"),
        (lambda e: FeatureMaps(torch.ones(3, 2, 2, 2), e, soft=True), "one value everywhere"),
        (lambda e: FeatureMaps(torch.rand(1, 1, 1, 1), e, threshold=torch.nan), "a finite number"),
        (
            lambda e: FeatureMaps(torch.full((1, 1, 1, 2), torch.nan), e, threshold=0.1),
            "activations: expected finite values",
        ),
    ],
)
def test_bad_streams_say_why(make, message):
    with pytest.raises(ValueError, match=message):
        make(Extent(4, 8, 8))


def test_an_axis_without_a_grid_keeps_one_value():
    masks = RandomGrids(Extent(6, 4, 5), (6, None, None), 0.5, 40, torch.Generator())
    assert set(masks[:].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(masks[:], masks[:][..., :1, :1].expand(-1, -1, -1, 4, 5))
    spatial = RandomGrids(Extent(6, 4, 5), (None, 2, 2), 0.5, 40, torch.Generator())[:]
    assert torch.equal(spatial, spatial[:, :, :1].expand_as(spatial))
    assert [len(points) for points in masks.lattice()] == [6, 1, 1]


@given(data=st.data())
def test_joined_streams_are_cut_anywhere(data):
    extent = Extent(2, 3, 2)
    windows = SlidingWindows(extent, (1, 2, 1), (1, 2, 1))
    joined = Joined(Untouched(extent, 2), windows, Untouched(extent), windows)
    every = torch.cat(
        [torch.ones(2, 1, *extent), windows[:], torch.ones(1, 1, *extent), windows[:]]
    )
    start = data.draw(st.integers(0, len(joined) - 1))
    stop = data.draw(st.integers(start + 1, len(joined)))
    assert len(joined) == len(every)
    assert torch.equal(joined[start:stop], every[start:stop])


def test_whole_axes_are_views_that_take_no_memory():
    extent = Extent(4, 5, 6)
    frames = SlidingWindows(extent, (1, 5, 6), (1, 5, 6))
    over_time = RandomGrids(extent, (4, None, None), 0.5, 8, torch.Generator())
    ranks = torch.arange(4, dtype=torch.int32).reshape(4, 1, 1)
    for masks in (
        frames,
        over_time,
        Joined(Untouched(extent), frames),
        RankedPrefixes(ranks.expand(extent), torch.arange(5), extent),
    ):
        assert masks[1:3].shape == (2, 1, *extent)
        assert unrepeated(masks[1:3]).shape == (2, 1, 4, 1, 1)
    assert unrepeated(SlidingWindows(extent, (1, 5, 3), (1, 5, 3))[:2]).shape == (2, 1, 4, 1, 6)
