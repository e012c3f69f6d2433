"""Rankings: which units of a clip a map calls important, in which order."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.clips import Extent, Layout, clip_of, extent_of, window_of
from captum_video.masks import unrepeated

Unit = Literal["voxel", "cell", "frame", "segment"]
Order = Literal["most", "least"]


class Units:
    """What is ranked, in which order, and in how many steps."""

    def __init__(
        self,
        unit: Unit,
        n_steps: int,
        order: Order,
        cell_shape: tuple[int, int, int],
        segment_length: int,
        inputs_together: bool,
    ) -> None:
        if unit not in get_args(Unit):
            raise ValueError(f"unit: expected 'voxel', 'cell', 'frame' or 'segment', got {unit!r}")
        if order not in ("most", "least"):
            raise ValueError(f"order: expected 'most' or 'least', got {order!r}")
        if not isinstance(n_steps, int) or n_steps < 1:
            raise ValueError(f"n_steps: expected at least 1, got {n_steps!r}")
        if not isinstance(segment_length, int) or segment_length < 1:
            raise ValueError(f"segment_length: expected at least 1 frame, got {segment_length!r}")
        self.n_steps = n_steps
        self.best_first = order == "most"
        self.inputs_together = inputs_together
        self.unit = unit
        self._cell = window_of(cell_shape, "cell_shape")
        self._segment = segment_length

    def block(self, extent: Extent) -> Extent:
        """Frames, height and width of one unit."""
        frame = Extent(1, extent.height, extent.width)
        if self.unit == "voxel":
            return Extent(1, 1, 1)
        if self.unit == "frame":
            return frame
        if self.unit == "segment":
            return frame._replace(frames=min(self._segment, extent.frames))
        return Extent(*map(min, self._cell, extent))


def maps_of(
    attributions: Tensor | tuple[Tensor, ...], clips: tuple[Tensor, ...], layout: Layout
) -> list[Tensor]:
    """One map (N, T, H, W) per input, summed over channels.

    Raises:
        ValueError: maps that do not fit the clips.
    """
    given = attributions if isinstance(attributions, tuple) else (attributions,)
    if len(given) != len(clips):
        raise ValueError(f"attributions: expected one per input ({len(clips)}), got {len(given)}")
    maps = []
    for one, clip in zip(given, clips, strict=True):
        seen = clip_of(one, layout, "attributions").detach()
        if (
            seen.shape[0] != clip.shape[0]
            or seen.shape[2:] != clip.shape[2:]
            or (seen.shape[1] not in (1, clip.shape[1]))
        ):
            raise ValueError(
                f"attributions: expected {tuple(clip.shape)} as (n, c, t, h, w), got "
                f"{tuple(seen.shape)}"
            )
        maps.append(seen.to(clip.device).sum(1, dtype=torch.float64))
    return maps


def ranks_of(maps: list[Tensor], units: Units, labels: list[Tensor] | None = None) -> list[Tensor]:
    """Rank of every voxel's unit, 0 for the most important, over all inputs of one clip.

    Args:
        maps: one (T, H, W) per input.
        units: what is ranked: units of each input, or those of all inputs by the sum of their maps.
        labels: one (T, H, W) per input; then a unit is a region of one label.

    Returns:
        One (T, H, W) per input, int32.

    Raises:
        ValueError: inputs of different extents, or with different labels, taken together.
    """
    if units.inputs_together:
        extents = {extent_of(one) for one in maps}
        if len(extents) > 1:
            raise ValueError(
                f"inputs: units of all come in together, so expected one extent, got "
                f"{sorted(map(str, extents))}; inputs_together=False ranks the units of each"
            )
        if labels and not all(torch.equal(labels[0], one) for one in labels):
            raise ValueError(
                "feature_mask: regions of all inputs come in together, so expected one for all, "
                "got different ones; inputs_together=False ranks the regions of each"
            )
        together = [torch.stack(maps).sum(0)]
        return _ranks_of(together, units, labels[:1] if labels else None) * len(maps)
    return _ranks_of(maps, units, labels)


def _ranks_of(maps: list[Tensor], units: Units, labels: list[Tensor] | None) -> list[Tensor]:
    if labels is not None:
        return _region_ranks(maps, labels)
    pooled = []
    for one in maps:
        block = tuple(units.block(extent_of(one)))
        pooled.append(functional.avg_pool3d(one[None], block, ceil_mode=True)[0])
    parts = _ranks([one.flatten() for one in pooled])
    return [
        _to_voxels(part.view_as(small), units.block(extent_of(one)), extent_of(one))
        for part, small, one in zip(parts, pooled, maps, strict=True)
    ]


def _region_ranks(maps: list[Tensor], labels: list[Tensor]) -> list[Tensor]:
    means, places = [], []
    for one, label in zip(maps, labels, strict=True):
        # On the CPU: on a GPU sums differ in their last digits from run to run, and ranks with them.
        place = unrepeated(label).cpu().unique(return_inverse=True)[1].expand(extent_of(one))
        total = torch.zeros(int(place.max()) + 1, dtype=one.dtype)
        total.index_add_(0, place.flatten(), one.cpu().flatten())
        means.append(total / place.flatten().bincount())
        places.append(unrepeated(place))
    parts = _ranks(means)
    return [
        part[place].to(one.device).expand(extent_of(one))
        for part, place, one in zip(parts, places, maps, strict=True)
    ]


def _ranks(values: list[Tensor]) -> tuple[Tensor, ...]:
    """Rank of every unit among those of all inputs; the earlier of equals first."""
    best_first = torch.cat(values).argsort(descending=True, stable=True)
    ranks = torch.empty_like(best_first, dtype=torch.int32)
    ranks[best_first] = torch.arange(len(ranks), dtype=torch.int32, device=ranks.device)
    return ranks.split([len(one) for one in values])


def _to_voxels(ranks: Tensor, block: Extent, extent: Extent) -> Tensor:
    for axis, (size, length) in enumerate(zip(block, extent, strict=True)):
        if size < length:
            place = torch.arange(length, device=ranks.device) // size
            ranks = ranks.index_select(axis, place)
    return ranks.expand(extent)
