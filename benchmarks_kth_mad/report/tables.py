"""The tables of a run: every method's mean area, and which differ; in numbers and in words."""

from collections.abc import Sequence

import pandas as pd

from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.intervals import bootstrap_mean
from benchmarks_kth_mad.report.areas import (
    BETTER,
    RANDOM,
    areas_of,
    failures,
    metrics_of,
    over_persons,
)
from benchmarks_kth_mad.report.words import chance, explain_area, explain_tests, measured
from benchmarks_kth_mad.runs import Manifest, Run


def mean_areas(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean area of every method, with its interval, and how often it beats the random map.

    Args:
        rows: one per metric, method and clip, as `evaluation.measure` gives them, with a column
            ``person`` where persons are known; else every clip counts as a person of its own.
        seed: of the bootstrap.

    Returns:
        One row per metric and method, best first: ``clips`` and ``persons`` that count, ``failed``
        clips that do not, the ``mean area`` over persons, ``low`` and ``high`` of its 95 %
        bootstrap interval over persons (NaN for a single one), and ``beats random``, the share of
        clips on which the method beats the random map (NaN for that map itself, and where there
        is none).
    """
    tables = []
    for metric in metrics_of(rows):
        areas = areas_of(rows, metric)
        failed = failures(rows[rows["metric"] == metric])["method"].value_counts()
        found = pd.DataFrame(
            {
                "metric": metric,
                "method": name,
                **_mean(areas[name], seed),
                "failed": int(failed.get(name, 0)),
                "beats random": _share_beating_random(areas, name, metric),
            }
            for name in map(str, areas.columns.sort_values())
        )
        tables.append(
            found.sort_values("mean area", ascending=BETTER[metric] == "lower", kind="stable")
        )
    return pd.concat(tables, ignore_index=True)[_COLUMNS]


def summary(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """`mean_areas` in words: see `mean_table`."""
    return mean_table(mean_areas(rows, seed), persons_known="person" in rows)


def mean_table(means: pd.DataFrame, persons_known: bool = True) -> pd.DataFrame:
    """Mean areas in words: a column for the interval, and none that would be empty."""
    table = pd.DataFrame(
        {
            "metric": means["metric"].map(measured),
            "method": means["method"],
            "clips": means["clips"],
            "persons": means["persons"],
            "failed": means["failed"],
            "mean area": means["mean area"],
            "95 % interval": _bounds(means, ".3f"),
            "beats random": [
                None if pd.isna(one) else f"{one:.0%}" for one in means["beats random"]
            ],
        }
    )
    unknown = [] if persons_known else ["persons"]
    return table.drop(columns=unknown if means["failed"].any() else [*unknown, "failed"])


def comparison_table(compared: pd.DataFrame) -> pd.DataFrame:
    """`comparisons` in words."""
    return pd.DataFrame(
        {
            "metric": compared["metric"].map(measured),
            "method": compared["method"],
            "against": [
                reference if against == "random" else f"{reference} ({against})"
                for against, reference in zip(
                    compared["against"], compared["reference"], strict=True
                )
            ],
            "difference": [f"{one:+.3f}" if one == one else "" for one in compared["difference"]],
            "95 % interval": _bounds(compared, "+.3f"),
            "p": [chance(one) for one in compared["p"]],
            "p (Holm)": [chance(one) for one in compared["p holm"]],
            "verdict": compared["verdict"],
        }
    )


def as_text(table: pd.DataFrame) -> str:
    """The table as Markdown, readable in a terminal as well."""
    shown = table.astype(object).where(table.notna(), "")
    if "mean area" in table:
        shown["mean area"] = [f"{one:.3f}" if one == one else "" for one in table["mean area"]]
    right = [one in _NUMBERS for one in table.columns]
    return shown.to_markdown(
        index=False, disable_numparse=True, colalign=["right" if one else "left" for one in right]
    )


def write_tables(run: Run, means: pd.DataFrame, compared: pd.DataFrame) -> None:
    """Write both tables with all their digits."""
    for file, table in ((run.summary, means), (run.comparisons, compared)):
        with whole_file(file) as path:
            table.to_csv(path, index=False)


def write_report(
    run: Run,
    manifest: Manifest,
    rows: pd.DataFrame,
    means: pd.DataFrame,
    compared: pd.DataFrame,
    pictures: Sequence[str],
) -> None:
    """Write the tables, what they were made with, and links to the pictures."""
    failed = failures(rows)
    lines = [
        f"# {', '.join(manifest.source.classes)}: {manifest.model}",
        "",
        manifest.claim,
        "",
        explain_area(rows),
        "",
        as_text(mean_table(means, "person" in rows)),
        "",
        *([] if compared.empty else [as_text(comparison_table(compared)), ""]),
        *[f"{line}\n" for line in explain_tests(rows, compared)],
        *([] if failed.empty else ["## Failed", "", _failed_list(failed), ""]),
        *[f"![{name}](pictures/{name})" for name in pictures if name.endswith((".png", ".gif"))],
        "",
        "Made with " + ", ".join(f"{name} {v}" for name, v in manifest.versions.items()) + ".",
        "",
    ]
    with whole_file(run.report) as path:
        path.write_text("\n".join(lines))


_COLUMNS = ["metric", "method", "clips", "persons", "failed"]
_COLUMNS += ["mean area", "low", "high", "beats random"]
_NUMBERS = ("clips", "persons", "failed", "mean area", "difference", "p", "p (Holm)")


def _mean(areas: pd.Series, seed: int) -> dict[str, float]:
    """Mean over persons and its bounds, which a single person does not have."""
    own = over_persons(areas)
    found = {"clips": int(areas.notna().sum()), "persons": len(own)}
    nan = float("nan")
    if not len(own):
        return {**found, "mean area": nan, "low": nan, "high": nan}
    mean, low, high = bootstrap_mean(own, seed=seed)
    return {
        **found,
        "mean area": mean,
        "low": low if len(own) > 1 else nan,
        "high": high if len(own) > 1 else nan,
    }


def _share_beating_random(areas: pd.DataFrame, method: str, metric: str) -> float:
    if RANDOM not in areas or method == RANDOM:
        return float("nan")
    gain = (areas[method] - areas[RANDOM]).dropna()
    return float(((gain if BETTER[metric] == "higher" else -gain) > 0).mean())


def _bounds(table: pd.DataFrame, form: str) -> list[str]:
    return [
        f"{low:{form}} to {high:{form}}" if low == low else ""
        for low, high in zip(table["low"], table["high"], strict=True)
    ]


def _failed_list(failed: pd.DataFrame) -> str:
    """One line for each clip, method and metric that gave no area."""
    return "\n".join(
        f"- {_quoted(row.clip)}, {row.method}, {row.metric}: {_quoted(row.error)}"
        for row in failed.itertuples()
    )


def _quoted(text: object) -> str:
    """What came from a file or an error, in one line that is shown as it is."""
    return "`" + " ".join(str(text).split()).replace("`", "'") + "`"
