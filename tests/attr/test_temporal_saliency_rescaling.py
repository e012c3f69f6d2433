"""Temporal Saliency Rescaling against a plain loop, for any method, declared networks or not."""

import oracles
import pytest
import torch
from captum.attr import (
    FeatureAblation,
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    Occlusion,
    Saliency,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toy_models import (
    FailsAfter,
    FrameEncoder,
    RecurrentHead,
    TinyNet3D,
    TwoStreams,
    frame_wise,
    frame_wise_pair,
)

from captum_video import Layout, baselines
from captum_video.attr import (
    RISE3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
)
from captum_video.attr._frame_gradients import groups_of
from captum_video.nn import FrameWise

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor . did not already require")
CLOSE = {"atol": 1e-9, "rtol": 1e-6}


class Plain(nn.Module):
    """The same network, not declared."""

    def __init__(self, model):
        super().__init__()
        self.encoder, self.head, self.model = model.encoder, model.head, [model]

    def forward(self, *inputs):
        return self.model[0](*inputs)


@pytest.fixture
def clip():
    return torch.rand(2, 2, 5, 7, 6).double()


@pytest.fixture
def model():
    return frame_wise().eval().double()


BY_DIRECTIONS = ("saliency", "signed saliency", "input x gradient")
METHODS = {
    "saliency": lambda model: (Saliency(model), {}),
    "signed saliency": lambda model: (Saliency(model), {"abs": False}),
    "input x gradient": lambda model: (InputXGradient(model), {}),
    "integrated gradients": lambda model: (
        IntegratedGradients(model),
        {"n_steps": 4, "baselines": 0.3},
    ),
    "occlusion": lambda model: (
        Occlusion(model),
        {"sliding_window_shapes": (2, 2, 7, 6), "strides": (2, 1, 7, 6)},
    ),
    "ablation": lambda model: (
        FeatureAblation(model),
        {"feature_mask": torch.arange(5).reshape(1, 1, 5, 1, 1).expand(1, 2, 5, 7, 6)},
    ),
    "our occlusion": lambda model: (
        SpatioTemporalOcclusion(model),
        {"sliding_window_shapes": (1, 4, 6)},
    ),
    "Grad-CAM": lambda model: (
        GradCAM3D(model, model.encoder.conv, activation_layout="(n t) c h w"),
        {},
    ),
    "RISE": lambda model: (
        RISE3D(model),
        {
            "n_samples": 12,
            "grid_shape": (2, 2, 2),
            "estimator": "coverage",
            "generator": torch.Generator().manual_seed(4),
        },
    ),
}


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_equals_a_plain_loop(name, declared, model, clip):
    network = model if declared else Plain(model)
    method, arguments = METHODS[name](network)
    maps, times = TemporalSaliencyRescaling(method).attribute(
        clip,
        (3, 4),
        baselines=baselines.frame_mean,
        target=[0, 2],
        tolerance=0.0 if declared and name in BY_DIRECTIONS else None,
        method_arguments=arguments,
        return_time_contributions=True,
    )
    for n, target in enumerate([0, 2]):

        def found(one, target=target):
            method, arguments = METHODS[name](Plain(model))  # a generator as it was
            return method.attribute(one[None], target=target, **arguments)[0].detach()

        expected, expected_times = oracles.temporal_saliency_rescaling(
            found, clip[n], clip[n].mean(1, keepdim=True).expand_as(clip[n]), (3, 4)
        )
        assert expected.std() > 0
        torch.testing.assert_close(times[n].tolist(), expected_times, **CLOSE)
        torch.testing.assert_close(maps[n], expected.expand_as(maps[n]), **CLOSE)


@pytest.mark.parametrize(
    "options",
    [
        {"gate_quantile": 0.0},
        {"gate_quantile": 1.0},
        {"gate_threshold": 0.05, "gated_value": 0.2},
        {"rescale": True, "gated_value": 0.1},
        {"rescale": True, "gate_threshold": 0.5},
    ],
)
@pytest.mark.parametrize("declared", [True, False])
def test_gates_and_scales(options, declared, model, clip):
    network = model if declared else Plain(model)
    maps = TemporalSaliencyRescaling(Saliency(network)).attribute(
        clip, (4, 3), target=1, tolerance=0.0 if declared else None, **options
    )
    names = {"gate_quantile": "quantile", "gate_threshold": "threshold", "gated_value": "gated"}
    for n in range(2):
        expected, _ = oracles.temporal_saliency_rescaling(
            lambda one: Saliency(Plain(model)).attribute(one[None], target=1)[0].detach(),
            clip[n],
            torch.zeros_like(clip[n]),
            (4, 3),
            **{names.get(key, key): value for key, value in options.items()},
        )
        torch.testing.assert_close(maps[n], expected.expand_as(maps[n]), **CLOSE)


def test_closed_form_of_a_quadratic_score():
    """R = 2 w x; hiding x_s moves it by 2 |w_s x_s|, there and nowhere else."""
    weights, clip = torch.rand(1, 3, 4, 2).double(), torch.rand(1, 1, 3, 4, 2).double()
    model = lambda x: (weights * x**2).sum((1, 2, 3, 4))  # noqa: E731
    maps, times = TemporalSaliencyRescaling(Saliency(model)).attribute(
        clip, (1, 1), gate_quantile=0.0, return_time_contributions=True
    )
    moved = 2 * weights * clip
    torch.testing.assert_close(times, moved.sum((1, 3, 4)))
    torch.testing.assert_close(maps, moved * moved.sum((3, 4), keepdim=True))


@given(chunk=st.sampled_from([1, 2, 3, 7, 100]), declared=st.booleans())
def test_chunks_change_nothing(chunk, declared):
    model, clip = frame_wise().eval().double(), torch.rand(2, 2, 4, 5, 3).double()
    rescaling = TemporalSaliencyRescaling(Saliency(model if declared else Plain(model)))
    expected = rescaling.attribute(clip, (2, 2), target=[1, 0])
    found = rescaling.attribute(clip, (2, 2), target=[1, 0], perturbations_per_eval=chunk)
    torch.testing.assert_close(found, expected)


def test_sequences_by_groups_of_features():
    head, sequence = RecurrentHead().eval().double(), torch.rand(2, 6, 5).double()
    rescaling = TemporalSaliencyRescaling(Saliency(head), layout="n t f")
    found = rescaling.attribute(sequence, (1, 2), target=1)
    expected, _ = oracles.temporal_saliency_rescaling(
        lambda one: Saliency(head).attribute(one[:, :, 0], target=1)[:, :, None].detach(),
        sequence[1][None, :, None],
        torch.zeros(1, 6, 1, 5).double(),
        (1, 2),
    )
    torch.testing.assert_close(found[1], expected[:, 0], **CLOSE)


def test_the_tolerance_bounds_what_is_lost(clip):
    model = FrameWise(FrameEncoder(2, 40), RecurrentHead(40)).eval().double()
    exact, rough, rougher = (
        TemporalSaliencyRescaling(Saliency(model)).attribute(
            clip, (1, 1), target=1, gate_quantile=0.0, tolerance=tolerance
        )
        for tolerance in (0.0, 1e-3, 0.3)
    )
    error = (rough - exact).norm() / exact.norm()
    assert 0 < error < 1e-2
    assert (rougher - exact).norm() / exact.norm() > error


class Counts(FrameEncoder):
    """Counts the frames through which gradients were sent back."""

    def __init__(self):
        super().__init__()
        self.backward_frames = 0

    def forward(self, frames):
        def count(gradient):
            self.backward_frames += len(gradient)

        if frames.requires_grad:
            frames.register_hook(count)
        return super().forward(frames)


def test_work_is_counted():
    """Five features span every direction: five passes back for each frame, however many tiles."""
    model = FrameWise(Counts(), RecurrentHead()).eval()
    clip = torch.rand(1, 2, 4, 6, 6)
    TemporalSaliencyRescaling(Saliency(model)).attribute(
        clip, (1, 1), target=1, gate_quantile=0.0, tolerance=0.0
    )
    tiles = 4 * 36
    assert model.encoder.frames <= 4 + 1 + 4 + tiles + 2 * 4
    assert model.encoder.backward_frames <= 4 + 4 + tiles + 5 * 4 + 4 * 4


@given(
    ranks=st.lists(st.integers(0, 30), max_size=7),
    most=st.integers(1, 7),
    pass_cost=st.sampled_from([0.0, 0.5, 16.0]),
)
def test_frames_sent_back_together_cost_least(ranks, most, pass_cost):
    """Against all ways to cut the sorted ranks."""
    groups = groups_of(ranks, lambda rank: most, pass_cost)
    assert sorted(s for group in groups for s in group) == [s for s, r in enumerate(ranks) if r]
    assert all(len(group) <= most for group in groups)

    def cost(parts):
        return sum((max(part) + 1) * (len(part) + pass_cost) for part in parts)

    ordered = sorted((rank for rank in ranks if rank), reverse=True)
    ways = [[]]
    for rank in ordered:
        ways = [[*way, [rank]] for way in ways] + [
            [*way[:-1], [*way[-1], rank]] for way in ways if way and len(way[-1]) < most
        ]
    found = cost([[ranks[s] for s in group] for group in groups])
    assert found == min(cost(way) for way in ways)


def test_several_inputs_are_hidden_together():
    model = TwoStreams().eval()
    visible, infrared = torch.rand(1, 2, 4, 6, 6), torch.rand(1, 1, 4, 6, 6)
    found = TemporalSaliencyRescaling(Saliency(model)).attribute(
        (visible, infrared), (3, 3), target=1
    )
    assert [one.shape for one in found] == [visible.shape, infrared.shape]
    torch.testing.assert_close(found[0][:, :1], found[1])


@pytest.mark.parametrize("rescale", [False, True])
def test_inputs_hidden_one_at_a_time_equal_a_plain_loop(rescale):
    """Of each input as if the other were a part of the network; the map moves in both."""
    model = TwoStreams().eval().double()
    clips = torch.rand(1, 2, 4, 6, 5).double(), torch.rand(1, 1, 3, 4, 4).double()

    def network(a, b):  # each stream changes how the other is seen
        return model.visible(a) * (2 + model.infrared(b))

    tiles = (3, 2), (2, 4)
    found, times = TemporalSaliencyRescaling(Saliency(network)).attribute(
        clips,
        tiles,
        baselines=(0, baselines.frame_mean),
        target=1,
        rescale=rescale,
        return_time_contributions=True,
        inputs_together=False,
    )
    black = torch.zeros_like(clips[0][0]), clips[1][0].mean(1, keepdim=True).expand_as(clips[1][0])
    for i in range(2):

        def whole_map(one, i=i):
            pair = [one[None] if j == i else clip for j, clip in enumerate(clips)]
            maps = Saliency(network).attribute(tuple(pair), target=1)
            return torch.cat([m.detach().flatten() for m in maps])

        expected, expected_times = oracles.temporal_saliency_rescaling(
            whole_map, clips[i][0], black[i], tiles[i], rescale=rescale
        )
        assert expected.std() > 0
        torch.testing.assert_close(times[i][0].tolist(), expected_times, **CLOSE)
        torch.testing.assert_close(found[i][0], expected.expand_as(found[i][0]), **CLOSE)


def test_inputs_hidden_one_at_a_time_of_a_declared_network():
    model = frame_wise_pair().eval().double()
    pair = torch.rand(2, 2, 4, 6, 5).double(), torch.rand(2, 1, 4, 3, 3).double()
    options = {"target": [0, 1], "inputs_together": False}
    found = TemporalSaliencyRescaling(Saliency(model)).attribute(
        pair, ((3, 2), (1, 3)), tolerance=0.0, **options
    )
    expected = TemporalSaliencyRescaling(Saliency(Plain(model))).attribute(
        pair, ((3, 2), (1, 3)), **options
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
        assert one.std() > 0


def test_one_input_is_hidden_by_itself_either_way(model, clip):
    rescaling = TemporalSaliencyRescaling(Saliency(model))
    expected = rescaling.attribute(clip, (3, 4), target=1)
    options = {"return_time_contributions": True, "inputs_together": False}
    maps, times = rescaling.attribute(clip, (3, 4), target=1, **options)
    assert torch.equal(maps, expected)
    assert times.shape == (2, 5)
    maps, times = rescaling.attribute((clip,), (3, 4), target=1, **options)
    assert torch.equal(maps[0], expected)
    assert times[0].shape == (2, 5)


def test_tiles_of_inputs_are_counted():
    clips = torch.rand(1, 2, 4, 6, 6), torch.rand(1, 1, 4, 3, 3)
    rescaling = TemporalSaliencyRescaling(Saliency(TwoStreams()))
    with pytest.raises(ValueError, match=r"one extent, got .*; inputs_together=False hides one"):
        rescaling.attribute(clips, (3, 3), target=1)
    with pytest.raises(ValueError, match=r"tile_shape: expected one per input \(2\), got 3"):
        rescaling.attribute(clips, ((3, 3),) * 3, target=1, inputs_together=False)
    with pytest.raises(ValueError, match=r"exceeds clip \(4, 3, 3\)"):
        rescaling.attribute(clips, (4, 4), target=1, inputs_together=False)


def test_layouts():
    model, clip = frame_wise("n t c h w").eval(), torch.rand(2, 4, 2, 6, 5)
    found = TemporalSaliencyRescaling(Saliency(model), "n t c h w").attribute(
        clip, (3, 3), target=1
    )
    twin = FrameWise(model.encoder, model.head)
    expected = TemporalSaliencyRescaling(Saliency(twin)).attribute(
        clip.transpose(1, 2), (3, 3), target=1
    )
    torch.testing.assert_close(found, expected.transpose(1, 2))
    own = SpatioTemporalOcclusion(model, Layout("n t c h w"))
    assert TemporalSaliencyRescaling(own).layout == Layout("n t c h w")
    with pytest.raises(ValueError, match="the method reads"):
        TemporalSaliencyRescaling(own, "n c t h w")
    with pytest.raises(ValueError, match="declared with"):
        TemporalSaliencyRescaling(Saliency(model)).attribute(clip, (3, 3), target=1)


def test_additional_arguments_follow_their_clip(model, clip):
    for network in (model, Plain(model)):
        rescaling = TemporalSaliencyRescaling(Saliency(network))
        plain = rescaling.attribute(clip, (4, 4), target=1)
        gained = rescaling.attribute(
            clip, (4, 4), target=1, additional_forward_args=torch.tensor([1.0, 3.0]).double()
        )
        torch.testing.assert_close(gained[0], plain[0])
        torch.testing.assert_close(gained[1], 9 * plain[1], rtol=1e-4, atol=0.0)


def test_baselines_of_the_method_follow_their_clip(model, clip):
    black = torch.rand_like(clip)
    arguments = {"n_steps": 3, "baselines": black}
    rescaling = TemporalSaliencyRescaling(IntegratedGradients(Plain(model)))
    both = rescaling.attribute(clip, (4, 4), target=1, method_arguments=arguments)
    second = rescaling.attribute(
        clip[1:], (4, 4), target=1, method_arguments=arguments | {"baselines": black[1:]}
    )
    torch.testing.assert_close(both[1:], second)


@pytest.mark.parametrize("declared", [True, False])
def test_everything_is_left_as_found(declared, clip):
    model = frame_wise().train().double()
    model.encoder.norm.eval()
    network = model if declared else Plain(model)
    parameters = [p.clone() for p in model.parameters()]
    before = clip.clone()
    random_state = torch.get_rng_state()
    with torch.no_grad():
        found = TemporalSaliencyRescaling(Saliency(network.eval())).attribute(
            clip, (4, 4), target=1
        )
    assert not found.requires_grad
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(before, clip)
    assert not clip.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(parameters, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
    failing = FrameWise(FailsAfter(model.encoder, 2), model.head).train()
    failing = failing if declared else Plain(failing)
    with pytest.raises(RuntimeError, match="planned failure"):
        TemporalSaliencyRescaling(Saliency(failing)).attribute(
            clip, (4, 4), target=1, perturbations_per_eval=1
        )
    assert failing.encoder.training
    assert failing.head.lstm.dropout == 0.5


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tile_shape": (8, 2)}, ValueError, r"exceeds clip \(5, 7, 6\)"),
        ({"tile_shape": (0, 2)}, ValueError, "at least 1"),
        ({"tile_shape": 4}, TypeError, "tile_shape: expected height and width, got 4"),
        ({"gate_quantile": 1.5}, ValueError, "gate_quantile: expected 0 <= q <= 1"),
        ({"gate_threshold": -1.0}, ValueError, "gate_threshold: expected at least 0"),
        ({"gated_value": float("nan")}, ValueError, "gated_value"),
        ({"tolerance": 1.0}, ValueError, "tolerance: expected 0 <= tolerance < 1"),
        ({"perturbations_per_eval": 0}, ValueError, "perturbations_per_eval"),
        ({"target": 3}, ValueError, "target 3: expected 0 <= target < 3"),
        ({"inputs": torch.rand(1, 2, 0, 7, 6)}, ValueError, "not empty"),
    ],
)
def test_bad_options_say_why(change, error, message, model, clip):
    arguments = {"inputs": clip, "tile_shape": (3, 3), "target": 1} | change
    with pytest.raises(error, match=message):
        TemporalSaliencyRescaling(Saliency(model)).attribute(**arguments)


def test_a_method_of_another_shape_is_refused_by_name(clip):
    model = TinyNet3D().eval().double()
    with pytest.raises(
        ValueError, match=r"method LayerGradCam: expected attributions of the inputs"
    ):
        TemporalSaliencyRescaling(LayerGradCam(model, model.body)).attribute(clip, (3, 3), target=1)
    with pytest.raises(TypeError, match="expected a Captum attribution"):
        TemporalSaliencyRescaling(model)


def test_a_tolerance_is_refused_where_it_means_nothing(model, clip):
    for method in (Saliency(Plain(model)), IntegratedGradients(model)):
        with pytest.raises(
            ValueError, match=r"tolerance: for Saliency .* of a FrameWise network, got"
        ):
            TemporalSaliencyRescaling(method).attribute(clip, (3, 3), target=1, tolerance=0.1)


def test_progress_counts_maps(model, clip, capsys):
    TemporalSaliencyRescaling(Saliency(model)).attribute(clip, (4, 4), target=1, show_progress=True)
    shown = capsys.readouterr().err
    assert "TSR, frames: 100%" in shown
    assert "10/10" in shown
    assert "TSR, tiles: 100%" in shown
