"""Slow plain references that share no code with the package."""

import itertools
import math

import numpy as np
import torch
from torch import Tensor


def occlusion(f, clip: Tensor, window, strides, baseline: float) -> Tensor:
    """One window at a time, in float64; clip (C, T, H, W), f(clip) a number."""
    extent = clip.shape[1:]
    total, count = torch.zeros(extent, dtype=torch.float64), torch.zeros(extent)
    starts = [
        [s for k in range(length + 1) if (s := k * step) == 0 or s - step + size < length]
        for length, size, step in zip(extent, window, strides, strict=True)
    ]
    for t, h, w in itertools.product(*starts):
        place = (slice(t, t + window[0]), slice(h, h + window[1]), slice(w, w + window[2]))
        hidden = clip.clone()
        hidden[(slice(None), *place)] = baseline
        total[place] += f(clip) - f(hidden)
        count[place] += 1
    return total / count


def frame_occlusion(f, clip: Tensor, replace) -> tuple[list[float], int]:
    """Drop of the score per frame, and how often the score was taken; clip (C, T, H, W).

    ``replace(clip, t)`` is what is put in the place of frame t, (C, H, W).
    """
    whole, drops = float(f(clip)), []
    for t in range(clip.shape[1]):
        hidden = clip.clone()
        hidden[:, t] = replace(clip, t)
        drops.append(whole - float(f(hidden)))
    return drops, 1 + len(drops)


def blurred_frame(frame: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of one frame (C, H, W), cut at two sigma, borders replicated, tap by tap."""
    reach = max(round(2 * sigma), 1)
    taps = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    for axis in (1, 2):
        last = frame.shape[axis] - 1
        total = torch.zeros_like(frame)
        for k, tap in zip(range(-reach, reach + 1), taps, strict=True):
            place = [min(max(i + k, 0), last) for i in range(last + 1)]
            total += tap / sum(taps) * frame.index_select(axis, torch.tensor(place))
        frame = total
    return frame


def kept_mask(bits: np.ndarray, shift, cells, extent) -> np.ndarray:
    """One RISE mask, voxel by voxel: trilinear interpolation of the bits at (v + shift) / cell."""
    mask = np.zeros(extent)
    for voxel in itertools.product(*map(range, extent)):
        position = [(v + s) / c for v, s, c in zip(voxel, shift, cells, strict=True)]
        low = [math.floor(x) for x in position]
        for corner in itertools.product((0, 1), repeat=3):
            node = tuple(a + b for a, b in zip(low, corner, strict=True))
            share = math.prod(1 - abs(x - k) for x, k in zip(position, node, strict=True))
            if share > 0:
                mask[voxel] += share * bits[node]
    return mask


def prefix_curve(f, clip: Tensor, baseline: Tensor, units: Tensor, importance, steps, inserts):
    """Insertion or deletion, most important first, step by step.

    ``units`` (T, H, W) numbers the unit of every voxel, ``importance[u]`` is what ranks unit u (the
    earlier of equals first); clip and baseline (C, T, H, W).
    """
    n_units = len(importance)
    order = sorted(range(n_units), key=lambda u: (-importance[u], u))
    fractions, scores = [], []
    for s in range(steps + 1):
        if inserts:
            count = math.floor(s * n_units / steps + 0.5)
        else:
            count = n_units - math.floor((steps - s) * n_units / steps + 0.5)
        changed = torch.zeros(units.shape, dtype=torch.bool)
        for unit in order[:count]:
            changed |= units == unit
        shown = changed if inserts else ~changed
        scores.append(float(f(torch.where(shown, clip, baseline))))
        fractions.append(count / n_units)
    return fractions, scores


def ridge_leave_one_out(features: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
    """Residual of each row by a ridge fit (free intercept, fixed penalty) to all other rows."""
    residuals = []
    for i in range(len(scores)):
        others = np.arange(len(scores)) != i
        x, y = features[others], scores[others]
        center, mean = features.mean(0), scores.mean()
        design = np.c_[np.ones(len(x)), x - center]
        weight = penalty * np.eye(design.shape[1])
        weight[0, 0] = 0
        solution = np.linalg.solve(design.T @ design + weight, design.T @ (y - mean))
        residuals.append(scores[i] - mean - np.r_[1, features[i] - center] @ solution)
    return np.array(residuals)


def spearman(a: list[float], b: list[float]) -> float:
    """Rank correlation by counting: a rank is the number of smaller values and half of the equals."""
    ranks = [
        [sum(y < x for y in values) + 0.5 * sum(y == x for y in values) for x in values]
        for values in (a, b)
    ]
    if any(len(set(values)) < 2 for values in ranks):
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def energy_share(values: list[float], speeds: list[float], threshold: float) -> tuple[float, float]:
    """Share of the positive values where the speed is above a threshold, and the share of places."""
    area = sum(speed > threshold for speed in speeds) / len(speeds)
    total = sum(max(value, 0.0) for value in values)
    if total == 0:
        return area, area
    pairs = zip(values, speeds, strict=True)
    return sum(max(v, 0.0) for v, speed in pairs if speed > threshold) / total, area


def temporal_saliency_rescaling(
    r, clip: Tensor, baseline: Tensor, tile, quantile=0.55, threshold=None, gated=0.0, rescale=False
):
    """Algorithm 1 of arXiv 2010.13924, one map at a time; clip (C, T, H, W), r(clip) its map."""
    _, n_frames, height, width = clip.shape
    whole = r(clip)

    def moved(t, rows, columns):
        hidden = clip.clone()
        hidden[:, t, rows, columns] = baseline[:, t, rows, columns]
        return float((whole - r(hidden)).abs().sum())

    def unit(values):
        low, high = min(values), max(values)
        return [(v - low) / (high - low) for v in values] if high > low else values

    times = [moved(t, slice(None), slice(None)) for t in range(n_frames)]
    scaled = unit(times) if rescale else times
    gate = float(np.quantile(scaled, quantile)) if threshold is None else threshold
    found = torch.zeros(n_frames, height, width, dtype=torch.float64)
    for t in range(n_frames):
        if scaled[t] < gate or scaled[t] <= 0:
            found[t] = gated * scaled[t]
            continue
        places = [
            (slice(y, y + tile[0]), slice(x, x + tile[1]))
            for y in range(0, height, tile[0])
            for x in range(0, width, tile[1])
        ]
        worth = [moved(t, *place) for place in places]
        for place, value in zip(places, unit(worth) if rescale else worth, strict=True):
            found[t][place] = scaled[t] * value
    return found, times
