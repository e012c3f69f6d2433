import oracles_metrics as oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, layouts

from captum_video.metrics import energy_in_mask, random_maps, share_beaten


@given(st.data(), clips(channels=(3, 3)), st.tuples(*[st.integers(1, 9)] * 3))
@settings(max_examples=40)
def test_maps_fit_and_the_same_seed_gives_the_same(data, clip, grid):
    def drawn(inputs, n_maps=3, **options):
        generator = torch.Generator().manual_seed(5)
        return list(random_maps(inputs, n_maps, generator, grid, **options))

    maps = drawn(clip)
    assert len(maps) == 3
    for one in maps:
        assert one.shape == clip.shape
        assert one.dtype == torch.float32
        assert ((one >= 0) & (one <= 1)).all()
        assert torch.equal(one[:, :1].expand_as(one), one)
    assert all(torch.equal(a, b) for a, b in zip(maps, drawn(clip, 5), strict=False))
    if clip[0, 0].numel() > 1 and max(grid) > 1:
        assert not torch.equal(maps[0], maps[1])
    pair = drawn((clip, clip[:, :1]))
    assert torch.equal(pair[2][0], maps[2])
    assert torch.equal(pair[2][1], maps[2][:, :1])
    layout = data.draw(layouts(3))
    if "(n c)" not in layout.pattern:
        relaid = drawn(layout.from_clip(clip), layout=layout)
        assert torch.equal(layout.to_clip(relaid[1], t=clip.shape[2]), maps[1])


def test_maps_are_smooth_uniform_on_average_and_favour_no_voxel():
    clip = torch.zeros(400, 1, 4, 12, 12)
    (maps,) = random_maps(clip, grid_shape=(2, 3, 3))
    assert maps.mean((0, 1)).std().item() < 0.03  # of 400 clips: about 0.2 / 20
    assert maps.mean().item() == pytest.approx(0.5, abs=0.02)
    assert maps.diff(dim=4).abs().max().item() <= 0.25 + 1e-6  # cells of four pixels
    assert maps.diff(dim=2).abs().max().item() <= 0.5 + 1e-6
    assert maps.std((2, 3, 4)).min().item() > 0.01
    place = maps.flatten(1).argmax(1)
    assert place.unique().numel() > 150
    mask = torch.zeros(1, 1, 4, 12, 12)
    mask[..., 3:9, 3:9] = 1
    assert energy_in_mask(maps, mask).mean().item() == pytest.approx(0.25, abs=0.01)


def test_clips_differ_and_inputs_of_another_extent_have_their_own():
    visible, infrared = torch.zeros(2, 3, 4, 8, 8), torch.zeros(2, 1, 4, 6, 6)
    state = torch.get_rng_state()
    (found,) = random_maps((visible, infrared))
    assert [one.shape for one in found] == [visible.shape, infrared.shape]
    assert not torch.equal(found[0][0], found[0][1])
    assert torch.equal(torch.get_rng_state(), state)


def test_shares_closed_form():
    values = torch.tensor([0.9, 0.2, 0.5, 0.5])
    randoms = torch.tensor([[0.1, 0.9], [0.3, 0.4], [0.5, 0.5], [0.4, 0.5]])
    found = share_beaten(values, randoms)
    assert found.share.tolist() == [0.75, 0, 0.5, 0.75]
    assert found.share_of_clips == (1 + 0 + 0.5 + 1) / 4
    lower = share_beaten(values, randoms, higher_is_better=False)
    assert lower.share.tolist() == [0.25, 1, 0.5, 0.25]
    assert lower.share_of_clips == pytest.approx(1 - found.share_of_clips)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 999), st.booleans())
def test_shares_equal_counting(n_clips, n_maps, seed, higher):
    source = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 4, (n_clips,), generator=source).float()
    randoms = torch.randint(0, 4, (n_clips, n_maps), generator=source).float()
    found = share_beaten(values, randoms, higher)
    expected = [
        oracles.beaten(value, row, higher)
        for value, row in zip(values.tolist(), randoms.tolist(), strict=True)
    ]
    assert found.share.tolist() == pytest.approx(expected)
    won = [1.0 if one > 0.5 else 0.5 if one == 0.5 else 0.0 for one in expected]
    assert found.share_of_clips == pytest.approx(sum(won) / n_clips)


CLIP = torch.zeros(1, 1, 2, 3, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: random_maps(CLIP, 0), ValueError, "n_maps: expected a whole number, at least 1"),
        (lambda: random_maps(CLIP, grid_shape=(1, 2)), TypeError, "grid_shape: expected three"),
        (lambda: random_maps(CLIP, grid_shape=(0, 2, 2)), ValueError, "grid_shape: expected sizes"),
        (lambda: random_maps(CLIP[0]), ValueError, "inputs: expected 5 axes"),
        (lambda: random_maps(CLIP.int()), TypeError, "inputs: expected a floating-point"),
        (lambda: share_beaten([1.0], torch.ones(1, 1)), TypeError, "values: expected a tensor"),
        (lambda: share_beaten(torch.ones(1), 0.5), TypeError, "random_values: expected a tensor"),
        (
            lambda: share_beaten(torch.ones(2), torch.ones(3, 2)),
            ValueError,
            r"got \(3, 2\) for \(2",
        ),
        (lambda: share_beaten(torch.ones(2), torch.ones(2)), ValueError, r"got \(2,\) for \(2,\)"),
        (lambda: share_beaten(torch.ones(2), torch.ones(2, 0)), ValueError, "not empty"),
        (
            lambda: share_beaten(torch.ones(1) * torch.nan, torch.ones(1, 1)),
            ValueError,
            "values: expected finite",
        ),
    ],
)
def test_bad_input_says_why(call, error, message):
    with pytest.raises(error, match=message):
        call()
