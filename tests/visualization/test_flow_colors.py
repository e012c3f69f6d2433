import colorsys
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captum_video.visualization import flow_to_rgb


def flow_of(*vectors):
    """One row of pixels, (1, 2, 1, 1, W), each with a motion of its own."""
    return torch.tensor(vectors).float().T.reshape(1, 2, 1, 1, -1)


def test_directions_have_the_colours_they_are_said_to_have():
    # dy points down, so the hue grows clockwise.
    painted = flow_to_rgb(flow_of((2, 0), (0, 2), (-2, 0), (0, -2), (0, 0)))[0, :, 0, 0].T
    expected = [[1, 0, 0], [0.5, 1, 0], [0, 1, 1], [0.5, 0, 1], [1, 1, 1]]
    torch.testing.assert_close(painted, torch.tensor(expected).float())


@given(st.floats(0, 2 * math.pi), st.floats(0, 3))
def test_equals_the_colour_wheel_of_the_standard_library(angle, speed):
    flow = flow_of((speed * math.cos(angle), speed * math.sin(angle))).double()
    painted = flow_to_rgb(flow, limit=2.0).flatten()
    expected = colorsys.hsv_to_rgb(angle / (2 * math.pi), min(speed / 2, 1), 1)
    torch.testing.assert_close(painted, torch.tensor(expected).float(), atol=1e-4, rtol=0)


def test_saturation_is_speed_over_the_limit():
    painted = flow_to_rgb(flow_of((1, 0), (2, 0), (4, 0), (9, 0)), limit=4)[0, 1, 0, 0]
    torch.testing.assert_close(painted, torch.tensor([0.75, 0.5, 0, 0]))


def test_each_clip_has_its_own_limit_unless_given():
    flow = torch.cat([flow_of((1, 0), (0, 1)), flow_of((10, 0), (0, 10))])
    own = flow_to_rgb(flow)
    assert torch.equal(own[0], own[1])
    shared = flow_to_rgb(flow, limit=10)
    assert shared[0].min() == pytest.approx(0.9)
    assert torch.equal(flow_to_rgb(flow, limit=torch.tensor([1.0, 10.0])), own)


def test_shape_dtype_and_nothing_moving():
    flow = torch.zeros(2, 2, 3, 4, 5, dtype=torch.float64)
    painted = flow_to_rgb(flow)
    assert painted.shape == (2, 3, 3, 4, 5)
    assert painted.dtype == torch.float32
    assert (painted == 1).all()
    painted = flow_to_rgb(torch.randn(2, 2, 3, 4, 5))
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_bad_values():
    with pytest.raises(ValueError, match=r"\(N, 2, T, H, W\), got"):
        flow_to_rgb(torch.rand(1, 3, 2, 4, 4))
    with pytest.raises(ValueError, match=r"limit: .* got -1"):
        flow_to_rgb(torch.rand(1, 2, 2, 4, 4), limit=-1)
    with pytest.raises(ValueError, match="NaN"):
        flow_to_rgb(torch.full((1, 2, 2, 4, 4), torch.nan))
    with pytest.raises(TypeError, match="flow: expected a tensor, got list"):
        flow_to_rgb([0.0])
