"""What the checks leave behind: rows, tables, what to trust, and a picture."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks_kth_mad.checks.catalogue import CHECKS, KINDS
from benchmarks_kth_mad.checks.experiment import Outcome, Plan
from benchmarks_kth_mad.checks.picture import heat_map
from benchmarks_kth_mad.checks.tables import themed_tables
from benchmarks_kth_mad.checks.verdicts import reliability_table, summary
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder, whole_file
from benchmarks_kth_mad.report.pictures import save_figure
from benchmarks_kth_mad.runs import Manifest, require

PICTURE = "checks.png"
_DPI = 110
_READING = (
    "A cell is the mean over persons with its 95 % bootstrap interval over persons. Each method is "
    "compared with the random map person by person: + wins, - loses, = the interval of the "
    "difference holds 0 (or there is one person). The best of a column is in bold."
)


@dataclass(frozen=True)
class Kept:
    """What another command needs of a folder of checks.

    Attributes:
        means: as `verdicts.summary` gives them.
        trust: as `verdicts.reliability_table` gives it.
        costs: as `costs.cost_table` gives them.
        network: what the checks were made on, in words.
    """

    means: pd.DataFrame
    trust: pd.DataFrame
    costs: pd.DataFrame
    network: str


def write_checks(
    out: Path, outcome: Outcome, costs: pd.DataFrame, manifest: Manifest, plan: Plan
) -> str:
    """Write rows, seconds, means, tables, costs, the report and the picture.

    Returns:
        The report as Markdown, which is the same for the same rows.
    """
    make_folder(out)
    means = summary(outcome.rows, plan.settings.options.seed)
    trust = reliability_table(outcome.rows)
    tables = {
        "rows.csv": outcome.rows,
        "seconds.csv": outcome.seconds,
        "summary.csv": means,
        "reliability.csv": trust,
        "costs.csv": costs,
    }
    for name, table in tables.items():
        with whole_file(out / name) as path:
            table.to_csv(path, index=False)
    network = f"{manifest.model} on {', '.join(manifest.source.classes)}"
    with whole_file(out / "checks.json") as path:
        path.write_text(json.dumps({"network": network}, indent=2) + "\n")
    body = tables_text(means)
    with whole_file(out / "table.md") as path:
        path.write_text(body)
    unreliable = list(trust.loc[trust["verdict"] == "UNRELIABLE", "check"]) if len(trust) else []
    save_figure(out, PICTURE, heat_map(means, unreliable), _DPI)
    text = _report(outcome, body, trust, manifest, plan)
    with whole_file(out / "report.md") as path:
        path.write_text(text)
    return text


def load_checks(folder: Path) -> Kept:
    """Read what `write_checks` wrote.

    Raises:
        BenchmarkError: no such files, or not of the command.
    """
    for name in ("summary.csv", "reliability.csv", "costs.csv", "checks.json"):
        require(folder / name, "checks")
    try:
        means = pd.read_csv(folder / "summary.csv", keep_default_na=False)
        costs = pd.read_csv(folder / "costs.csv").set_index("method", drop=False)
        trust = pd.read_csv(folder / "reliability.csv")
        network = json.loads((folder / "checks.json").read_text())["network"]
        unknown = set(means["check"]) - set(CHECKS)
        if unknown or means[["method", "mean", "verdict", "rank"]].empty:
            raise ValueError(f"unknown checks: {sorted(unknown)}")
        return Kept(means, trust, costs, str(network))
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(
            f"{folder}: not what checks leaves behind; run checks again"
        ) from error


def tables_text(means: pd.DataFrame) -> str:
    """The tables of all themes as Markdown."""
    parts = []
    for heading, table in themed_tables(means).items():
        parts += [f"### {heading}", markdown(table)]
    return "\n\n".join(parts) + "\n"


def markdown(table: pd.DataFrame) -> str:
    """A table whose cells are words already."""
    return table.to_markdown(index=False, disable_numparse=True)


def _report(
    outcome: Outcome, body: str, trust: pd.DataFrame, manifest: Manifest, plan: Plan
) -> str:
    settings = plan.settings
    clips = outcome.rows.groupby("check")["clip"].nunique()
    persons = outcome.rows["person"].nunique()
    parts = [
        "# Methods x checks",
        f"{manifest.model}, classes {', '.join(manifest.source.classes)}. {manifest.claim}",
        f"Made by `python -m benchmarks_kth_mad checks`: {clips.max()} clips of {persons} persons, "
        f"seed {settings.options.seed}, hidden by {settings.options.baseline}, "
        f"{settings.options.n_samples} masks of RISE, curves of {settings.n_steps} steps; the random "
        f"map is the mean of {settings.n_random}.",
        _READING,
        f"![Methods x checks]({PICTURE})",
        body.rstrip("\n"),
    ]
    if len(trust):
        parts += ["### Which checks to trust here", _trust_text(), markdown(_trust_words(trust))]
    parts += ["### What was asked", markdown(_questions(clips, outcome.left_out))]
    return "\n\n".join(parts) + "\n"


def _trust_text() -> str:
    return (
        "A check of faithfulness on which a map that knows nothing does not come last measures "
        "something else on this network: it is marked UNRELIABLE, whatever it says of the methods. "
        "Beaten: the share of clips on which a method is better than the random map, averaged over "
        "methods. Worst: the share of clips on which no method is worse than it. Alpha: how alike "
        "the methods rank from clip to clip (Li et al., arXiv 2109.00222), 1 is always alike."
    )


def _trust_words(trust: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "check": trust["check"],
            "verdict": trust["verdict"],
            "random is": [
                f"{rank} of {count + 1}"
                for rank, count in zip(trust["rank of random"], trust["methods"], strict=True)
            ],
            "not better than random": trust["not better"],
            "beaten": trust["random is beaten"].map("{:.0%}".format),
            "worst": trust["random is worst"].map("{:.0%}".format),
            "alpha": trust["alpha"].map("{:.2f}".format),
        }
    )


def _questions(clips: pd.Series, left_out: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "check": check.name,
                "kind": f"{check.kind}: {KINDS[check.kind]}",
                "question": check.question,
                "better": check.better,
                "clips": str(clips[check.name])
                if check.name in clips
                else f"not asked: {left_out.get(check.name, '')}",
            }
            for check in CHECKS.values()
        ]
    )
