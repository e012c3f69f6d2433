import numpy as np
import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import windows
from toy_models import Linear3D, TinyNet3D, TwoStreams

from captum_video import Extent
from captum_video.attr import RISE3D, _rise_estimators
from captum_video.attr._rise_ridge import Lattice, Ridge
from captum_video.clips import extent_of
from captum_video.masks import RandomGrids

ESTIMATORS = ["regression", "coverage", "expectation"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def relative_error(estimate, truth):
    """Mean squared error over the variance of the true map."""
    return ((estimate - truth).square().mean() / (truth - truth.mean()).square().mean()).item()


@given(st.data(), st.floats(0.1, 0.9), st.floats(-1e3, 1e3))
@settings(max_examples=30)
def test_a_constant_model_gives_exactly_a_constant_map(data, keep, value):
    extent = Extent(*(data.draw(st.integers(2, 6)) for _ in range(3)))
    grid, _ = data.draw(windows(extent))
    value = torch.tensor(value)
    for estimator in ("regression", "coverage"):
        found = RISE3D(lambda x: value.expand(len(x))).estimate(
            torch.rand(1, 1, *extent),
            n_samples=20,
            grid_shape=grid,
            keep_probability=keep,
            estimator=estimator,
            standard_errors=True,
        )
        assert (found.maps == value).all()
        # Of what is exactly known there is no error, up to rounding.
        assert found.standard_errors.max() <= 1e-6 * value.abs()


def exact_map(weights, clip, masks):
    """E[f m(v)] / p of a linear score, from the covariance of the masks: (T, H, W)."""
    extent = extent_of(clip)
    frames, rows, columns = masks.covariances([torch.arange(n) for n in extent], torch.float64)
    per_voxel = (weights * clip).sum(1)[0].double()
    p = masks.keep_probability
    spread = torch.einsum("abc,at,bh,cw->thw", per_voxel, frames, rows, columns)
    return p * per_voxel.sum() + (1 - p) * spread


@pytest.mark.parametrize("keep", [0.3, 0.5])
def test_an_additive_model_gives_the_closed_form(keep):
    extent, grid = Extent(3, 5, 5), (2, 3, 3)
    clip, weights = torch.rand(1, 2, *extent), torch.randn(1, 2, *extent)
    truth = exact_map(weights, clip, RandomGrids(extent, grid, keep, 1, seeded()))
    errors = {}
    for name in ESTIMATORS:
        for count in (8 * 18, 4000):  # eight masks a cell; many
            maps = (
                RISE3D(Linear3D(weights))
                .estimate(
                    clip,
                    target=0,
                    n_samples=count,
                    grid_shape=grid,
                    keep_probability=keep,
                    estimator=name,
                    generator=seeded(1),
                )
                .maps
            )
            errors[name, count] = relative_error(maps[0, 0].double(), truth)
    assert errors["regression", 8 * 18] < 0.01
    assert errors["regression", 4000] < 1e-9
    assert errors["coverage", 4000] < 0.1
    assert errors["expectation", 4000] < 0.5
    assert errors["regression", 8 * 18] < errors["coverage", 8 * 18] / 10


def test_cells_that_are_voxels_give_an_affine_image_of_the_weights():
    """With independent bits the map is E f + (1 - p) w_v x_v: the weights themselves, shifted."""
    clip, weights = torch.rand(1, 1, 2, 3, 3), torch.randn(1, 1, 2, 3, 3)
    maps = RISE3D(Linear3D(weights)).attribute(
        clip, target=0, n_samples=80, grid_shape=(2, 3, 3), keep_probability=0.25
    )
    part = (weights * clip)[0]
    torch.testing.assert_close(maps[0], 0.25 * part.sum() + 0.75 * part, atol=1e-4, rtol=1e-4)


def test_no_estimator_is_biased_on_a_score_that_is_not_linear():
    clip = torch.rand(1, 1, 2, 4, 4)
    weights = torch.randn(1, 1, 2, 4, 4, generator=seeded(9)) / 3

    def model(x):
        return (x * weights).sum((1, 2, 3, 4)).exp()

    rise = RISE3D(model)
    options = {"grid_shape": (2, 2, 2), "keep_probability": 0.4}
    truth = rise.attribute(clip, n_samples=100_000, estimator="expectation", **options)
    means = {
        name: torch.stack(
            [
                rise.attribute(clip, n_samples=80, estimator=name, generator=seeded(s), **options)
                for s in range(40)
            ]
        )
        for name in ("regression", "coverage")
    }
    for name, maps in means.items():
        assert relative_error(maps.mean(0), truth) < 0.05, name
    spread = {name: maps.var(0).mean() for name, maps in means.items()}
    assert spread["regression"] < spread["coverage"] / 2


def test_regression_beats_coverage_on_a_trained_network():
    torch.manual_seed(3)
    clips, labels = torch.rand(48, 2, 4, 12, 12), torch.arange(48) % 3
    for n, label in enumerate(labels):  # a bright patch that moves right, down, or not at all
        for t in range(4):
            y, x = 3 + 2 * t * (label == 1), 3 + 2 * t * (label == 0)
            clips[n, :, t, y : y + 3, x : x + 3] += 1.5
    model = TinyNet3D()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(clips), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.7
    rise, clip, target = RISE3D(model.eval()), clips[:2], labels[:2]
    options = {"target": target, "grid_shape": (2, 4, 4)}
    truth = rise.attribute(clip, n_samples=4000, generator=seeded(100), **options)
    errors = {
        name: np.mean(
            [
                relative_error(
                    rise.attribute(
                        clip, n_samples=150, estimator=name, generator=seeded(s), **options
                    )[n],
                    truth[n],
                )
                for s in range(3)
                for n in range(2)
            ]
        )
        for name in ESTIMATORS
    }
    assert errors["regression"] < 0.75 * errors["coverage"]
    assert errors["coverage"] < errors["expectation"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimators_equal_sums_over_masks_that_are_kept(estimator):
    extent, count = Extent(3, 6, 5), 70
    masks = RandomGrids(extent, (2, 3, 2), 0.4, count, seeded())
    scores = torch.rand(2, count, dtype=torch.float64, generator=seeded(5))
    every = masks[:][:, 0].double()
    sums = torch.einsum("rk,kthw->rthw", scores, every)
    (found,) = getattr(_rise_estimators, estimator)([masks], scores, with_errors=True)
    if estimator == "expectation":
        expected = sums / (count * 0.4)
        terms = scores[:, :, None, None, None] * every / 0.4
        errors = terms.var(1, unbiased=False).sqrt() / count**0.5
    elif estimator == "coverage":
        expected = sums / every.sum(0)
        gaps = (scores[:, :, None, None, None] - expected[:, None]) * every
        errors = gaps.square().sum(1).sqrt() / every.sum(0)
    else:  # what is not linear averages to 0 over masks, in expectation: see the tests above
        fit = Ridge(Lattice([masks]), scores)
        rest = fit.residuals - fit.residuals.mean(1, keepdim=True)
        expected = None
        terms = rest[:, :, None, None, None] * every / 0.4
        errors = terms.var(1, unbiased=False).sqrt() / count**0.5
    if expected is not None:
        torch.testing.assert_close(found.maps, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.standard_errors, errors, rtol=1e-4, atol=1e-6)


def test_ridge_residuals_are_those_of_leaving_one_out():
    masks = RandomGrids(Extent(2, 4, 4), (1, 2, 2), 0.5, 30, seeded())
    points = masks.lattice()
    features = masks.at(points, slice(None), torch.float64).flatten(1) - 0.5
    scores = (features @ torch.randn(features.shape[1], 1, dtype=torch.float64)).T
    scores = scores + 0.3 * torch.randn(1, 30, dtype=torch.float64)
    fit = Ridge(Lattice([masks]), scores)
    expected = oracles.ridge_leave_one_out(
        features.numpy(), scores[0].numpy(), fit.penalties.item()
    )
    np.testing.assert_allclose(fit.residuals[0].numpy(), expected, rtol=1e-6)
    rest = scores[0] - scores[0].mean()
    assert fit.r_squared.item() == pytest.approx(
        1 - (fit.residuals.square().sum() / rest.square().sum()).item()
    )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_standard_errors_tell_how_far_maps_spread_over_seeds(estimator):
    model, clip = TinyNet3D().eval(), torch.rand(1, 2, 4, 6, 6)
    found = [
        RISE3D(model).estimate(
            clip,
            target=1,
            n_samples=120,
            grid_shape=(2, 2, 2),
            estimator=estimator,
            generator=seeded(s),
            standard_errors=True,
        )
        for s in range(40)
    ]
    spread = torch.stack([f.maps for f in found]).var(0).mean().sqrt()
    claimed = torch.stack([f.standard_errors for f in found]).square().mean().sqrt()
    assert 0.6 < claimed / spread < 1.6


def test_all_classes_from_the_same_passes():
    model, clip, calls = TinyNet3D().eval(), torch.rand(2, 2, 4, 6, 6), []
    model.register_forward_hook(lambda *_: calls.append(1))
    rise, options = RISE3D(model), {"n_samples": 60, "grid_shape": (2, 2, 2)}
    every = rise.estimate(clip, every_output=True, perturbations_per_eval=30, **options)
    assert len(calls) == 2
    assert every.maps.shape == (2, 3, 4, 6, 6)
    for k in range(3):
        one = rise.attribute(clip, target=k, **options)
        torch.testing.assert_close(every.maps[:, k], one[:, 0], atol=1e-5, rtol=1e-5)


@given(st.sampled_from([1, 3, 7, 64, "auto"]), st.sampled_from(ESTIMATORS), st.integers(0, 99))
@settings(max_examples=10)
def test_same_seed_same_map_for_every_chunk_size(per_eval, estimator, seed):
    torch.manual_seed(seed)
    model, clip = TinyNet3D().eval().double(), torch.rand(2, 2, 4, 6, 6, dtype=torch.float64)
    options = {"target": 0, "n_samples": 40, "grid_shape": (2, 2, 2), "estimator": estimator}
    rise = RISE3D(model)
    first = rise.attribute(clip, generator=seeded(seed), perturbations_per_eval=1, **options)
    again = rise.attribute(clip, generator=seeded(seed), perturbations_per_eval=per_eval, **options)
    other = rise.attribute(clip, generator=seeded(seed + 1), **options)
    torch.testing.assert_close(first, again, atol=1e-9, rtol=1e-9)
    assert not torch.allclose(first, other)


def mostly_hidden_already():
    """A clip that is 0, as what hides it, but for a corner; and a network that reads all of it."""
    clip, generator = torch.zeros(1, 1, 4, 12, 12), seeded(4)
    clip[..., 1:3, :4, :4] = torch.rand(2, 4, 4, generator=generator)
    return clip, Linear3D(torch.randn(1, 1, 4, 12, 12, generator=generator))


def test_fits_look_where_hiding_changes_something():
    """Far fewer masks than cells: enough where nearly all cells are known not to matter."""
    clip, model = mostly_hidden_already()
    options = {"grid_shape": (4, 6, 6), "n_samples": 60}
    fits = [
        RISE3D(model).estimate(clip, target=0, generator=seeded(s), **options) for s in range(4)
    ]
    masks = RandomGrids(extent_of(clip), (4, 6, 6), 0.5, 1, seeded())
    truth = exact_map(model.weights, clip, masks)
    errors = {"changes": 0.0, "alike": 0.0}
    for seed, found in enumerate(fits):
        masks = RandomGrids(extent_of(clip), (4, 6, 6), 0.5, 60, seeded(seed))
        scores = torch.einsum("ithw,thw->i", masks[:][:, 0], (model.weights * clip)[0, 0])
        (alike,) = _rise_estimators.regression([masks], scores[None].double())
        assert found.r_squared > 0.75 > 0.6 > alike.r_squared
        errors["changes"] += relative_error(found.maps[0, 0].double(), truth)
        errors["alike"] += relative_error(alike.maps[0], truth)
    assert errors["changes"] < errors["alike"] / 2


@given(st.integers(0, 99), st.floats(1e-3, 1e3))
@settings(max_examples=10)
def test_the_fit_does_not_depend_on_the_unit_of_pixels(seed, scale):
    weights, clip = torch.randn(1, 1, 2, 4, 4, generator=seeded(seed)), torch.rand(1, 1, 2, 4, 4)
    options = {"target": 0, "n_samples": 40, "grid_shape": (2, 2, 2)}
    maps = [
        RISE3D(Linear3D(weights / unit)).attribute(clip.double() * unit, **options)
        for unit in (1, scale)
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-4, atol=1e-5)


def test_useless_fits_fall_back_loudly():
    values = torch.randn(60, generator=seeded(6))

    def noise(x):  # has nothing to do with what is kept
        return values

    clip = torch.rand(1, 1, 4, 8, 8)
    options = {"n_samples": 60, "grid_shape": (2, 4, 4), "perturbations_per_eval": 60}
    with pytest.warns(UserWarning, match="explains nothing of 1 of 1 scores"):
        found = RISE3D(noise).estimate(clip, standard_errors=True, **options)
    coverage = RISE3D(noise).estimate(clip, estimator="coverage", standard_errors=True, **options)
    assert found.fell_back.all()
    assert torch.equal(found.maps, coverage.maps)
    assert torch.equal(found.standard_errors, coverage.standard_errors)
    assert not coverage.fell_back.any()
    assert coverage.r_squared is None


def test_a_voxel_that_no_mask_kept_gets_the_mean_score():
    clip = torch.rand(1, 1, 2, 2, 2)
    model = Linear3D(torch.rand(1, 1, 2, 2, 2))
    found = RISE3D(model).attribute(
        clip, target=0, n_samples=1, grid_shape=(2, 2, 2), estimator="coverage"
    )
    assert found.unique().numel() == 1


@pytest.mark.filterwarnings("ignore:RISE3D. the regression")
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_very_few_masks_give_finite_maps(estimator, count):
    found = RISE3D(TinyNet3D()).estimate(
        torch.rand(1, 2, 4, 6, 6),
        target=0,
        n_samples=count,
        grid_shape=(2, 2, 2),
        estimator=estimator,
        standard_errors=True,
    )
    assert torch.isfinite(found.maps).all()
    assert torch.isfinite(found.standard_errors).all()


def test_several_inputs_share_masks():
    model, inputs = TwoStreams().eval(), (torch.rand(1, 2, 4, 6, 6), torch.rand(1, 1, 4, 6, 6))
    options = {"target": 0, "n_samples": 50, "grid_shape": (2, 2, 2)}
    both = RISE3D(model).attribute(inputs, **options)
    one = RISE3D(lambda x: model(x[:, :2], x[:, 2:])).attribute(torch.cat(inputs, 1), **options)
    torch.testing.assert_close(both[0], one[:, :2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[1], one[:, 2:], atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match=r"one extent, got \['\(4, 3, 3\)', '\(4, 6, 6\)'\]"):
        RISE3D(model).attribute((inputs[0], inputs[1][..., :3, :3]), **options)


class Added(torch.nn.Module):
    """Two linear streams, of clips of any two extents; maybe bent."""

    def __init__(self, first, second, bend=None):
        super().__init__()
        self.streams = torch.nn.ModuleList([Linear3D(first), Linear3D(second)])
        self.bend = bend or (lambda total: total)

    def forward(self, a, b):
        return self.bend(self.streams[0](a) + self.streams[1](b))


def two_streams(seed=3):
    """Visible and infrared, shorter and smaller, and the weights of linear streams."""
    shapes = (1, 2, 4, 6, 5), (1, 1, 3, 4, 4)
    generator = seeded(seed)
    clips = tuple(torch.rand(shape, generator=generator) for shape in shapes)
    return clips, tuple(torch.randn(shape, generator=generator) for shape in shapes)


def exact_maps(weights, clips, grid, keep):
    """E[f m_i(v)] / p for each input of a sum of linear streams."""
    masks = [RandomGrids(extent_of(clip), grid, keep, 1, seeded()) for clip in clips]
    own = [exact_map(*three) for three in zip(weights, clips, masks, strict=True)]
    levels = [keep * (w * clip).sum().double() for w, clip in zip(weights, clips, strict=True)]
    return [one + sum(levels) - level for one, level in zip(own, levels, strict=True)]


def errors_of_fits(clips, weights, grid, count, seed, keep=0.4):
    """Mean relative error of the maps of two streams, fitted together, each alone, and not at all."""
    generator = seeded(seed)
    streams = [RandomGrids(extent_of(c), grid, keep, count, generator) for c in clips]
    masked = [m[:] * clip for m, clip in zip(streams, clips, strict=True)]
    scores = Added(*weights)(*masked).T.double()
    found = {
        "joint": _rise_estimators.regression(streams, scores),
        "alone": [_rise_estimators.regression([one], scores)[0] for one in streams],
        "coverage": _rise_estimators.coverage(streams, scores),
    }
    truth = exact_maps(weights, clips, grid, keep)
    return {
        name: np.mean([relative_error(m.maps[0], t) for m, t in zip(maps, truth, strict=True)])
        for name, maps in found.items()
    }


def test_inputs_on_their_own_share_one_fit():
    """On a sum of streams the other stream is noise to a fit of one, and none to the joint fit."""
    every = [errors_of_fits(*two_streams(), (2, 3, 3), 300, seed) for seed in range(20)]
    errors = {name: np.median([one[name] for one in every]) for name in every[0]}
    assert errors["joint"] < errors["alone"] / 8
    assert errors["joint"] < errors["coverage"] / 8


def test_the_joint_fit_of_cells_that_are_voxels_is_exact():
    clips, weights = two_streams()
    small, few = (tuple(x[:, :, :2, :3, :3] for x in one) for one in (clips, weights))
    errors = errors_of_fits(small, few, (2, 3, 3), 400, seed=0)
    assert errors["joint"] < 1e-9
    assert errors["alone"] > 0.01


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("bend", [None, lambda total: (total / 4).exp()], ids=["linear", "bent"])
def test_maps_of_inputs_on_their_own_are_right_on_average(estimator, bend):
    clips, weights = two_streams()
    options = {"grid_shape": (2, 2, 2), "keep_probability": 0.4, "inputs_together": False}
    rise = RISE3D(Added(*weights, bend))
    if bend is None:
        truth = exact_maps(weights, clips, (2, 2, 2), 0.4)
    else:
        truth = rise.attribute(
            clips, target=0, n_samples=60_000, estimator="expectation", **options
        )
        truth = [one[0, 0] for one in truth]
    found = [
        rise.attribute(
            clips, target=0, n_samples=300, estimator=estimator, generator=seeded(s), **options
        )
        for s in range(40)
    ]
    for i, true in enumerate(truth):
        maps = torch.stack([one[i][0, 0] for one in found]).double()
        # The mean of 40 draws is 40 times nearer than one; the truth's own error is part of it.
        one_draw = np.mean([relative_error(draw, true) for draw in maps])
        assert relative_error(maps.mean(0), true) < 4 * one_draw / 40 + 0.03
        assert relative_error(maps.mean(0), true) < 0.5


def test_each_input_draws_its_masks_from_a_generator_of_its_own():
    clips, weights = two_streams()
    model, count = Added(*weights, torch.tanh), 50
    grids = ((2, 2, 2), (3, 2, 1))
    found = RISE3D(model).estimate(
        clips,
        target=0,
        n_samples=count,
        grid_shape=grids,
        estimator="expectation",
        generator=seeded(8),
        standard_errors=True,
        inputs_together=False,
    )
    seeds = torch.randint(2**62, (2,), generator=seeded(8)).tolist()
    masks = [
        RandomGrids(extent_of(clip), grid, 0.5, count, seeded(seed))[:]
        for clip, grid, seed in zip(clips, grids, seeds, strict=True)
    ]
    scores = [
        model(*(m[i] * clip for m, clip in zip(masks, clips, strict=True)))[0, 0]
        for i in range(count)
    ]
    for one, mask in zip(found, masks, strict=True):
        expected = sum(s * m for s, m in zip(scores, mask, strict=True)) / (count * 0.5)
        torch.testing.assert_close(one.maps[0], expected, atol=1e-5, rtol=1e-5)
        assert one.standard_errors.shape == one.maps.shape
        assert one.r_squared is None


def test_where_and_in_which_input_the_evidence_is():
    """Only one place of the infrared counts; the map of the visible is flat, up to what is fitted."""
    visible, infrared = torch.rand(1, 2, 4, 6, 6), torch.rand(1, 1, 4, 6, 6) + 1

    def model(a, b):
        return b[:, 0, 2, 1:3, 1:3].sum((1, 2)) + 0 * a.sum((1, 2, 3, 4))

    maps = RISE3D(model).attribute(
        (visible, infrared), n_samples=500, grid_shape=(4, 6, 6), inputs_together=False
    )
    spread = [one.amax() - one.amin() for one in maps]
    assert spread[0] < 1e-4 * spread[1]
    strongest = maps[1][0, 0].flatten().topk(4).indices
    assert set(strongest.tolist()) == {2 * 36 + 6 * y + x for y in (1, 2) for x in (1, 2)}


def test_one_input_has_no_others_to_be_taken_with():
    model, clip = TinyNet3D().eval(), torch.rand(2, 2, 4, 6, 6)
    rise, options = RISE3D(model), {"target": 1, "n_samples": 60, "grid_shape": (2, 2, 2)}
    expected = rise.estimate(clip, **options)
    found = rise.estimate(clip, inputs_together=False, **options)
    assert torch.equal(found.maps, expected.maps)
    (found,) = rise.estimate((clip,), inputs_together=False, **options)
    assert torch.equal(found.maps, expected.maps)


def test_useless_fits_of_several_inputs_fall_back_in_each():
    values = torch.randn(60, generator=seeded(2))
    clips, _ = two_streams()
    options = {"n_samples": 60, "grid_shape": (2, 3, 3), "inputs_together": False}
    options["perturbations_per_eval"] = 60
    rise = RISE3D(lambda a, b: values)
    with pytest.warns(UserWarning, match="explains nothing of 1 of 1 scores"):
        found = rise.estimate(clips, standard_errors=True, **options)
    coverage = rise.estimate(clips, estimator="coverage", standard_errors=True, **options)
    for one, other in zip(found, coverage, strict=True):
        assert one.fell_back.all()
        assert torch.equal(one.maps, other.maps)
        assert torch.equal(one.standard_errors, other.standard_errors)


def test_grids_of_inputs_are_counted():
    clips, weights = two_streams()
    with pytest.raises(ValueError, match=r"grid_shape: expected one per input \(2\), got 3"):
        RISE3D(Added(*weights)).attribute(
            clips, target=0, grid_shape=((2, 2, 2),) * 3, inputs_together=False
        )
    with pytest.raises(ValueError, match=r"grid_shape \(4, 2, 2\) exceeds clip \(3, 4, 4\)"):
        RISE3D(Added(*weights)).attribute(
            clips, target=0, grid_shape=(4, 2, 2), inputs_together=False
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "mean"}, "estimator: expected one of regression, coverage, expectation"),
        ({"grid_shape": (5, 2, 2)}, r"grid_shape \(5, 2, 2\) exceeds clip \(4, 6, 6\)"),
        ({"keep_probability": 0.0}, "0 < p < 1, got 0.0"),
        ({"n_samples": 0}, "at least 1 mask, got 0"),
        ({"target": 7}, "target 7: expected 0 <= target < 3"),
        ({"every_output": True}, "expected None beside every_output, got 0"),
    ],
)
def test_bad_options_say_why(options, message):
    options = {"target": 0, "n_samples": 10, "grid_shape": (2, 2, 2)} | options
    with pytest.raises(ValueError, match=message):
        RISE3D(TinyNet3D()).estimate(torch.rand(1, 2, 4, 6, 6), **options)
