import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import input_cell_lstm
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from captum_video.modes import evaluation_mode, recurrent_gradients
from captum_video.nn import InputCellAttentionLSTM, _causal_attention

EXACT = {"atol": 1e-10, "rtol": 1e-10}
each_combine = pytest.mark.parametrize("combine", ["mean", "concat"])


def cell(combine="mean", features=3, hidden=4, layers=1, scale=1.0, hops=2, **options):
    """A cell in float64, all of its parameters (biases too) away from 0."""
    made = InputCellAttentionLSTM(
        features, hidden, layers, attention_size=5, hops=hops, combine=combine, **options
    ).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.7)
    made.linear_second.weight.data *= scale
    return made


def sequences(n=2, steps=6, features=3):
    return torch.randn(n, steps, features, dtype=torch.float64, requires_grad=True)


def states_of(module, n=2):
    shape = (module.lstm.num_layers, n, module.lstm.hidden_size)
    return tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))


def oracle(module, inputs, states):
    return input_cell_lstm(
        dict(module.named_parameters()), inputs, module.combine == "concat", *states
    )


def assert_equals_the_oracle(module, inputs, states):
    outputs, (h, c), attention = module(inputs, states, return_attention=True)
    found = (outputs, h, c, attention)
    expected = oracle(module, inputs, states)
    torch.testing.assert_close(found, expected, **EXACT)
    leaves = [inputs, *states, *module.parameters()]
    weight = [torch.randn_like(part) for part in expected]
    gradients = [
        torch.autograd.grad(sum((w * p).sum() for w, p in zip(weight, parts, strict=True)), leaves)
        for parts in (found, expected)
    ]
    torch.testing.assert_close(gradients[0], gradients[1], **EXACT)


@each_combine
@pytest.mark.parametrize("layers", [1, 2])
def test_equals_the_cell_step_by_step(combine, layers):
    module = cell(combine, layers=layers)
    assert_equals_the_oracle(module, sequences(), states_of(module))


@given(
    combine=st.sampled_from(["mean", "concat"]),
    n=st.integers(1, 3),
    steps=st.integers(1, 9),
    features=st.integers(1, 4),
    hidden=st.integers(1, 3),
    hops=st.integers(1, 3),
    scale=st.sampled_from([0.0, 1.0, 30.0, 1000.0]),
)
@settings(max_examples=30)
def test_equals_the_cell_for_all_sizes(combine, n, steps, features, hidden, hops, scale):
    module = cell(combine, features, hidden, hops=hops, scale=scale)
    assert_equals_the_oracle(module, sequences(n, steps, features), states_of(module, n))


@each_combine
def test_long_sequences_cross_blocks(combine):
    """The oracle's way for more steps than a block has, in either way to compute."""
    for scale in (1.0, 1000.0):
        module, inputs = cell(combine, scale=scale), sequences(1, 150)
        assert_equals_the_oracle(module, inputs, states_of(module, 1))


def way(scaled):
    return _causal_attention.attend_scaled if scaled else _causal_attention.attend


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_block_size_changes_nothing(scaled, average):
    scores, values = torch.randn(2, 2, 37, 4, dtype=torch.float64)
    dense = _causal_attention.dense_weights(scores) @ values[:, None]
    expected = dense.mean(1) if average else dense.transpose(1, 2)
    for block_size in (1, 2, 7, 36, 37, 100):
        found = way(scaled)(scores, values, average, block_size)
        torch.testing.assert_close(found, expected, **EXACT)


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("peak_first", [True, False])
@pytest.mark.parametrize("block_size", [8, 9])
def test_scores_of_any_range_are_scaled_by_their_own_past(average, peak_first, block_size):
    """In float32, rising or falling by thousands: a global maximum would leave 0/0 behind."""
    scores = torch.linspace(-5000, 5000, 40)[None, :, None].repeat(1, 1, 2)
    scores = (scores.flip(1) if peak_first else scores).requires_grad_()
    values = torch.randn(1, 40, 3, requires_grad=True)
    found = _causal_attention.attend_scaled(scores, values, average, block_size)
    expected = values[:, :1].expand_as(values) if peak_first else values
    found = found if average else found[:, :, 0]
    torch.testing.assert_close(found, expected)
    for gradient in torch.autograd.grad(found.square().sum(), (scores, values)):
        assert torch.isfinite(gradient).all()


