"""What the page's player is given: each clip's frames and maps as sheets of pictures, and words."""

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.methods import above_zero
from benchmarks_kth_mad.report.pictures import SPECTRA
from benchmarks_kth_mad.report.words import proper
from captum_video.visualization import color_limit

MAP_BYTES = 750_000
"""Of the maps of one clip, before they are compressed; above it they are made coarser."""
FRAME_PIXELS = 1_500_000
"""Of the frames of one clip; above it they are made smaller."""
PERCENTILE = 99
_PALETTES = {"plasma": "Plasma", "viridis": "Viridis", "cividis": "Cividis", "gray": "Gray"}


def player_data(
    explained: Explained,
    rows: pd.DataFrame,
    chosen: Sequence[int],
    methods: Sequence[str],
    classes: Sequence[str],
) -> dict[str, Any]:
    """Everything that the player shows, as JSON takes it.

    Args:
        explained: clips and maps.
        rows: areas; see `evaluation.measure`.
        chosen: which clips.
        methods: of the maps, in the order in which they are shown.
        classes: names of labels and targets.

    Returns:
        ``palettes`` (256 colours each, six hex digits a colour) and ``clips``. A map's pixel is
        255 times its evidence above 0, over the 99th percentile of what is not 0 in the method's
        maps of this clip, all inputs and frames, at most 255.
    """
    areas: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows.dropna(subset="area").itertuples():
        areas.setdefault((row.clip, row.method), {})[row.metric] = round(row.area, 4)
    clips = []
    for index in chosen:
        name = explained.names[index]
        maps = [_method(explained, index, method) for method in methods]
        for one in maps:
            one["areas"] = areas.get((name, one["method"]), {})
        clips.append(
            {
                "name": name,
                "person": explained.persons[index],
                "label": classes[int(explained.labels[index])],
                "explained": classes[int(explained.targets[index])],
                "frames": explained.clips[0].shape[2],
                "inputs": _inputs(explained, index),
                "methods": maps,
            }
        )
    return {"palettes": palettes(), "clips": clips}


def palettes() -> dict[str, dict[str, str]]:
    """Matplotlib's colour maps that stay in order without colour, by name."""
    import matplotlib

    steps = np.linspace(0, 1, 256)
    return {
        name: {
            "title": title,
            "colors": (matplotlib.colormaps[name](steps)[:, :3] * 255)
            .round()
            .astype(np.uint8)
            .tobytes()
            .hex(),
        }
        for name, title in _PALETTES.items()
    }


def _inputs(explained: Explained, index: int) -> list[dict[str, Any]]:
    names = SPECTRA if len(explained.clips) > 1 else ("",)
    return [
        {"title": name, **_frames(clips[index])}
        for name, clips in zip(names, explained.clips, strict=True)
    ]


def _frames(clip: Tensor) -> dict[str, Any]:
    """The frames (C, T, H, W) of a clip as one JPEG."""
    size = _size_within(clip.shape[1:], FRAME_PIXELS)
    pictures = (_resized(clip, size).clamp(0, 1) * 255).round().byte().movedim(0, -1).numpy()
    if pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
    return {"height": size[0], "width": size[1], **_sheet(pictures, "JPEG")}


def _method(explained: Explained, index: int, method: str) -> dict[str, Any]:
    """One method's maps of a clip, each as one PNG, and when their evidence is."""
    evidence = [
        above_zero(method, maps[index : index + 1].mean(1, keepdim=True)).clamp(min=0)
        for maps in explained.maps[method]
    ]
    broken = not all(one.isfinite().all() for one in evidence)
    if broken:
        evidence = [torch.zeros_like(one) for one in evidence]
    limit = max(color_limit(one, percentile=PERCENTILE).item() for one in evidence)
    levels = [(one[0, 0] / limit if limit else one[0, 0]).clamp(max=1) for one in evidence]
    per_frame = torch.stack([one[0, 0].double().sum((1, 2)) for one in evidence]).sum(0)
    total = per_frame.sum().item()
    shares = [round(one / total, 5) if total else 0.0 for one in per_frame.tolist()]
    budget = MAP_BYTES // (len(explained.maps) * len(levels))
    return {
        "method": method,
        "title": proper(method),
        "when": "The map failed" if broken else _when(shares),
        "shares": shares,
        "maps": [_map(one, budget) for one in levels],
    }


def _map(levels: Tensor, budget: int) -> dict[str, Any]:
    """Levels (T, H, W) in [0, 1] as one PNG of 8 bits."""
    size = _size_within(levels.shape, budget)
    pixels = (_resized(levels[None], size)[0] * 255).round().byte().numpy()
    return {"height": size[0], "width": size[1], **_sheet(pixels, "PNG")}


def _when(shares: Sequence[float]) -> str:
    """In which frame the evidence peaks, in words."""
    if not any(shares):
        return "No evidence"
    if max(shares) - min(shares) < 0.01 / len(shares):
        return "Evidence in all frames alike"
    return f"Evidence peaks in frame {int(np.argmax(shares)) + 1}"


def _size_within(shape: Sequence[int], budget: int) -> tuple[int, int]:
    """Height and width, divided by the least whole number with which (T, H, W) fits."""
    frames, height, width = shape
    size, factor = (height, width), 1
    while frames * math.prod(size) > budget and max(size) > 1:
        factor += 1
        size = (math.ceil(height / factor), math.ceil(width / factor))
    return size


def _resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (C, T, H, W), averaged over areas; as they are where nothing changes."""
    if pictures.shape[2:] == size:
        return pictures
    return interpolate(pictures.movedim(0, 1), size, mode="area").movedim(1, 0)


def _sheet(pictures: NDArray[np.uint8], form: str) -> dict[str, Any]:
    """Pictures (T, H, W) or (T, H, W, 3) in rows, about as wide as high, as a data URI."""
    count, height, width = pictures.shape[:3]
    columns = min(count, math.ceil(math.sqrt(count * height / width)))
    lines = math.ceil(count / columns)
    sheet = np.zeros((lines * height, columns * width, *pictures.shape[3:]), np.uint8)
    for place, picture in enumerate(pictures):
        top, left = (place // columns) * height, (place % columns) * width
        sheet[top : top + height, left : left + width] = picture
    file = io.BytesIO()
    how = {"quality": 90, "subsampling": 0} if form == "JPEG" else {"optimize": True}
    Image.fromarray(sheet).save(file, form, **how)
    text = base64.b64encode(file.getvalue()).decode()
    return {"columns": columns, "src": f"data:image/{form.lower()};base64,{text}"}
