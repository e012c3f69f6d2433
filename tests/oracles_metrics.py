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
