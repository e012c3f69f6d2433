"""Feature maps: what a layer of the network sees, as masks."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.clips import Extent
from captum_video.modes import full_precision


class FeatureMaps:
    """Masks from the feature maps of one clip (SIDU, arXiv 2101.10710): one mask per channel.

    Args:
        activations: (K, T', H', W') of one clip.
        extent: size of the clip, to which masks are upsampled (trilinear).
        threshold: hard masks keep where a map exceeds this value; its scale is the network's.
        quantile: or where it exceeds this quantile, in [0, 1), of all maps of the clip that are not
            one value everywhere: dead channels move no threshold.
        soft: or the maps themselves, each scaled to [0, 1]. Give exactly one of the three.

    Maps that keep nothing are dropped; ``channels`` tells which are left.

    Raises:
        ValueError: not exactly one rule, one out of range, activations that are not finite, or no
            map that keeps anything.

    Example:
        >>> import torch
        >>> from captum_video import Extent
        >>> maps = torch.tensor([0.0, 2.0, 0.0, 0.0]).reshape(2, 1, 1, 2)
        >>> masks = FeatureMaps(maps, Extent(1, 1, 2), threshold=1.0)
        >>> masks.channels, masks[:].flatten()
        (tensor([0]), tensor([0., 1.]))
    """

    def __init__(
        self,
        activations: Tensor,
        extent: Extent,
        *,
        threshold: float | None = None,
        quantile: float | None = None,
        soft: bool = False,
    ) -> None:
        if (threshold is not None) + (quantile is not None) + soft != 1:
            raise ValueError("feature maps: expected exactly one of threshold, quantile and soft")
        if activations.ndim != 4:
            raise ValueError(
                f"activations: expected (K, T, H, W) of one clip, got {tuple(activations.shape)}"
            )
        if not torch.isfinite(activations).all():
            raise ValueError("activations: expected finite values, got NaN or infinity")
        if quantile is not None:
            threshold = _quantile(activations, quantile)
        maps = _scaled(activations) if threshold is None else _above(activations, threshold)
        self.channels = maps.flatten(1).any(1).nonzero().flatten()
        if len(self.channels) == 0:
            raise ValueError(f"feature maps: no map keeps anything; {_why(activations, threshold)}")
        self._maps = maps[self.channels].float()
        self._extent = extent

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, index: slice) -> Tensor:
        return functional.interpolate(
            self._maps[index, None], tuple(self._extent), mode="trilinear", align_corners=False
        )

    def kept_sum(self, weights: Tensor) -> Tensor:
        """Sum of ``weights[n, i] * mask i`` over i, taken at the size of the maps.

        Args:
            weights: (N, number of masks).

        Returns:
            (N, T, H, W).
        """
        with full_precision(weights):
            small = torch.einsum("ni,ithw->nthw", weights, self._maps.to(weights))
        return functional.interpolate(
            small[:, None], tuple(self._extent), mode="trilinear", align_corners=False
        )[:, 0]


def _scaled(activations: Tensor) -> Tensor:
    low, high = activations.amin((1, 2, 3), True), activations.amax((1, 2, 3), True)
    return (activations - low) / (high - low).clamp_min(torch.finfo(low.dtype).tiny)


def _above(activations: Tensor, threshold: float) -> Tensor:
    if not math.isfinite(threshold):
        raise ValueError(f"threshold: expected a finite number, got {threshold}")
    return (activations > activations.new_tensor(threshold)).float()


def _why(activations: Tensor, threshold: float | None) -> str:
    if threshold is None:
        return "each has one value everywhere"
    return f"the largest value is {activations.max():.3g}, expected one above {threshold:.3g}"


def _quantile(activations: Tensor, quantile: float) -> float:
    if not 0 <= quantile < 1:
        raise ValueError(f"quantile: expected 0 <= quantile < 1, got {quantile}")
    maps = activations.flatten(1)
    alive = maps[maps.amin(1) < maps.amax(1)].flatten()
    if len(alive) == 0:
        raise ValueError(f"feature maps: no map keeps anything; {_why(activations, None)}")
    return alive.kthvalue(int(quantile * (len(alive) - 1)) + 1).values.item()
