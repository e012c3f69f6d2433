"""What a mask is worth by the predictions: similarity difference and uniqueness."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from captum_video.clips import map_dtype

Activation = Literal["softmax"] | None
_ROWS = 256


@dataclass(frozen=True)
class Comparison:
    """How predictions are compared: of what, and how narrow the similarity is.

    Raises:
        ValueError: an unknown activation, or a width that is not positive.
    """

    activation: Activation
    width: float

    def __post_init__(self) -> None:
        if self.activation not in ("softmax", None):
            raise ValueError(f"activation: expected 'softmax' or None, got {self.activation!r}")
        if not 0 < self.width < math.inf:
            raise ValueError(f"width: expected a positive number, got {self.width}")

    def values(self, outputs: Tensor) -> Tensor:
        """What is compared of the model's outputs (rows, ...): probabilities, or themselves.

        Raises:
            ValueError: no classes to take probabilities of, or values that are not finite.
        """
        values = outputs.to(map_dtype(outputs.dtype))
        if self.activation is not None:
            if values.ndim < 2 or values.shape[1] < 2:
                raise ValueError(
                    f"forward_func: expected outputs (clips, classes) of at least two classes, got "
                    f"{tuple(values.shape)}; pass activation=None to compare them as they are"
                )
            values = values.softmax(1)
        if not torch.isfinite(values).all():
            raise ValueError("forward_func: expected finite outputs, got NaN or infinity")
        return values

    def weights(self, values: Tensor, scores: Tensor, whole: Tensor) -> Tensor:
        """Similarity times uniqueness of each mask: (M,), in [0, 1] and float64.

        Args:
            values: (M, ...), what is compared of all outputs behind each mask.
            scores: (M,), the target's among them.
            whole: (), the target's for the whole clip.
        """
        apart = (scores - whole).double() / self.width
        return torch.exp(-apart.square() / 2) * uniqueness(values.reshape(len(values), -1))


def uniqueness(vectors: Tensor) -> Tensor:
    """How far each row lies from all others: sum of distances, scaled to [0, 1]; float64.

    1 for all where the sums differ by no more than rounding.

    Cost:
        Square of the number of rows, in memory of 256 of them at a time.
    """
    exact = "donot_use_mm_for_euclid_dist"  # near rows would drown in the rounding of a product
    sums = torch.cat(
        [torch.cdist(part, vectors, compute_mode=exact).sum(1) for part in vectors.split(_ROWS)]
    ).double()
    low, high = sums.aminmax()
    rounding = 8 * torch.finfo(vectors.dtype).eps * vectors.abs().max() * len(vectors)
    if high - low <= rounding:
        return torch.ones_like(sums)
    return (sums - low) / (high - low)