def test_which_scores_are_small_does_not_depend_on_the_inputs(monkeypatch):
    module, inputs = cell(), sequences()
    seen = []
    for name in ("attend", "attend_scaled"):
        plain = getattr(_causal_attention, name)
        note = lambda *args, name=name, plain=plain: (seen.append(name), plain(*args))[1]  # noqa: E731
        monkeypatch.setattr(_causal_attention, name, note)
    for scale in (1.0, 1e-9, 1000.0):
        module.linear_second.weight.data.fill_(scale)
        module.linear_second.bias.data.zero_()
        module(inputs * 1e6)
    assert seen == ["attend", "attend", "attend_scaled"]


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@each_combine
def test_no_output_depends_on_the_future(combine, scale):
    module, inputs = cell(combine, scale=scale).float(), sequences(2, 90).float().detach()
    other = inputs.clone()
    other[:, 50:] = 1e6 * torch.randn(2, 40, 3)
    assert torch.equal(module(inputs)[0][:, :50], module(other)[0][:, :50])
    assert not torch.equal(module(inputs)[0][:, 50:], module(other)[0][:, 50:])


@each_combine
def test_attention_without_weights_is_the_mean_of_the_past(combine):
    module, inputs = cell(combine, hops=1, scale=0.0), sequences(1, 5)
    running = inputs.cumsum(1) / torch.arange(1, 6)[:, None]
    torch.testing.assert_close(module.attend(inputs), running, **EXACT)
    torch.testing.assert_close(module(inputs), module.lstm(running), **EXACT)


def test_attention_is_lower_triangular_and_sums_to_one():
    attention = cell()(sequences(), lengths=[6, 4], return_attention=True)[2]
    assert attention.shape == (2, 2, 6, 6)
    assert not attention.triu(1).any()
    rows = attention.sum(-1)
    torch.testing.assert_close(rows[0], torch.ones_like(rows[0]))
    torch.testing.assert_close(rows[1, :, :4], torch.ones_like(rows[1, :, :4]))
    assert not rows[1, :, 4:].any()


@each_combine
@pytest.mark.parametrize("layers", [1, 2])
def test_lengths_give_what_each_sequence_gives_alone(combine, layers):
    module, inputs, lengths = cell(combine, layers=layers), sequences(4), [3, 6, 1, 3]
    inputs = inputs.detach()
    states = states_of(module, 4)
    for n, length in enumerate(lengths):
        inputs[n, length:] = torch.nan
    outputs, last = module(inputs, states, lengths)
    for n, length in enumerate(lengths):
        own = tuple(state[:, n] for state in states)
        alone, last_alone = module(inputs[n, :length], own)
        torch.testing.assert_close(outputs[n, :length], alone, **EXACT)
        assert not outputs[n, length:].any()
        for state, state_alone in zip(last, last_alone, strict=True):
            torch.testing.assert_close(state[:, n], state_alone, **EXACT)


@pytest.mark.parametrize("in_order", [True, False])
def test_packed_sequences_give_what_lengths_give(in_order):
    module, inputs = cell(), sequences(4)
    lengths = torch.tensor([6, 3, 3, 1] if in_order else [3, 6, 1, 3])
    states = states_of(module, 4)
    packed = pack_padded_sequence(inputs, lengths, True, enforce_sorted=in_order)
    outputs, last, attention = module(packed, states, return_attention=True)
    expected = module(inputs, states, lengths, return_attention=True)
    plain = module.lstm(packed)[0]
    assert outputs.batch_sizes.equal(plain.batch_sizes)
    assert (outputs.unsorted_indices is None) is in_order
    unpacked = pad_packed_sequence(outputs, True)[0]
    torch.testing.assert_close((unpacked, last, attention), expected, **EXACT)


