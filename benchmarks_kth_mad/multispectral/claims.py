"""The study's claim as paired comparisons: is training on both spectra better than on one?"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from benchmarks_kth_mad.intervals import Interval, bootstrap_mean, in_words
from benchmarks_kth_mad.multispectral.config import StudyConfig
from benchmarks_kth_mad.multispectral.experiment import CELL, PAIRED
from benchmarks_kth_mad.multispectral.rows import ACTOR, HALF
from benchmarks_kth_mad.multispectral.tables import ACCURACY, by_person

POOLED = "IRTV"
CLAIMS = {
    ACCURACY: ("labels more clips right", 1),
    HALF: ("gives more focused maps (half of the energy on a smaller area)", -1),
    ACTOR: ("gives maps that lie more on the actor", 1),
    "insertion": ("gives maps further above the random map in insertion", 1),
    "deletion": ("gives maps further below the random map in deletion", -1),
}
"""What each measure would have to show, and in which direction."""
RANDOM = "random"
PLAYED = ("insertion", "deletion")


@dataclass(frozen=True)
class Verdict:
    """One comparison over the same scenes.

    Attributes:
        network: that was trained in two ways.
        claim: what the first of them is said to be better at.
        first: what it was trained on.
        second: what it is compared with.
        tested_on: where both were tested.
        difference: first less second, with its 95 % bootstrap interval over persons.
        persons: how many.
        direction: 1 where the claim is that the difference is above 0, -1 below.
    """

    network: str
    claim: str
    first: str
    second: str
    tested_on: str
    difference: Interval
    persons: int
    direction: int

    @property
    def outcome(self) -> str:
        """``"supported"``, ``"contradicted"``, or ``"undecided"`` where the interval holds 0."""
        low, high = sorted(self.direction * bound for bound in self.difference[1:])
        if self.persons < 2 or low <= 0 <= high:
            return "undecided"
        return "supported" if low > 0 else "contradicted"


def verdicts(rows: pd.DataFrame, config: StudyConfig, seed: int = 0) -> list[Verdict]:
    """All comparisons that the rows allow.

    Pooled training against training on the spectrum of the test alone, measure by measure, maps
    averaged over methods other than the random map; and true fusion against pooled training by
    accuracy, on the same scenes. Areas of insertion and deletion rise and fall with how sure a
    network is of its class, so that those of two networks compare only by what the map gains over
    a random one.
    """
    found = _above_random(rows)
    return [
        verdict
        for network in config.networks
        for verdict in (
            *_pooled_against_single(found, network, config, seed),
            *_fused_against_pooled(found, network, config, seed),
        )
    ]


def verdict_table(found: list[Verdict]) -> pd.DataFrame:
    """One row per comparison."""
    return pd.DataFrame(
        [
            {
                "network": one.network,
                "claim": f"training on {one.first} {one.claim} than on {one.second}",
                "tested on": one.tested_on,
                "difference": in_words(one.difference, one.persons, signed=True),
                "persons": one.persons,
                "verdict": one.outcome,
            }
            for one in found
        ]
    )


def _above_random(rows: pd.DataFrame) -> pd.DataFrame:
    """All rows but those of random maps, whose areas are taken from the others'."""
    played, is_random = rows["measure"].isin(PLAYED), rows["method"] == RANDOM
    key = [*CELL, "measure", "scene"]
    level = rows[played & is_random].set_index(key)["value"].rename("level")
    areas = rows[played & ~is_random].join(level, on=key, how="inner")
    areas = areas.assign(value=areas["value"] - areas["level"]).drop(columns="level")
    return pd.concat([rows[~played & ~is_random], areas], ignore_index=True)


def _pooled_against_single(
    rows: pd.DataFrame, network: str, config: StudyConfig, seed: int
) -> Iterator[Verdict]:
    own = rows[rows["network"] == network]
    for measure, (claim, direction) in CLAIMS.items():
        for spectrum in config.tested_on:
            here = own[(own["measure"] == measure) & (own["tested on"] == spectrum)]
            first, second = (here[here["trained on"] == name] for name in (POOLED, spectrum))
            if len(first) and len(second):
                difference, persons = _difference(first, second, seed)
                yield Verdict(
                    network, claim, POOLED, spectrum, spectrum, difference, persons, direction
                )


def _fused_against_pooled(
    rows: pd.DataFrame, network: str, config: StudyConfig, seed: int
) -> Iterator[Verdict]:
    right = rows[rows["measure"] == ACCURACY]
    pooled = right[(right["network"] == network) & (right["trained on"] == POOLED)]
    for kind in config.fusion:
        fused = right[right["network"] == f"{network}_{kind}"]
        for spectrum in config.tested_on:
            single = pooled[pooled["tested on"] == spectrum]
            if len(fused) and len(single):
                difference, persons = _difference(fused, single, seed)
                yield Verdict(
                    network,
                    CLAIMS[ACCURACY][0],
                    f"{PAIRED} clips ({kind.replace('_', ' ')} fusion)",
                    POOLED,
                    f"{PAIRED} and {spectrum}",
                    difference,
                    persons,
                    1,
                )


def _difference(first: pd.DataFrame, second: pd.DataFrame, seed: int) -> tuple[Interval, int]:
    """First less second, scene by scene and method by method, then over persons."""
    key = ["scene", "person", "method"]
    paired = first.merge(second, on=key, suffixes=("", " of second"), validate="one_to_one")
    paired = paired.assign(value=paired["value"] - paired["value of second"])
    means = by_person(paired)
    return bootstrap_mean(means, seed=seed), len(means)
