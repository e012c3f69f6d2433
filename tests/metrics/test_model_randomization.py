import oracles
import pytest
import torch
from captum.attr import Saliency
from torch import nn
from toy_models import RecurrentHead, TinyNet3D

from captum_video.attr import GradCAM3D
from captum_video.metrics import parameter_randomization

CLIP = torch.rand(2, 2, 4, 12, 12, generator=torch.Generator().manual_seed(3))
LAYERS = ("head", "body.1", "body.0", "stem.1", "stem.0")


def gradient(model):
    return Saliency(model).attribute(CLIP, target=1)


def trained():
    """A network whose batch norms have seen something, as after training."""
    model = TinyNet3D().train()
    for _ in range(3):
        model(CLIP * 3 + 1)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_maps_of_the_clip_alone_stay_and_random_maps_do_not():
    model = trained()
    edges = parameter_randomization(model, lambda m: CLIP.diff(dim=4).abs())
    assert edges.layers == LAYERS
    torch.testing.assert_close(edges.similarity, torch.ones(5, 2).double())
    source = torch.Generator().manual_seed(0)
    noise = parameter_randomization(model, lambda m: torch.rand(CLIP.shape, generator=source))
    assert noise.similarity.abs().max() < 0.1
    constant = parameter_randomization(model, lambda m: torch.ones(CLIP.shape))
    assert constant.similarity.tolist() == [[0, 0]] * 5


def test_maps_that_read_the_weights_fade():
    model = trained()
    found = parameter_randomization(model, gradient).similarity
    assert found.shape == (5, 2)
    assert (found[-1] < 0.5).all()
    assert found.dtype == torch.float64


