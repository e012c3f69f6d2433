"""A declared frame-wise network gives the same scores, for the frames that changed and no more."""

import pytest
import torch
from captum.attr import Saliency
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toy_models import (
    FrameEncoder,
    LimitedMemory,
    PairEncoder,
    RecurrentHead,
    frame_wise,
    frame_wise_pair,
    undeclared,
)

from captum_video import Layout, baselines
from captum_video.attr import (
    RISE3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
)
from captum_video.metrics import Deletion, Insertion, modality_score
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


@pytest.mark.parametrize(("most", "passes"), [(32, 2), (3, 3)])
def test_the_check_rides_along_in_a_pass_that_is_made_anyway(
    most, passes, model, clip, monkeypatch
):
    monkeypatch.setattr("captum_video.perturb._frame_runner._CPU_FRAMES", most)
    limited = FrameWise(LimitedMemory(model.encoder, 100), model.head)
    SpatioTemporalOcclusion(limited).attribute(clip[:1], (1, HEIGHT, WIDTH), target=1)
    batches = limited.encoder.batches
    assert sum(batches) == FRAMES + 1 + CHECK
    assert len(batches) == passes


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


class Centred(FrameEncoder):
    """Takes from each feature its mean over the batch: what place a frame has makes no difference."""

    def forward(self, frames):
        features = super().forward(frames)
        return features - features.mean(0)


@pytest.mark.parametrize("encoder", [Mixes(), WantsFour(), Centred()])
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
    with pytest.raises(ValueError, match="declared with n_inputs=1, got 2"):
        SpatioTemporalOcclusion(model).attribute((clip, clip), (1, 4, 4), target=1)


def test_modules_only():
    with pytest.raises(TypeError, match="head: expected a module, got function"):
        FrameWise(FrameEncoder(), lambda features: features.sum(1))


def test_an_encoder_that_loses_frames_is_refused(clip):
    model = FrameWise(nn.Flatten(0, 2), RecurrentHead())
    with pytest.raises(
        ValueError, match=r"encoder Flatten: expected one row for each of \d frames"
    ):
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


# Two inputs whose frames are encoded together.

SMALLER = (4, 6)


@pytest.fixture
def pair(clip):
    return clip, torch.rand(2, 1, FRAMES, *SMALLER)


@pytest.fixture
def pair_model():
    return frame_wise_pair().eval()


