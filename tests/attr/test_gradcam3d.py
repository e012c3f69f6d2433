import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips
from torch import nn
from toy_models import FrameNet, LoopedFrameNet, TinyNet3D, TwoStreams

from captum_video import Extent, Layout
from captum_video.attr import GradCAM3D, layer_candidates


@given(clips(channels=(2, 2)), st.sampled_from([0, 2]), st.sampled_from(["stem", "body.0", "body"]))
@settings(max_examples=30)
def test_equals_captum_and_trilinear_interpolation(clip, target, name):
    model = TinyNet3D().eval()
    layer = model.get_submodule(name)
    theirs = LayerGradCam(model, layer).attribute(clip, target, relu_attributions=True)
    theirs = LayerAttribution.interpolate(theirs, tuple(clip.shape[2:]), "trilinear")
    ours = GradCAM3D(model, layer).attribute(clip, target)
    torch.testing.assert_close(ours, theirs.expand_as(clip), atol=1e-6, rtol=1e-5)


def test_layer_input_equals_captum():
    model, clip = TinyNet3D().eval(), torch.rand(2, 2, 4, 8, 8)
    theirs = LayerGradCam(model, model.body).attribute(clip, 1, attribute_to_layer_input=True)
    theirs = LayerAttribution.interpolate(theirs, (4, 8, 8), "trilinear")
    ours = GradCAM3D(model, model.body, relu=None).attribute(clip, 1, attribute_to_layer_input=True)
    torch.testing.assert_close(ours, theirs.expand_as(clip), atol=1e-6, rtol=1e-5)


