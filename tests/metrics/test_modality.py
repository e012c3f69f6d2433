import oracles
import pytest
import torch
from captum.attr import ShapleyValues
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import FailsAfter, TinyNet3D, TwoStreams

from captum_video import baselines
from captum_video.metrics import ModalityScore, modality_score

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def inputs():
    return torch.rand(3, 2, 4, 6, 5), torch.rand(3, 1, 2, 7, 7)


@st.composite
def games(draw, least=2, most=4):
    """Scores of all coalitions of k inputs, for two clips, in float64."""
    k = draw(st.integers(least, most))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    return k, torch.randn(2, 1 << k, dtype=torch.float64, generator=generator)


def played(table, k, **options):
    """The score of a model that looks up which inputs it was shown; clip n reads row n."""
    inputs = tuple(torch.ones(len(table), 1, 1, 1, 1, dtype=torch.float64) for _ in range(k))

    def model(*arguments):
        *shown, clip = arguments
        number = sum(one.flatten().long() << i for i, one in enumerate(shown))
        return table[clip, number]

    return modality_score(
        model,
        inputs,
        additional_forward_args=torch.arange(len(table)),
        activation=None,
        **options,
    )


@pytest.mark.parametrize("hidden", [None, baselines.channel_mean])
def test_a_sum_of_streams_gives_each_stream_its_own(hidden, inputs):
    model, target = TwoStreams().eval(), [0, 2, 1]
    hide = torch.zeros_like if hidden is None else hidden
    found = modality_score(model, inputs, hidden, target=target, activation=None)
    streams = ((model.visible, inputs[0]), (model.infrared, inputs[1]))
    rows = torch.arange(3)
    parts = torch.stack([(net(x) - net(hide(x)))[rows, target] for net, x in streams], 1)
    assert parts.abs().min() > 1e-4
    for name in ("shapley", "ablation", "alone"):
        torch.testing.assert_close(getattr(found, name), parts.detach(), **CLOSE)
    torch.testing.assert_close(found.total, parts.sum(1).detach(), **CLOSE)
    torch.testing.assert_close(found.interaction, torch.zeros(3), **CLOSE)


def test_inputs_that_need_each_other_and_inputs_that_say_the_same():
    ones = torch.ones(1, 1, 1, 1, 1)
    both = played(torch.tensor([[0.0, 0, 0, 1]]).double(), 2)
    either = played(torch.tensor([[0.0, 1, 1, 1]]).double(), 2)
    assert both.shapley.tolist() == either.shapley.tolist() == [[0.5, 0.5]]
    assert both.ablation.tolist() == either.alone.tolist() == [[1, 1]]
    assert both.alone.tolist() == either.ablation.tolist() == [[0, 0]]
    assert (both.interaction.item(), either.interaction.item()) == (1, -1)
    found = modality_score(lambda a, b: (a + b).flatten(1), (ones, ones), target=0)
    assert found.total.item() == 0  # the softmax of one output is always 1


@given(games())
@settings(max_examples=40)
def test_equals_a_slow_loop_over_orders(game):
    k, table = game
    found = played(table, k)
    assert torch.equal(found.coalitions, table)
    for n in range(len(table)):

        def worth(players, n=n):
            return table[n, sum(1 << i for i in players)].item()

        everyone = frozenset(range(k))
        assert found.shapley[n].tolist() == pytest.approx(oracles.shapley_values(worth, k))
        empty = worth(frozenset())
        alone = [worth(frozenset({i})) - empty for i in range(k)]
        without = [worth(everyone) - worth(everyone - {i}) for i in range(k)]
        assert found.alone[n].tolist() == pytest.approx(alone)
        assert found.ablation[n].tolist() == pytest.approx(without)
        total = worth(everyone) - empty
        assert found.total[n].item() == pytest.approx(total)
        assert found.interaction[n].item() == pytest.approx(total - sum(alone))


@given(games(), st.data())
@settings(max_examples=40)
def test_what_shapley_asked_for(game, data):
    k, table = game
    found = played(table, k)
    torch.testing.assert_close(found.shapley.sum(1), found.total)  # efficiency
    number = torch.arange(1 << k)
    i, j = data.draw(st.permutations(range(k)))[:2]
    swapped = number & ~((1 << i) | (1 << j)) | (number >> i & 1) << j | (number >> j & 1) << i
    other = played(table[:, swapped], k)
    order = list(range(k))
    order[i], order[j] = j, i
    for name in ("shapley", "ablation", "alone"):  # names do not matter
        torch.testing.assert_close(getattr(other, name), getattr(found, name)[:, order])
    torch.testing.assert_close(other.interaction, found.interaction)
    alike = played(table + table[:, swapped], k).shapley  # symmetry
    torch.testing.assert_close(alike[:, i], alike[:, j])
    without = played(table[:, number & ~(1 << i)], k)  # dummy
    for name in ("shapley", "ablation", "alone"):
        assert getattr(without, name)[:, i].abs().max() < 1e-12
    torch.testing.assert_close(alike, found.shapley + other.shapley)  # additivity


