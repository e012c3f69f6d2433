"""A claim as a paired comparison over persons, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks_kth_mad.intervals import Interval, bootstrap_mean, in_words


def by_person(rows: pd.DataFrame, *keys: str) -> pd.Series:
    """Mean value of each person, who is the unit that intervals are taken over."""
    return rows.groupby([*keys, "person"], sort=False)["value"].mean()


def paired_difference(
    first: pd.DataFrame, second: pd.DataFrame, keys: Sequence[str], seed: int = 0
) -> tuple[Interval, int]:
    """First less second, row by row of the same keys, then over persons.

    Args:
        first: rows with ``value``, ``person`` and the keys; each key once.
        second: the same of what it is compared with; what only one of the two has is left out.
        keys: what a pair has in common, beside the person.
        seed: of the bootstrap.

    Returns:
        The mean difference with its 95 % bootstrap interval over persons, and how many they are.
    """
    key = [*keys, "person"]
    paired = first.merge(second, on=key, suffixes=("", " of second"), validate="one_to_one")
    paired = paired.assign(value=paired["value"] - paired["value of second"])
    means = by_person(paired)
    return bootstrap_mean(means, seed=seed), len(means)


@dataclass(frozen=True)
class Verdict:
    """One comparison over the same clips.

    Attributes:
        network: that it is about.
        claim: what the first of two is said to do more, or better, than the second.
        first: a training, a network, or a method.
        second: what it is compared with.
        on: the test set of both, or the measure.
        difference: first less second, with its 95 % bootstrap interval over persons.
        persons: how many.
        direction: 1 where the claim is that the difference is above 0, -1 below.
    """

    network: str
    claim: str
    first: str
    second: str
    on: str
    difference: Interval
    persons: int
    direction: int

    @property
    def outcome(self) -> str:
        """``"supported"``, ``"contradicted"``, or ``"undecided"``.

        The last where the interval holds 0, or one person alone says anything.
        """
        low, high = sorted(self.direction * bound for bound in self.difference[1:])
        if self.persons < 2 or low <= 0 <= high:
            return "undecided"
        return "supported" if low > 0 else "contradicted"


def verdict_table(
    found: Sequence[Verdict], sentence: str = "{first} {claim} than {second}", on: str = "on"
) -> pd.DataFrame:
    """One row per comparison.

    Args:
        found: comparisons.
        sentence: how a claim is put.
        on: heading of what both were compared on.
    """
    return pd.DataFrame(
        [
            {
                "network": one.network,
                "claim": sentence.format(first=one.first, claim=one.claim, second=one.second),
                on: one.on,
                "difference": in_words(one.difference, one.persons, signed=True),
                "persons": one.persons,
                "verdict": one.outcome,
            }
            for one in found
        ]
    )
