"""What a recurrent module is given: checked once, at the border."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

States = tuple[Tensor, Tensor]
Lengths = Tensor | Sequence[int]


def check_sizes(**sizes: int) -> None:
    """Raise ValueError unless all are whole numbers above 0."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name}: expected a whole number >= 1, got {size!r}")


def check_inputs(inputs: Any, weight: Tensor) -> None:
    """Raise unless these are sequences for a layer with this weight (outputs, features)."""
    data = inputs.data if isinstance(inputs, PackedSequence) else inputs
    if not isinstance(data, Tensor) or not data.is_floating_point():
        got = data.dtype if isinstance(data, Tensor) else type(data).__name__
        raise TypeError(f"inputs: expected a floating-point tensor or packed sequence, got {got}")
    features, shape = weight.shape[1], tuple(data.shape)
    if isinstance(inputs, PackedSequence):
        if shape[1:] != (features,):
            raise ValueError(f"inputs: expected packed data (steps, {features}), got shape {shape}")
    elif data.ndim not in (2, 3) or shape[-1] != features:
        raise ValueError(
            f"inputs: expected shape (N, T, {features}) or (T, {features}), got {shape}"
        )
    elif shape[-2] == 0:
        raise ValueError(f"inputs: expected sequences of at least one step, got shape {shape}")
    if data.dtype != weight.dtype and not torch.is_autocast_enabled(data.device.type):
        raise ValueError(f"inputs: expected {weight.dtype}, as the weights, got {data.dtype}")


def check_states(states: Any, lstm: nn.LSTM, batch: tuple[int, ...]) -> None:
    """Raise ValueError unless None, or h_0 and c_0, of shape (layers, *batch, hidden)."""
    if states is None:
        return
    expected = (lstm.num_layers, *batch, lstm.hidden_size)
    if not isinstance(states, tuple | list) or len(states) != 2:
        raise ValueError(f"initial_states: expected a pair (h_0, c_0), got {type(states).__name__}")
    for name, state in zip(("h_0", "c_0"), states, strict=True):
        if not isinstance(state, Tensor) or state.shape != expected:
            got = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            raise ValueError(f"initial_states: expected {name} of shape {expected}, got {got}")


def checked_lengths(lengths: Lengths, inputs: Tensor) -> Tensor:
    """Lengths of the sequences (N, T, F), as whole numbers on the CPU.

    Raises:
        ValueError: not one whole number from 1 to T for each sequence.
    """
    n, steps = inputs.shape[:2]
    found = torch.as_tensor(lengths)
    if found.is_floating_point() or found.dtype == torch.bool or found.shape != (n,):
        raise ValueError(
            f"lengths: expected {n} whole numbers, one for each sequence, got {found.dtype} of "
            f"shape {tuple(found.shape)}"
        )
    found = found.to("cpu", torch.int64)
    if n and not 1 <= int(found.min()) <= int(found.max()) <= steps:
        raise ValueError(f"lengths: expected 1 to {steps} steps, got {found.tolist()}")
    return found


def beyond_end(lengths: Tensor, inputs: Tensor) -> Tensor:
    """Where a step is not the sequence's own: (N, T, 1), on the device of the inputs."""
    steps = torch.arange(inputs.shape[1], device=inputs.device)
    return (steps >= lengths.to(inputs.device)[:, None])[..., None]
