"""What the rows are worth: means over persons, differences to chance, and which checks can be trusted."""

from typing import Literal

import pandas as pd
import torch

from benchmarks_kth_mad.checks.bench import RANDOM
from benchmarks_kth_mad.checks.catalogue import CHECKS
from benchmarks_kth_mad.intervals import Interval, bootstrap_difference, bootstrap_mean
from captum_video.metrics import reliability, share_beaten

Verdict = Literal["wins", "loses", "undecided", ""]


def summary(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean of every check and method, and how it stands to the random map.

    Clips of one person are alike: means are taken per person first, and intervals over persons.

    Args:
        rows: as `experiment.run_checks` gives them.
        seed: of the bootstrap.

    Returns:
        One row per check and method, in the order of the rows: kind, which answer is better, clips,
        persons, mean with the bounds of its 95 % interval, the paired difference to the random map
        with its bounds, the verdict, the rank by the mean (1 is best, equal means share the better).
    """
    table = []
    for check, group in rows.groupby("check", sort=False):
        rule = CHECKS[str(check)]
        by_person = group.pivot_table(
            index="person", columns="method", values="value", sort=False
        ).sort_index()
        ranks = by_person.mean().rank(ascending=not rule.higher_is_better, method="min")
        for method in group["method"].unique():
            own = by_person[method]
            gain = _difference(by_person, method, seed)
            mean = bootstrap_mean(own, seed=seed)
            table.append(
                {
                    "kind": rule.kind,
                    "check": check,
                    "better": rule.better,
                    "method": method,
                    "clips": int((group["method"] == method).sum()),
                    "persons": len(own),
                    **mean._asdict(),
                    "difference": gain.mean,
                    "difference low": gain.low,
                    "difference high": gain.high,
                    "verdict": verdict(method, gain, len(own), rule.higher_is_better),
                    "rank": int(ranks[method]),
                }
            )
    return pd.DataFrame(table)


def verdict(method: str, gain: Interval, persons: int, higher_is_better: bool) -> Verdict:
    """Whether a method wins or loses against the random map, by the interval of its difference."""
    if method == RANDOM:
        return ""
    bounds = gain[1:] if higher_is_better else (-gain.high, -gain.low)
    if persons < 2 or bounds[0] <= 0 <= bounds[1]:
        return "undecided"
    return "wins" if bounds[0] > 0 else "loses"


def reliability_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Which checks of faithfulness can be trusted on this network.

    A check on which a map that knows nothing is not the last does not measure faithfulness there. A
    method that is level with it counts as worse: a check that can not tell them apart is no help.

    Returns:
        One row per check: methods beside the random map; its rank by the mean over persons, of how
        many; the methods that are not better; on which share of clips a method beats it, over all
        methods; on which share of clips it is the worst; alpha of
        `captum_video.metrics.reliability`; and whether the check is reliable.
    """
    table = []
    for check, group in rows.groupby("check", sort=False):
        rule = CHECKS[str(check)]
        if rule.kind != "faithfulness":
            continue
        values = group.pivot(index="clip", columns="method", values="value")
        methods = [name for name in group["method"].unique() if name != RANDOM]
        means = group.groupby(["method", "person"])["value"].mean().groupby("method").mean()
        lead = (means - means[RANDOM]) * (1 if rule.higher_is_better else -1)
        worse = [name for name in methods if lead[name] <= 0]
        chance = _tensor(values[RANDOM])[:, None]
        beaten = [
            share_beaten(_tensor(values[name]), chance, rule.higher_is_better) for name in methods
        ]
        found = _reliability(values[[*methods, RANDOM]], rule.higher_is_better)
        table.append(
            {
                "check": check,
                "methods": len(methods),
                "rank of random": len(methods) + 1 - len(worse),
                "not better": ", ".join(worse),
                "random is beaten": sum(one.share_of_clips for one in beaten) / len(beaten)
                if beaten
                else float("nan"),
                **found,
                "verdict": "UNRELIABLE" if worse else "reliable",
            }
        )
    return pd.DataFrame(table)


def _reliability(values: pd.DataFrame, higher_is_better: bool) -> dict[str, float]:
    if min(values.shape) < 2:
        return {"random is worst": float("nan"), "alpha": float("nan")}
    found = reliability(_tensor(values), values.shape[1] - 1, higher_is_better=higher_is_better)
    return {"random is worst": found.random_is_worst, "alpha": found.alpha}


def _difference(by_person: pd.DataFrame, method: str, seed: int) -> Interval:
    return bootstrap_difference(by_person[method], by_person[RANDOM], seed=seed)


def _tensor(values: pd.Series | pd.DataFrame) -> torch.Tensor:
    return torch.tensor(values.to_numpy(dtype="float64", copy=True))
