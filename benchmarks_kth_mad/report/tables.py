"""The table of a run: methods, metrics, and the random map beside them."""

import pandas as pd

from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.intervals import bootstrap_mean
from benchmarks_kth_mad.runs import Manifest, Run
from captum_video.metrics import Deletion, Insertion

BETTER = {
    "insertion": "higher" if Insertion.higher_is_better else "lower",
    "deletion": "higher" if Deletion.higher_is_better else "lower",
}


def summary(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean area of every method, with its interval, and how often it beats the random map.

    Args:
        rows: one per metric, method and clip, as `evaluation.measure` gives them.
        seed: of the bootstrap.

    Returns:
        One row per metric and method, best first: clips, mean area, its 95 % bootstrap interval
        over clips, and the share of clips on which the method beats the random map (empty for the
        random map itself, and where there is none).
    """
    table: list[dict[str, object]] = []
    for metric, better in BETTER.items():
        of_metric = rows[rows["metric"] == metric]
        methods = of_metric["method"].unique()
        areas = of_metric.pivot(index="clip", columns="method", values="area")
        means = areas.mean()
        for method in sorted(methods, key=lambda name: means[name], reverse=better == "higher"):
            mine = areas[method].dropna()
            _, low, high = bootstrap_mean(mine, seed=seed)
            row = {
                "metric": f"{metric} ({better} is better)",
                "method": method,
                "clips": len(mine),
                "mean area": means[method],
                "95 % interval": f"{low:.3f} to {high:.3f}",
                "beats random": None,
            }
            if "random" in areas and method != "random":
                gain = mine - areas["random"] if better == "higher" else areas["random"] - mine
                row["beats random"] = f"{(gain > 0).mean():.0%}"
            table.append(row)
    return pd.DataFrame(table)


def as_text(table: pd.DataFrame) -> str:
    """The table as Markdown, readable in a terminal as well."""
    shown = table.assign(**{"beats random": table["beats random"].fillna("")})
    return shown.to_markdown(index=False, floatfmt=".3f")


def write_report(
    run: Run, manifest: Manifest, rows: pd.DataFrame, table: pd.DataFrame, pictures: list[str]
) -> None:
    """Write the table, what it was made with, and links to the pictures."""
    unit, baseline = (rows[name].iloc[0] for name in ("unit", "baseline"))
    lines = [
        f"# {', '.join(manifest.source.classes)}: {manifest.model}",
        "",
        manifest.claim,
        "",
        f"Areas under the probability of the predicted class while one {unit} after the other is"
        " inserted or deleted in the order of the map; what is not shown is replaced by the"
        f" baseline {baseline}. On video a random map often does well in deletion: insertion comes"
        " first.",
        "",
        as_text(table),
        "",
        *[f"![{name}](pictures/{name})" for name in pictures if name.endswith((".png", ".gif"))],
        "",
        "Made with " + ", ".join(f"{name} {v}" for name, v in manifest.versions.items()) + ".",
        "",
    ]
    with whole_file(run.report) as path:
        path.write_text("\n".join(lines))