def test_takes_the_place_of_the_library_lstm():
    """Shapes and kinds of all that comes back, for every way to call."""
    ours = InputCellAttentionLSTM(3, 4, num_layers=2, bias=False, batch_first=True)
    theirs = nn.LSTM(3, 4, num_layers=2, bias=False, batch_first=True)
    packed = pack_sequence([torch.rand(5, 3), torch.rand(2, 3)])
    for inputs in (torch.rand(2, 5, 3), torch.rand(5, 3), packed):
        found, expected = ours(inputs), theirs(inputs)
        assert type(found) is type(expected)
        assert type(found[0]) is type(expected[0])
        assert [s.shape for s in found[1]] == [s.shape for s in expected[1]]
        if inputs is not packed:
            assert found[0].shape == expected[0].shape
    one = torch.rand(5, 3)
    attention = ours(one, return_attention=True)[2]
    assert attention.shape == (20, 5, 5)
    torch.testing.assert_close(ours(one)[0], ours(one[None])[0][0])


@each_combine
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_first_and_second_derivatives(combine, scale):
    module = cell(combine, features=2, hidden=2, scale=scale)
    inputs = sequences(1, 4, 2)
    assert torch.autograd.gradcheck(module.attend, inputs)
    assert torch.autograd.gradgradcheck(module.attend, inputs)
    assert torch.autograd.gradcheck(lambda x: module(x)[0], inputs)
    assert torch.autograd.gradgradcheck(lambda x: module(x)[0], inputs)


def test_derivatives_at_the_edge_of_small_scores_are_those_of_float64():
    """Sums of 5000 steps, all at the largest score that is exponentiated as it is, or the smallest."""
    for score in (_causal_attention.SAFE_SCORE, -_causal_attention.SAFE_SCORE):
        scores, values = torch.full((1, 5000, 1), score), torch.rand(1, 5000, 1)
        scores[:, ::2] -= score / 10
        found = []
        for dtype in (torch.float32, torch.float64):
            leaf = scores.to(dtype).requires_grad_()
            seen = _causal_attention.attend(leaf, values.to(dtype), average=True)
            (first,) = torch.autograd.grad(seen.square().sum(), leaf, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), leaf)
            found.append((first.double(), second.double()))
        torch.testing.assert_close(found[0], found[1], rtol=2e-3, atol=1e-5)


def test_held_scores_make_the_attention_linear():
    module, inputs = cell(), sequences()
    scores = module.scores(inputs).detach()
    assert scores.shape == (2, 6, 2)
    other = torch.randn(2, 6, 1, dtype=torch.float64)
    both = module.attend(torch.cat([inputs, 3 * other], -1), scores)
    torch.testing.assert_close(both[..., :3], module.attend(inputs), **EXACT)
    torch.testing.assert_close(both[..., 3:], 3 * module.attend(other, scores), **EXACT)


def released_state(module, prefix="rnn."):
    """The module's weights under the names, and in the shapes, of the authors' cell."""
    state = {f"{prefix}{name}": value for name, value in module.state_dict().items()}
    lstm = {name: state.pop(name) for name in list(state) if ".lstm." in name}
    state[f"{prefix}weight_iBarh"] = lstm[f"{prefix}lstm.weight_ih_l0"].T.contiguous()
    state[f"{prefix}weight_hh"] = lstm[f"{prefix}lstm.weight_hh_l0"].T.contiguous()
    state[f"{prefix}bias"] = lstm[f"{prefix}lstm.bias_ih_l0"] + lstm[f"{prefix}lstm.bias_hh_l0"]
    return state | {"fc.weight": torch.zeros(1)}


