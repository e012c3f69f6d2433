"""What the study says, as paired comparisons: of two cells, and of two methods of one network."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from benchmarks_kth_mad.sequential.rows import (
    ACCURACY,
    CORRELATION,
    ENERGY,
    FIRST,
    LAST,
    played,
)
from benchmarks_kth_mad.studies.claims import Verdict, paired_difference

ATTENTION = "_attention"
RANDOM = "random"
_PAIR = ("clip",)


class CellClaim(NamedTuple):
    """What input-cell attention is said to do, against the same network with a plain LSTM.

    ``method`` is whose map it is, ``direction`` 1 where the measure is said to be larger.
    """

    claim: str
    measure: str
    method: str
    direction: int


class MethodClaim(NamedTuple):
    """What one method is said to do against another, of the same network and clips."""

    claim: str
    measure: str
    first: str
    second: str
    direction: int


CELL_CLAIMS = (
    CellClaim("labels more clips right", ACCURACY, "", 1),
    CellClaim("gives the first third more of the gradient", FIRST, "gradient", 1),
    CellClaim("gives the last third less of the gradient", LAST, "gradient", -1),
    CellClaim(
        "gives the first third more of what hiding frames shows", FIRST, "frame_occlusion", 1
    ),
)
METHOD_CLAIMS = (
    MethodClaim("lies more on what moves", ENERGY, "tsr", "gradient", 1),
    MethodClaim("follows the speed more closely", CORRELATION, "tsr", "gradient", 1),
    MethodClaim("ranks voxels better", played("insertion", "voxel"), "tsr", "gradient", 1),
    MethodClaim("ranks frames better", played("insertion", "frame"), "tsr", "gradient", 1),
    MethodClaim("ranks frames better", played("insertion", "frame"), "input_cell", "gradient", 1),
)


def verdicts(rows: pd.DataFrame, networks: Sequence[str], seed: int = 0) -> list[Verdict]:
    """All comparisons that the rows allow.

    Args:
        rows: network, measure, method, clip, person, value.
        networks: in order; one whose name ends in ``_attention`` is compared with the one without.
        seed: of the bootstrap.
    """
    return [*_of_cells(rows, networks, seed), *_of_methods(rows, networks, seed)]


def above_random(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every map's measure less the random map's of the same network and clip.

    Returns:
        network, measure, method; mean, low and high of the difference, over ``persons``.
    """
    table = []
    is_random = rows["method"] == RANDOM
    for (network, measure), group in rows.groupby(["network", "measure"], sort=False):
        random = group[is_random.loc[group.index]]
        others = group[~is_random.loc[group.index]]
        for method, own in others.groupby("method", sort=False):
            if len(random.merge(own, on="clip")):
                difference, persons = paired_difference(own, random, _PAIR, seed)
                table.append([network, measure, method, *difference, persons])
    return pd.DataFrame(
        table, columns=["network", "measure", "method", "mean", "low", "high", "persons"]
    )


def _of_cells(rows: pd.DataFrame, networks: Sequence[str], seed: int) -> Iterator[Verdict]:
    for network in networks:
        plain = network.removesuffix(ATTENTION)
        if plain == network or plain not in networks:
            continue
        for claim, measure, method, direction in CELL_CLAIMS:
            first, second = (_of(rows, one, measure, method) for one in (network, plain))
            if len(first.merge(second, on="clip")):
                difference, persons = paired_difference(first, second, _PAIR, seed)
                yield Verdict(
                    network, claim, network, plain, measure, difference, persons, direction
                )


def _of_methods(rows: pd.DataFrame, networks: Sequence[str], seed: int) -> Iterator[Verdict]:
    for network in networks:
        for claim, measure, one, other, direction in METHOD_CLAIMS:
            first, second = (_of(rows, network, measure, method) for method in (one, other))
            if len(first.merge(second, on="clip")):
                difference, persons = paired_difference(first, second, _PAIR, seed)
                yield Verdict(network, claim, one, other, measure, difference, persons, direction)


def _of(rows: pd.DataFrame, network: str, measure: str, method: str) -> pd.DataFrame:
    own = (rows["network"] == network) & (rows["measure"] == measure) & (rows["method"] == method)
    return rows[own]