def test_equals_captums_shapley_values_of_whole_inputs():
    class Product(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.streams = TwoStreams()

        def forward(self, a, b, c):
            return self.streams(a, b) * (1 + c.mean((1, 2, 3, 4)))[:, None]

    model = Product().eval()
    inputs = torch.rand(2, 2, 3, 4, 4), torch.rand(2, 1, 3, 4, 4), torch.rand(2, 1, 1, 2, 2)
    masks = tuple(torch.full_like(x[:1], i, dtype=torch.long) for i, x in enumerate(inputs))
    expected = ShapleyValues(model).attribute(inputs, feature_mask=masks, target=1)
    found = modality_score(model, inputs, target=1, activation=None).shapley
    for i, one in enumerate(expected):
        torch.testing.assert_close(found[:, i], one.flatten(1)[:, 0], **CLOSE)


@given(st.sampled_from([1, 2, 3, 50, "auto"]))
def test_chunks_and_neighbours_do_not_matter(chunk):
    model = TwoStreams().eval().double()
    inputs = torch.rand(2, 2, 3, 4, 4).double(), torch.rand(2, 1, 3, 4, 4).double()
    found = modality_score(model, inputs, target=[1, 2], perturbations_per_eval=chunk)
    for n in range(2):
        alone = modality_score(model, tuple(x[n : n + 1] for x in inputs), target=[1, 2][n])
        torch.testing.assert_close(found.coalitions[n : n + 1], alone.coalitions)


def test_probabilities_by_default_in_a_pass_per_coalition(inputs):
    model, rows = TwoStreams().eval(), []
    model.register_forward_hook(lambda _, arguments, out: rows.append(len(out)))
    found = modality_score(model, inputs, target=1)
    assert sum(rows) == 3 * 4
    whole, empty = model(*inputs), model(*map(torch.zeros_like, inputs))
    expected = (whole.softmax(1) - empty.softmax(1))[:, 1]
    torch.testing.assert_close(found.total, expected.detach(), **CLOSE)
    assert found.coalitions.shape == (3, 4)
    assert not found.coalitions.is_inference()


def test_left_as_found_also_after_a_failure(inputs):
    model = TwoStreams().train()
    model.visible.eval()
    before, state = [x.clone() for x in inputs], torch.get_rng_state()
    modality_score(model, inputs, target=1)
    with pytest.raises(RuntimeError, match="planned failure"):
        modality_score(FailsAfter(model, 1), inputs, target=1, perturbations_per_eval=1)
    assert model.training
    assert not model.visible.training
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"inputs": torch.rand(1, 2, 3, 4, 4)}, TypeError, "2 to 10 clips, got Tensor; to ask"),
        ({"inputs": (torch.rand(1, 2, 3, 4, 4),)}, ValueError, "2 to 10 clips .* got 1"),
        ({"inputs": (torch.rand(1, 1, 1, 1, 1),) * 11}, ValueError, "got 11"),
        ({"inputs": (torch.rand(1, 2, 3, 4, 4), None)}, TypeError, r"inputs\[1\]: expected a tens"),
        (
            {"inputs": (torch.rand(1, 2, 3, 4, 4), torch.rand(2, 1, 3, 4, 4))},
            ValueError,
            r"as many clips in each, got \[1, 2\]",
        ),
        ({"baselines": (0, 0, 0)}, ValueError, r"one per input \(2\), got 3"),
        ({"activation": "relu"}, ValueError, "expected 'softmax' or None, got 'relu'"),
        ({"target": 3}, ValueError, "target 3: expected 0 <= target < 3"),
        ({"target": None}, ValueError, "one per clip"),
    ],
)
def test_bad_input_says_why(change, error, message):
    arguments = {"inputs": (torch.rand(1, 2, 3, 4, 4), torch.rand(1, 1, 3, 4, 4)), "target": 1}
    with pytest.raises(error, match=message):
        modality_score(TwoStreams(), **(arguments | change))


def test_the_cure_for_stacked_channels_works():
    model, clip = TinyNet3D().eval(), torch.rand(1, 2, 3, 4, 4)
    found = modality_score(
        lambda a, b: model(torch.cat([a, b], 1)), (clip[:, :1], clip[:, 1:]), target=1
    )
    whole = model(clip).softmax(1)[:, 1]
    torch.testing.assert_close(found.coalitions[:, -1], whole.detach(), **CLOSE)
    assert isinstance(found, ModalityScore)
