"""The picture of the study: where each network's saliency lies, beside where it should."""

from collections.abc import Mapping
from itertools import chain, product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from benchmarks_kth_mad.boxes.networks import NETWORKS
from benchmarks_kth_mad.boxes.series import LAYOUTS

_EMPTY = np.zeros((1, 1), dtype=np.float32)


def draw_maps(maps: Mapping[str, NDArray[np.float32]]) -> Figure:
    """Draw mean saliency, a row per network and a column per layout, boxes outlined.

    Args:
        maps: ``"layout network"`` to mean rescaled saliency (steps, features) in [0, 1].

    Returns:
        The figure; every panel has the one colour scale.
    """
    cells = {tuple(name.split()): one for name, one in maps.items()}
    layouts = [one for one in LAYOUTS if any(layout == one for layout, _ in cells)]
    networks = [one for one in NETWORKS if any(network == one for _, network in cells)]
    figure = Figure(
        figsize=(1.6 + 1.6 * len(layouts), 0.7 + 1.6 * len(networks)), layout="constrained"
    )
    grid = figure.subplots(len(networks), len(layouts), squeeze=False, sharex=True, sharey=True)
    # a quantile: else the last step of a plain LSTM, which has it all, darkens what the others see
    top = float(np.quantile(np.stack(list(cells.values())), 0.98))
    for (i, network), (j, layout) in product(enumerate(networks), enumerate(layouts)):
        axes = grid[i, j]
        image = axes.imshow(
            cells.get((layout, network), _EMPTY).T,
            vmin=0,
            vmax=top,
            cmap="inferno",
            origin="lower",
            extent=(0, 100, 0, 100),
        )
        _outline(axes, layout)
        axes.tick_params(labelsize=7)
    for axes, layout in zip(grid[0], layouts, strict=True):
        axes.set_title(LAYOUTS[layout].title, fontsize=10)
    for axes, network in zip(grid[:, 0], networks, strict=True):
        title = NETWORKS[network].title.replace(" + ", "\n+ ").replace(", ", ",\n")
        axes.set_ylabel(title, fontsize=8)
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("feature", fontsize=9)
    figure.colorbar(image, ax=grid, shrink=0.6, extend="max", label="mean saliency")
    return figure


def _outline(axes: Axes, layout: str) -> None:
    """Outline all boxes that a series of a layout may have."""
    alternatives = LAYOUTS[layout].alternatives
    alpha = 0.8 if len(alternatives) == 1 else 0.3
    for box in chain(*alternatives):
        width, height = box.stop - box.start, box.high - box.low
        axes.add_patch(
            Rectangle(
                (box.start, box.low), width, height, fill=False, ec="white", lw=0.8, alpha=alpha
            )
        )
