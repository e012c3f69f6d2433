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


def box_scores(values: list[float], mask: list[float]) -> tuple[float, float]:
    """Weighted Jaccard and Euclidean distance of one map, value by value."""
    low, high = min(values), max(values)
    scaled = [(v - low) / (high - low) if high > low else 0.0 for v in values]
    pairs = list(zip(scaled, mask, strict=True))
    jaccard = sum(min(pair) for pair in pairs) / sum(max(pair) for pair in pairs)
    distance = math.sqrt(sum((m - s) ** 2 for s, m in pairs) / sum(m**2 for m in mask))
    return jaccard, distance


def input_cell_lstm(weights: dict, inputs: Tensor, concat: bool, h: Tensor, c: Tensor):
    """Input-cell attention, one sequence and one step at a time, gates written out.

    ``weights``: the module's named parameters; inputs (N, T, F), h and c (layers, N, H). Gives the
    outputs (N, T, H), h and c at the end, and the attention (N, hops, T, T).
    """
    outputs, last_h, last_c, attention = [], [], [], []
    for n, sequence in enumerate(inputs):
        hs, cs, out, rows = list(h[:, n]), list(c[:, n]), [], []
        for t in range(len(sequence)):
            past = sequence[: t + 1]
            hidden = torch.tanh(
                past @ weights["linear_first.weight"].T + weights["linear_first.bias"]
            )
            scores = hidden @ weights["linear_second.weight"].T + weights["linear_second.bias"]
            row = torch.stack([_softmax(scores[:, k]) for k in range(scores.shape[1])])
            rows.append(torch.cat([row, row.new_zeros(len(row), len(sequence) - t - 1)], 1))
            seen = row @ past
            x = torch.cat(list(seen)) if concat else sum(seen) / len(seen)
            for layer in range(len(hs)):
                gates = sum(
                    weights[f"lstm.weight_{side}_l{layer}"] @ value
                    + weights.get(f"lstm.bias_{side}_l{layer}", 0)
                    for side, value in (("ih", x), ("hh", hs[layer]))
                )
                size = len(gates) // 4
                i, f, g, o = (gates[k * size : (k + 1) * size] for k in range(4))
                i, f, o = (1 / (1 + torch.exp(-gate)) for gate in (i, f, o))
                cs[layer] = f * cs[layer] + i * torch.tanh(g)
                hs[layer] = o * torch.tanh(cs[layer])
                x = hs[layer]
            out.append(x)
        outputs.append(torch.stack(out))
        last_h.append(torch.stack(hs))
        last_c.append(torch.stack(cs))
        attention.append(torch.stack(rows, 1))
    return (
        torch.stack(outputs),
        torch.stack(last_h, 1),
        torch.stack(last_c, 1),
        torch.stack(attention),
    )


def _softmax(scores: Tensor) -> Tensor:
    parts = torch.exp(scores - scores.max().detach())
    return parts / parts.sum()


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


def shapley_values(worth, n_players: int) -> list[float]:
    """Mean over all orders of what each player adds on coming in; ``worth(set)`` is a number."""
    orders = list(itertools.permutations(range(n_players)))
    added = [0.0] * n_players
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            added[player] += worth(before | {player}) - worth(before)
    return [value / len(orders) for value in added]


def area_of_energy(values: list[float], share: float) -> float:
    """Voxels, strongest first, until they hold this share of the positive values, over all voxels."""
    strong = sorted((max(value, 0.0) for value in values), reverse=True)
    if not strong[0]:
        strong = [1.0] * len(strong)
    held, count = 0.0, 0
    while held < share * sum(strong) * (1 - 1e-9):
        held, count = held + strong[count], count + 1
    return count / len(strong)


def energy_inside(values: list[float], mask: list[float]) -> float:
    """Share of the positive values under a soft mask; the mask's area where there is none."""
    total = sum(value for value in values if value > 0)
    if total == 0:
        return sum(mask) / len(mask)
    return sum(v * m for v, m in zip(values, mask, strict=True) if v > 0) / total


def trilinear(values: np.ndarray, extent) -> np.ndarray:
    """Resize (T, H, W) axis by axis, voxel centres on voxel centres, borders repeated."""
    for axis, length in enumerate(extent):
        old = values.shape[axis]
        slices = []
        for i in range(length):
            position = max((i + 0.5) * old / length - 0.5, 0.0)
            low = min(int(position), old - 1)
            share = position - low
            first, second = (np.take(values, min(k, old - 1), axis) for k in (low, low + 1))
            slices.append((1 - share) * first + share * second)
        values = np.stack(slices, axis)
    return values


def sidu(
    f, clips: list[Tensor], maps: Tensor, target: int, *, rule="threshold", level=0.0,
    width=0.25, softmax=True, hides=None, baseline=0.0,
) -> list[np.ndarray]:  # fmt: skip
    """SIDU of one clip, mask by mask: a map (T, H, W) per input; all in float64.

    ``clips`` are the inputs (C, T, H, W), ``f`` takes them and gives (classes,), ``maps`` (K, ...) are
    the layer's; ``hides`` is the one input that masks hide in, None for all.
    """

    def predict(inputs) -> list[float]:
        scores = [float(score) for score in f(*inputs)]
        if not softmax:
            return scores
        parts = [math.exp(score - max(scores)) for score in scores]
        return [part / sum(parts) for part in parts]

    features = [one.double().numpy() for one in maps]
    if rule == "quantile":
        varying = [one for one in features if one.min() < one.max()]
        ordered = sorted(value for one in varying for value in one.flatten().tolist())
        level = ordered[int(level * (len(ordered) - 1))]
    small = []
    for one in features:
        if rule == "soft":
            span = one.max() - one.min()
            one = (one - one.min()) / span if span > 0 else np.zeros_like(one)
        else:
            one = (one > level).astype(float)
        if one.max() > 0:
            small.append(one)
    masks = [[trilinear(one, clip.shape[1:]) for clip in clips] for one in small]
    predictions = []
    for mask in masks:
        shown = [
            clip if hides not in (None, i)
            else baseline + torch.from_numpy(m).to(clip) * (clip - baseline)
            for i, (clip, m) in enumerate(zip(clips, mask, strict=True))
        ]  # fmt: skip
        predictions.append(predict(shown))
    whole = predict(clips)
    distances = [sum(math.dist(one, other) for other in predictions) for one in predictions]
    low, high = min(distances), max(distances)
    sums = [np.zeros(clip.shape[1:]) for clip in clips]
    for mask, one, far in zip(masks, predictions, distances, strict=True):
        similar = math.sqrt(math.exp(-((one[target] - whole[target]) ** 2) / width**2))
        unique = (far - low) / (high - low) if high - low > 1e-9 else 1.0
        for total, m in zip(sums, mask, strict=True):
            total += similar * unique * m / len(masks)
    return sums
