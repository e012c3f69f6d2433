"""The rule of Temporal Saliency Rescaling: which frames pass, and what a map is made of."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Rule(NamedTuple):
    """How contributions of frames and tiles become a map.

    Attributes:
        gate_quantile: of a clip's D_time, that a frame has to reach.
        gate_threshold: an absolute gate instead.
        gated_value: D_tile of frames below the gate.
        rescale: scale contributions to [0, 1] first.
    """

    gate_quantile: float
    gate_threshold: float | None
    gated_value: float
    rescale: bool

    def check(self) -> None:
        """Raise ValueError unless all options are in range."""
        if not 0 <= self.gate_quantile <= 1:
            raise ValueError(f"gate_quantile: expected 0 <= q <= 1, got {self.gate_quantile}")
        if self.gate_threshold is not None and not self.gate_threshold >= 0:
            raise ValueError(f"gate_threshold: expected at least 0, got {self.gate_threshold}")
        if not 0 <= self.gated_value < math.inf:
            raise ValueError(f"gated_value: expected at least 0, got {self.gated_value}")

    def passing(self, times: Tensor) -> Tensor:
        """Which frames (N, T) are worth a closer look."""
        times = _to_unit(times) if self.rescale else times
        if self.gate_threshold is None:
            gate = times.quantile(self.gate_quantile, dim=1, keepdim=True)
        else:
            gate = times.new_tensor(self.gate_threshold)
        return (times >= gate) & (times > 0)

    def combine(self, times: Tensor, passing: Tensor, tiles: list[Tensor], count: int) -> Tensor:
        """Rescaled contributions (N, T, tiles)."""
        inside = times.new_full((*times.shape, count), self.gated_value)
        for n, found in enumerate(tiles):
            inside[n, passing[n]] = _to_unit(found) if self.rescale else found
        return inside * (_to_unit(times) if self.rescale else times)[..., None]


def _to_unit(values: Tensor) -> Tensor:
    """Each row from 0 to 1; a row of equals is 1 where it is above 0 (it has no other scale)."""
    low, high = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    span = high - low
    return torch.where(
        span > 0,
        (values - low) / span.clamp_min(torch.finfo(span.dtype).tiny),
        (high > 0).to(values),
    )
