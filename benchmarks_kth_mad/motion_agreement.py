"""Whether maps follow what moves: agreement with optical flow, against the random map."""

import pandas as pd
from torch import Tensor

from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.intervals import bootstrap_difference, bootstrap_mean
from benchmarks_kth_mad.places import flow_of_clips
from captum_video.metrics import flow_agreement

MEASURES = ("correlation", "energy")


def flow_of(explained: Explained, name: str) -> Tensor:
    """Optical flow (N, 2, T, H, W) of the clips that were explained."""
    return flow_of_clips(explained.of_only_input()[0], name)


def agreement_rows(explained: Explained, magnitude: Tensor, threshold: float) -> pd.DataFrame:
    """Agreement of every map with the speed of its clip.

    Args:
        explained: clips and maps.
        magnitude: (N, 1, T, H, W), pixels per frame.
        threshold: above which a pixel moves.

    Returns:
        One row per method and clip: rank correlation, energy on moving pixels, their area.
    """
    rows: list[dict[str, object]] = []
    for method, maps in explained.of_only_input()[1].items():
        found = flow_agreement(maps, magnitude, moving_threshold=threshold)
        for i, name in enumerate(explained.names):
            rows.append(
                {
                    "method": method,
                    "clip": name,
                    "correlation": found.correlation[i].item(),
                    "energy": found.energy[i].item(),
                    "moving area": found.moving_area[i].item(),
                }
            )
    return pd.DataFrame(rows)


def agreement_table(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean agreement of every method, and how far it is above the random map.

    Clips of one person are alike, so means are taken per person first, and intervals over persons.

    Args:
        rows: as `agreement_rows` gives them; clips are named as KTH's, the person first.
        seed: of the bootstrap.

    Returns:
        One row per measure and method, best first: persons, mean with its 95 % interval, mean
        difference to the random map with its interval (empty for the random map, and without one).
    """
    table: list[dict[str, object]] = []
    by_person = rows.assign(person=rows["clip"].str.split("_").str[0])
    for measure in MEASURES:
        means = by_person.pivot_table(index="person", columns="method", values=measure)
        for method in means.mean().sort_values(ascending=False).index:
            mean, low, high = bootstrap_mean(means[method], seed=seed)
            row: dict[str, object] = {
                "measure": measure,
                "method": method,
                "persons": len(means),
                "mean": mean,
                "95 % interval": f"{low:.3f} to {high:.3f}" if len(means) > 1 else "one person",
                "above random": "",
            }
            if "random" in means and method != "random":
                gain, low, high = bootstrap_difference(means[method], means["random"], seed=seed)
                row["above random"] = f"{gain:+.3f}"
                if len(means) > 1:
                    row["above random"] = f"{gain:+.3f} ({low:+.3f} to {high:+.3f})"
            table.append(row)
    return pd.DataFrame(table)
