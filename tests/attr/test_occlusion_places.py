"""Occlusion by tubes and regions, and the first-order estimate of it."""

import oracles_tubes
import pytest
import torch
from captum.attr import FeatureAblation, NoiseTunnel
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, windows
from toy_models import Linear3D, TinyNet3D, TwoStreams, frame_wise, undeclared

from captum_video import Layout
from captum_video.attr import SpatioTemporalOcclusion
from captum_video.clips import extent_of

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def labels_for(clip, seed, n_labels=(2, 5)):
    """Labels of each clip, (N, 1, T, H, W); clips differ in their number."""
    source = torch.Generator().manual_seed(seed)
    shape = 1, *clip.shape[2:]
    counts = [n_labels[n % len(n_labels)] for n in range(len(clip))]
    return torch.stack([torch.randint(count, shape, generator=source) for count in counts])


def moving(clip, seed=0, speed=1.5):
    source = torch.Generator().manual_seed(seed)
    return speed * torch.randn(len(clip), 2, *clip.shape[2:], generator=source)


@given(st.data(), clips(channels=(2, 2)), st.sampled_from([1, 3, "auto"]))
@settings(max_examples=25)
def test_still_tubes_are_windows(data, clip, per_eval):
    window, strides = data.draw(windows(extent_of(clip)))
    occlusion = SpatioTemporalOcclusion(TinyNet3D().eval())
    plain = occlusion.attribute(clip, window, strides, 0.5, 1)
    flow = torch.zeros(len(clip), 2, *clip.shape[2:])
    found = occlusion.attribute(
        clip, window, strides, 0.5, 1, flow=flow, perturbations_per_eval=per_eval
    )
    torch.testing.assert_close(found, plain, **CLOSE)


@given(st.data(), clips(channels=(2, 2)), st.integers(0, 99))
@settings(max_examples=20)
def test_tubes_of_each_clip_equal_a_slow_loop(data, clip, seed):
    clip = clip.double()
    window, strides = data.draw(windows(extent_of(clip)))
    baseline = torch.rand(clip.shape, generator=torch.Generator().manual_seed(seed)).double()
    flow, model = moving(clip, seed), TinyNet3D().eval().double()
    found = SpatioTemporalOcclusion(model).attribute(
        clip, window, strides, baseline, 2, flow=flow, perturbations_per_eval=2
    )
    with torch.no_grad():
        for n in range(len(clip)):
            places = oracles_tubes.tubes(extent_of(clip), window, strides, flow[n])
            expected = oracles_tubes.mean_drop(
                lambda x: model(x[None])[0, 2], clip[n], baseline[n], places
            )
            torch.testing.assert_close(found[n], expected.expand_as(clip[n]))


def test_one_flow_serves_all_clips():
    clip, model = torch.rand(3, 2, 4, 6, 6), TinyNet3D().eval()
    occlusion, flow = SpatioTemporalOcclusion(model), moving(torch.rand(1, 2, 4, 6, 6))
    one = occlusion.attribute(clip, (4, 2, 2), target=0, flow=flow)
    each = occlusion.attribute(clip, (4, 2, 2), target=0, flow=flow.expand(3, -1, -1, -1, -1))
    assert torch.equal(one, each)
    assert not torch.allclose(one, occlusion.attribute(clip, (4, 2, 2), target=0))


@given(clips(channels=(1, 2)), st.integers(0, 99), st.sampled_from([1, 2, "auto"]))
@settings(max_examples=30)
def test_regions_are_captums_feature_ablation(clip, seed, per_eval):
    model, labels = TinyNet3D(clip.shape[1]).eval(), labels_for(clip, seed)
    baseline = torch.rand(clip.shape, generator=torch.Generator().manual_seed(seed))
    found = SpatioTemporalOcclusion(model).attribute(
        clip,
        baselines=baseline,
        target=1,
        feature_mask=3 * labels - 4,
        perturbations_per_eval=per_eval,
    )
    with torch.no_grad():
        for n in range(len(clip)):
            one = slice(n, n + 1)
            theirs = FeatureAblation(model).attribute(
                clip[one], baseline[one], target=1, feature_mask=labels[one]
            )
            torch.testing.assert_close(found[one], theirs, **CLOSE)


def test_regions_of_inputs_one_at_a_time_are_captum():
    model = TwoStreams().eval()
    inputs = torch.rand(2, 2, 3, 5, 4), torch.rand(2, 1, 2, 4, 6)
    labels = tuple(labels_for(one[:1], seed) for seed, one in enumerate(inputs))
    found = SpatioTemporalOcclusion(model).attribute(
        inputs, target=0, baselines=(0, 1), feature_mask=labels, inputs_together=False
    )
    with torch.no_grad():
        # numbered apart, because Captum would hide equal labels of two inputs together
        theirs = FeatureAblation(model).attribute(
            inputs, (0, 1), target=0, feature_mask=(labels[0], labels[1] + 100)
        )
    torch.testing.assert_close(found, theirs, **CLOSE)


