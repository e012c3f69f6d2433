
import oracles
import pytest
import torch
from torch import nn
from toy_models import TinyNet3D

from captum_video.attr import SIDU3D

RULES = {"threshold": 0.05, "quantile": 0.6, "soft": True}
each_rule = pytest.mark.parametrize(("rule", "level"), RULES.items(), ids=RULES)


def tiny(gain: float = 12.0) -> TinyNet3D:
    """Untrained, its scores far enough apart for masks to matter."""
    model = TinyNet3D().eval().double()
    model.head.weight.data *= gain
    return model


def one(model):
    """The model on a single clip per input."""

    def f(*inputs):
        with torch.no_grad():
            return model(*(x[None] for x in inputs))[0]

    return f


class Pixels(nn.Module):
    """Channels are the features; the classes weigh their sums."""

    def __init__(self, weights):
        super().__init__()
        self.features = nn.Identity()
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float64))

    def forward(self, clip):
        return self.features(clip).sum((2, 3, 4)) @ self.weights.to(clip)


@each_rule
@pytest.mark.parametrize("softmax", [True, False])
def test_equals_the_oracle(rule, level, softmax):
    model, clip = tiny(), torch.rand(2, 2, 4, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        features = model.body(model.stem(clip))
    found = SIDU3D(model, model.body).attribute(
        clip, 0.3, [0, 2], width=0.4, activation="softmax" if softmax else None, **{rule: level}
    )
    for n, target in enumerate((0, 2)):
        (expected,) = oracles.sidu(
            one(model), [clip[n]], features[n], target,
            rule=rule, level=level, width=0.4, softmax=softmax, baseline=0.3,
        )  # fmt: skip
        assert expected.std() > 1e-4
        expected = torch.from_numpy(expected).expand(2, -1, -1, -1)
        torch.testing.assert_close(found[n], expected, atol=1e-6, rtol=1e-5)
