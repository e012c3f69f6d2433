import oracles
import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, windows
from toy_models import Linear3D, TinyNet3D, TwoStreams

from captum_video import baselines
from captum_video.attr import SpatioTemporalOcclusion
from captum_video.clips import extent_of


@given(st.data(), clips(channels=(2, 2)), st.sampled_from([1, 3, "auto"]))
@settings(max_examples=40)
def test_equals_captum_over_random_shapes_windows_and_strides(data, clip, per_eval):
    window, strides = data.draw(windows(extent_of(clip)))
    model = TinyNet3D().eval()
    target = data.draw(st.integers(0, 2))
    baseline = torch.rand(clip.shape, generator=torch.Generator().manual_seed(4))
    ours = SpatioTemporalOcclusion(model).attribute(
        clip, window, strides, baseline, target, perturbations_per_eval=per_eval
    )
    with torch.no_grad():
        theirs = Occlusion(model).attribute(
            clip, (2, *window), (2, *strides), baselines=baseline, target=target
        )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@given(st.data(), clips(n_clips=(1, 1), channels=(1, 2)))
@settings(max_examples=20)
def test_equals_a_slow_loop(data, clip):
    window, strides = data.draw(windows(extent_of(clip)))
    weights = torch.rand(clip.shape[1:], generator=torch.Generator().manual_seed(1)).double()

    def model(x):
        return (x * weights).sum((1, 2, 3, 4)).sin()

    ours = SpatioTemporalOcclusion(model).attribute(clip.double(), window, strides, 0.25)
    plain = oracles.occlusion(lambda x: model(x[None])[0], clip[0].double(), window, strides, 0.25)
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours, plain.expand_as(ours))


def test_several_inputs_one_at_a_time_is_captum():
    model, visible, infrared = (
        TwoStreams().eval(),
        torch.rand(2, 2, 4, 6, 6),
        torch.rand(2, 1, 4, 5, 5),
    )
    ours = SpatioTemporalOcclusion(model).attribute(
        (visible, infrared),
        ((2, 3, 3), (2, 2, 2)),
        ((1, 2, 2), (2, 1, 2)),
        (0, 1),
        target=1,
        inputs_together=False,
    )
    with torch.no_grad():
        theirs = Occlusion(model).attribute(
            (visible, infrared),
            ((2, 2, 3, 3), (1, 2, 2, 2)),
            ((2, 1, 2, 2), (1, 2, 1, 2)),
            baselines=(0, 1),
            target=1,
        )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_several_inputs_together_hide_the_same_window():
    model, clip = TwoStreams().eval(), torch.rand(1, 3, 4, 6, 6)

    def joint(x):
        return model(x[:, :2], x[:, 2:])

    ours = SpatioTemporalOcclusion(model).attribute((clip[:, :2], clip[:, 2:]), (2, 3, 3), target=0)
    one = SpatioTemporalOcclusion(joint).attribute(clip, (2, 3, 3), target=0)
    torch.testing.assert_close(torch.cat(ours, 1), one)


def test_linear_model_closed_form_and_additivity():
    weights, clip = torch.randn(1, 2, 4, 6, 6), torch.rand(2, 2, 4, 6, 6)
    occlusion = SpatioTemporalOcclusion(Linear3D(weights))
    voxel = occlusion.attribute(clip, (1, 1, 1), target=0)
    torch.testing.assert_close(voxel[:, :1], (weights * clip).sum(1, True))
    tiled = occlusion.attribute(clip, (2, 3, 3), target=0)  # strides default to the window
    expected = torch.nn.functional.avg_pool3d((weights * clip).sum(1, True), (2, 3, 3)) * 18
    torch.testing.assert_close(tiled[:, :1, ::2, ::3, ::3], expected)


def test_freezing_a_still_clip_changes_nothing():
    still = torch.rand(1, 2, 1, 6, 6).expand(-1, -1, 5, -1, -1)
    occlusion = SpatioTemporalOcclusion(TinyNet3D().eval())
    assert (
        occlusion.attribute(still, (2, 6, 6), baselines=baselines.freeze, target=0).abs().max()
        < 1e-6
    )


FRAME_BASELINES = {
    "previous": (baselines.previous, lambda clip, t: clip[:, t - 1 if t else 1]),
    "mean": (baselines.frame_mean, lambda clip, t: sum(clip.unbind(1)) / clip.shape[1]),
    "blur": (baselines.spatial_blur, lambda clip, t: oracles.blurred_frame(clip[:, t], 5.0)),
}


