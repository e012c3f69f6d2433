"""A declared frame-wise network gives the same scores, for the frames that changed and no more."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toy_models import FrameEncoder, LimitedMemory, RecurrentHead, frame_wise, undeclared

from captum_video import Layout, baselines
from captum_video.attr import RISE3D, GradCAM3D, SpatioTemporalOcclusion
from captum_video.metrics import Deletion, Insertion
from captum_video.nn import FrameWise
from captum_video.perturb import perturbed_scores

CLOSE = {"atol": 1e-5, "rtol": 1e-4}
FRAMES, HEIGHT, WIDTH = 6, 8, 10


@pytest.fixture
def clip():
    return torch.rand(2, 2, FRAMES, HEIGHT, WIDTH)


@pytest.fixture
def model():
    return frame_wise().eval()


class Masks:
    """Masks as they are given."""

    def __init__(self, masks):
        self.masks = masks

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, index):
        return self.masks[index]


@given(
    kinds=st.lists(st.lists(st.sampled_from(["keep", "hide", "part"]), min_size=4, max_size=4),
                   min_size=1, max_size=9),
    chunk=st.sampled_from(["auto", 1, 2, 3, 50]),
    shared=st.booleans(),
)  # fmt: skip
def test_any_masks_in_any_chunks(kinds, chunk, shared):
    model, clip = frame_wise().eval().double(), torch.rand(2, 2, 4, 5, 3).double()
    masks = torch.rand(2, len(kinds), 1, 4, 5, 3).double()
    for n, row in enumerate(kinds):
        for t, kind in enumerate(row):
            if kind != "part":
                masks[:, n, :, t] = kind == "keep"
    streams = [[Masks(masks[0])], [Masks(masks[1])]]
    baseline = torch.rand(1 if shared else 2, 2, 4, 5, 3).double()
    options = {"layout": Layout("n c t h w"), "target": 1}
    expected = perturbed_scores(undeclared(model), (clip,), (baseline,), streams, **options)
    found = perturbed_scores(
        model, (clip,), (baseline,), streams, **options, perturbations_per_eval=chunk
    )
    torch.testing.assert_close(found, expected)


EXPLANATIONS = {
    "frame occlusion": lambda model, clip: SpatioTemporalOcclusion(model).attribute(
        clip, (1, HEIGHT, WIDTH), baselines=baselines.frame_mean, target=1
    ),
    "windows of one frame": lambda model, clip: SpatioTemporalOcclusion(model).attribute(
        clip, (1, 4, 5), target=[0, 2]
    ),
    "windows of three frames": lambda model, clip: SpatioTemporalOcclusion(model).attribute(
        clip, (3, 4, 5), (2, 4, 5), baselines=baselines.blur, target=1
    ),
    "RISE": lambda model, clip: RISE3D(model).attribute(
        clip, n_samples=40, grid_shape=(3, 2, 2), target=1, estimator="coverage"
    ),
    "RISE over time alone": lambda model, clip: RISE3D(model).attribute(
        clip, n_samples=40, grid_shape=(FRAMES, None, None), target=1, estimator="coverage"
    ),
    "additional arguments": lambda model, clip: SpatioTemporalOcclusion(model).attribute(
        clip, (2, 4, 5), target=1, additional_forward_args=torch.tensor([1.0, 3.0])
    ),
    "Grad-CAM": lambda model, clip: GradCAM3D(
        model, model.encoder.conv, activation_layout="(n t) c h w"
    ).attribute(clip, target=1),
}


@pytest.mark.parametrize("explain", EXPLANATIONS.values(), ids=EXPLANATIONS)
def test_methods_give_the_same_map(explain, model, clip):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = model.encoder
            self.whole = [model]

        def forward(self, *inputs):
            return self.whole[0](*inputs)

    torch.testing.assert_close(explain(model, clip), explain(Plain(), clip), **CLOSE)


@pytest.mark.parametrize("metric", [Insertion, Deletion])
@pytest.mark.parametrize("unit", ["frame", "cell", "voxel"])
def test_metrics_give_the_same_curve(metric, unit, model, clip):
    options = {"unit": unit, "n_steps": 6, "cell_shape": (2, 4, 5)}
    maps = torch.rand_like(clip)
    found = metric(model, **options).evaluate(clip, maps, target=1)
    expected = metric(undeclared(model), **options).evaluate(clip, maps, target=1)
    torch.testing.assert_close(found.scores, expected.scores, **CLOSE)


CHECK = 1  # the encoder is asked once for a frame by itself


@pytest.mark.parametrize(
    ("run", "frames"),
    [
        # every frame of both clips once, and one black frame
        (lambda m, x: SpatioTemporalOcclusion(m).attribute(x, (1, HEIGHT, WIDTH), target=1),
         2 * FRAMES + 1),
        (lambda m, x: SpatioTemporalOcclusion(m).attribute(x, (1, 4, 5), target=1),
         2 * FRAMES + 2 * (FRAMES * 4)),
        (lambda m, x: SpatioTemporalOcclusion(m).attribute(x, (3, 4, 5), target=1),
         2 * FRAMES + 2 * (2 * 4 * 3)),
        (lambda m, x: Deletion(m, unit="frame", n_steps=FRAMES).evaluate(x, x, target=1),
         2 * FRAMES + 1),
        (lambda m, x: Insertion(
            m, unit="frame", n_steps=FRAMES, baselines=baselines.spatial_blur
        ).evaluate(x, x, target=1), 2 * FRAMES + 2 * FRAMES),
        (lambda m, x: RISE3D(m).attribute(
            x, n_samples=50, grid_shape=(FRAMES, None, None), estimator="coverage", target=1
        ), 2 * FRAMES + 1),
    ],
    ids=["frames", "windows", "long windows", "deletion", "insertion", "RISE over time"],
)  # fmt: skip
def test_the_encoder_sees_changed_frames_only(run, frames, model, clip):
    run(model, clip)
    assert model.encoder.frames == frames + CHECK


class Mixes(FrameEncoder):
    """Shifts a feature from one frame to the next, as TSM does."""

    def forward(self, frames):
        features = super().forward(frames)
        features[1:, 0] = features[:-1, 0].clone()
        return features


class WantsFour(FrameEncoder):
    """Folds a clip of a fixed length, whatever it is given."""

    def forward(self, frames):
        return super().forward(frames).unflatten(0, (-1, FRAMES)).cumsum(1).flatten(0, 1)


@pytest.mark.parametrize("encoder", [Mixes(), WantsFour()])
def test_an_encoder_that_mixes_frames_is_refused_by_name(encoder, clip):
    model = FrameWise(encoder, RecurrentHead())
    with pytest.raises(ValueError, match=rf"encoder {type(encoder).__name__} does not encode each"):
        SpatioTemporalOcclusion(model).attribute(clip, (1, HEIGHT, WIDTH), target=1)


def test_another_layout_is_refused(clip):
    model = frame_wise("n t c h w")
    with pytest.raises(ValueError, match=r"declared with Layout\('n t c h w'\), the method with"):
        SpatioTemporalOcclusion(model).attribute(clip, (1, HEIGHT, WIDTH), target=1)
    turned = clip.transpose(1, 2)
    found = SpatioTemporalOcclusion(model, "n t c h w").attribute(
        turned, (1, HEIGHT, WIDTH), target=1
    )
    assert found.shape == turned.shape


def test_two_inputs_are_refused(model, clip):
    with pytest.raises(ValueError, match="FrameWise network takes one, got 2"):
        SpatioTemporalOcclusion(model).attribute((clip, clip), (1, 4, 4), target=1)


def test_modules_only():
    with pytest.raises(TypeError, match="head: expected a module, got function"):
        FrameWise(FrameEncoder(), lambda features: features.sum(1))


def test_an_encoder_that_loses_frames_is_refused(clip):
    model = FrameWise(nn.Flatten(0, 2), RecurrentHead())
    with pytest.raises(ValueError, match="encoder Flatten: expected one row for each of 6 frames"):
        SpatioTemporalOcclusion(model).attribute(clip, (1, HEIGHT, WIDTH), target=1)


def test_out_of_memory_halves_the_frames(model, clip):
    def run(m):
        return SpatioTemporalOcclusion(m).attribute(clip, (1, 4, 5), target=1)

    limited = FrameWise(LimitedMemory(model.encoder, FRAMES), model.head)
    torch.testing.assert_close(run(limited), run(model), **CLOSE)
    assert max(limited.encoder.batches) > FRAMES


def test_left_as_found_after_a_failure(clip):
    model = frame_wise().train()
    model.encoder.norm.eval()

    class Fails(nn.Module):
        def forward(self, features):
            raise RuntimeError("planned failure")

    failing = FrameWise(model.encoder, Fails())
    before = {name: value.clone() for name, value in failing.state_dict().items()}
    with pytest.raises(RuntimeError, match="planned failure"):
        SpatioTemporalOcclusion(failing).attribute(clip, (1, 4, 5), target=1)
    assert failing.encoder.training
    assert not failing.encoder.norm.training
    assert all(torch.equal(before[name], value) for name, value in failing.state_dict().items())


def test_a_layout_without_space_is_a_sequence():
    model = FrameWise(nn.Sequential(nn.Flatten(), nn.Linear(5, 5)), RecurrentHead(), "n t f").eval()
    sequence = torch.rand(2, 7, 5)

    def run(m):
        return SpatioTemporalOcclusion(m, "n t f").attribute(sequence, (1, 1, 2), target=1)

    torch.testing.assert_close(run(model), run(undeclared(model)), **CLOSE)
    assert model(sequence).shape == (2, 3)


@pytest.mark.parametrize("bad", [(1, 1), (0, None, None), 4, (None, 1, 99)])
def test_grids_over_some_axes_are_checked(bad, model, clip):
    with pytest.raises((TypeError, ValueError), match="grid_shape"):
        RISE3D(model).attribute(clip, n_samples=4, grid_shape=bad, target=1)