def test_a_label_of_several_inputs_is_one_region():
    """Together, hiding by labels is hiding by the channels of one clip; labels need not be shared."""
    model, clip = TwoStreams().eval(), torch.rand(2, 3, 3, 5, 4)
    pair, labels = (clip[:, :2], clip[:, 2:]), labels_for(clip, 3)
    found = SpatioTemporalOcclusion(model).attribute(pair, target=0, feature_mask=labels)
    joint = SpatioTemporalOcclusion(lambda x: model(x[:, :2], x[:, 2:])).attribute(
        clip, target=0, feature_mask=labels
    )
    torch.testing.assert_close(torch.cat(found, 1), joint, **CLOSE)
    apart = SpatioTemporalOcclusion(model).attribute(
        pair, target=0, feature_mask=(labels, labels + 10)
    )
    alone = SpatioTemporalOcclusion(model).attribute(
        pair, target=0, feature_mask=labels, inputs_together=False
    )
    torch.testing.assert_close(apart, alone, **CLOSE)


def test_closed_form_of_regions():
    weights, clip = torch.randn(1, 2, 3, 4, 4), torch.rand(2, 2, 3, 4, 4)
    labels = labels_for(clip, 1)
    found = SpatioTemporalOcclusion(Linear3D(weights)).attribute(
        clip, target=0, feature_mask=labels
    )
    for n in range(2):
        parts = (weights * clip)[n].sum(0)
        for label in labels[n].unique():
            place = labels[n, 0] == label
            expected = parts[place].sum().expand(int(place.sum()))
            torch.testing.assert_close(found[n, 0][place], expected, **CLOSE)


@pytest.mark.parametrize("how", ["tubes", "regions"])
def test_layouts_networks_of_frames_and_noise_tunnel(how):
    layout, clip = Layout("n t c h w"), torch.rand(2, 2, 4, 6, 6)
    options = {"target": 1}
    if how == "tubes":
        options |= {"sliding_window_shapes": (2, 3, 3), "flow": moving(clip[:1])}
    else:
        options |= {"feature_mask": labels_for(clip[:1], 2)}
    model = frame_wise("n c t h w").eval()
    expected = SpatioTemporalOcclusion(undeclared(model)).attribute(clip, **options)
    found = SpatioTemporalOcclusion(model).attribute(clip, **options)
    torch.testing.assert_close(found, expected, **CLOSE)
    relaid = SpatioTemporalOcclusion(lambda x: model(layout.to_clip(x)), layout).attribute(
        layout.from_clip(clip), **options
    )
    torch.testing.assert_close(layout.to_clip(relaid), expected, **CLOSE)
    tunnel = NoiseTunnel(SpatioTemporalOcclusion(model))
    smooth = tunnel.attribute(clip, nt_samples=2, stdevs=0.0, **options)
    torch.testing.assert_close(smooth, expected, **CLOSE)


@given(st.data(), clips(channels=(2, 2)), st.sampled_from(["none", "outliers"]))
@settings(max_examples=25)
def test_estimates_of_a_linear_model_are_exact(data, clip, exact):
    clip = clip.double()
    weights = torch.randn(2, *clip.shape[1:], generator=torch.Generator().manual_seed(1))
    occlusion = SpatioTemporalOcclusion(Linear3D(weights.double()))
    window, strides = data.draw(windows(extent_of(clip)))
    for places in (
        {"sliding_window_shapes": window, "strides": strides},
        {"sliding_window_shapes": window, "strides": strides, "flow": moving(clip)},
        {"feature_mask": labels_for(clip, 2)},
    ):
        options = {"baselines": 0.3, "target": [n % 2 for n in range(len(clip))], **places}
        found = occlusion.attribute(clip, exact=exact, **options)
        torch.testing.assert_close(found, occlusion.attribute(clip, **options))