@given(
    kinds=st.lists(
        st.lists(st.sampled_from(["keep", "hide", "part"]), min_size=8, max_size=8),
        min_size=1, max_size=6,
    ),
    chunk=st.sampled_from(["auto", 1, 2, 50]),
    shared=st.sampled_from([(), (0,), (1,), (0, 1)]),
    left_alone=st.sampled_from([None, 0, 1]),
)  # fmt: skip
def test_any_masks_of_two_inputs(kinds, chunk, shared, left_alone):
    model = frame_wise_pair().eval().double()
    shapes = (2, 4, 5, 3), (1, 4, 2, 6)
    clips = tuple(torch.rand(2, *shape).double() for shape in shapes)
    baseline = tuple(
        torch.rand(1 if i in shared else 2, *shape).double() for i, shape in enumerate(shapes)
    )
    streams = []
    for _ in range(2):
        row = [torch.rand(len(kinds), 1, *shape[1:]).double() for shape in shapes]
        for m, moments in enumerate(kinds):
            for place, kind in enumerate(moments):
                if kind != "part":
                    row[place // 4][m, :, place % 4] = kind == "keep"
        streams.append([None if i == left_alone else Masks(mask) for i, mask in enumerate(row)])
    options = {"layout": Layout("n c t h w"), "target": 1}
    expected = perturbed_scores(undeclared(model), clips, baseline, streams, **options)
    found = perturbed_scores(
        model, clips, baseline, streams, **options, perturbations_per_eval=chunk
    )
    torch.testing.assert_close(found, expected)


PAIR_EXPLANATIONS = {
    "occlusion together": lambda model, pair: SpatioTemporalOcclusion(model).attribute(
        pair, ((1, 4, 5), (1, 2, 3)), baselines=(baselines.frame_mean, 0), target=1
    ),
    "occlusion apart": lambda model, pair: SpatioTemporalOcclusion(model).attribute(
        pair, (2, 4, 3), target=[0, 2], inputs_together=False
    ),
    "RISE apart": lambda model, pair: RISE3D(model).attribute(
        pair,
        n_samples=40,
        grid_shape=((3, 2, 2), (FRAMES, None, None)),
        target=1,
        estimator="coverage",
        inputs_together=False,
    ),
    "additional arguments": lambda model, pair: SpatioTemporalOcclusion(model).attribute(
        pair, (1, None, None), target=1, additional_forward_args=torch.tensor([1.0, 3.0])
    ),
    "insertion": lambda model, pair: Insertion(model, unit="frame").evaluate(
        pair, pair, target=1
    ).scores,
    "deletion": lambda model, pair: Deletion(model, unit="cell", cell_shape=(2, 3, 3), n_steps=9)
    .evaluate(pair, pair, target=1)
    .scores,
    "modality score": lambda model, pair: modality_score(model, pair, target=1).coalitions,
}  # fmt: skip


@pytest.mark.parametrize("explain", PAIR_EXPLANATIONS.values(), ids=PAIR_EXPLANATIONS)
def test_two_inputs_give_the_same_maps(explain, pair_model, pair):
    model, pair = pair_model.double(), tuple(one.double() for one in pair)
    found, expected = explain(model, pair), explain(undeclared(model), pair)
    torch.testing.assert_close(found, expected)
    spread = found[0] if isinstance(found, tuple) else found
    assert spread.std() > 1e-5


@pytest.mark.parametrize(
    ("run", "moments"),
    [
        # every moment of both clips once, and the black one
        (lambda m, x: SpatioTemporalOcclusion(m).attribute(x, (1, None, None), target=1),
         2 * FRAMES + 1),
        # a moment of which one input is hidden is neither known nor black
        (lambda m, x: SpatioTemporalOcclusion(m).attribute(
            x, (1, None, None), target=1, inputs_together=False), 2 * FRAMES + 2 * 2 * FRAMES),
        (lambda m, x: modality_score(m, x, target=1), 2 * FRAMES + 1 + 2 * 2 * FRAMES),
        (lambda m, x: Deletion(m, unit="frame", n_steps=1).evaluate(x, x, target=1),
         2 * FRAMES + 1),
    ],
    ids=["frames", "frames of one", "coalitions", "all or nothing"],
)  # fmt: skip
def test_moments_are_encoded_again_unless_all_inputs_agree(run, moments, pair_model, pair):
    run(pair_model, pair)
    assert pair_model.encoder.frames == moments + CHECK


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require")
@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_rescaling_of_two_inputs_by_directions(tolerance):
    model = frame_wise_pair().eval().double()
    pair = torch.rand(1, 2, 4, 6, 5).double(), torch.rand(1, 1, 4, 6, 5).double()

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.head, self.whole = model.encoder, model.head, [model]

        def forward(self, *inputs):
            return self.whole[0](*inputs)

    options = {"target": 1, "gate_quantile": 0.0}
    found = TemporalSaliencyRescaling(Saliency(model)).attribute(
        pair, (3, 2), tolerance=tolerance, **options
    )
    expected = TemporalSaliencyRescaling(Saliency(Plain())).attribute(pair, (3, 2), **options)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= max(1e-9, 3 * tolerance) * other.norm()


def test_arguments_after_the_inputs_go_to_the_head(pair_model, pair):
    gain = torch.tensor([1.0, 3.0])
    torch.testing.assert_close(pair_model(*pair, gain), pair_model(*pair) * gain[:, None])
    single = frame_wise().eval()
    torch.testing.assert_close(single(pair[0], gain), single(pair[0]) * gain[:, None])


def test_inputs_are_counted_and_of_one_length(pair_model, pair):
    with pytest.raises(ValueError, match="declared with n_inputs=2, got 1"):
        pair_model(pair[0])
    with pytest.raises(ValueError, match=r"as many frames in each, got \[6, 5\]"):
        pair_model(pair[0], pair[1][:, :, :5])
    with pytest.raises(ValueError, match="declared with n_inputs=2, got 1"):
        SpatioTemporalOcclusion(pair_model).attribute(pair[0], (1, 4, 4), target=1)
    with pytest.raises(ValueError, match=r"as many frames in each, got \[6, 5\]"):
        SpatioTemporalOcclusion(pair_model).attribute(
            (pair[0], pair[1][:, :, :5]), (1, None, None), target=1, inputs_together=False
        )
    with pytest.raises(ValueError, match="n_inputs: expected at least 1, got 0"):
        FrameWise(PairEncoder(), RecurrentHead(), n_inputs=0)


def test_a_pair_encoder_that_mixes_frames_is_refused(pair):
    class MixesInfrared(PairEncoder):
        def forward(self, visible, infrared):
            return super().forward(visible, infrared.roll(1, 0))

    model = FrameWise(MixesInfrared(), RecurrentHead(), n_inputs=2)
    with pytest.raises(ValueError, match="encoder MixesInfrared does not encode each frame"):
        SpatioTemporalOcclusion(model).attribute(pair, (1, None, None), target=1)


def test_out_of_memory_halves_the_moments(pair_model, pair):
    class Limited(PairEncoder):
        largest = 0

        def forward(self, visible, infrared):
            self.largest = max(self.largest, len(visible))
            if len(visible) > FRAMES:
                raise torch.OutOfMemoryError("planned")
            return super().forward(visible, infrared)

    limited = FrameWise(Limited(), pair_model.head, n_inputs=2).eval()
    limited.encoder.load_state_dict(pair_model.encoder.state_dict())

    def run(m):
        return SpatioTemporalOcclusion(m).attribute(
            pair, (1, 4, 3), target=1, inputs_together=False
        )

    torch.testing.assert_close(run(limited), run(pair_model), **CLOSE)
    assert limited.encoder.largest > FRAMES


def test_without_a_head_scores_are_averaged_over_frames():
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    clips = torch.rand(2, 3, 5, 8, 9)
    expected = torch.stack([encoder(clips[:, :, t]) for t in range(5)]).mean(0)
    torch.testing.assert_close(FrameWise(encoder)(clips), expected)
    torch.testing.assert_close(
        FrameWise(encoder, layout="n t c h w")(clips.transpose(1, 2)), expected
    )


def test_without_a_head_only_changed_frames_are_encoded():
    counted = []

    class Counting(nn.Linear):
        def forward(self, frames):
            counted.append(len(frames))
            return super().forward(frames)

    encoder = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Counting(3, 2))
    clip = torch.rand(1, 3, 6, 8, 8)
    maps = SpatioTemporalOcclusion(FrameWise(encoder)).attribute(clip, (1, 8, 4), target=1)
    declared = sum(counted)
    counted.clear()
    plain = FrameWise(encoder)
    expected = SpatioTemporalOcclusion(lambda c: plain(c)).attribute(clip, (1, 8, 4), target=1)
    torch.testing.assert_close(maps, expected, atol=1e-6, rtol=1e-4)
    assert 2 * declared < sum(counted)
