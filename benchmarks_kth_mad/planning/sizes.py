"""Bytes that a run keeps: maps, clips, and rows with their curves."""

from io import BytesIO
from math import prod

import numpy as np
import pandas as pd

from benchmarks_kth_mad.planning.cost import Subject

SAMPLE_ROWS = 1000
_MAP_BYTES = 4  # float32


def voxels_of(subject: Subject) -> int:
    """Places of one input of a clip: frames x rows x columns."""
    return prod((subject.clip.frames, subject.clip.height, subject.clip.width))


def map_bytes(subject: Subject) -> int:
    """Bytes of the maps of one method and clip: one channel for every input, float32."""
    return _MAP_BYTES * voxels_of(subject) * len(subject.model.input_channels)


def clip_bytes(subject: Subject) -> int:
    """Bytes of one clip, of all its inputs, as whole numbers from 0 to 255."""
    return voxels_of(subject) * sum(subject.model.input_channels)


def row_bytes(points: int, unit: str) -> float:
    """Bytes of one row with its curve in a Parquet file, measured: written to memory, and counted.

    Scores are drawn at random, which no compression makes smaller; those of superpixels have fractions
    of their own, those of other units share them.

    Args:
        points: of a curve.
        unit: of the metric.

    Returns:
        Of a file of a thousand rows, what each takes on average.
    """
    draw = np.random.default_rng(0)
    shared = np.linspace(0, 1, points, dtype=np.float32)
    fractions = [
        np.sort(draw.random(points, np.float32)) if unit == "superpixel" else shared
        for _ in range(SAMPLE_ROWS)
    ]
    rows = pd.DataFrame(
        {
            "metric": "insertion",
            "method": "occlusion",
            "clip": [f"person{n % 25:02d}_walking_d{n % 4}_{n}" for n in range(SAMPLE_ROWS)],
            "person": [f"person{n % 25:02d}" for n in range(SAMPLE_ROWS)],
            "label": "walking",
            "explained": "walking",
            "baseline": "frame-mean",
            "unit": unit,
            "area": draw.random(SAMPLE_ROWS),
            "error": "",
            "fractions": fractions,
            "scores": list(draw.random((SAMPLE_ROWS, points), np.float32)),
        }
    )
    file = BytesIO()
    rows.to_parquet(file, index=False)
    return len(file.getvalue()) / SAMPLE_ROWS


def in_words(count: float) -> str:
    """Bytes as a person reads them: 12.3 MB, of a million bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
