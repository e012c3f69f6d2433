"""One card, and the index of all, as Markdown."""

from collections.abc import Sequence

import pandas as pd

from benchmarks_kth_mad.cards.classes import Described
from benchmarks_kth_mad.checks.bench import RANDOM
from benchmarks_kth_mad.checks.costs import PLAIN
from benchmarks_kth_mad.checks.report import Kept, markdown

NOT_MEASURED = "not measured here"
_VERDICTS = {
    "wins": "Better than the random map",
    "loses": "Worse than the random map",
    "undecided": "Open",
}


def card(one: Described, measured: Sequence[Kept]) -> str:
    """The card of a class.

    Args:
        one: the class.
        measured: what the checks have said, network by network.

    Returns:
        Markdown: what it says of itself, and for each network what it costs there and where it wins
        and loses; nothing is guessed of a network on which it was not measured.
    """
    parts = [
        f"# {one.name}",
        one.first,
        one.formula,
        f"**Cost.** {one.cost}",
    ]
    for kept in measured:
        for method in one.methods:
            parts += [f"## `{method}`: {kept.network}", *_measured(method, kept)]
    return "\n\n".join(parts) + "\n"


def index(described: Sequence[Described], measured: Sequence[Kept]) -> str:
    """The table of all cards, with what was counted and how often a method wins."""
    rows = []
    for one in described:
        for method in one.methods:
            for kept in measured:
                rows.append(
                    {
                        "class": f"[{one.name}]({one.name}.md)",
                        "explained": f"[page](../methods/{one.page}.md)",
                        "method": f"`{method}`",
                        "network": kept.network,
                        **_counted(method, kept),
                        **_score(method, kept),
                    }
                )
    return (
        "\n\n".join(
            [
                "# Methods, card by card",
                "Made by `python -m benchmarks_kth_mad cards` from the figures of `checks`. Passes of the "
                "network for one clip are counted, one that finds the layer included where a method looks "
                "for one; memory is of all tensors that live at once, beyond those there before, without "
                "what an operator uses inside. Wins and losses are against the random map, over the checks "
                "that are not marked UNRELIABLE. How each works, and when to use it: "
                "[the methods](../methods/README.md).",
                markdown(pd.DataFrame(rows)),
            ]
        )
        + "\n"
    )


def _measured(method: str, kept: Kept) -> list[str]:
    own = kept.means[kept.means["method"] == method]
    if own.empty:
        return [f"{NOT_MEASURED[0].upper()}{NOT_MEASURED[1:]}."]
    cost, plain = kept.costs.loc[method], kept.costs.loc[PLAIN]
    said = [
        f"One clip: {cost['forward passes']:g} forward and {cost['backward passes']:g} backward passes, "
        f"{cost['MiB']:g} MiB of tensors at the peak (a plain forward pass: {plain['MiB']:g})."
    ]
    unreliable = _unreliable(kept)
    lines = [
        f"- {words}: {', '.join(_named(row, unreliable) for _, row in rows.iterrows())}."
        for verdict, words in _VERDICTS.items()
        if len(rows := own[own["verdict"] == verdict])
    ]
    return [*said, "\n".join(lines), markdown(_figures(own, kept, unreliable))]


def _named(row: pd.Series, unreliable: set[str]) -> str:
    mark = " (UNRELIABLE)" if row["check"] in unreliable else ""
    return f"{row['check']} {float(row['difference']):+.3f}{mark}"


def _figures(own: pd.DataFrame, kept: Kept, unreliable: set[str]) -> pd.DataFrame:
    chance = kept.means[kept.means["method"] == RANDOM].set_index("check")["mean"]
    counts = kept.means.groupby("check")["method"].nunique()
    return pd.DataFrame(
        [
            {
                "check": row["check"] + (" (UNRELIABLE)" if row["check"] in unreliable else ""),
                "better": row["better"],
                "mean": f"{float(row['mean']):.3f}",
                "random map": f"{float(chance[row['check']]):.3f}",
                "difference (95 %)": f"{float(row['difference']):+.3f} "
                f"({float(row['difference low']):+.3f} to {float(row['difference high']):+.3f})",
                "rank": f"{row['rank']} of {counts[row['check']]}",
                "clips": row["clips"],
                "persons": row["persons"],
            }
            for _, row in own.iterrows()
        ]
    )


def _counted(method: str, kept: Kept) -> dict[str, str]:
    if method not in kept.costs.index:
        return dict.fromkeys(("forward", "backward", "MiB"), NOT_MEASURED)
    cost = kept.costs.loc[method]
    return {
        "forward": f"{cost['forward passes']:g}",
        "backward": f"{cost['backward passes']:g}",
        "MiB": f"{cost['MiB']:g}",
    }


def _score(method: str, kept: Kept) -> dict[str, str]:
    own = kept.means[kept.means["method"] == method]
    own = own[~own["check"].isin(_unreliable(kept))]
    if own.empty:
        return dict.fromkeys(("wins", "loses", "open"), "")
    found = own["verdict"].value_counts()
    return {
        words: str(found.get(name, 0))
        for words, name in [("wins", "wins"), ("loses", "loses"), ("open", "undecided")]
    }


def _unreliable(kept: Kept) -> set[str]:
    return set(kept.trust.loc[kept.trust["verdict"] == "UNRELIABLE", "check"])
