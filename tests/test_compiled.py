"""Networks that ``torch.compile`` made: the same maps, few shapes, hooks that are called."""

import pytest
import torch
from toy_models import TinyNet3D, frame_wise

from captum_video.attr import (
    RISE3D,
    SIDU3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    layer_candidates,
)
from captum_video.metrics import average_drop_and_increase, insertion
from captum_video.nn import FrameWise

CLIP = torch.rand(2, 2, 4, 7, 6, generator=torch.Generator().manual_seed(1))
CLOSE = {"atol": 1e-5, "rtol": 1e-4}
RUNS = {
    "occlusion": lambda model: SpatioTemporalOcclusion(model).attribute(CLIP, (2, 3, 3), target=1),
    "Grad-CAM": lambda model: GradCAM3D(model, "body").attribute(CLIP, target=1),
    "SIDU": lambda model: SIDU3D(model, model.body).attribute(CLIP, target=1),
    "insertion": lambda model: insertion(model, CLIP, CLIP, target=1, n_steps=6).scores,
    "average drop": lambda model: average_drop_and_increase(model, CLIP, CLIP, target=1).drop,
    "layers": lambda model: torch.tensor([one.channels for one in layer_candidates(model, CLIP)]),
}


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(2)
    model = TinyNet3D().eval()
    return model, torch.compile(model, backend="eager")


@pytest.mark.parametrize("name", RUNS)
def test_compiled_networks_give_the_same(pair, name):
    expected, found = (RUNS[name](model) for model in pair)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_networks_compiled_in_place_call_hooks():
    model = TinyNet3D().eval()
    expected = GradCAM3D(model, "body").attribute(CLIP, target=1)
    model.compile(backend="eager")
    model(CLIP)
    torch.testing.assert_close(GradCAM3D(model, "body").attribute(CLIP, target=1), expected)


def test_even_chunks_are_compiled_for_two_shapes_at_most():
    compiled = []

    def backend(graph, inputs):
        compiled.append(len(inputs))
        return graph.forward

    torch._dynamo.reset()
    model = torch.compile(TinyNet3D().eval(), backend=backend)
    SpatioTemporalOcclusion(model).attribute(
        CLIP[:1], (2, 3, 3), target=1, perturbations_per_eval=4
    )  # 13 rows: 4, 3, 3, 3
    assert len(compiled) <= 2


def test_frame_wise_networks_are_compiled_in_parts():
    model = frame_wise().eval()
    with pytest.raises(ValueError, match=r"FrameWise\(torch.compile\(encoder\)"):
        insertion(torch.compile(model, backend="eager"), CLIP, CLIP, target=1)
    with pytest.raises(ValueError, match=r"FrameWise\(torch.compile\(encoder\)"):
        RISE3D(torch.compile(model, backend="eager")).attribute(
            CLIP, target=1, grid_shape=(2, 2, 2)
        )
    parts = FrameWise(
        torch.compile(model.encoder, backend="eager"), torch.compile(model.head, backend="eager")
    ).eval()
    expected, found = (
        SpatioTemporalOcclusion(one).attribute(CLIP, (1, 4, 6), target=1) for one in (model, parts)
    )
    torch.testing.assert_close(found, expected, **CLOSE)