@each_combine
def test_released_weights_load(combine, tmp_path):
    module, inputs = cell(combine), sequences()
    torch.save(released_state(module), tmp_path / "cell.pt")
    state = torch.load(tmp_path / "cell.pt", weights_only=True)
    loaded = InputCellAttentionLSTM.from_released(state, prefix="rnn.")
    assert loaded.combine == combine
    torch.testing.assert_close(loaded(inputs), module(inputs), **EXACT)
    assert loaded.lstm.weight_ih_l0.data_ptr() != state["rnn.weight_iBarh"].data_ptr()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bias", None, "expected a tensor 'rnn.bias', got keys"),
        ("linear_second.bias", 3, "expected a tensor 'rnn.linear_second.bias', got int"),
        ("weight_iBarh", torch.ones(5, 16), r"'rnn.weight_iBarh' of shape \(3, 16\) or \(6, 16\), got \(5, 16\)"),
        ("weight_hh", torch.ones(4, 12), r"'rnn.weight_hh' of shape \(4, 16\), got \(4, 12\)"),
        ("weight_hh", torch.ones(4), r"'rnn.weight_hh' of shape \(hidden, 4 \* hidden\), got \(4,\)"),
        ("linear_first.bias", torch.ones(3), r"'rnn.linear_first.bias' of shape \(5,\), got \(3,\)"),
        ("linear_second.weight", torch.ones(2, 7), r"of shape \(2, 5\), got \(2, 7\)"),
    ],
)  # fmt: skip
def test_released_weights_that_do_not_fit_are_named(name, value, message):
    state = released_state(cell())
    state |= {f"rnn.{name}": value}
    if value is None:
        del state[f"rnn.{name}"]
    with pytest.raises(ValueError, match=message):
        InputCellAttentionLSTM.from_released(state, "rnn.")


def test_state_dict_round_trip():
    module, other, inputs = cell("concat"), cell("concat"), sequences()
    assert not torch.equal(module(inputs)[0], other(inputs)[0])
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(inputs)[0], other(inputs)[0])
    assert {name.split(".")[0] for name in module.state_dict()} == {
        "linear_first",
        "linear_second",
        "lstm",
    }


def test_weights_start_as_in_the_paper():
    module = InputCellAttentionLSTM(30, 40)
    bound = (6 / (30 + 50)) ** 0.5
    weight = module.linear_first.weight
    assert 0.95 * bound < weight.abs().max() <= bound
    assert not any(p.any() for name, p in module.named_parameters() if "bias" in name)
    before = weight.clone()
    module.reset_parameters()
    assert not torch.equal(before, weight)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_autocast_scores_in_float32(scale):
    module, inputs = cell(scale=scale).float(), sequences(2, 40).float()
    expected = module(inputs)[0]
    with torch.autocast("cpu", torch.bfloat16):
        scores, seen = module.scores(inputs.bfloat16()), module.attend(inputs)
        outputs = module(inputs)[0]
        from_half = module(inputs.bfloat16())[0]
        assert outputs.dtype == module.lstm(inputs)[0].dtype
    assert scores.dtype == seen.dtype == torch.float32
    assert torch.equal(seen, module.attend(inputs))
    torch.testing.assert_close(outputs.float(), expected, atol=0.05, rtol=0.05)
    assert torch.isfinite(from_half).all()
    outputs.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


def test_half_precision_weights():
    module, inputs = cell().bfloat16(), sequences(2, 20).bfloat16()
    outputs = module(inputs)[0]
    assert outputs.dtype == torch.bfloat16
    expected = module.float()(inputs.float())[0]
    torch.testing.assert_close(outputs.float(), expected, atol=0.05, rtol=0.05)


def test_dropout_between_layers_follows_the_mode():
    module, inputs = cell(layers=2, dropout=0.5), sequences(2, 20)
    assert not torch.equal(module(inputs)[0], module(inputs)[0])
    with evaluation_mode(module), recurrent_gradients(module):
        assert torch.equal(module(inputs)[0], module(inputs)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size: expected a whole number >= 1, got 0"),
        ({"hidden_size": -2}, "hidden_size: .* got -2"),
        ({"num_layers": 0}, "num_layers: .* got 0"),
        ({"attention_size": 0}, "attention_size: .* got 0"),
        ({"hops": 1.5}, "hops: .* got 1.5"),
        ({"combine": "sum"}, "combine: expected 'mean' or 'concat', got 'sum'"),
        ({"batch_first": False}, "batch_first: expected True"),
        ({"bidirectional": True}, "bidirectional: expected False, got True: .* future"),
    ],
)
def test_bad_options_say_why(options, message):
    with pytest.raises(ValueError, match=message):
        InputCellAttentionLSTM(**({"input_size": 3, "hidden_size": 4} | options))


