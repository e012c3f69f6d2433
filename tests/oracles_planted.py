"""Slow plain references for the scores of the planted artefact."""

from itertools import product


def auc(values: list[float], inside: list[bool]) -> float:
    """Every pair of a value inside and one outside, compared by hand."""
    ours = [value for value, here in zip(values, inside, strict=True) if here]
    theirs = [value for value, here in zip(values, inside, strict=True) if not here]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(ours, theirs))
    return won / (len(ours) * len(theirs))


def grown(mask: list[list[bool]], pixels: int) -> list[list[bool]]:
    """A pixel is in where one of its neighbours, so many rows and columns away at most, is in."""
    rows, columns = len(mask), len(mask[0])
    return [
        [
            any(
                mask[r][c]
                for r in range(max(0, row - pixels), min(rows, row + pixels + 1))
                for c in range(max(0, column - pixels), min(columns, column + pixels + 1))
            )
            for column in range(columns)
        ]
        for row in range(rows)
    ]
