"""RISE3D(tolerance=...): stops where it may, says where it could not, and changes no map."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import Linear3D, TwoStreams, frame_wise

from captum_video import Extent
from captum_video.attr import RISE3D
from captum_video.masks import RandomGrids

GRID = {"grid_shape": (2, 2, 2)}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bent(seed=9, scale=0.4):
    """A score that is not linear in the clip, and clips of which the second bends it hardly."""
    weights = torch.randn(1, 1, 4, 6, 6, generator=seeded(seed)).double() * scale

    def model(x):
        return (x * weights).sum((1, 2, 3, 4)).exp()

    clips = torch.rand(2, 1, 4, 6, 6, generator=seeded(1), dtype=torch.float64)
    clips[1] *= 0.02
    return model, clips


class Counted:
    """A model that counts the clips it is shown."""

    def __init__(self, model):
        self.model, self.rows = model, 0

    def __call__(self, *inputs):
        self.rows += len(inputs[0])
        return self.model(*inputs)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
@settings(max_examples=10)
def test_fewer_masks_of_a_seed_are_the_first_of_more(few, more, seed):
    few, more = sorted((few, more))
    extent, grid = Extent(3, 6, 5), (2, 3, None)
    some = RandomGrids(extent, grid, 0.4, few, seeded(seed))
    every = RandomGrids(extent, grid, 0.4, more, seeded(seed))
    assert torch.equal(some[:], every[:few])
    part = every.part(slice(few // 2, few))
    assert len(part) == few - few // 2
    assert torch.equal(part[:], every[few // 2 : few])
    weights = torch.rand(1, len(part))
    expected = torch.tensordot(weights, every[few // 2 : few][:, 0], dims=1)
    torch.testing.assert_close(part.kept_sum(weights), expected)


@pytest.mark.parametrize("estimator", ["regression", "coverage", "expectation"])
def test_the_map_is_that_of_its_masks_alone_and_passes_are_counted(estimator):
    model, clips = bent()
    options = {"estimator": estimator, **GRID}
    for expected in (64, 128, 256, 512, 1024, 2048):
        plain = RISE3D(model).estimate(
            clips[:1], n_samples=expected, standard_errors=True, **options
        )
        if error_of(plain) <= 0.4:
            break
    assert error_of(plain) <= 0.4
    counted = Counted(model)
    found = RISE3D(counted).estimate(clips[:1], n_samples=5000, tolerance=0.4, **options)
    assert found.n_masks.tolist() == [expected]
    assert counted.rows == expected
    torch.testing.assert_close(found.maps, plain.maps, rtol=1e-9, atol=1e-12)
    assert found.standard_errors is None  # was not asked for
    assert plain.n_masks.tolist() == [expected]


def error_of(found):
    """Of the first map: standard error over spread, by the definition."""
    variance = found.standard_errors[0, 0].square().mean()
    return (variance / (found.maps[0, 0].var(correction=0) - variance).clamp_min(1e-30)).sqrt()


@pytest.mark.parametrize("per_eval", [7, 64])
def test_a_clip_stops_by_itself(per_eval):
    """Neither the other clips nor the size of a pass change when it stops, nor what it finds."""
    model, clips = bent()
    options = {"n_samples": 4096, "tolerance": 0.2, **GRID}
    counted = Counted(model)
    found = RISE3D(counted).estimate(clips, perturbations_per_eval=per_eval, **options)
    assert found.n_masks[0] > found.n_masks[1]
    assert counted.rows == found.n_masks.sum()
    for n in range(2):
        alone = RISE3D(model).estimate(clips[n : n + 1], **options)
        assert alone.n_masks.item() == found.n_masks[n]
        torch.testing.assert_close(alone.maps[0], found.maps[n], rtol=1e-9, atol=1e-9)


def test_the_error_is_about_the_tolerance():
    model, clips = bent()
    truth = RISE3D(model).attribute(clips[:1], n_samples=12_000, generator=seeded(50), **GRID)
    spread = truth.std(correction=0)
    for estimator in ("regression", "coverage"):
        errors, counts = [], []
        for seed in range(6):
            options = {"tolerance": 0.25, "estimator": estimator, "generator": seeded(seed)}
            found = RISE3D(model).estimate(clips[:1], n_samples=8000, **options, **GRID)
            errors.append(((found.maps[0] - truth[0]).square().mean().sqrt() / spread).item())
            counts.append(found.n_masks.item())
        assert 0.08 < np.sqrt(np.mean(np.square(errors))) < 0.32, (estimator, errors, counts)


def test_what_can_not_be_reached_is_said():
    values = torch.randn(100, generator=seeded(3))

    def noise(x):
        return values[: len(x)] + 0 * x.sum((1, 2, 3, 4))

    options = {"n_samples": 100, "tolerance": 0.3, "perturbations_per_eval": 64}
    with pytest.warns(UserWarning, match=r"maps of 1 of 1 clips \(0\) have not reached tolerance"):
        found = RISE3D(noise).estimate(
            torch.rand(1, 1, 4, 6, 6), estimator="coverage", **options, **GRID
        )
    assert found.n_masks.tolist() == [100]


def test_a_map_without_error_stops_at_once():
    """A constant score, and a linear one that the fit knows but for rounding."""
    clip = torch.rand(1, 1, 4, 6, 6)
    found = RISE3D(lambda x: torch.full((len(x),), 0.7)).estimate(
        clip, n_samples=1000, tolerance=1e-3, **GRID
    )
    assert found.n_masks.tolist() == [64]
    assert (found.maps == torch.tensor(0.7)).all()


def test_all_outputs_go_on_until_the_last_is_known():
    bent_score, clips = bent()

    def model(x):
        return torch.stack([x.mean((1, 2, 3, 4)), bent_score(x)], dim=1)

    options = {"n_samples": 4096, "tolerance": 0.2, **GRID}
    counted = Counted(model)
    every = RISE3D(counted).estimate(clips[:1], every_output=True, **options)
    single = [RISE3D(model).estimate(clips[:1], target=k, **options) for k in range(2)]
    easy, hard = (found.n_masks.item() for found in single)
    assert easy < hard
    assert every.n_masks.tolist() == [hard]
    assert counted.rows == hard  # and none more for two maps than for one
    torch.testing.assert_close(every.maps[:, 1], single[1].maps[:, 0], rtol=1e-9, atol=1e-9)


def test_inputs_with_masks_of_their_own_stop_together():
    model, inputs = TwoStreams().eval(), (torch.rand(1, 2, 4, 6, 6), torch.rand(1, 1, 4, 6, 6))
    options = {"target": 0, "inputs_together": False, **GRID}
    found = RISE3D(model).estimate(inputs, n_samples=4096, tolerance=0.3, **options)
    count = found[0].n_masks.item()
    assert found[1].n_masks.item() == count < 4096
    plain = RISE3D(model).estimate(inputs, n_samples=count, **options)
    for one, other in zip(found, plain, strict=True):
        torch.testing.assert_close(one.maps, other.maps, rtol=1e-5, atol=1e-6)


def test_networks_that_read_frame_by_frame_stop_too():
    model, clip = frame_wise().eval(), torch.rand(2, 2, 4, 6, 6)
    found = RISE3D(model).estimate(clip, target=0, n_samples=2048, tolerance=0.3, **GRID)
    assert (found.n_masks < 2048).all()
    for n, count in enumerate(found.n_masks.tolist()):
        plain = RISE3D(model).attribute(clip[n : n + 1], target=0, n_samples=count, **GRID)
        torch.testing.assert_close(found.maps[n, 0], plain[0, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("tolerance", "error"),
    [
        (0, ValueError),
        (-0.1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (True, TypeError),
        ("0.1", TypeError),
    ],
)
def test_tolerances_that_mean_nothing(tolerance, error):
    counted = Counted(Linear3D(torch.rand(1, 1, 2, 4, 4)))
    with pytest.raises(error, match="tolerance: expected None or a number above 0, got"):
        RISE3D(counted).attribute(torch.rand(1, 1, 2, 4, 4), target=0, tolerance=tolerance, **GRID)
    assert counted.rows == 0