RIGHT = torch.rand(2, 5, 3)
STATE = torch.zeros(1, 2, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1.0]],), TypeError, "inputs: expected a floating-point tensor or packed .* got list"),
        ((torch.ones(2, 5, 3, dtype=torch.int64),), TypeError, "got torch.int64"),
        ((RIGHT.double(),), ValueError, "inputs: expected torch.float32, .* got torch.float64"),
        ((torch.rand(2, 5, 4),), ValueError, r"inputs: expected shape \(N, T, 3\) .* got \(2, 5, 4\)"),
        ((torch.rand(3),), ValueError, r"got \(3,\)"),
        ((torch.rand(2, 0, 3),), ValueError, r"at least one step, got shape \(2, 0, 3\)"),
        ((torch.rand(0, 3),), ValueError, r"at least one step, got shape \(0, 3\)"),
        ((pack_sequence([torch.rand(5, 4)]),), ValueError, r"packed data \(steps, 3\), got shape \(5, 4\)"),
        ((RIGHT, None, [5, 0]), ValueError, r"lengths: expected 1 to 5 steps, got \[5, 0\]"),
        ((RIGHT, None, torch.tensor([6, 1])), ValueError, r"expected 1 to 5 steps, got \[6, 1\]"),
        ((RIGHT, None, [5]), ValueError, r"lengths: expected 2 whole numbers, .* shape \(1,\)"),
        ((RIGHT, None, [5.0, 2.0]), ValueError, "lengths: expected 2 whole numbers, .* got torch.float32"),
        ((RIGHT[0], None, [5]), ValueError, r"lengths: expected None for one sequence \(T, F\)"),
        ((pack_sequence([RIGHT[0]]), None, [5]), ValueError, "lengths: expected None for a packed"),
        ((RIGHT, STATE[0]), ValueError, r"initial_states: expected a pair \(h_0, c_0\), got Tensor"),
        ((RIGHT, (STATE, STATE[:, :1])), ValueError, r"expected c_0 of shape \(1, 2, 4\), got \(1, 1, 4\)"),
        ((RIGHT[0], (STATE, STATE)), ValueError, r"expected h_0 of shape \(1, 4\), got \(1, 2, 4\)"),
        ((RIGHT, (None, STATE)), ValueError, "expected h_0 of shape .* got NoneType"),
    ],
)  # fmt: skip
def test_bad_inputs_say_why(arguments, error, message):
    with pytest.raises(error, match=message):
        InputCellAttentionLSTM(3, 4)(*arguments)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_combine
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_gpu_gives_what_the_cpu_gives(combine, scale):
    module, inputs = cell(combine, layers=2, scale=scale), sequences(3, 90)
    found = {}
    for device in ("cpu", "cuda"):
        module, leaf = module.to(device), inputs.detach().to(device).requires_grad_()
        outputs, states = module(leaf, lengths=[90, 20, 41])
        (gradient,) = torch.autograd.grad(outputs.square().sum() + states[1].sum(), leaf)
        found[device] = [part.cpu() for part in (outputs, *states, gradient)]
    torch.testing.assert_close(found["cuda"], found["cpu"], atol=1e-8, rtol=1e-8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_autocast_on_a_gpu():
    module, inputs = cell().float().cuda(), sequences(2, 90).float().cuda()
    expected = module(inputs)[0]
    with torch.autocast("cuda", torch.bfloat16):
        assert module.attend(inputs.bfloat16()).dtype == torch.float32
        outputs = module(inputs)[0]
    torch.testing.assert_close(outputs.float(), expected, atol=0.05, rtol=0.05)