def test_estimates_and_outliers_follow_their_formula():
    """Regions of one voxel: the estimate is gradient x (input - baseline), outliers are the drop."""
    clip = torch.rand(2, 2, 3, 4, 4, dtype=torch.float64)
    clip[0, :, 1, 2, 2], clip[1, 0, 0, 0, 0] = 9.0, -12.0
    voxels = torch.arange(48).reshape(3, 4, 4)
    rows = []

    def model(x):
        rows.append(len(x))
        return (x.square() * (1 + x.sin())).sum((1, 2, 3, 4)).div(50).tanh()

    occlusion = SpatioTemporalOcclusion(model)

    def found(exact):
        rows.clear()
        maps = occlusion.attribute(clip, baselines=0.1, feature_mask=voxels, exact=exact)[:, 0]
        return maps, sum(rows)

    every, passes = found("all")
    assert passes == 2 * 49
    estimate, passes = found("none")
    assert passes == 2
    leaf = clip.clone().requires_grad_()
    slopes = torch.autograd.grad(model(leaf).sum(), leaf)[0]
    torch.testing.assert_close(estimate, (slopes * (clip - 0.1)).sum(1))
    mixed, passes = found("outliers")
    flags = [oracles_tubes.is_outlier(one.flatten().tolist()) for one in estimate]
    outlier = torch.tensor(flags).reshape(2, 3, 4, 4)
    assert outlier[0, 1, 2, 2]
    assert outlier[1, 0, 0, 0]
    assert passes == 2 + int(outlier.sum())
    torch.testing.assert_close(mixed, torch.where(outlier, every, estimate))
    assert (estimate - every)[outlier].abs().max() > 0.01


def test_estimates_of_several_inputs():
    weights = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    inputs = torch.rand(2, 1, 3, 4, 5).double(), torch.rand(2, 1, 3, 4, 5).double()

    def model(a, b):
        return (a * weights[0]).sum((1, 2, 3, 4)) + (b * weights[1]).sum((1, 2, 3, 4))

    occlusion = SpatioTemporalOcclusion(model)
    for together in (True, False):
        options = {"inputs_together": together, "baselines": (0.2, 0.7)}
        found = occlusion.attribute(inputs, (2, 2, 2), exact="none", **options)
        torch.testing.assert_close(found, occlusion.attribute(inputs, (2, 2, 2), **options))


def test_a_score_without_a_gradient_has_no_estimate():
    @torch.no_grad()
    def model(x):
        return x.sum((1, 2, 3, 4))

    with pytest.raises(ValueError, match="no first-order estimate; exact='all' needs none"):
        SpatioTemporalOcclusion(model).attribute(torch.rand(1, 1, 2, 2, 2), (1, 1, 1), exact="none")


LABELS = torch.zeros(4, 6, 6, dtype=torch.int64)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"sliding_window_shapes": (2, 2, 2), "feature_mask": LABELS},
            ValueError,
            "no sliding_win",
        ),
        ({"strides": (2, 2, 2), "feature_mask": LABELS}, ValueError, "feature_mask: .* no strides"),
        (
            {"flow": torch.zeros(1, 2, 4, 6, 6), "feature_mask": LABELS},
            ValueError,
            "no flow beside",
        ),
        ({"feature_mask": LABELS[:2]}, ValueError, r"feature_mask: expected \(4, 6, 6\)"),
        ({"feature_mask": LABELS.float()}, TypeError, "feature_mask: expected whole numbers"),
        ({"sliding_window_shapes": (2, 2, 2), "flow": 1}, TypeError, "flow: expected a tensor"),
        (
            {"sliding_window_shapes": (2, 2, 2), "flow": torch.zeros(2, 4, 6, 6)},
            ValueError,
            r"flow: expected \(1, 2, 4, 6, 6\)",
        ),
        (
            {"sliding_window_shapes": (2, 2, 2), "flow": (torch.zeros(1, 2, 4, 6, 6),) * 2},
            ValueError,
            r"flow: expected one per input \(1\), got 2",
        ),
        (
            {"sliding_window_shapes": (2, 2, 2), "exact": "some"},
            ValueError,
            "exact: expected 'all'",
        ),
        ({}, TypeError, "window: expected three whole numbers"),
    ],
)
def test_bad_places_say_why(options, error, message):
    with pytest.raises(error, match=message):
        SpatioTemporalOcclusion(TinyNet3D()).attribute(
            torch.rand(1, 2, 4, 6, 6), target=0, **options
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("exact", ["all", "outliers", "none"])
def test_places_on_a_gpu(exact):
    model, clip = TinyNet3D().eval(), torch.rand(2, 2, 4, 7, 6)
    for places in (
        {"sliding_window_shapes": (2, 3, 3), "flow": moving(clip)},
        {"feature_mask": labels_for(clip, 1)},
    ):
        expected = SpatioTemporalOcclusion(model.cpu()).attribute(
            clip, target=1, exact=exact, **places
        )
        found = SpatioTemporalOcclusion(model.cuda()).attribute(
            clip.cuda(), target=1, exact=exact, **places
        )
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), expected, atol=1e-3, rtol=1e-2)