class Maps(nn.Module):
    """f(clip) = sum of a smooth function of the clip itself: activations and gradients are known."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()

    def forward(self, clip):
        return self.features(clip).pow(3).sum((1, 2, 3, 4))


@pytest.mark.parametrize("relu", ["sum", "channel", None])
@pytest.mark.parametrize("weighting", ["clip", "frame", "voxel", "plusplus"])
def test_weightings_in_closed_form(weighting, relu):
    clip = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)
    cam = GradCAM3D(Maps(), "features", weighting=weighting, relu=relu).attribute(clip)
    slope = 3 * clip**2
    if weighting == "plusplus":
        expected = torch.zeros(2, 3, 4, 5, 6, dtype=torch.float64)
        for n in range(2):
            for k in range(3):
                norm = 2 * slope[n, k] ** 2 + clip[n, k].sum() * slope[n, k] ** 3
                weight = (slope[n, k] ** 2 / norm * slope[n, k].clamp_min(0)).sum()
                expected[n, k] = weight * clip[n, k]
    else:
        axes = {"clip": (2, 3, 4), "frame": (3, 4), "voxel": ()}[weighting]
        expected = (slope.mean(axes, keepdim=True) if axes else slope) * clip
    expected = (expected.clamp_min(0) if relu == "channel" else expected).sum(1, keepdim=True)
    expected = expected.clamp_min(0) if relu == "sum" else expected
    torch.testing.assert_close(cam, expected.expand_as(cam))


def test_dead_gradients_give_zero_not_nan():
    model = TinyNet3D().eval()
    nn.init.zeros_(model.head.weight)
    for weighting in ("clip", "frame", "voxel", "plusplus"):
        cam = GradCAM3D(model, "body", weighting=weighting).attribute(torch.rand(1, 2, 4, 8, 8), 0)
        assert cam.abs().max() == 0


@pytest.mark.parametrize("weighting", ["clip", "frame", "voxel", "plusplus"])
def test_folded_and_looped_frames_equal_the_three_dimensional_twin(weighting):
    clip = torch.rand(2, 2, 5, 8, 8).double()  # Grad-CAM++ divides by what may nearly cancel
    twin = FrameNet(folded=False).double()
    expected = GradCAM3D(twin, twin.conv, weighting=weighting).attribute(clip, target=1)
    folded, looped = FrameNet(folded=True).double(), LoopedFrameNet().double()
    torch.testing.assert_close(
        GradCAM3D(
            folded, folded.conv, activation_layout="(n t) c h w", weighting=weighting
        ).attribute(clip, target=1),
        expected,
    )
    torch.testing.assert_close(
        GradCAM3D(looped, looped.conv, activation_layout="n c h w", weighting=weighting).attribute(
            clip, target=1
        ),
        expected,
    )


def test_tokens_with_a_class_token():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Identity()

        def forward(self, clip):
            tokens = rearrange(clip, "n c t h w -> n (t h w) c")
            tokens = self.block(torch.cat([tokens.new_full((len(clip), 1, 2), 9.0), tokens], 1))
            return (tokens**2).sum((1, 2))

    clip = torch.rand(1, 2, 2, 3, 4)
    layout = Layout("n (t h w) c", skip_tokens=1, t=2, h=3)
    cam = GradCAM3D(Tokens(), "block", activation_layout=layout, weighting="voxel").attribute(clip)
    torch.testing.assert_close(cam[:, 0], (2 * clip**2).sum(1))


def test_no_graph_below_the_layer():
    model, seen = TinyNet3D().eval(), []
    model.stem.register_forward_hook(lambda m, a, out: seen.append(out.requires_grad))
    model.head.register_forward_hook(lambda m, a, out: seen.append(out.requires_grad))
    clip = torch.rand(1, 2, 4, 8, 8, requires_grad=True)
    cam = GradCAM3D(model, model.body).attribute(clip, 0)
    assert seen == [False, True]
    assert not cam.requires_grad
    assert clip.grad is None
    assert all(p.grad is None for p in model.parameters())


def test_works_inside_the_callers_inference_mode():
    model, clip = TinyNet3D().eval(), torch.rand(1, 2, 4, 8, 8)
    expected = GradCAM3D(model, "body").attribute(clip, 0)
    with torch.inference_mode():
        torch.testing.assert_close(GradCAM3D(model, "body").attribute(clip.clone(), 0), expected)


def test_several_inputs_get_a_map_each():
    model, inputs = TwoStreams().eval(), (torch.rand(1, 2, 4, 8, 8), torch.rand(1, 1, 4, 6, 6))
    maps = GradCAM3D(model, model.infrared.body).attribute(inputs, target=0)
    assert [m.shape for m in maps] == [x.shape for x in inputs]


def test_layer_candidates_name_layers_that_work():
    clip = torch.rand(2, 2, 4, 8, 8)
    for model in (TinyNet3D(), FrameNet(folded=True), FrameNet(folded=False)):
        model.train()
        found = layer_candidates(model, clip)
        assert found
        for layer in found:
            cam = GradCAM3D(model, layer.name, activation_layout=layer.activation_layout)
            assert cam.attribute(clip, target=0).shape == clip.shape
        assert model.training
        assert all(not m._forward_hooks for m in model.modules())
    assert found[0] == ("conv", 5, Extent(4, 8, 8), "n c t h w")


def test_layer_candidates_pass_by_what_folds_heads_into_the_batch():
    class Headed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.pool = nn.Conv3d(2, 4, 1), nn.AvgPool3d(2)

        def forward(self, clip):
            heads = (
                self.stem(clip).unflatten(1, (2, 2)).flatten(0, 1)
            )  # as torchvision's MViT pools
            return self.pool(heads).unflatten(0, (-1, 2)).mean((3, 4, 5)).flatten(1)

    found = layer_candidates(Headed(), torch.rand(1, 2, 4, 8, 8))
    assert [layer.name for layer in found] == ["stem"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda m: GradCAM3D(m, nn.Conv3d(1, 1, 1)),
            ValueError,
            "Conv3d is not a module of TinyNet3D",
        ),
        (
            lambda m: GradCAM3D(m, "layer4"),
            ValueError,
            "'layer4' is not in the model; it has stem, body",
        ),
        (lambda m: GradCAM3D(lambda x: m(x), "stem"), ValueError, "it has none"),
        (lambda m: GradCAM3D(m, 4), TypeError, "expected a module or its name, got 4"),
        (
            lambda m: GradCAM3D(m, "body", weighting="mean"),
            ValueError,
            "weighting: expected 'clip'",
        ),
        (lambda m: GradCAM3D(m, "body", relu="yes"), ValueError, "relu: expected 'sum'"),
    ],
)
def test_bad_options_say_why(make, error, message):
    with pytest.raises(error, match=message):
        make(TinyNet3D())


def test_bad_layers_say_why():
    clip, net = torch.rand(2, 2, 4, 8, 8), TinyNet3D().eval()
    idle = nn.Identity()
    with pytest.raises(ValueError, match="did not run"):
        GradCAM3D(lambda x: net(x), idle).attribute(clip, 0)
    with pytest.raises(ValueError, match="no_grad"):
        GradCAM3D(lambda x: net(x).detach(), net.body).attribute(clip, 0)
    with pytest.raises(ValueError, match=r"expected layout '\(n t\) c h w' with n=2"):
        GradCAM3D(net, net.body, activation_layout="(n t) c h w").attribute(clip, 0)
    folded = FrameNet(folded=True)
    with pytest.raises(
        ValueError, match=r"expected layout .n c h w. with n=2, got shape \(8, 5, 8, 8\)"
    ):
        GradCAM3D(folded, folded.conv, activation_layout="n c h w").attribute(clip, 0)
    looped = LoopedFrameNet()
    with pytest.raises(ValueError, match="the layer ran 2 times"):
        GradCAM3D(looped, looped.conv, activation_layout="(n t) c h w").attribute(clip[:, :, :2], 0)

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTM(2, 3, batch_first=True)

        def forward(self, x):
            return self.cell(x.mean((3, 4)).mT)[0][:, -1]

    with pytest.raises(TypeError, match="LSTM: expected a tensor, got tuple"):
        GradCAM3D(Recurrent(), "cell").attribute(clip, 0)
