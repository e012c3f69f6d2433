"""The study's claim as paired comparisons: is training on both spectra better than on one?"""

from collections.abc import Iterator

import pandas as pd

from benchmarks_kth_mad.multispectral.config import StudyConfig
from benchmarks_kth_mad.multispectral.experiment import CELL, PAIRED
from benchmarks_kth_mad.multispectral.rows import ACTOR, HALF
from benchmarks_kth_mad.multispectral.tables import ACCURACY
from benchmarks_kth_mad.studies.claims import Verdict, paired_difference

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
PAIR = ("scene", "method")
SENTENCE = "training on {first} {claim} than on {second}"


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
                difference, persons = paired_difference(first, second, PAIR, seed)
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
                difference, persons = paired_difference(fused, single, PAIR, seed)
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