def test_every_step_draws_its_layer_and_keeps_those_before():
    model, seen = trained(), []
    before = state(model)

    def explain(network):
        assert network is not model
        assert not network.training
        assert torch.is_grad_enabled()
        seen.append(state(network))
        return CLIP

    parameter_randomization(model, explain)
    cascade, seen = seen, []
    parameter_randomization(model, explain, cascading=False)
    alone = seen
    for step in range(len(LAYERS) + 1):
        for name, value in before.items():
            layer, own = name.rpartition(".")[0], LAYERS[step - 1] if step else None
            changed = {
                "cascade": layer in LAYERS[:step],
                "alone": step > 0 and layer == own,
            }
            for kind, states in (("cascade", cascade), ("alone", alone)):
                same = torch.equal(states[step][name], value)
                assert same is not changed[kind], (kind, step, name)
        if step:  # the same draws either way
            for name in before:
                if name.startswith(f"{LAYERS[step - 1]}."):
                    assert torch.equal(cascade[step][name], alone[step][name])
    norm = cascade[-1]
    assert norm["stem.1.running_mean"].eq(0).all()
    assert norm["stem.1.running_var"].eq(1).all()
    assert norm["stem.1.weight"].eq(1).all()
    assert norm["stem.1.bias"].eq(0).all()
    after = state(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_linear_model_closed_form():
    """The gradient of a linear model is its weights: similarity is that of old and new weights."""
    model, new = nn.Sequential(nn.Flatten(), nn.Linear(24, 2)), []
    clip = torch.rand(1, 1, 2, 3, 4)

    def explain(network):
        new.append(network[1].weight[1].detach().tolist())
        return Saliency(network).attribute(clip, target=1, abs=False)

    found = parameter_randomization(model, explain, layers=["1"])
    assert new[0] == model[1].weight[1].tolist()
    assert new[0] != new[1]
    assert max(map(abs, new[1])) <= 24**-0.5  # as torch draws them
    expected = oracles.spearman(new[0], new[1])
    assert found.similarity.item() == pytest.approx(expected, abs=1e-9)


class Scaled(nn.Module):
    """Parameters that no ``reset_parameters`` knows."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.arange(50.0))
        self.inner = nn.Linear(2, 2)


def test_parameters_without_a_reset_are_permuted():
    model, seen = Scaled(), []

    def explain(network):
        seen.append(network.scale.detach().clone())
        return CLIP

    found = parameter_randomization(model, explain)
    assert found.layers == ("inner", "")
    assert torch.equal(seen[1], model.scale)
    assert not torch.equal(seen[2], model.scale)
    assert torch.equal(seen[2].sort().values, model.scale)


def test_blocks_by_name_in_the_order_given():
    model, seen = trained(), []
    before = state(model)

    def explain(network):
        seen.append(state(network))
        return CLIP

    found = parameter_randomization(model, explain, layers=["stem", "head"], cascading=False)
    assert found.layers == ("stem", "head")
    changed = [
        {name.split(".")[0] for name in before if not torch.equal(before[name], now[name])}
        for now in seen
    ]
    assert changed == [set(), {"stem"}, {"head"}]
    whole = parameter_randomization(model, explain, layers=[""])
    assert whole.layers == ("",)
    assert all(not torch.equal(before[name], seen[-1][name]) for name in before)


def test_the_same_seed_gives_the_same_and_nothing_else_is_drawn_from():
    model = trained()
    before = torch.get_rng_state(), state(model), model.training
    first = parameter_randomization(model, gradient)
    assert torch.equal(torch.get_rng_state(), before[0])
    torch.rand(5)
    again = parameter_randomization(model, gradient, generator=torch.Generator().manual_seed(0))
    other = parameter_randomization(model, gradient, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first.similarity, again.similarity)
    assert not torch.equal(first.similarity, other.similarity)
    given = parameter_randomization(model, gradient, gradient(trained().eval()) * 0 + CLIP)
    assert not torch.equal(given.similarity, first.similarity)
    last = parameter_randomization(model, gradient, layers=["head"])
    assert torch.equal(last.similarity, first.similarity[:1])
    assert model.training is before[2]
    assert all(
        torch.equal(a, b) for a, b in zip(before[1].values(), state(model).values(), strict=True)
    )


def test_the_state_of_torch_comes_back_after_a_failure():
    model, calls = trained(), []

    def fails(network):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("planned failure")
        return CLIP

    before = torch.get_rng_state(), state(model)
    with pytest.raises(RuntimeError, match="planned failure"):
        parameter_randomization(model, fails)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(
        torch.equal(a, b) for a, b in zip(before[1].values(), state(model).values(), strict=True)
    )
    assert torch.is_grad_enabled()


def test_our_methods_and_recurrent_networks():
    model = trained()
    found = parameter_randomization(
        model, lambda m: GradCAM3D(m, "body").attribute(CLIP, target=1), layers=["head", "body"]
    )
    assert found.similarity.shape == (2, 2)
    series = torch.rand(2, 6, 5)
    found = parameter_randomization(
        RecurrentHead(), lambda m: Saliency(m).attribute(series, target=0)
    )
    assert found.layers == ("fc", "lstm")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_what_the_cpu_draws():
    model, seen = trained(), []

    def explain(network):
        seen.append({name: value.cpu() for name, value in state(network).items()})
        return CLIP.to(next(network.parameters()).device)

    before = torch.cuda.get_rng_state()
    parameter_randomization(model, explain)
    parameter_randomization(model.cuda(), explain)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    for name, value in seen[len(LAYERS)].items():
        assert torch.equal(value, seen[-1][name]), name


def test_structural_similarity_and_ones_own():
    model = trained()
    same = parameter_randomization(model, lambda m: CLIP, similarity="ssim")
    torch.testing.assert_close(same.similarity, torch.ones(5, 2).double())
    shifted = parameter_randomization(model, lambda m: CLIP * 3, CLIP, similarity="ssim")
    torch.testing.assert_close(shifted.similarity, torch.ones(5, 2).double())
    source = torch.Generator().manual_seed(0)
    noise = parameter_randomization(
        model, lambda m: torch.rand(CLIP.shape, generator=source), similarity="ssim"
    )
    assert noise.similarity.abs().max() < 0.2
    for size in (1, 2, 3):
        small = CLIP[..., :size, :size]
        found = parameter_randomization(model, lambda m, s=small: s, similarity="ssim")
        assert found.similarity.flatten().tolist() == pytest.approx([1] * 10, abs=1e-4)
    own = parameter_randomization(
        model, lambda m: CLIP, similarity=lambda a, b: (a - b).flatten(1).norm(dim=1)
    )
    assert own.similarity.eq(0).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": lambda x: x}, TypeError, "model: expected a module, got function"),
        ({"model": nn.ReLU()}, ValueError, r"layers: .* got none; there are \[\]"),
        ({"layers": ["neck"]}, ValueError, r"layers: .* got \['neck'\]; there are \['head', "),
        ({"layers": []}, ValueError, "layers: .* got none"),
        ({"layers": ["dropout"]}, ValueError, r"got \['dropout'\]"),
        (
            {"explain": lambda m: (CLIP, CLIP)},
            TypeError,
            "explain: the maps of the network as it is",
        ),
        (
            {"explain": lambda m: CLIP * torch.nan},
            ValueError,
            "explain: the maps of .*finite values",
        ),
        ({"attributions": CLIP[:1]}, ValueError, r"maps of shape \(1, 2, 4, 12, 12\) after 'head'"),
        ({"attributions": "map"}, TypeError, "attributions: expected a tensor, got str"),
        ({"similarity": "cosine"}, ValueError, "similarity: expected 'spearman', 'ssim' or a func"),
        (
            {"similarity": "ssim", "explain": lambda m: CLIP.flatten(1)},
            ValueError,
            r"explain: 'ssim' compares maps .* got \(2, 1152\)",
        ),
    ],
)
def test_bad_input_says_why(options, error, message):
    options = {"model": TinyNet3D(), "explain": lambda m: CLIP} | options
    with pytest.raises(error, match=message):
        parameter_randomization(**options)
