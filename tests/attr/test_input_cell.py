"""Attribution of an input-cell attention LSTM, and what every method promises, for this one."""

import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from captum.metrics import sensitivity_max
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence
from toy_models import FailsAfter

from captum_video.attr import InputCellAttribution
from captum_video.nn import InputCellAttentionLSTM

KINDS = ("gradient", "attention", "attention_x_gradient")
FORMS = [(kind, False) for kind in KINDS] + [("gradient", True), ("attention_x_gradient", True)]
each_form = pytest.mark.parametrize(("kind", "to_inputs"), FORMS)
each_slope = pytest.mark.parametrize("kind", ["gradient", "attention_x_gradient"])
each_combine = pytest.mark.parametrize("combine", ["mean", "concat"])
CLOSE = {"atol": 1e-6, "rtol": 1e-4}
EXACT = {"atol": 1e-10, "rtol": 1e-10}


class SequenceNet(nn.Module):
    """Frame encoder, cell of two layers with dropout, linear head on the last step."""

    def __init__(self, combine: str = "mean", classes: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.cell = InputCellAttentionLSTM(
            4, 5, num_layers=2, dropout=0.5, attention_size=6, hops=3, combine=combine
        )
        self.head = nn.Linear(5, classes)

    def features(self, clip: Tensor) -> Tensor:
        return (
            self.encoder(clip.transpose(1, 2).flatten(0, 1))
            .mean((2, 3))
            .unflatten(0, clip.shape[::2][:2])
        )

    def forward(self, clip: Tensor, gain: Tensor | None = None, lengths=None) -> Tensor:
        outputs, (h_n, _) = self.cell(self.features(clip), lengths=lengths)
        scores = self.head(h_n[-1] + outputs.mean(1))
        return scores if gain is None else scores * gain[:, None]


class Reader(nn.Module):
    """A cell on plain sequences, and a linear read-out of all that the LSTM puts out."""

    def __init__(self, combine="mean", features=3, steps=6, lengths=None) -> None:
        super().__init__()
        self.cell = InputCellAttentionLSTM(
            features, 4, attention_size=5, hops=2, combine=combine
        ).double()
        for parameter in self.cell.parameters():
            nn.init.normal_(parameter, std=0.7)
        self.weights = nn.Parameter(torch.randn(steps, 4).double())
        self.lengths = lengths

    def forward(self, sequences: Tensor) -> Tensor:
        outputs = self.cell(sequences, lengths=self.lengths)[0]
        return (outputs * self.weights).sum((1, 2))


@pytest.fixture
def clip():
    return torch.rand(2, 2, 5, 6, 7)


@pytest.fixture
def model():
    return SequenceNet().eval()


def sequences_of(n=2, steps=6, features=3):
    return torch.randn(n, steps, features, dtype=torch.float64)


def by_hand(reader: Reader, sequences: Tensor, lengths=None):
    """Dense attention, what it hands on, and the score's slopes there, step by step."""
    dense = reader.cell(sequences, lengths=lengths, return_attention=True)[2].detach()
    hops = torch.stack([dense[:, k] @ sequences for k in range(dense.shape[1])], 2)  # n t k f
    handed = hops.mean(2) if reader.cell.combine == "mean" else hops.flatten(2)
    handed = handed.detach().requires_grad_()
    outputs = reader.cell.lstm(handed)[0]
    if lengths is not None:
        for n, length in enumerate(lengths):
            outputs = outputs.clone()
            outputs[n, length:] = 0
    (slopes,) = torch.autograd.grad((outputs * reader.weights).sum(), handed)
    return dense, handed.detach(), slopes


@each_combine
@pytest.mark.parametrize("lengths", [None, [4, 6]])
def test_attention_x_gradient_is_the_effect_of_what_the_lstm_is_handed(combine, lengths):
    reader, sequences = Reader(combine, lengths=lengths), sequences_of()
    dense, handed, slopes = by_hand(reader, sequences, lengths)
    found = InputCellAttribution(reader, reader.cell).attribute(
        sequences, kind="attention_x_gradient"
    )
    torch.testing.assert_close(found.sum((1, 2)), (handed * slopes).sum((1, 2)), **EXACT)
    expected = torch.zeros_like(sequences)
    _, steps, features = sequences.shape
    for hop in range(2):
        own = slopes / 2 if combine == "mean" else slopes.unflatten(2, (2, features))[:, :, hop]
        for t in range(steps):
            for s in range(t + 1):
                expected[:, s] += sequences[:, s] * dense[:, hop, t, s, None] * own[:, t]
    torch.testing.assert_close(found, expected, **EXACT)


@each_combine
@pytest.mark.parametrize("lengths", [None, [4, 6]])
def test_attention_is_the_mean_of_the_dense_one(combine, lengths):
    reader, sequences = Reader(combine, lengths=lengths), sequences_of()
    found = InputCellAttribution(reader, "cell").attribute(sequences, kind="attention")
    torch.testing.assert_close(found.sum(1), torch.ones(2, 3).double(), **EXACT)
    dense = by_hand(reader, sequences, lengths)[0]
    for n, length in enumerate(lengths or [6, 6]):
        expected = dense[n, :, :length].mean((0, 1))
        torch.testing.assert_close(found[n], expected[:, None].expand(-1, 3), **EXACT)


@each_combine
@pytest.mark.parametrize("lengths", [None, [4, 6]])
def test_gradient_is_the_derivative_by_finite_differences(combine, lengths):
    reader, sequences = Reader(combine, lengths=lengths), sequences_of()
    found = InputCellAttribution(reader, "cell").attribute(sequences)
    for place in [(0, 0, 1), (0, 3, 2), (1, 5, 0), (0, 5, 1)]:
        step = torch.zeros_like(sequences)
        step[place] = 1e-5
        slope = (reader(sequences + step) - reader(sequences - step))[place[0]] / 2e-5
        torch.testing.assert_close(found[place], slope.detach(), atol=1e-7, rtol=1e-6)
    if lengths:
        assert not found[0, 4:].any()


@given(n=st.integers(1, 3), steps=st.integers(1, 70), features=st.integers(1, 4))
@settings(max_examples=15)
def test_effects_add_up_for_all_sizes(n, steps, features):
    reader, sequences = Reader(features=features, steps=steps), sequences_of(n, steps, features)
    _, handed, slopes = by_hand(reader, sequences)
    cell = InputCellAttribution(reader, "cell")
    effect = cell.attribute(sequences, kind="attention_x_gradient")
    torch.testing.assert_close(effect.sum((1, 2)), (handed * slopes).sum((1, 2)))
    share = cell.attribute(sequences, kind="attention")
    torch.testing.assert_close(share.sum(1), torch.ones(n, features).double())


class Straight(nn.Module):
    """An LSTM put aside: the score is a weighted sum of what it would be handed."""

    def __init__(self, cell: InputCellAttentionLSTM, weights: Tensor) -> None:
        super().__init__()
        self.cell, self.weights = cell, weights
        cell.lstm.forward = lambda handed, states=None: (handed, None)

    def forward(self, sequences: Tensor) -> Tensor:
        return (self.cell(sequences)[0] * self.weights).sum((1, 2))


def test_linear_read_out_in_closed_form():
    """Uniform attention: step s has a share of 1/(t + 1) in each step t >= s."""
    weights, sequences = torch.randn(5, 3).double(), sequences_of(2, 5)
    cell = InputCellAttentionLSTM(3, 4, hops=2).double()
    nn.init.zeros_(cell.linear_second.weight)
    explained = InputCellAttribution(Straight(cell, weights), "cell")
    slopes = torch.stack([sum(weights[t] / (t + 1) for t in range(s, 5)) for s in range(5)])
    shares = torch.tensor([sum(1 / (t + 1) for t in range(s, 5)) / 5 for s in range(5)]).double()
    for kind, expected in (
        ("gradient", slopes.expand(2, 5, 3)),
        ("attention_x_gradient", sequences * slopes),
        ("attention", shares[:, None].expand(2, 5, 3)),
    ):
        torch.testing.assert_close(explained.attribute(sequences, kind=kind), expected)


def test_to_inputs_goes_on_through_the_encoder(model, clip):
    cell = InputCellAttribution(model, "cell")
    expected = Saliency(model).attribute(clip.requires_grad_(), target=1, abs=False)
    found = cell.attribute(clip, target=1, to_inputs=True)
    torch.testing.assert_close(found, expected, **CLOSE)
    leaf = clip.detach().requires_grad_()
    features = model.features(leaf)
    effects = cell.attribute(clip, target=1, kind="attention_x_gradient")
    (expected,) = torch.autograd.grad(features, leaf, effects / features.detach())
    found = cell.attribute(clip, target=1, kind="attention_x_gradient", to_inputs=True)
    torch.testing.assert_close(found, leaf.detach() * expected, **CLOSE)


def test_paths_past_the_cell_do_not_count():
    reader, sequences = Reader(), sequences_of()
    beside = lambda x: reader(x) + (x * 10).sum((1, 2))  # noqa: E731
    for to_inputs in (False, True):
        found = InputCellAttribution(beside, reader.cell).attribute(sequences, to_inputs=to_inputs)
        expected = InputCellAttribution(reader, reader.cell).attribute(sequences)
        torch.testing.assert_close(found, expected)


class Fused(nn.Module):
    """Two inputs, of which the cell sees the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.net = SequenceNet()

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.net(visible + 2 * infrared)


@each_form
def test_shapes_and_kinds(kind, to_inputs, model, clip):
    options = {"target": 1, "kind": kind, "to_inputs": to_inputs}
    pair = (clip, torch.rand_like(clip))
    for network, inputs in ((model, clip), (model, (clip,)), (Fused().eval(), pair)):
        found = InputCellAttribution(
            network, next(m for m in network.modules() if isinstance(m, InputCellAttentionLSTM))
        ).attribute(inputs, **options)
        assert isinstance(found, tuple) is (to_inputs and isinstance(inputs, tuple))
        parts = found if isinstance(found, tuple) else (found,)
        for part in parts:
            assert part.shape == (clip.shape if to_inputs else (2, 5, 4))
            assert part.dtype == torch.float32
            assert part.is_contiguous()
            assert not part.requires_grad
            assert torch.isfinite(part).all()
            assert part.std() > 0


@each_form
def test_targets_and_arguments(kind, to_inputs, model, clip):
    explained = InputCellAttribution(model, model.cell)
    options = {"kind": kind, "to_inputs": to_inputs}
    expected = explained.attribute(clip, 2, **options)
    for target in ((2,), torch.tensor(2), torch.tensor([2, 2]), [2, 2], [(2,), (2,)]):
        torch.testing.assert_close(explained.attribute(clip, target, **options), expected, **CLOSE)
    mixed = explained.attribute(clip, [0, 2], **options)
    torch.testing.assert_close(mixed[1], expected[1], **CLOSE)
    gained = explained.attribute(clip, 2, torch.tensor([1.0, 3.0]), **options)
    factor = 1 if kind == "attention" else 3
    torch.testing.assert_close(gained[1], factor * expected[1], **CLOSE)
    assert torch.allclose(mixed[0], expected[0]) is (kind == "attention")
    alone = explained.attribute(clip[1:], 2, **options)
    torch.testing.assert_close(alone, expected[1:], **CLOSE)


def snapshot(model, clip):
    return [
        *[v.clone() for v in model.state_dict().values()],
        [m.training for m in model.modules()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        [(p.grad, p.requires_grad) for p in model.parameters()],
        (clip.clone(), clip.requires_grad, clip.grad, model.cell.lstm.dropout),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_rng_state()),
    ]


@each_form
@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_everything_is_left_as_found(kind, to_inputs, context, clip):
    model, options = SequenceNet().train(), {"kind": kind, "to_inputs": to_inputs}
    model.encoder.eval()
    expected = InputCellAttribution(evaluated_twin(model), "cell").attribute(clip, 1, **options)
    with context():
        inputs = clip * 1
        gain = torch.ones(2) * 1  # with inference_mode these two are inference tensors
        before = str(snapshot(model, inputs))
        found = InputCellAttribution(model, "cell").attribute(inputs, 1, gain, **options)
        assert str(snapshot(model, inputs)) == before
    assert not found.is_inference()
    torch.testing.assert_close(found, expected, **CLOSE)


def evaluated_twin(model):
    twin = SequenceNet()
    twin.load_state_dict(model.state_dict())
    return twin.eval()


@each_form
@pytest.mark.parametrize("where", ["after", "in the LSTM"])
def test_everything_is_left_as_found_after_a_failure(kind, to_inputs, where, clip):
    model = SequenceNet().train()
    failing = FailsAfter(model, 0)
    if where == "in the LSTM":

        def fail(*args):
            raise RuntimeError("planned failure")

        model.cell.lstm.forward = fail
    before = str(snapshot(model, clip))
    with pytest.raises(RuntimeError, match="planned failure"):
        InputCellAttribution(failing, model.cell).attribute(clip, 1, kind=kind, to_inputs=to_inputs)
    assert str(snapshot(model, clip)) == before


@each_form
def test_autocast(kind, to_inputs, model, clip):
    explained, options = InputCellAttribution(model, "cell"), {"kind": kind, "to_inputs": to_inputs}
    expected = explained.attribute(clip, 1, **options)
    with torch.autocast("cpu", torch.bfloat16):
        found = explained.attribute(clip, 1, **options)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.1 * float(expected.abs().max()), rtol=0.1)


@each_slope
def test_inside_noise_tunnel_and_sensitivity(kind, model, clip):
    explained = InputCellAttribution(model, "cell")
    options = {"target": [0, 2], "kind": kind, "to_inputs": True}
    smooth = NoiseTunnel(explained).attribute(
        clip, nt_type="smoothgrad", nt_samples=3, stdevs=0.0, **options
    )
    torch.testing.assert_close(smooth, explained.attribute(clip, **options), **CLOSE)
    noisy = NoiseTunnel(explained).attribute(
        (clip,), nt_type="vargrad", nt_samples=4, nt_samples_batch_size=2, stdevs=0.3, **options
    )
    assert noisy[0].shape == clip.shape
    assert noisy[0].max() > 0
    sensitivity = sensitivity_max(explained.attribute, clip, n_perturb_samples=2, **options)
    assert sensitivity.shape == (2,)
    assert torch.isfinite(sensitivity).all()


def test_a_function_around_the_model_runs_the_lstm_differentiably(model, clip):
    seen = []
    model.cell.lstm.register_forward_pre_hook(
        lambda lstm, args: seen.append((lstm.training, lstm.dropout))
    )
    expected = InputCellAttribution(model, "cell").attribute(clip, 1)
    found = InputCellAttribution(lambda x: model(x), model.cell).attribute(clip, 1)
    torch.testing.assert_close(found, expected, **CLOSE)
    assert seen == [(True, 0.0)] * 2
    assert model.cell.lstm.dropout == 0.5


def test_cells_called_by_keyword(model, clip):
    def by_keyword(x):
        features = model.features(x)
        outputs, (h_n, _) = model.cell(lengths=None, inputs=features)
        features.zero_()  # what the model does with its own is no matter
        return model.head(h_n[-1] + outputs.mean(1))

    for kind, to_inputs in FORMS:
        options = {"kind": kind, "to_inputs": to_inputs}
        found = InputCellAttribution(by_keyword, model.cell).attribute(clip, 1, **options)
        expected = InputCellAttribution(model, "cell").attribute(clip, 1, **options)
        torch.testing.assert_close(found, expected, **CLOSE)


@each_combine
def test_padding_may_hold_anything(combine):
    """NaN beyond a sequence's end, as an encoder may leave it there, reaches nothing."""
    reader, sequences = Reader(combine, lengths=[4, 6]), sequences_of()
    dirty = lambda x: reader(torch.cat([x[:, :4], x[:, 4:] / torch.tensor([[[0.0]], [[1.0]]])], 1))  # noqa: E731
    sequences[0, 4:] = 0
    for kind in KINDS:
        found = InputCellAttribution(dirty, reader.cell).attribute(sequences, kind=kind)
        expected = InputCellAttribution(reader, reader.cell).attribute(sequences, kind=kind)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: InputCellAttribution(m, "head"), TypeError, "cell: expected an InputCellAttentionLSTM, got Linear"),
        (lambda m: InputCellAttribution(m, "lstm"), ValueError, "layer 'lstm' is not in the model"),
        (lambda m: InputCellAttribution(m, SequenceNet().cell), ValueError, "is not a module of SequenceNet"),
        (lambda m: InputCellAttribution(m, "cell").attribute(torch.rand(2, 2, 5, 6, 7), 1, kind="saliency"),
         ValueError, "kind: expected 'gradient', .* got 'saliency'"),
        (lambda m: InputCellAttribution(m, "cell").attribute(torch.rand(2, 2, 5, 6, 7), 1, kind="attention", to_inputs=True),
         ValueError, "to_inputs: expected False for kind 'attention'"),
    ],
)  # fmt: skip
def test_bad_options_say_why(make, error, message, model):
    with pytest.raises(error, match=message):
        make(model)


