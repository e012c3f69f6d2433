"""Extremal perturbations in plain loops, one voxel, frame or ellipsoid at a time."""

import itertools
import math

import numpy as np


def smooth_maximum(values, size):
    """A line of nodes spread over so many voxels: the soft maximum of the five nearest."""
    nodes = len(values)
    if nodes in (1, size):
        return np.full(size, values)
    line = np.zeros(size)
    for voxel in range(size):
        place = (voxel + 0.5) * nodes / size - 0.5
        nearest = (2 * voxel + 1) * nodes // (2 * size)
        seen, ones = [], []
        for node in range(nearest - 2, nearest + 3):
            there = 0 <= node < nodes
            reach = math.exp(-2 * max(abs(place - node) - 0.5, 0) ** 2) if there else 0.0
            seen.append(reach * values[node] if there else 0.0)
            ones.append(reach)
        line[voxel] = min(1.0, _soft(seen) / _soft(ones))
    return line


def _soft(values):
    weights = [math.exp(20 * value) for value in values]
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def smooth_mask(nodes, extent):
    """Nodes (t, h, w) as a mask (T, H, W): columns, then rows, then frames."""
    frames, height, width = extent
    t, h, _ = nodes.shape
    wide = np.zeros((t, h, width))
    for i, j in itertools.product(range(t), range(h)):
        wide[i, j] = smooth_maximum(nodes[i, j], width)
    high = np.zeros((t, height, width))
    for i, k in itertools.product(range(t), range(width)):
        high[i, :, k] = smooth_maximum(wide[i, :, k], height)
    long = np.zeros((frames, height, width))
    for j, k in itertools.product(range(height), range(width)):
        long[:, j, k] = smooth_maximum(high[:, j, k], frames)
    return long


def area_loss(values, area):
    """Mean squared distance of the sorted values from ones of the area, then zeros."""
    count = min(max(round(area * len(values)), 1), len(values))
    reference = [1.0] * count + [0.0] * (len(values) - count)
    best_first = sorted(values, reverse=True)
    return sum((v - r) ** 2 for v, r in zip(best_first, reference, strict=True)) / len(values)


def core_loss(mask, area, core):
    """Shares of ellipsoids that are kept: the best should be whole, the others empty."""
    size = [min(pair) for pair in zip(core, mask.shape, strict=True)]
    inside = []
    for place in itertools.product(*map(range, size)):
        ratio = [(2 * p + 1 - s) / s for p, s in zip(place, size, strict=True)]
        if sum(r * r for r in ratio) <= 1:
            inside.append(place)
    shares = []
    for t in range(mask.shape[0] - size[0] + 1):
        for y in range(0, mask.shape[1] - size[1] + 1, size[1]):
            for x in range(0, mask.shape[2] - size[2] + 1, size[2]):
                kept = [mask[t + a, y + b, x + c] for a, b, c in inside]
                shares.append(sum(kept) / len(inside))
    shares.sort(reverse=True)
    count = min(max(math.ceil(area * mask.size / len(inside)), 1), len(shares))
    whole = [(1 - share) ** 2 for share in shares[:count]]
    empty = [share**2 for share in shares[count:]]
    return sum(whole) / len(whole) + (sum(empty) / len(empty) if empty else 0.0)


def freeze(clip, mask):
    """Frames (T, ...) where time stands still as far as the mask is 0."""
    shown = [clip[0]]
    for t in range(1, len(clip)):
        shown.append(mask[t] * clip[t] + (1 - mask[t]) * shown[-1])
    return np.stack(shown)


def reverse(clip, mask):
    """Frames (T, ...) whose hidden stretches run backwards, as far as they are hidden."""
    shown, first = clip.copy(), 0
    while first < len(clip):
        last = first
        if mask[first] < 0.9:
            while last + 1 < len(clip) and mask[last + 1] < 0.9:
                last += 1
            for t in range(first, last + 1):
                shown[t] = mask[t] * clip[t] + (1 - mask[t]) * clip[first + last - t]
        first = last + 1
    return shown
