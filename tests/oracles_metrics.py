"""Slow plain references for the metrics, that share no code with the package."""

import itertools

from oracles import spearman


def pointing(values, mask, tolerance: int, frame_tolerance: int) -> float:
    """Share of the highest voxels that have a mask voxel near them; nested lists [t][h][w]."""
    frames, height, width = len(values), len(values[0]), len(values[0][0])
    places = list(itertools.product(range(frames), range(height), range(width)))
    top = max(values[t][h][w] for t, h, w in places)
    best = [(t, h, w) for t, h, w in places if values[t][h][w] == top]
    hits = 0.0
    for t, h, w in best:
        hits += max(
            mask[a][b][c]
            for a, b, c in places
            if abs(a - t) <= frame_tolerance and max(abs(b - h), abs(c - w)) <= tolerance
        )
    return hits / len(best)


def first_enough(fractions, scores, share: float, floor: float) -> float:
    """Where an insertion curve first reaches its mark."""
    wanted = max(share * scores[-1], min(floor, scores[-1]))
    return next(x for x, score in zip(fractions, scores, strict=True) if score >= wanted)


def joined_frames(n: int, m: int, total: int, lengths) -> tuple[list[int], list[int]]:
    """Frames taken of a target clip of n frames and of another one of m."""
    own, other = lengths or (1, 1)
    count = min(max(int(total * own / (own + other)), 1), total - 1)

    def taken(length, k):
        return [int((i + 0.5) * length / k) for i in range(k)]

    return taken(n, count), taken(m, total - count)


def beaten(value: float, randoms, higher: bool) -> float:
    """Share of random values that one value beats."""
    won = 0.0
    for other in randoms:
        won += 0.5 if value == other else float((value > other) is higher)
    return won / len(randoms)


def alpha(rows, random: int, higher: bool) -> tuple[float, float]:
    """Weighted mean rank correlation of all pairs of videos, and how often random is worst."""
    methods = len(rows[0])

    def worse(row):
        return sum(x < row[random] if higher else x > row[random] for x in row)

    weights = [(methods - 1 - worse(row)) / (methods - 1) for row in rows]
    total, pairs = 0.0, 0.0
    for i, j in itertools.combinations(range(len(rows)), 2):
        total += weights[i] * weights[j] * spearman(rows[i], rows[j])
        pairs += weights[i] * weights[j]
    worst = sum(worse(row) == 0 for row in rows) / len(rows)
    return (total / pairs if pairs else 0.0), worst


def precision_and_recall(values, mask) -> tuple[float, float, float]:
    """AUP, AUR and AUPR of a flat map; of equal values an equal part of each is kept."""
    mass = [max(v, 0.0) for v in values]
    if sum(mass) == 0:
        mass = [1.0] * len(values)
    whole, inside = sum(mass), sum(a * b for a, b in zip(mass, mask, strict=True))
    shares = [k / 10 for k in range(1, 10)]
    precision, recall = [], []
    for share in shares:
        left, found = share * whole, 0.0
        for value in sorted(set(mass), reverse=True):
            equals = [m for v, m in zip(mass, mask, strict=True) if v == value]
            taken = min(left, value * len(equals))
            found += taken * sum(equals) / len(equals)
            left -= taken
        precision.append(found / (share * whole))
        recall.append(found / inside if inside else 0.0)

    def area(y, x):
        return sum((y[i] + y[i + 1]) / 2 * (x[i + 1] - x[i]) for i in range(len(x) - 1))

    return area(precision, shares) / 0.8, area(recall, shares) / 0.8, area(precision, recall)


def shown_through_maps(clips, maps, baselines):
    """Clips blended voxel by voxel with their baselines, all maps of a clip on one scale.

    One clip: lists of (C, T, H, W), maps summed over channels here.
    """
    summed = [one.double().sum(0) for one in maps]
    least = min(one.min().item() for one in summed)
    most = max(one.max().item() for one in summed)
    shown = []
    for clip, one, baseline in zip(clips, summed, baselines, strict=True):
        out = baseline.clone().double()
        for place in itertools.product(*map(range, one.shape)):
            kept = (one[place].item() - least) / (most - least) if most > least else 0.0
            at = (slice(None), *place)
            out[at] = kept * clip[at].double() + (1 - kept) * baseline[at].double()
        shown.append(out)
    return shown
