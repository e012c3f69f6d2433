"""Slow plain references for tubes, regions and estimates; they share no code with the package."""

import itertools
import math

import torch
from torch import Tensor


def bilinear(plane, y: float, x: float) -> float:
    """A value between the pixels of (H, W), the border pixel outside."""
    height, width = plane.shape
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row, column in itertools.product((top, top + 1), (left, left + 1)):
        share = max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column))
        if share > 0:
            total += share * float(plane[row, column])
    return total


def tubes(extent, window, strides, flow: Tensor) -> list[Tensor]:
    """What each tube hides (T, H, W), voxel by voxel; flow (2, T, H, W), dx first."""
    frames, height, width = extent
    starts = [
        [s for k in range(length + 1) if (s := k * step) == 0 or s - step + size < length]
        for length, size, step in zip(extent, window, strides, strict=True)
    ]
    found = []
    for begin in starts[0]:
        squares = []
        for top, left in itertools.product(starts[1], starts[2]):
            size = min(window[1], height - top), min(window[2], width - left)
            squares.append([float(top), float(left), *size])
        hidden = [torch.zeros(extent) for _ in squares]
        for t in range(begin, min(begin + window[0], frames)):
            drawn = [(math.floor(y + 0.5), math.floor(x + 0.5), h, w) for y, x, h, w in squares]
            for y, x in itertools.product(range(height), range(width)):
                away = []
                for top, left, h, w in drawn:
                    dy = max(top - y, 0, y - (top + h - 1))
                    dx = max(left - x, 0, x - (left + w - 1))
                    away.append(dy * dy + dx * dx)
                inside = [k for k, distance in enumerate(away) if distance == 0]
                for k in inside or [away.index(min(away))]:
                    hidden[k][t, y, x] = 1
            for square in squares:
                y, x = square[0] + (square[2] - 1) / 2, square[1] + (square[3] - 1) / 2
                square[1] += bilinear(flow[0, t], y, x)
                square[0] += bilinear(flow[1, t], y, x)
        found += hidden
    return found


def mean_drop(f, clip: Tensor, baseline: Tensor, places: list[Tensor]) -> Tensor:
    """Mean over the places that cover a voxel of what hiding them takes; clip (C, T, H, W)."""
    total = torch.zeros(clip.shape[1:], dtype=torch.float64)
    count = torch.zeros(clip.shape[1:])
    for place in places:
        hidden = place.bool()
        total[hidden] += float(f(clip)) - float(f(torch.where(hidden, baseline, clip)))
        count += place
    return total / count


def is_outlier(values: list[float]) -> list[bool]:
    """Outside Tukey's fences, with quartiles between the nearest values."""
    ordered = sorted(values)

    def quantile(q):
        place = q * (len(ordered) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    first, third = quantile(0.25), quantile(0.75)
    reach = 1.5 * (third - first)
    return [value < first - reach or value > third + reach for value in values]


def region_curve(f, clip: Tensor, baseline: Tensor, labels: Tensor, values: Tensor, steps, inserts):
    """Insertion or deletion of regions, the highest mean of ``values`` first.

    Labels and values are (T, H, W). Fractions are shares of the voxels.
    """
    names = sorted(set(labels.flatten().tolist()))
    means = {name: values[labels == name].double().mean().item() for name in names}
    order = sorted(names, key=lambda name: (-means[name], name))
    fractions, scores = [], []
    for s in range(steps + 1):
        count = math.floor(s * len(names) / steps + 0.5)
        if not inserts:
            count = len(names) - math.floor((steps - s) * len(names) / steps + 0.5)
        changed = torch.zeros(labels.shape, dtype=torch.bool)
        for name in order[:count]:
            changed |= labels == name
        scores.append(float(f(torch.where(changed if inserts else ~changed, clip, baseline))))
        fractions.append(changed.double().mean().item())
    return fractions, scores
