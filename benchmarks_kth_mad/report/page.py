"""The page of a run: one HTML file that needs nothing else, neither network nor server."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchmarks_kth_mad.choice import different
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.evaluation.conditions import Conditions
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.report import charts
from benchmarks_kth_mad.report.areas import BETTER, RANDOM, failures, metrics_of
from benchmarks_kth_mad.report.player import player_data
from benchmarks_kth_mad.report.words import (
    axis_of,
    chance,
    explain_area,
    explain_tests,
    in_short,
    proper,
    why,
)
from benchmarks_kth_mad.runs import Manifest, Run
from captum_video import Curve

_STYLES = ("page.css", "player.css", "print.css")
_SCRIPTS = ("tables.js", "curves.js", "player.js")
_COLORS, _DASHES = 6, 4


def write_page(
    run: Run,
    manifest: Manifest,
    explained: Explained,
    rows: pd.DataFrame,
    curves: dict[str, dict[str, Curve]],
    means: pd.DataFrame,
    compared: pd.DataFrame,
    n_clips: int = 4,
    conditions: Mapping[str, Any] | None = None,
) -> None:
    """Write the page.

    Args:
        run: where it goes.
        manifest: what the run was made with.
        explained: clips and maps.
        rows: areas, with persons where they are known.
        curves: by metric and method.
        means: see `tables.mean_areas`.
        compared: see `comparisons.comparisons`.
        n_clips: how many the player shows, of classes that differ as far as possible; 0 leaves it
            out.
        conditions: under which maps and areas were made, by names; see `conditions_of`.
    """
    methods = _in_order(means, explained)
    chosen = different(explained.labels.tolist(), n_clips)
    unit = str(rows["unit"].iloc[0])
    who = "persons" if "person" in rows else "clips"
    style, script = _joined(_STYLES), _joined(_SCRIPTS)
    text = (
        _environment()
        .get_template("page.html")
        .render(
            manifest=manifest,
            made=_made(manifest, conditions or {}),
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            methods=[_look(place, name) for place, name in enumerate(methods)],
            measures=[_measure(one, unit, means, compared, who) for one in metrics_of(rows)],
            charts=[
                _chart(one, unit, curves[one], rows, methods)
                for one in metrics_of(rows)
                if one in curves
            ],
            size=charts,
            compared=_compared(compared),
            area=explain_area(rows),
            tests=explain_tests(rows, compared),
            failed=failures(rows).to_dict("records"),
            n_rows=len(rows),
            over=_over(rows, means),
            who=who,
            player=player_data(explained, rows, chosen, methods, manifest.source.classes),
        )
    )
    with whole_file(run.page) as path:
        path.write_text(text, encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("benchmarks_kth_mad.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {}  # not sorted: insertion comes first
    environment.filters.update(proper=proper, number=_number, signed=_signed, chance=chance)
    return environment


def _joined(names: Sequence[str]) -> str:
    folder = files("benchmarks_kth_mad.report") / "templates"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    """By which the page's policy knows its own script and style, and runs no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _in_order(means: pd.DataFrame, explained: Explained) -> list[str]:
    """Methods as the first table has them, best first, then those that it lacks."""
    first = means[means["metric"] == means["metric"].iloc[0]]["method"]
    return [*(name for name in first if name in explained.maps), *explained.maps.keys() - {*first}]


def _look(place: int, method: str) -> dict[str, str]:
    """Colour and dashes of a method, by the names of their styles."""
    if method == RANDOM:
        return {"method": method, "line": "line random"}
    return {"method": method, "line": f"line c{place % _COLORS} d{place % _DASHES}"}


def _measure(
    metric: str, unit: str, means: pd.DataFrame, compared: pd.DataFrame, who: str
) -> dict[str, Any]:
    """One metric's table, and what came of it in words."""
    own = means[means["metric"] == metric]
    against = compared[(compared["metric"] == metric) & (compared["against"] == "random")]
    verdicts = dict(zip(against["method"], against["verdict"], strict=True))
    lines = [
        {**{str(key): value for key, value in row.items()}, "verdict": verdicts.get(row["method"])}
        for row in own.to_dict("records")
    ]
    bounds = own[["mean area", "low", "high"]]
    low, high = float(bounds.min().min()), float(bounds.max().max())
    room = 0.04 * (high - low) or 0.5
    return {
        "metric": metric,
        "better": BETTER[metric],
        "why": why(metric, unit),
        "best": own["method"].iloc[0],
        "short": in_short(metric, own["method"].iloc[0], compared, who),
        "rows": lines,
        "low": low - room,
        "high": high + room,
        "random": next((row["mean area"] for row in lines if row["method"] == RANDOM), None),
    }


def _chart(
    metric: str, unit: str, curves: dict[str, Curve], rows: pd.DataFrame, methods: Sequence[str]
) -> dict[str, Any]:
    chart = charts.chart_of(metric, curves, rows, methods)
    return {**vars(chart), "axis": axis_of(metric, unit)}


def _compared(compared: pd.DataFrame) -> list[dict[str, Any]]:
    renamed = compared.rename(columns={"p holm": "holm"})
    return [{str(key): value for key, value in row.items()} for row in renamed.to_dict("records")]


def _over(rows: pd.DataFrame, means: pd.DataFrame) -> str:
    """How many persons or clips an interval is taken over, in a few words."""
    clips, persons = int(means["clips"].max()), int(means["persons"].max())
    text = f"{clips} clip{'s' * (clips != 1)}"
    if "person" not in rows:
        return text
    return f"{text} of {persons} person{'s' * (persons != 1)}"


def conditions_of(run: Run) -> dict[str, Any]:
    """Under which the maps and areas of a run were made: options, checksums, precision, device."""
    maps = Conditions(run.attributions, "attribute").load()
    areas = Conditions(run.evaluation, "evaluate").load()
    told = ("options", "device", "precision", "checkpoint", "data")
    return {
        **{f"maps: {name}": maps[name] for name in told if name in maps},
        **{f"areas: {name}": areas[name] for name in ("played", "precision") if name in areas},
    }


def _made(manifest: Manifest, conditions: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every field of the manifest and every condition, and its value as words."""
    fields = asdict(manifest)
    flat = {**fields.pop("source"), **fields, **conditions}
    return [(name.replace("_", " "), _said(value)) for name, value in flat.items()]


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_said(one) for one in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"


def _signed(value: float) -> str:
    return "" if pd.isna(value) else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
