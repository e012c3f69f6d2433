"""Which layer Grad-CAM and SIDU look at."""

from torch import Tensor

from captum_video.app.errors import AppError
from captum_video.app.network import KnownLayer, Network
from captum_video.attr import LayerCandidate, layer_candidates
from captum_video.clips import Layout


def layer_of(network: Network, clip: Tensor, asked: str | None) -> KnownLayer:
    """The layer that is asked for; else the last whose map keeps frames and pixels apart.

    Raises:
        AppError: there is no such layer.
    """
    if network.layer is not None and asked in (None, network.layer.name):
        return network.layer
    candidates = layer_candidates(network.module, clip)
    fitting = [one for one in candidates if asked == one.name or (not asked and _keeps(one, clip))]
    if not fitting:
        why = "has no map over frames and pixels" if asked else "no layer keeps frames and pixels"
        raise AppError(f"--layer{f' {asked}' if asked else ''}: {why}; --list-layers shows those")
    return KnownLayer(fitting[-1].name, Layout.of(fitting[-1].activation_layout))


def table_of(network: Network, clip: Tensor) -> list[str]:
    """A line for each layer, in the order in which they run, the one taken by default marked."""
    candidates = layer_candidates(network.module, clip)
    kept = [one.name for one in candidates if _keeps(one, clip)]
    default = network.layer.name if network.layer else (kept[-1] if kept else None)
    rows = [(one.name, f"{one.channels} maps", str(one.extent)) for one in candidates]
    if network.layer is not None:
        rows.append((network.layer.name, "tokens", network.layer.layout.pattern))
    name, maps = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    return [
        f"{row[0]:{name}}  {row[1]:>{maps}}  {row[2]}"
        + ("  <- taken by default" if row[0] == default else "")
        for row in rows
    ]


def _keeps(layer: LayerCandidate, clip: Tensor) -> bool:
    frames, height, width = layer.extent
    return min(height, width) > 1 and (frames > 1 or clip.shape[2] == 1)