@pytest.mark.parametrize(
    ("inputs", "target", "error", "message"),
    [
        ([[0.0]], 1, TypeError, "inputs: expected a tensor, got list"),
        ((), 1, ValueError, "at least one tensor, got an empty tuple"),
        (torch.ones(2, 2, 5, 6, 7, dtype=torch.uint8), 1, TypeError, "got torch.uint8"),
        (torch.full((2, 2, 5, 6, 7), torch.nan), 1, ValueError, "NaN or infinity"),
        (torch.rand(0, 2, 5, 6, 7), 1, ValueError, "not empty"),
        (torch.tensor(1.0), 1, ValueError, r"as many clips in each, on the first axis, got \[0\]"),
        ((torch.rand(2, 3), torch.rand(3, 3)), 1, ValueError, r"as many clips in each, .* got \[2, 3\]"),
        (torch.rand(2, 2, 5, 6, 7), 3, ValueError, "target 3: expected 0 <= target < 3"),
        (torch.rand(2, 2, 5, 6, 7), [1], ValueError, "target: expected one entry per clip"),
        (torch.rand(2, 2, 5, 6, 7), None, ValueError, "one per clip"),
    ],
)  # fmt: skip
def test_bad_inputs_say_why(inputs, target, error, message, model):
    before = str(snapshot(model, torch.zeros(1)))
    with pytest.raises(error, match=message):
        InputCellAttribution(model, "cell").attribute(inputs, target)
    assert str(snapshot(model, torch.zeros(1))) == before


