"""What is written; each file appears complete or not at all."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from captum_video.app.geometry import Clip
from captum_video.visualization import filmstrip, overlay, save_gif, save_mp4
from captum_video.visualization.video import written_whole

# Players show a small video as small as it is.
_SHORT_SIDE = 400
_DPI = 160


class Result(NamedTuple):
    """The map of a method.

    Attributes:
        name: of the method.
        title: its name in pictures.
        map: (T, H, W).
        painted_from: the value below which nothing is painted.
        layer: where it looked; empty where it looks at none.
    """

    name: str
    title: str
    map: Tensor
    painted_from: float
    layer: str

    @property
    def evidence(self) -> Tensor:
        """What is painted: (1, 1, T, H, W)."""
        return (self.map - self.painted_from)[None, None]


def write_map(folder: Path, result: Result, clip: Clip, facts: dict[str, Any]) -> Path:
    """Write the map and what is needed to make it again: ``METHOD.npz``."""
    path = folder / f"{result.name}.npz"
    told: dict[str, Any] = {
        "map": result.map.numpy(),
        "painted_from": result.painted_from,
        "layer": result.layer,
        "times": np.array(clip.times),
        "start": clip.start,
        "frame_rate": clip.frame_rate,
        "resized": np.array(clip.resized),
        "window_of_frame": np.array(clip.place),
    } | {name: json.dumps(one) if isinstance(one, dict) else one for name, one in facts.items()}
    with written_whole(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **told)
    return path


def write_videos(folder: Path, result: Result, clip: Clip, opacity: float, gif: bool) -> list[Path]:
    """Write the map over the clip, as fast as the clip: ``METHOD.mp4``, and ``METHOD.gif``."""
    frames = overlay(clip.pixels, result.evidence, alpha=opacity)
    paths = [folder / f"{result.name}.mp4"]
    scale = max(1, round(_SHORT_SIDE / min(frames.shape[-2:])))
    save_mp4(paths[0], frames, clip.frame_rate, scale=scale)
    if gif:
        paths.append(folder / f"{result.name}.gif")
        save_gif(paths[1], frames, clip.frame_rate)
    return paths


def write_filmstrip(
    folder: Path, results: list[Result], clip: Clip, title: str, opacity: float
) -> Path:
    """Write the clip and a row for each method: ``filmstrip.png``."""
    path = folder / "filmstrip.png"
    figure = filmstrip(
        clip.pixels,
        {result.title: result.evidence for result in results},
        n_frames=_columns(clip),
        alpha=opacity,
        title=title,
    )
    with written_whole(path) as draft:
        figure.savefig(draft, format="png", dpi=_DPI)
    return path


def _columns(clip: Clip) -> int:
    """Frames of a filmstrip: fewer where they are wide, so that each is large enough to see."""
    _, _, height, width = clip.place
    return max(4, min(8, round(12 * height / width)))
