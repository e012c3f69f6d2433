"""Weights of the cell that Ismail et al. (NeurIPS 2019) released, as this package names them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def from_released_cell(
    state_dict: Mapping[str, Tensor], prefix: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Constructor arguments and state dict of the module that computes the same.

    Raises:
        ValueError: a key is missing, or its shape does not fit the others.
    """
    released = _Released(state_dict, prefix)
    attention_size, input_size = released.sizes("linear_first.weight", "(attention_size, features)")
    hops, _ = released.sizes("linear_second.weight", "(hops, attention_size)")
    hidden_size, _ = released.sizes("weight_hh", "(hidden, 4 * hidden)")
    gates = 4 * hidden_size
    released.expect("linear_first.bias", (attention_size,))
    released.expect("linear_second.weight", (hops, attention_size))
    released.expect("linear_second.bias", (hops,))
    released.expect("weight_hh", (hidden_size, gates))
    released.expect("bias", (gates,))
    released.expect("weight_iBarh", (input_size, gates), (hops * input_size, gates))
    weight = released["weight_iBarh"]
    options = {
        "input_size": input_size,
        "hidden_size": hidden_size,
        "attention_size": attention_size,
        "hops": hops,
        "combine": "mean" if len(weight) == input_size else "concat",
        "dtype": weight.dtype,
    }
    weights = {
        "lstm.weight_ih_l0": weight.mT,
        "lstm.weight_hh_l0": released["weight_hh"].mT,
        "lstm.bias_ih_l0": released["bias"],
        "lstm.bias_hh_l0": torch.zeros_like(released["bias"]),  # the cell has one bias, not two
    }
    for layer in ("linear_first", "linear_second"):
        for name in ("weight", "bias"):
            weights[f"{layer}.{name}"] = released[f"{layer}.{name}"]
    return options, weights


class _Released:
    """The tensors under a prefix; asking for one that is not there says which, and what is."""

    def __init__(self, state_dict: Mapping[str, Tensor], prefix: str) -> None:
        self.state_dict, self.prefix = state_dict, prefix

    def __getitem__(self, name: str) -> Tensor:
        key = self.prefix + name
        tensor = self.state_dict.get(key)
        if not isinstance(tensor, Tensor):
            got = f"keys {list(self.state_dict)}" if tensor is None else type(tensor).__name__
            raise ValueError(f"state_dict: expected a tensor {key!r}, got {got}")
        return tensor

    def sizes(self, name: str, meaning: str) -> tuple[int, int]:
        shape = tuple(self[name].shape)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(
                f"state_dict: expected {self.prefix + name!r} of shape {meaning}, got {shape}"
            )
        return shape

    def expect(self, name: str, *shapes: tuple[int, ...]) -> None:
        found = tuple(self[name].shape)
        if found not in shapes:
            raise ValueError(
                f"state_dict: expected {self.prefix + name!r} of shape "
                f"{' or '.join(map(str, dict.fromkeys(shapes)))}, got {found}"
            )
