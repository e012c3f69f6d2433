"""What a report says in words: names, what an area is, how sure a difference is."""

import pandas as pd

from benchmarks_kth_mad.report.areas import BETTER, failures, metrics_of
from benchmarks_kth_mad.report.comparisons import LEVEL, persons_needed

_PROPER = {
    "gradcam": "Grad-CAM",
    "rise": "RISE",
    "sidu": "SIDU",
    "tsr": "Temporal saliency rescaling",
    "input_cell": "Input-cell attention",
    "extremal": "Extremal perturbation",
    "random": "Random map",
}
_COUNTED = {"superpixel": "voxel"}  # they differ in size
_DONE = {"insertion": "inserted", "deletion": "deleted"}
_WHY = {
    "insertion": "From a hidden clip, {unit}s come back in the order of the map, the most evident "
    "first. A map that knows what the network looks at brings the class back early.",
    "deletion": "From the whole clip, {unit}s go in the order of the map, the most evident first. "
    "With a good map the class goes early. On video a random map often does well here: believe "
    "insertion first.",
}
_AGAINST_RANDOM = {
    "better": "Better than the random map: {}.",
    "undecided": "Undecided against the random map: {}.",
    "worse": "Worse than the random map: {}.",
}
_AGAINST_BEST = {
    "worse": "{best} is ahead of {}.",
    "undecided": "Between {best} and {} it is undecided.",
}


def proper(method: str) -> str:
    """The name of a method as a reader knows it; that of the command line where there is none."""
    return _PROPER.get(method, method.replace("_", " ").capitalize())


def measured(metric: str) -> str:
    """A metric and which way is better."""
    return f"{metric} ({BETTER[metric]} is better)"


def axis_of(metric: str, unit: str) -> str:
    """What runs along a curve."""
    return f"share of {_COUNTED.get(unit, unit)}s {_DONE[metric]}"


def why(metric: str, unit: str) -> str:
    """What a metric asks of a map."""
    return _WHY[metric].format(unit=unit)


def chance(p: float) -> str:
    """A p-value, to as many digits as are of use; nothing where there is none."""
    if pd.isna(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def in_short(metric: str, best: str, compared: pd.DataFrame, who: str) -> list[str]:
    """What came out of one metric, in sentences: who beats the random map, and who the others."""
    if best == "random":
        return ["No map does better than one drawn at random."]
    own = compared[compared["metric"] == metric]
    sentences = []
    for against, words in (("random", _AGAINST_RANDOM), ("best", _AGAINST_BEST)):
        group = own[own["against"] == against]
        if _is_too_small(group):
            sentences.append(f"No verdict against the {against} map: {_undecidable(group, who)}.")
            continue
        for verdict, text in words.items():
            found = group[group["verdict"] == verdict]["method"]
            if len(found):
                whole = len(found) == len(group) > 2
                listed = "all others" if whole else _listed(found)
                sentences.append(text.format(listed, best=proper(best)))
    return sentences


def explain_area(rows: pd.DataFrame) -> str:
    """What an area is, in this run."""
    unit, baseline = (rows[name].iloc[0] for name in ("unit", "baseline"))
    return (
        f"Areas under the probability of the predicted class while one {unit} after the other is"
        " inserted or deleted in the order of the map; what is not shown is replaced by the"
        f" baseline {baseline}. On video a random map often does well in deletion: insertion comes"
        " first."
    )


def explain_tests(rows: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """Over what intervals and tests are taken, and what these data can not decide."""
    known = "person" in rows
    who = "persons" if known else "clips"
    lines = [
        (
            "Clips of one person are alike: areas are averaged for each person first, and intervals"
            " (95 %, bootstrap) and tests are taken over persons."
            if known
            else "Intervals (95 %, bootstrap) and tests are taken over clips: nobody wrote down who "
            "acts in them, and if the same persons act in many, these are too narrow."
        )
    ]
    if not compared.empty:
        lines.append(
            f"p: paired sign-flip permutation test over {who}, two-sided; p (Holm): corrected over "
            "the methods that one metric compares with one map. Below "
            f"{LEVEL} a method is called better or worse, else undecided, which does not mean equal."
            " The best map was chosen by these same clips, so that what it is ahead by is somewhat "
            "flattered."
        )
        lines += _too_few(compared, who)
    if not failures(rows).empty:
        lines.append(
            f"{len(failures(rows))} of {len(rows)} areas could not be measured; they count nowhere."
        )
    return lines


def _listed(methods: pd.Series) -> str:
    """Names in a row, joined as in a sentence."""
    names = [proper(name) for name in methods]
    return " and ".join(([", ".join(names[:-1])] if len(names) > 1 else []) + names[-1:])


def _too_few(compared: pd.DataFrame, who: str) -> list[str]:
    """Where no outcome at all could have been called better or worse."""
    found: dict[str, list[str]] = {}
    for metric in metrics_of(compared):
        for against, group in compared[compared["metric"] == metric].groupby("against", sort=False):
            if _is_too_small(group):
                said = f"no verdict against the {against} map: {_undecidable(group, who)}"
                found.setdefault(said, []).append(metric)
    return [f"{' and '.join(names).capitalize()}, {said}." for said, names in found.items()]


def _is_too_small(group: pd.DataFrame) -> bool:
    """Whether persons are so few that these comparisons could not be decided, whatever the areas."""
    return len(group) > 0 and group["persons"].max() < persons_needed(len(group))


def _undecidable(group: pd.DataFrame, who: str) -> str:
    needed, most = persons_needed(len(group)), int(group["persons"].max())
    return (
        f"to test {len(group)} method{'s' * (len(group) > 1)} takes {needed} {who} at least, and "
        f"there {'is' if most == 1 else 'are'} {most}"
    )
