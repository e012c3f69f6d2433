"""What every class promises, driven by one table: a new method is tested by adding a row."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from captum.metrics import infidelity, sensitivity_max
from toy_models import FailsAfter, Relaid, Swapped, TinyNet3D, TwoStreams

from captum_video import Curve, Layout
from captum_video.attr import (
    RISE3D,
    SIDU3D,
    ExtremalPerturbation3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
)
from captum_video.metrics import (
    Deletion,
    Insertion,
    average_drop_and_increase,
    modality_score,
)

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


@dataclass
class Method:
    make: Any
    arguments: dict = field(default_factory=dict)
    perturbs: bool = True
    per_input: bool = False
    """Whether it takes ``inputs_together``."""
    resizes: bool = False
    """Whether its masks are maps of a layer, made as large as each input."""
    degree: int | None = 1
    """A map of a score three times as high is higher by three to this power; None: no such rule,
    because the method compares probabilities, of which a single score has none."""

    def run(self, model, inputs, target=1, *, layout="n c t h w", **kwargs):
        method = self.make(model, layout)
        return method.attribute(inputs, target=target, **self.arguments, **kwargs)


def body(model):
    """The layer that Grad-CAM looks at, wherever the network is wrapped."""
    return next(m for name, m in model.named_modules() if name.split(".")[-1] == "body")


GRID = {"n_samples": 60, "grid_shape": (2, 3, 3)}
METHODS = {
    **{
        f"GradCAM3D-{weighting}": Method(
            lambda model, layout, weighting=weighting: GradCAM3D(
                model, body(model), layout=layout, weighting=weighting
            ),
            perturbs=False,
        )
        for weighting in ("clip", "frame", "voxel", "plusplus")
    },
    "SpatioTemporalOcclusion": Method(
        SpatioTemporalOcclusion,
        {"sliding_window_shapes": (2, 3, 3), "strides": (2, 2, 3)},
        per_input=True,
    ),
    **{
        f"SpatioTemporalOcclusion-{exact}": Method(
            SpatioTemporalOcclusion,
            {"sliding_window_shapes": (2, 3, 3), "strides": (2, 2, 3), "exact": exact},
            per_input=True,
        )
        for exact in ("outliers", "none")
    },
    **{
        f"RISE3D-{estimator}": Method(RISE3D, {**GRID, "estimator": estimator}, per_input=True)
        for estimator in ("regression", "coverage", "expectation")
    },
    **{
        f"TemporalSaliencyRescaling-{name}": Method(
            lambda model, layout, wrapped=wrapped: TemporalSaliencyRescaling(
                wrapped(model, layout), layout
            ),
            {"tile_shape": (4, 3), "method_arguments": arguments},
            per_input=True,
            degree=2,
        )
        for name, wrapped, arguments in (
            ("gradient", lambda model, layout: Saliency(model), {}),
            (
                "occlusion",
                SpatioTemporalOcclusion,
                {"sliding_window_shapes": (2, 7, 6), "inputs_together": False},
            ),
        )
    },
}
METHODS |= {
    f"SIDU3D-{name}": Method(
        lambda model, layout: SIDU3D(model, body(model), layout=layout),
        {"width": 0.01, **rule},  # untrained, probabilities hardly differ
        per_input=True,
        resizes=True,
        degree=None,
    )
    for name, rule in (("quantile", {}), ("soft", {"soft": True}))
}
METHODS |= {
    f"ExtremalPerturbation3D-{name}": Method(
        ExtremalPerturbation3D,
        {"areas": (0.2, 0.5), "max_iterations": 5, **arguments},
        per_input=True,
        degree=degree,
    )
    for name, degree, arguments in (
        ("score", 0, {"activation": None, "grid_shape": (2, 3, 3)}),  # shares of the way, no unit
        ("probability", None, {"core": (2, 3, 3), "goal": "both"}),
        ("time", 0, {"activation": None, "over": "time", "substrate": "freeze"}),
    )
}
METRICS = {
    f"{metric.__name__}-{unit}": (
        metric,
        {"unit": unit, "n_steps": 6, "cell_shape": (2, 3, 3), "segment_length": 2},
    )
    for metric in (Insertion, Deletion)
    for unit in ("voxel", "cell", "frame", "segment")
}


class AverageDrop:
    """The function under the contract of the classes: drop and increase as two points of a curve."""

    def __init__(self, forward_func, **options):
        self.forward_func, self.options = forward_func, options

    def evaluate(self, inputs, attributions, **arguments):
        found = average_drop_and_increase(
            self.forward_func, inputs, attributions, **arguments, **self.options
        )
        return Curve(torch.tensor([0.0, 1.0]), torch.stack([found.drop, found.increase.float()], 1))


METRICS["average_drop_and_increase"] = (AverageDrop, {})
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
each_metric = pytest.mark.parametrize(("metric", "options"), METRICS.values(), ids=METRICS)
pytestmark = pytest.mark.filterwarnings("ignore:RISE3D. the regression explains nothing")


@pytest.fixture
def clip():
    return torch.rand(2, 2, 4, 7, 6)


@pytest.fixture
def model():
    return TinyNet3D().eval()


@each_method
def test_shape_in_is_shape_out(method, model, clip):
    for inputs in (clip, (clip,)):
        found = method.run(model, inputs)
        assert isinstance(found, tuple) is isinstance(inputs, tuple)
        found = found[0] if isinstance(found, tuple) else found
        assert found.shape == clip.shape
        assert found.dtype == torch.float32
        assert found.device == clip.device
        assert not found.requires_grad
        assert not found.is_inference()
        assert torch.isfinite(found).all()
        assert found.std() > 0
        assert found.is_contiguous()
        assert torch.equal(found[:, :1].expand_as(found), found)


@each_method
def test_several_inputs(method, clip):
    model, infrared = TwoStreams().eval(), torch.rand(2, 1, 4, 7, 6)
    found = method.run(model, (clip, infrared))
    assert [m.shape for m in found] == [clip.shape, infrared.shape]


@pytest.mark.parametrize(
    "method",
    [m for m in METHODS.values() if m.per_input],
    ids=[k for k, m in METHODS.items() if m.per_input],
)
def test_inputs_on_their_own(method, clip):
    """Each has its own map, and what a network does not read has none."""
    model, infrared = TwoStreams().eval(), torch.rand(2, 1, 4, 7, 6)
    found = method.run(model, (clip, infrared), inputs_together=False)
    assert [m.shape for m in found] == [clip.shape, infrared.shape]
    assert not torch.allclose(found[0][:, :1], found[1])
    swapped = method.run(Swapped(model), (infrared, clip), inputs_together=False)
    assert [m.shape for m in swapped] == [infrared.shape, clip.shape]


@each_method
def test_inputs_of_different_lengths_are_refused_or_told_apart(method, clip):
    """Masks made for one have no meaning there; masks of their own do, and maps that are resized."""
    if not method.perturbs:
        return
    model, infrared = TwoStreams().eval(), torch.rand(2, 1, 2, 7, 6)
    if method.resizes:
        found = method.run(model, (clip, infrared))
        assert [m.shape for m in found] == [clip.shape, infrared.shape]
    else:
        with pytest.raises(ValueError, match=r"inputs.*(one extent|as many)"):
            method.run(model, (clip, infrared))
    if method.per_input:
        found = method.run(model, (clip, infrared), inputs_together=False)
        assert [m.shape for m in found] == [clip.shape, infrared.shape]


@each_method
@pytest.mark.parametrize(
    ("pattern", "sizes"), [("n t c h w", {}), ("n (t c) h w", {"c": 2}), ("n h w c t", {})]
)
def test_layout_changes_nothing_but_the_layout(method, pattern, sizes, model, clip):
    layout = Layout(pattern, **sizes)
    written = layout.from_clip(clip).contiguous()
    found = method.run(Relaid(model, pattern, **sizes), written, layout=layout)
    assert found.shape == written.shape
    torch.testing.assert_close(layout.to_clip(found), method.run(model, clip), **CLOSE)


@each_method
def test_targets_in_every_form(method, model, clip):
    expected = method.run(model, clip, target=2)
    for target in ((2,), torch.tensor(2), torch.tensor([2, 2]), [2, 2], [(2,), (2,)]):
        torch.testing.assert_close(method.run(model, clip, target=target), expected, **CLOSE)
    mixed = method.run(model, clip, target=[0, 2])
    torch.testing.assert_close(mixed[1], expected[1], **CLOSE)
    assert not torch.allclose(mixed[0], expected[0])
    if method.perturbs and method.degree is not None:
        scalar = method.run(lambda x: model(x)[:, 2], clip, target=None)
        torch.testing.assert_close(scalar, expected, **CLOSE)


@each_method
def test_additional_arguments_follow_their_clip(method, model, clip):
    expected = method.run(model, clip)
    gain = torch.tensor([1.0, 3.0])
    found = method.run(model, clip, additional_forward_args=gain)
    torch.testing.assert_close(found[0], expected[0], **CLOSE)
    louder = copy.deepcopy(model)
    louder.head.weight.data *= 3
    louder.head.bias.data *= 3
    torch.testing.assert_close(found[1], method.run(louder, clip)[1], atol=1e-4, rtol=1e-3)
    if method.degree != 0:
        assert not torch.allclose(found[1], expected[1], atol=1e-4, rtol=1e-3)
    if method.degree is not None:
        torch.testing.assert_close(found[1], 3**method.degree * expected[1], atol=1e-4, rtol=1e-3)


@each_method
def test_clips_do_not_see_each_other(method, clip):
    model, clip = TinyNet3D().eval().double(), clip.double()
    found = method.run(model, clip, target=[0, 2])
    swapped = method.run(model, clip.flip(0), target=[2, 0])
    alone = method.run(model, clip[1:], target=2)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, swapped.flip(0))
    torch.testing.assert_close(found[1:], alone)


@each_method
def test_chunks_do_not_matter(method, clip):
    if not method.perturbs:
        return
    model, clip = TinyNet3D().eval().double(), clip.double()
    expected = method.run(model, clip, perturbations_per_eval=1)
    for chunk in (3, 1000, "auto"):
        found = method.run(model, clip, perturbations_per_eval=chunk)
        torch.testing.assert_close(found, expected)


@each_method
def test_autocast_is_respected_and_maps_stay_float32(method, model, clip):
    seen = []
    model.head.register_forward_hook(lambda m, a, out: seen.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        found = method.run(model, clip)
    assert set(seen) == {torch.bfloat16}
    assert found.dtype == torch.float32


@each_method
def test_half_precision_clips(method, model, clip):
    found = method.run(model.bfloat16(), clip.bfloat16())
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


def snapshot(model, inputs):
    modules = list(model.modules())
    return {
        "training": [m.training for m in modules],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in modules
        ],
        "state": [v.clone() for v in model.state_dict().values()],
        "grads": [(p.requires_grad, p.grad) for p in model.parameters()],
        "inputs": [x.clone() for x in inputs],
        "inputs_grad": [(x.requires_grad, x.grad) for x in inputs],
        "random": torch.get_rng_state(),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark),
    }


def assert_unchanged(before, after):
    for key, value in before.items():
        assert str(value) == str(after[key]), key
        if key in ("state", "inputs"):
            assert all(torch.equal(a, b) for a, b in zip(value, after[key], strict=True)), key
    assert torch.equal(before["random"], after["random"])


def mixed_mode():
    """In train mode, but for one submodule: both must be found again."""
    model = TinyNet3D().train()
    model.body.eval()
    return model


@each_method
@pytest.mark.parametrize("grad", [True, False])
def test_everything_is_left_as_found(method, clip, grad):
    model = mixed_mode()
    clip = clip.requires_grad_()
    before = snapshot(model, [clip])
    with torch.set_grad_enabled(grad):
        method.run(model, clip)
        assert torch.is_grad_enabled() is grad
    assert_unchanged(before, snapshot(model, [clip]))


@each_method
@pytest.mark.parametrize("calls", [0, 1])
def test_everything_is_left_as_found_after_a_failure(method, clip, calls):
    if calls and not method.perturbs:
        return
    model = FailsAfter(mixed_mode(), calls)
    before = snapshot(model, [clip])
    kwargs = {"perturbations_per_eval": 2} if method.perturbs else {}
    with pytest.raises(RuntimeError, match="planned failure"):
        method.run(model, clip, **kwargs)
    assert_unchanged(before, snapshot(model, [clip]))


@each_method
def test_train_mode_gives_the_map_of_eval_mode(method, model, clip):
    expected = method.run(model, clip)
    torch.testing.assert_close(method.run(model.train(), clip), expected, **CLOSE)


@each_method
def test_inside_noise_tunnel(method, model, clip):
    tunnel = NoiseTunnel(method.make(model, "n c t h w"))
    found = tunnel.attribute(
        clip, nt_type="smoothgrad", nt_samples=3, stdevs=0.0, target=[0, 2], **method.arguments
    )
    torch.testing.assert_close(found, method.run(model, clip, target=[0, 2]), **CLOSE)
    noisy = tunnel.attribute(
        (clip,),
        nt_type="vargrad",
        nt_samples=4,
        nt_samples_batch_size=2,
        stdevs=0.3,
        target=0,
        **method.arguments,
    )
    assert noisy[0].shape == clip.shape
    assert noisy[0].max() > 0


@each_method
def test_inside_captums_metrics(method, model, clip):
    method_ = method.make(model, "n c t h w")
    found = method_.attribute(clip, target=1, **method.arguments)

    def perturb(inputs):
        noise = torch.randn_like(inputs) * 0.1
        return noise, inputs - noise

    assert infidelity(model, perturb, clip, found, target=1, n_perturb_samples=4).shape == (2,)
    sensitivity = sensitivity_max(
        method_.attribute, clip, n_perturb_samples=2, target=1, **method.arguments
    )
    assert sensitivity.shape == (2,)
    assert torch.isfinite(sensitivity).all()


BAD_INPUTS = {
    "wrong rank": (torch.rand(2, 2, 7, 6), {}, ValueError, "expected 5 axes"),
    "empty clip": (torch.rand(2, 2, 0, 7, 6), {}, ValueError, "not empty"),
    "no clips": (torch.rand(0, 2, 4, 7, 6), {}, ValueError, "not empty"),
    "NaN": (torch.full((2, 2, 4, 7, 6), torch.nan), {}, ValueError, "NaN or infinity"),
    "whole numbers": (torch.ones(2, 2, 4, 7, 6, dtype=torch.uint8), {}, TypeError, "torch.uint8"),
    "no tensor": ([[0.0]], {}, TypeError, "got list"),
    "target too large": (torch.rand(2, 2, 4, 7, 6), {"target": 3}, ValueError, "target 3: expected 0"),
    "target below 0": (torch.rand(2, 2, 4, 7, 6), {"target": -1}, ValueError, "target -1"),
    "targets of too few clips": (torch.rand(2, 2, 4, 7, 6), {"target": [1]}, ValueError, "one entry per clip"),
    "no target": (torch.rand(2, 2, 4, 7, 6), {"target": None}, ValueError, "one per clip"),
    "arguments of too few clips": (
        torch.rand(2, 2, 4, 7, 6), {"additional_forward_args": torch.ones(3)}, ValueError,
        "one entry per clip",
    ),
}  # fmt: skip


@each_method
@pytest.mark.parametrize(
    ("inputs", "kwargs", "error", "message"), BAD_INPUTS.values(), ids=BAD_INPUTS
)
def test_bad_input_says_why_and_changes_nothing(method, model, inputs, kwargs, error, message):
    before = snapshot(model, [])
    with pytest.raises(error, match=message):
        method.run(model, inputs, **kwargs)
    assert_unchanged(before, snapshot(model, []))


@each_metric
@pytest.mark.parametrize(
    ("inputs", "kwargs", "error", "message"), BAD_INPUTS.values(), ids=BAD_INPUTS
)
def test_bad_input_of_metrics_says_why(metric, options, model, inputs, kwargs, error, message):
    with pytest.raises(error, match=message):
        metric(model, **options).evaluate(
            inputs, torch.rand(2, 2, 4, 7, 6), **({"target": 1} | kwargs)
        )


@each_metric
def test_metrics_leave_everything_as_found(metric, options, clip):
    model, maps = mixed_mode(), torch.randn_like(clip)
    before = snapshot(model, [clip, maps])
    curve = metric(model, **options).evaluate(clip, maps, target=1)
    assert curve.scores.shape == (2, len(curve.fractions))
    assert curve.area.shape == (2,)
    assert_unchanged(before, snapshot(model, [clip, maps]))
    failing = FailsAfter(model, 1)
    before = snapshot(failing, [clip, maps])
    with pytest.raises(RuntimeError, match="planned failure"):
        metric(failing, **options).evaluate(clip, maps, target=1, perturbations_per_eval=1)
    assert_unchanged(before, snapshot(failing, [clip, maps]))


@each_metric
def test_metrics_work_in_every_layout(metric, options, model, clip):
    maps = torch.randn_like(clip)
    expected = metric(model, **options).evaluate(clip, maps, target=[0, 2])
    for pattern, sizes in (("n t c h w", {}), ("n (t c) h w", {"c": 2})):
        layout = Layout(pattern, **sizes)
        found = metric(Relaid(model, pattern, **sizes), layout=layout, **options).evaluate(
            layout.from_clip(clip), layout.from_clip(maps), target=[0, 2], perturbations_per_eval=2
        )
        torch.testing.assert_close(found.scores, expected.scores, **CLOSE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_method
def test_gpu_gives_the_map_of_the_cpu(method, model, clip):
    expected = method.run(model, clip)
    found = method.run(model.cuda(), clip.cuda())
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), expected, atol=1e-3, rtol=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_several_inputs_on_a_gpu(clip):
    inputs = clip, torch.rand(2, 1, 4, 7, 6)
    on_gpu = tuple(one.cuda() for one in inputs)
    model, twin = TwoStreams().eval(), TwoStreams().eval().cuda()
    twin.load_state_dict(model.state_dict())
    for method in METHODS.values():
        if method.per_input:
            expected = method.run(model, inputs, inputs_together=False)
            found = method.run(twin, on_gpu, inputs_together=False)
            assert {one.device.type for one in found} == {"cuda"}
            found = tuple(one.cpu() for one in found)
            torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-2)
    expected = modality_score(model, inputs, target=1)
    found = modality_score(twin, on_gpu, target=1)
    torch.testing.assert_close(found.shapley.cpu(), expected.shapley, atol=1e-3, rtol=1e-2)
    maps = tuple(torch.randn_like(one) for one in on_gpu)
    curve = Insertion(twin, unit="frame", inputs_together=True).evaluate(on_gpu, maps, target=1)
    assert curve.scores.device.type == "cuda"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_metric
def test_metrics_on_a_gpu(metric, options, model, clip):
    maps = torch.randn_like(clip)
    expected = metric(model, **options).evaluate(clip, maps, target=1)
    found = metric(model.cuda(), **options).evaluate(clip.cuda(), maps.cuda(), target=1)
    assert found.scores.device.type == "cuda"
    torch.testing.assert_close(found.scores.cpu(), expected.scores, atol=1e-3, rtol=1e-2)
