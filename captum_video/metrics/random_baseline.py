"""Maps that know nothing, and how often a method does better than they do."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from captum_video.clips import Extent, Layout, clips_of, extent_of, spread_over_channels, window_of


class Beaten(NamedTuple):
    """How much of chance a method leaves behind.

    Attributes:
        share: (N,), for each clip the share of the random maps that it beats, ties counting half.
        share_of_clips: share of the clips on which it beats more than half of the random maps; a clip
            with exactly half counts half.
    """

    share: Tensor
    share_of_clips: float


def random_maps(
    inputs: Tensor | tuple[Tensor, ...],
    n_maps: int = 1,
    generator: torch.Generator | None = None,
    grid_shape: Sequence[int] = (4, 7, 7),
    *,
    layout: str | Layout = "n c t h w",
) -> Iterator[Any]:
    """Smooth random maps, one batch after the other: what every method has to beat.

    Each clip gets a map of its own: numbers uniform on [0, 1] on a grid of about ``grid_shape`` cells,
    interpolated (trilinear), cut out at a random place, so that no voxel is favoured by the grid.
    Several inputs of one extent share a map, as do the maps of most methods; inputs of another extent
    have their own.

    Args:
        inputs: clips in ``layout``, or a tuple of them.
        n_maps: how many.
        generator: draws map by map, clip by clip; None: one seeded with 0. The first maps do not
            depend on how many are asked for.
        grid_shape: cells over frames, height and width; more than a clip is long become one a voxel.
        layout: how the inputs order their axes.

    Yields:
        Maps in [0, 1] of the shape, layout and device of the inputs, alike in all channels.

    Raises:
        TypeError: an input is no floating-point tensor; a grid that is not three whole numbers.
        ValueError: no proper clips, fewer than one map or cell.

    Example:
        >>> import torch
        >>> clip = torch.zeros(2, 3, 4, 8, 8)
        >>> [maps.shape for maps in random_maps(clip, n_maps=2)]
        [torch.Size([2, 3, 4, 8, 8]), torch.Size([2, 3, 4, 8, 8])]
    """
    if not isinstance(n_maps, int) or isinstance(n_maps, bool) or n_maps < 1:
        raise ValueError(f"n_maps: expected a whole number, at least 1, got {n_maps!r}")
    layout, grid = Layout.of(layout), window_of(grid_shape, "grid_shape")
    is_tuple, clips = clips_of(inputs, layout)
    generator = generator or torch.Generator().manual_seed(0)
    return (_drawn(clips, is_tuple, layout, grid, generator) for _ in range(n_maps))


def share_beaten(values: Tensor, random_values: Tensor, higher_is_better: bool = True) -> Beaten:
    """How many random maps a method's value beats, clip by clip. Higher is better.

    Useful with any metric: it turns a value that means little by itself (an area under a curve) into
    "better than so many maps that know nothing". One half is chance.

    Args:
        values: (N,), a metric's value of a method on each clip.
        random_values: (N, M), its values of M random maps on the same clips.
        higher_is_better: which direction the metric calls better; see `HIGHER_IS_BETTER`.

    Returns:
        The share of each clip (N,), float64, and the share of clips.

    Raises:
        TypeError: no tensors.
        ValueError: shapes that do not fit, NaN or infinity.

    Note:
        It lies where the metric itself prefers scattered or featureless maps, as deletion often does
        on video: then few methods beat chance, and that says little about them. Random maps
        of another smoothness than the method's are beaten, or win, for that alone. How far a map is
        beaten does not count.

    Example:
        >>> import torch
        >>> share_beaten(torch.tensor([0.9, 0.2]), torch.tensor([[0.1, 0.9], [0.3, 0.4]]))
        Beaten(share=tensor([0.7500, 0.0000], dtype=torch.float64), share_of_clips=0.5)
    """
    for name, given in (("values", values), ("random_values", random_values)):
        if not isinstance(given, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(given).__name__}")
        if not torch.isfinite(given).all():
            raise ValueError(f"{name}: expected finite values, got NaN or infinity")
    if values.ndim != 1 or random_values.ndim != 2 or len(values) != len(random_values):
        raise ValueError(
            f"random_values: expected (N, maps) for values (N,), got {tuple(random_values.shape)} "
            f"for {tuple(values.shape)}"
        )
    if not random_values.numel():
        raise ValueError(f"random_values: expected not empty, got {tuple(random_values.shape)}")
    lead = values.detach().double()[:, None] - random_values.detach().double().to(values.device)
    share = _won(lead if higher_is_better else -lead).mean(1)
    return Beaten(share, _won(share - 0.5).mean().item())


def _won(lead: Tensor) -> Tensor:
    """1 where ahead, one half where level."""
    return (lead.sign() + 1) / 2


def _drawn(
    clips: tuple[Tensor, ...],
    is_tuple: bool,
    layout: Layout,
    grid: Extent,
    generator: torch.Generator,
) -> Any:
    known: dict[Extent, Tensor] = {}
    for clip in clips:
        if extent_of(clip) not in known:
            maps = [_smooth(extent_of(clip), grid, generator) for _ in range(len(clip))]
            known[extent_of(clip)] = torch.stack(maps)
    found = tuple(
        spread_over_channels(known[extent_of(clip)].to(clip.device), clip, layout) for clip in clips
    )
    return found if is_tuple else found[0]


def _smooth(extent: Extent, grid: Extent, generator: torch.Generator) -> Tensor:
    """One map (1, T, H, W)."""
    source = generator.device
    cells = [-(-length // min(count, length)) for length, count in zip(extent, grid, strict=True)]
    # one cell more than the clip needs on either end, because values past the outer nodes are flat
    nodes = [-(-length // cell) + 2 for length, cell in zip(extent, cells, strict=True)]
    drawn = torch.rand((1, 1, *nodes), generator=generator, device=source)
    size = tuple(n * cell for n, cell in zip(nodes, cells, strict=True))
    maps = functional.interpolate(drawn, size, mode="trilinear", align_corners=False)[0]
    for axis, (cell, length) in enumerate(zip(cells, extent, strict=True), start=1):
        start = int(torch.randint(cell, (), generator=generator, device=source))
        maps = maps.narrow(axis, start + (cell + 1) // 2, length)
    return maps