def no_grad_encoder(m):
    def run(clip):
        with torch.no_grad():
            features = m.features(clip)
        return m.head(m.cell(features)[0][:, -1])

    return run


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: lambda x: m.head(x.mean((1, 2, 3))[:, :5]), ValueError, "expected to run once .* ran 0 times"),
        (lambda m: lambda x: m(x) + m(x.flip(2)), ValueError, "expected to run once .* ran 2 times"),
        (lambda m: lambda x: m(x).detach(), ValueError, "does not depend on the cell"),
        (lambda m: lambda x: m(x).detach() + x.sum(), ValueError, "does not depend on the cell"),
        (lambda m: no_grad_encoder(m), ValueError, "run under torch.no_grad"),
        (lambda m: lambda x: m.head(m.cell(m.features(x)[0])[0][-1:].expand(2, -1)), ValueError,
         r"expected to be given \(N, T, F\), got shape \(5, 4\)"),
        (lambda m: lambda x: m.head(m.cell(m.features(x)[:1])[0][:, -1].expand(2, -1)), ValueError,
         r"a sequence for each of 2 clips, got shape \(1, 5, 4\)"),
        (lambda m: lambda x: m.head(m.cell(pack_sequence(list(m.features(x))))[1][0][-1]), TypeError,
         "expected to be given a tensor .* got PackedSequence; .* with their lengths"),
    ],
)  # fmt: skip
def test_cells_that_can_not_be_attributed_say_why(make, error, message, model, clip):
    with pytest.raises(error, match=message):
        InputCellAttribution(make(model), model.cell).attribute(clip, 1, to_inputs=True)
    assert not model.cell._forward_pre_hooks
    assert not model.cell.lstm._forward_pre_hooks


def test_an_encoder_under_no_grad_can_be_explained_at_the_cell(model, clip):
    frozen = InputCellAttribution(no_grad_encoder(model), model.cell)
    assert frozen.attribute(clip, 1).std() > 0
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert frozen.attribute(clip, 1, kind="attention_x_gradient").std() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_form
def test_gpu_gives_what_the_cpu_gives(kind, to_inputs, model, clip):
    options = {"kind": kind, "to_inputs": to_inputs}
    expected = InputCellAttribution(model, "cell").attribute(clip, 1, **options)
    model, clip = model.cuda(), clip.cuda()
    for function in (model, lambda x: model(x)):
        found = InputCellAttribution(function, model.cell).attribute(clip, 1, **options)
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), expected, atol=1e-3, rtol=1e-2)
