import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captum_video import Layout
from captum_video.metrics import FlowAgreement, flow_agreement

FIELDS = [
    "correlation",
    "frame_correlation",
    "energy",
    "frame_energy",
    "moving_area",
    "frame_moving_area",
]


@st.composite
def pairs(draw, channels=(1, 2)):
    """Maps and speeds on few levels, so that there are ties, zero maps and frames without motion."""
    n, c, t, h, w = (
        draw(st.integers(*ends)) for ends in [(1, 3), channels, (1, 4), (1, 4), (1, 4)]
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    maps = torch.randint(-2, 3, (n, c, t, h, w), generator=generator).float()
    speed = torch.randint(0, 3, (n, 1, t, h, w), generator=generator).float()
    return maps * draw(st.sampled_from([0.0, 1.0])), speed * draw(st.sampled_from([0.0, 0.7, 1.0]))


def fields(found: FlowAgreement) -> list[torch.Tensor]:
    return [getattr(found, name) for name in FIELDS]


@given(pairs(), st.booleans())
@settings(max_examples=40)
def test_equals_counting(pair, absolute):
    maps, speed = pair
    found = flow_agreement(maps, speed, absolute=absolute, moving_threshold=0.6)
    flat = (maps.abs() if absolute else maps).sum(1)
    for i in range(len(maps)):
        values, speeds = flat[i].flatten().tolist(), speed[i].flatten().tolist()
        energy, area = oracles.energy_share(values, speeds, 0.6)
        assert found.correlation[i] == pytest.approx(oracles.spearman(values, speeds), abs=1e-9)
        assert found.energy[i] == pytest.approx(energy)
        assert found.moving_area[i] == pytest.approx(area)
        for t in range(maps.shape[2]):
            values, speeds = flat[i, t].flatten().tolist(), speed[i, 0, t].flatten().tolist()
            energy, area = oracles.energy_share(values, speeds, 0.6)
            expected = oracles.spearman(values, speeds)
            assert found.frame_correlation[i, t] == pytest.approx(expected, abs=1e-9)
            assert found.frame_energy[i, t] == pytest.approx(energy)
            assert found.frame_moving_area[i, t] == pytest.approx(area)


@given(pairs())
def test_shapes_ranges_and_nothing_mutated(pair):
    maps, speed = pair
    before = maps.clone(), speed.clone()
    found = flow_agreement(maps, speed)
    n, t = maps.shape[0], maps.shape[2]
    for name, values in zip(FIELDS, fields(found), strict=True):
        assert values.shape == ((n, t) if name.startswith("frame") else (n,))
        assert values.dtype == torch.float64
        assert torch.isfinite(values).all()
        assert values.max() <= 1
        assert values.min() >= (-1 if "correlation" in name else 0)
    assert torch.equal(maps, before[0])
    assert torch.equal(speed, before[1])


@given(pairs(channels=(1, 1)), st.sampled_from([torch.exp, torch.atan, lambda x: x**3 + 5 * x]))
def test_correlation_knows_order_only(pair, rising):
    maps, speed = pair
    expected, found = flow_agreement(maps, speed), flow_agreement(rising(maps), speed)
    torch.testing.assert_close(found.correlation, expected.correlation)
    torch.testing.assert_close(found.frame_correlation, expected.frame_correlation)
    bent = flow_agreement(maps, rising(speed), moving_threshold=0)
    torch.testing.assert_close(bent.correlation, expected.correlation)


@given(pairs(), st.randoms())
def test_clips_do_not_see_each_other(pair, random):
    maps, speed = pair
    order = list(range(len(maps)))
    random.shuffle(order)
    expected, found = flow_agreement(maps, speed), flow_agreement(maps[order], speed[order])
    for a, b in zip(fields(expected), fields(found), strict=True):
        torch.testing.assert_close(b, a[order])


def test_the_speed_itself_agrees_and_its_opposite_does_not():
    speed = torch.rand(2, 1, 4, 8, 8)
    found = flow_agreement(speed, speed)
    torch.testing.assert_close(found.correlation, torch.ones(2).double())
    torch.testing.assert_close(found.frame_correlation, torch.ones(2, 4).double())
    found = flow_agreement(-speed, speed)
    torch.testing.assert_close(found.correlation, -torch.ones(2).double())
    torch.testing.assert_close(found.energy, found.moving_area)  # no mass: chance
    reversed_ = flow_agreement(1 - speed, speed)
    torch.testing.assert_close(reversed_.frame_correlation, -torch.ones(2, 4).double())
    assert (reversed_.energy < reversed_.moving_area - 0.1).all()
    only_moving = flow_agreement((speed > 0.5).float(), speed)
    torch.testing.assert_close(only_moving.energy, torch.ones(2).double())


def test_random_maps_score_chance():
    generator = torch.Generator().manual_seed(0)
    speed = torch.rand(50, 1, 4, 16, 16, generator=generator) ** 3
    found = flow_agreement(torch.rand(50, 3, 4, 16, 16, generator=generator), speed)
    # One correlation has a standard deviation of 1 / sqrt(1023), the mean of 50 of 0.0044.
    assert found.correlation.mean().abs() < 0.02
    assert found.frame_correlation.mean().abs() < 0.02
    torch.testing.assert_close(found.energy, found.moving_area, atol=0.03, rtol=0)
    assert (found.energy - found.moving_area).mean().abs() < 0.005
    assert 0.1 < found.moving_area.mean() < 0.4


def test_uniform_maps_have_no_order_and_the_energy_of_the_area():
    speed = torch.rand(2, 1, 4, 8, 8)
    # 0.1 has no exact binary form: rounding must not pass for an order.
    found = flow_agreement(torch.full((2, 3, 4, 8, 8), 0.1), speed)
    assert found.correlation.tolist() == [0, 0]
    torch.testing.assert_close(found.frame_energy, found.frame_moving_area)


def test_clips_and_frames_with_nothing_to_compare_get_chance():
    maps, speed = torch.rand(2, 1, 3, 4, 4), torch.rand(2, 1, 3, 4, 4) + 0.2
    maps[0] = 0
    speed[:, :, 1] = 0
    found = flow_agreement(maps, speed)
    assert found.correlation[0] == 0
    assert found.energy[0] == found.moving_area[0]
    assert 0 < found.moving_area[0] < 1
    assert found.frame_correlation[0].tolist() == [0, 0, 0]
    assert torch.equal(found.frame_energy[0], found.frame_moving_area[0])
    assert found.frame_correlation[1, 1] == 0
    assert found.frame_energy[1, 1] == found.frame_moving_area[1, 1] == 0
    still = flow_agreement(maps, torch.zeros_like(speed))
    for values in fields(still):
        assert values.abs().max() == 0


def test_sign_and_channels():
    speed = torch.tensor([2.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 1, 4)
    maps = torch.zeros(1, 2, 1, 1, 4)
    maps[0, :, 0, 0, 0] = torch.tensor([3.0, -3.0])  # of opposite signs: they cancel
    maps[0, 0, 0, 0, 2] = 1.0
    assert flow_agreement(maps, speed).energy.item() == 0
    assert flow_agreement(maps, speed, absolute=True).energy.item() == pytest.approx(6 / 7)
    against = flow_agreement(-maps[:, :1], speed)
    assert against.correlation < 0
    assert against.energy == against.moving_area == 0.5


def test_threshold_is_in_pixels_per_frame_and_exclusive():
    speed = torch.tensor([0.0, 0.5, 1.0, 2.0]).reshape(1, 1, 1, 2, 2)
    areas = [
        flow_agreement(speed, speed, moving_threshold=one).moving_area.item()
        for one in (0, 0.5, 1, 2)
    ]
    assert areas == [0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize("pattern", ["n t c h w", "n h w c t"])
def test_layout_is_that_of_the_maps(pattern):
    maps, speed = torch.randn(2, 3, 4, 5, 6), torch.rand(2, 1, 4, 5, 6)
    written = Layout(pattern).from_clip(maps)
    expected, found = flow_agreement(maps, speed), flow_agreement(written, speed, layout=pattern)
    for a, b in zip(fields(expected), fields(found), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("maps", "speed", "options", "error", "message"),
    [
        (torch.rand(1, 1, 2, 3, 3), torch.rand(1, 2, 2, 3, 3), {}, ValueError, "flow_magnitude"),
        (torch.rand(1, 1, 2, 3, 3), torch.rand(1, 1, 3, 3, 3), {}, ValueError,
         r"attributions: .*\(1, 3, 3, 3\) of magnitude, got \(1, 2, 3, 3\)"),
        (torch.rand(2, 1, 2, 3, 3), torch.rand(1, 1, 2, 3, 3), {}, ValueError, "of magnitude, got"),
        (torch.rand(1, 1, 2, 3, 3), -torch.ones(1, 1, 2, 3, 3), {}, ValueError, "at least 0, got -1"),
        (torch.rand(1, 1, 2, 3, 3), torch.rand(1, 1, 2, 3, 3), {"moving_threshold": -0.1},
         ValueError, "moving_threshold: .* got -0.1"),
        (torch.rand(1, 1, 2, 3, 3), torch.rand(1, 1, 2, 3, 3), {"moving_threshold": float("nan")},
         ValueError, "moving_threshold: .* got nan"),
        (torch.full((1, 1, 2, 3, 3), torch.nan), torch.rand(1, 1, 2, 3, 3), {}, ValueError,
         "attributions: .*NaN"),
        (torch.rand(1, 1, 2, 3, 3), [[0.0]], {}, TypeError, "magnitude: .*got list"),
    ],
)  # fmt: skip
def test_bad_values_say_why(maps, speed, options, error, message):
    with pytest.raises(error, match=message):
        flow_agreement(maps, speed, **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu():
    maps, speed = torch.randn(2, 3, 4, 9, 9), torch.rand(2, 1, 4, 9, 9)
    expected, found = flow_agreement(maps, speed), flow_agreement(maps.cuda(), speed)
    for a, b in zip(fields(expected), fields(found), strict=True):
        assert b.is_cuda
        torch.testing.assert_close(a, b.cpu())


def test_several_inputs_are_asked_about_one_by_one():
    maps, speed = torch.rand(1, 1, 2, 3, 3), torch.rand(1, 1, 2, 3, 3)
    with pytest.raises(
        TypeError, match="one input, got a tuple of 2; call flow_agreement for each"
    ):
        flow_agreement((maps, maps), speed)
