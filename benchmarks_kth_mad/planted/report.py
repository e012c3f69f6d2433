"""The one table of the benchmark, its report, and its pictures."""

from pathlib import Path

import pandas as pd
from torch import Tensor

from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.intervals import Interval, bootstrap_mean
from benchmarks_kth_mad.methods import above_zero
from benchmarks_kth_mad.planted.experiment import CLEAN, TEXT, Outcome
from benchmarks_kth_mad.planted.plan import Plan
from benchmarks_kth_mad.planted.reading import ENOUGH
from benchmarks_kth_mad.report.pictures import save_figure
from captum_video.visualization import filmstrip

TIMES = 3
"""How many times the text's area the interval of the energy on it must exceed to be a find."""
_DPI = 110
_ONE_PERSON = "one person, which proves nothing about people"
_SEEN = "persons seen in training, which proves nothing about other people"


def summary(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean of every measure over persons, or over clips where there is one person.

    Returns:
        One row per method: of the network that reads, energy on the text with the bounds of its
        95 % bootstrap interval, area, ratio, pointing, AUC, energy in the frames with text and their
        share; energy of the clean network with bounds; and the verdict.
    """
    table = []
    for method in rows["method"].unique():
        ours = rows[rows["method"] == method]
        text, clean = (ours[ours["trained on"] == name] for name in (TEXT, CLEAN))
        means = {
            name: _interval(text, name, seed).mean
            for name in ("area", "pointing", "auc", "time energy", "time area")
        }
        found, control = _interval(text, "energy", seed), _interval(clean, "energy", seed)
        table.append(
            {
                "method": method,
                **_columns("energy", found),
                "ratio": found.mean / means["area"],
                **means,
                **_columns("clean energy", control),
                "verdict": verdict(found, control, means["area"]),
            }
        )
    return pd.DataFrame(table)


def verdict(found: Interval, control: Interval, area: float) -> str:
    """What the energy on the text says of a method.

    ``"found"`` where the interval lies above three times the area, ``"missed"`` where it lies
    below, ``"undecided"`` where it holds that level; ``"found, but also by the clean network"``
    where maps of the network that never saw text lie there as surely.
    """
    level = TIMES * area
    if found.low > level:
        return "found, but also by the clean network" if control.low > level else "found"
    return "missed" if found.high < level else "undecided"


def shown_table(means: pd.DataFrame) -> str:
    """The summary as Markdown."""
    in_words = pd.DataFrame(
        {
            "method": means["method"],
            "energy on text": _bounds(means, "energy"),
            "area": _numbers(means, "area"),
            "ratio": [f"{value:.1f}" for value in means["ratio"]],
            "pointing": _numbers(means, "pointing"),
            "AUC": _numbers(means, "auc"),
            "energy in its frames": _numbers(means, "time energy"),
            "share of frames": _numbers(means, "time area"),
            "clean-trained: energy on text": _bounds(means, "clean energy"),
            "verdict": means["verdict"],
        }
    )
    return in_words.to_markdown(index=False, disable_numparse=True)


def write_planted(out: Path, outcome: Outcome, plan: Plan) -> str:
    """Write ``summary.csv``, ``report.md`` and the pictures.

    Returns:
        The report as Markdown.
    """
    means = summary(outcome.rows, plan.recipe.seed)
    warning = None if outcome.unseen and outcome.persons > 1 else _worth(outcome)
    if warning is not None:
        means["verdict"] += f" ({warning})"
    with whole_file(out / "summary.csv") as path:
        means.to_csv(path, index=False)
    text = _report(means, outcome, plan)
    pictures = _draw(out, outcome, plan)
    with whole_file(out / "report.md") as path:
        path.write_text(text + "".join(f"\n![{name}]({name})\n" for name in pictures))
    return text


def _worth(outcome: Outcome) -> str:
    return _ONE_PERSON if outcome.persons == 1 else _SEEN


def _report(means: pd.DataFrame, outcome: Outcome, plan: Plan) -> str:
    clips = outcome.rows["clip"].nunique()
    unit = "persons" if outcome.persons > 1 else "clips"
    lines = [
        f"Trained on text: {outcome.readings[TEXT].claim}.",
        f"Trained clean: {outcome.readings[CLEAN].claim}.",
        shown_table(means),
        f"Means over {outcome.persons} person(s), {clips} held-out clips with text in {plan.shown} of "
        f"{plan.clip.frames} frames, with 95 % bootstrap intervals over {unit}; the text's mask is "
        f"grown by {plan.dilate} pixel(s). Found: the interval lies above {TIMES} times the area; missed: "
        f"below it. The network must follow swapped text in at least {ENOUGH} of the clips. "
        f"{plan.model}, seed {plan.recipe.seed}, {plan.options.n_samples} masks, hidden by "
        f"{plan.options.baseline}.",
    ]
    lines += [f"Left out: {name} ({reason})." for name, reason in outcome.left_out.items()]
    return "\n\n".join(lines) + "\n"


def _draw(out: Path, outcome: Outcome, plan: Plan) -> list[str]:
    """For each network and clip a filmstrip: the clip, the mask, and the map of every method."""
    names = []
    for trained_on, explained in outcome.drawn.items():
        clips, every = explained.of_only_input()
        for index, clip_name in enumerate(explained.names):
            clip = clips[index : index + 1]
            maps = {
                method: above_zero(method, maps[index : index + 1]).expand_as(clip)
                for method, maps in every.items()
            }
            title = f"{clip_name}, network trained {_HOW[trained_on]}"
            rows: dict[str, Tensor] = {
                "mask": outcome.masks[index : index + 1].expand_as(clip).float()
            }
            figure = filmstrip(clip, maps, rows=rows, title=title)
            names.append(save_figure(out, f"{trained_on}_{clip_name}.png", figure, _DPI))
    return names


_HOW = {TEXT: "on text", CLEAN: "without text"}


def _interval(rows: pd.DataFrame, column: str, seed: int) -> Interval:
    persons = rows.groupby("person", sort=False)[column].mean()
    return bootstrap_mean(persons if len(persons) > 1 else rows[column], seed=seed)


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name} low": interval.low, f"{name} high": interval.high}


def _bounds(means: pd.DataFrame, name: str) -> list[str]:
    bounds = means[[name, f"{name} low", f"{name} high"]].itertuples(index=False, name=None)
    return [f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in bounds]


def _numbers(means: pd.DataFrame, name: str) -> list[str]:
    return [f"{value:.3f}" for value in means[name]]