@pytest.mark.parametrize(("baseline", "replace"), FRAME_BASELINES.values(), ids=FRAME_BASELINES)
def test_hiding_single_frames_equals_a_plain_loop_in_as_many_passes(baseline, replace):
    network, clip = TinyNet3D().eval().double(), torch.rand(1, 2, 5, 6, 7).double()
    batches = []

    def model(x):
        batches.append(len(x))
        return network(x)

    ours = SpatioTemporalOcclusion(model).attribute(
        clip, (1, None, None), baselines=baseline, target=1, perturbations_per_eval=2
    )
    with torch.no_grad():
        drops, n_passes = oracles.frame_occlusion(
            lambda x: network(x[None])[0, 1], clip[0], replace
        )
    assert sum(batches) == n_passes == 5 + 1
    expected = torch.tensor(drops).double().view(1, 1, 5, 1, 1).expand_as(clip)
    torch.testing.assert_close(ours, expected)
    assert ours.abs().max() > 1e-6


def test_freezing_single_frames_of_a_still_clip_changes_nothing():
    still = torch.rand(1, 2, 1, 6, 6).expand(-1, -1, 5, -1, -1)
    found = SpatioTemporalOcclusion(TinyNet3D().eval()).attribute(
        still, (1, None, None), baselines=baselines.previous, target=0
    )
    assert found.abs().max() < 1e-6


@given(st.data(), clips(channels=(2, 2)))
@settings(max_examples=20)
def test_none_is_the_whole_axis_and_as_a_stride_the_window(data, clip):
    extent = extent_of(clip)
    window, strides = data.draw(windows(extent))
    open_ = data.draw(st.tuples(*[st.booleans()] * 3))
    occlusion = SpatioTemporalOcclusion(TinyNet3D().eval())

    def left_open(sizes, filler):
        return tuple(filler[i] if open_[i] else sizes[i] for i in range(3))

    def found(window, strides):
        return occlusion.attribute(clip, window, strides, target=0)

    nothing, whole = (None, None, None), left_open(window, extent)
    assert torch.equal(found(left_open(window, nothing), strides), found(whole, strides))
    stride = left_open(strides, window)
    assert torch.equal(found(window, left_open(strides, nothing)), found(window, stride))
    assert torch.equal(found(whole, nothing), found(whole, None))


def test_open_axes_are_those_of_each_input():
    inputs = torch.rand(1, 2, 4, 6, 6), torch.rand(1, 1, 4, 3, 5)
    occlusion = SpatioTemporalOcclusion(TwoStreams().eval())
    ours = occlusion.attribute(inputs, (1, None, None), target=0)
    named = occlusion.attribute(inputs, ((1, 6, 6), (1, 3, 5)), target=0)
    for a, b in zip(ours, named, strict=True):
        assert torch.equal(a, b)
        assert a.std() > 0


@pytest.mark.parametrize(
    ("window", "strides", "error", "message"),
    [
        ((5, 1, 1), None, ValueError, r"window \(5, 1, 1\) exceeds clip \(4, 6, 6\)"),
        ((2, 2, 2), (0, 1, 1), ValueError, "stride: expected sizes of at least 1"),
        ((2, 2, 2), (3, 2, 2), ValueError, "exceeds window"),
        ((2, 2), None, TypeError, "three whole numbers"),
        (None, None, TypeError, "window: expected three whole numbers .* got None"),
        ((2, 2, 2), (1, 1), TypeError, "stride: expected three whole numbers"),
        ((2, None, None), (3, 1, 1), ValueError, "exceeds window"),
        ((2, 2, 2), (3, None, None), ValueError, "exceeds window"),
        (((2, 2, 2), (2, 2, 2)), None, ValueError, r"one per input \(1\), got 2"),
    ],
)
def test_bad_windows_say_why(window, strides, error, message):
    with pytest.raises(error, match=message):
        SpatioTemporalOcclusion(TinyNet3D()).attribute(
            torch.rand(1, 2, 4, 6, 6), window, strides, target=0
        )


def test_inputs_together_need_equal_numbers_of_windows():
    inputs = torch.rand(1, 2, 4, 6, 6), torch.rand(1, 1, 4, 3, 3)
    with pytest.raises(ValueError, match=r"as many windows each, got \[8, 2\]"):
        SpatioTemporalOcclusion(TwoStreams()).attribute(inputs, (2, 3, 3), target=0)
