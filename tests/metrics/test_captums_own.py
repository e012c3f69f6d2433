"""Captum's infidelity and sensitivity on our maps, where the answer is known."""

import pytest
import torch
from captum.metrics import infidelity, sensitivity_max
from toy_models import Linear3D

from captum_video.attr import RISE3D, SpatioTemporalOcclusion

VOXEL = {"sliding_window_shapes": (1, 1, 1)}


def hide_some(inputs):
    """What is hidden, as a mask of places, and the clips without it."""
    hidden = (torch.rand_like(inputs[:, :1]) < 0.3).expand_as(inputs).to(inputs)
    return hidden, inputs * (1 - hidden)


@pytest.fixture
def model():
    return Linear3D(torch.randn(2, 3, 3, 4, 4))


@pytest.fixture
def clip():
    return torch.rand(2, 3, 3, 4, 4)


def test_infidelity_of_an_exact_map_is_0(model, clip):
    """Hiding places of a linear model costs the sum of their parts: nothing is left to explain.

    A map says the same in each of its channels, so that each counts a third.
    """
    maps = SpatioTemporalOcclusion(model).attribute(clip, **VOXEL, target=1) / 3
    found = infidelity(model, hide_some, clip, maps, target=1, n_perturb_samples=5)
    torch.testing.assert_close(found, torch.zeros(2), atol=1e-6, rtol=0)
    batched = infidelity(
        model, hide_some, clip, maps, target=1, n_perturb_samples=5, max_examples_per_batch=2
    )
    torch.testing.assert_close(batched, torch.zeros(2), atol=1e-6, rtol=0)


def test_infidelity_of_a_wrong_map_is_the_square_of_what_it_misses(model, clip):
    maps = SpatioTemporalOcclusion(model).attribute(clip, **VOXEL, target=1) / 3

    def hide_one(inputs):
        hidden = torch.zeros_like(inputs)
        hidden[:, :, 1, 2, 3] = 1
        return hidden, inputs * (1 - hidden)

    wrong = maps.clone()
    wrong[:, 0, 1, 2, 3] += torch.tensor([0.5, -2.0])
    found = infidelity(model, hide_one, clip, wrong, target=1, n_perturb_samples=3)
    torch.testing.assert_close(found, torch.tensor([0.25, 4.0]), atol=1e-4, rtol=1e-4)
    scaled = infidelity(
        model, hide_some, clip, 7 * maps, target=1, n_perturb_samples=50, normalize=True
    )
    torch.testing.assert_close(scaled, torch.zeros(2), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["occlusion", "rise"])
def test_sensitivity_of_a_linear_model_closed_form(name, model, clip):
    """Clips half as bright again have maps half as high again, in the same seeded masks."""
    if name == "occlusion":
        attribute, arguments = SpatioTemporalOcclusion(model).attribute, VOXEL
    else:
        attribute = RISE3D(model).attribute
        arguments = {"n_samples": 150, "grid_shape": (2, 2, 2), "estimator": "coverage"}
    found = sensitivity_max(
        attribute, clip, lambda x: 1.5 * x, n_perturb_samples=2, target=1, **arguments
    )
    torch.testing.assert_close(found, torch.full((2,), 0.5), atol=1e-4, rtol=1e-4)
    still = sensitivity_max(
        attribute, clip, lambda x: x.clone(), n_perturb_samples=2, target=1, **arguments
    )
    torch.testing.assert_close(still, torch.zeros(2), atol=1e-5, rtol=0)
