"""Which map is better: the test's p-value by enumeration, its correction, persons as the unit."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_runs import HELP, ToyRun

from benchmarks_kth_mad.intervals import bootstrap_mean
from benchmarks_kth_mad.report import comparison_table, comparisons, mean_areas, summary
from benchmarks_kth_mad.report.areas import failures
from benchmarks_kth_mad.report.comparisons import holm, persons_needed, sign_flip
from benchmarks_kth_mad.report.words import explain_tests, in_short


def rows_of(areas: dict[tuple[str, str], list[float]], persons: list[str] | None = None):
    rows = pd.DataFrame(
        {"metric": metric, "method": method, "clip": f"clip {number}", "area": area}
        | ({} if persons is None else {"person": persons[number]})
        for (metric, method), every in areas.items()
        for number, area in enumerate(every)
    )
    return rows.assign(unit="cell", baseline="blur")


def enumerated(differences: list[float]) -> float:
    """All flips of signs, one by one."""
    observed = abs(sum(differences))
    flipped = [
        abs(sum(sign * one for sign, one in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(one >= observed - 1e-9 for one in flipped) / len(flipped)


@given(st.lists(st.integers(-8, 8).map(lambda n: n / 8), min_size=2, max_size=7))
def test_all_flips_are_counted(differences: list[float]) -> None:
    assert sign_flip(differences) == pytest.approx(enumerated(differences))


def test_many_differences_are_drawn_by_seed_and_agree_with_the_normal_law() -> None:
    differences = np.random.default_rng(0).normal(0.25, 1, 60)
    p = sign_flip(differences, seed=1)
    assert p == sign_flip(differences, seed=1)
    # two-sided, z = sum / sqrt(sum of squares) under random signs
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    from scipy.stats import norm

    assert p == pytest.approx(2 * norm.sf(z), abs=0.015)
    assert np.isnan(sign_flip([0.5]))
    assert sign_flip([0.0, 0.0, 0.0]) == 1


@given(st.lists(st.floats(0.001, 1), max_size=8))
def test_holm_is_the_step_down_of_bonferroni(p_values: list[float]) -> None:
    found = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1, (len(p_values) - rank) * p_values[place]))
        assert found[place] == pytest.approx(largest)


def test_persons_are_the_unit_and_not_clips() -> None:
    persons = ["a", "a", "a", "b", "c"]
    areas = {("insertion", "rise"): [0.9, 0.8, 0.7, 0.6, 0.4], ("insertion", "random"): [0.5] * 5}
    rows = rows_of(areas, persons)
    mean, low, high = bootstrap_mean([0.8, 0.6, 0.4])
    first = mean_areas(rows).iloc[0]
    assert (first["clips"], first["persons"]) == (5, 3)
    assert first[["mean area", "low", "high"]].tolist() == pytest.approx([mean, low, high])
    found = comparisons(rows).iloc[0]
    assert (found["clips"], found["persons"], found["verdict"]) == (5, 3, "undecided")
    assert found["difference"] == pytest.approx(0.1)
    assert found["p"] == pytest.approx(enumerated([0.3, 0.1, -0.1]))
    assert "persons" in summary(rows)
    assert "persons" not in summary(rows.drop(columns="person"))


@pytest.mark.parametrize(("metric", "good"), [("insertion", "better"), ("deletion", "worse")])
def test_what_is_better_depends_on_the_metric(metric: str, good: str) -> None:
    level = np.linspace(0.3, 0.5, 8)
    areas = {(metric, "random"): level, (metric, "high"): level + 0.2, (metric, "low"): level - 0.2}
    found = comparisons(rows_of({key: list(one) for key, one in areas.items()}))
    verdicts = found.set_index(["against", "method"])["verdict"].to_dict()
    bad = {"better": "worse", "worse": "better"}[good]
    loser = "low" if good == "better" else "high"
    assert verdicts == {
        ("random", "high"): good,
        ("random", "low"): bad,
        ("best", loser): "worse",
    }
    # 8 clips: 2 / 2**8, times 2 comparisons
    assert found["p holm"].max() == pytest.approx(4 / 256)
    table = comparison_table(found)
    assert table["verdict"].tolist() == found["verdict"].tolist()
    assert set(table["against"]) == {"random", f"{found['reference'].iloc[-1]} (best)"}


def test_clips_that_failed_count_nowhere_and_are_told() -> None:
    toy = ToyRun(failing=("clip03", "clip15"))
    means = mean_areas(toy.rows).set_index(["metric", "method"])
    assert means.loc[("insertion", "rise"), ["clips", "persons", "failed"]].tolist() == [22, 11, 2]
    assert means["failed"].sum() == 2
    fine = toy.rows[~toy.rows["clip"].isin(["clip03", "clip15"])]
    expected = mean_areas(fine).set_index(["metric", "method"])
    assert means.loc[("insertion", "rise"), "mean area"] == pytest.approx(
        expected.loc[("insertion", "rise"), "mean area"]
    )
    found = comparisons(toy.rows)
    # every method against RISE loses these clips too; the others keep theirs against random
    clips = found.set_index(["metric", "against", "method"])["clips"]
    assert clips["insertion", "random", "rise"] == 22
    assert clips["insertion", "random", "gradcam"] == 24
    assert clips["insertion", "best", "gradcam"] == 22
    assert failures(toy.rows)["clip"].tolist() == ["clip03", "clip15"]
    assert any("2 of 192 areas" in line for line in explain_tests(toy.rows, found))


def test_a_method_that_failed_everywhere_has_no_mean_and_no_verdict() -> None:
    nan = float("nan")
    rows = rows_of({("insertion", "rise"): [nan, nan], ("insertion", "random"): [0.5, 0.25]})
    means = mean_areas(rows)
    assert means["method"].tolist() == ["random", "rise"]
    assert np.isnan(means["mean area"][1])
    assert comparisons(rows).empty
    assert failures(rows)["error"].tolist() == ["no area", "no area"]


def test_too_few_persons_is_said_with_how_many_would_do() -> None:
    few = comparisons(ToyRun(persons=6).rows)
    assert set(few["verdict"]) == {"undecided"}
    needed = persons_needed(3)
    assert 3 * 2 / 2**needed < 0.05 <= 3 * 2 / 2 ** (needed - 1)
    said = in_short("insertion", "rise", few, "persons")
    assert said[0].endswith(f"to test 3 methods takes {needed} persons at least, and there are 6.")
    enough = in_short("insertion", "rise", comparisons(ToyRun(persons=12).rows), "persons")
    assert enough == [
        "Better than the random map: all others.",
        "RISE is ahead of Grad-CAM and Superpixel occlusion.",
    ]
    assert in_short("insertion", "random", few, "persons") == [
        "No map does better than one drawn at random."
    ]


def test_the_best_is_compared_with_all_but_the_random_map() -> None:
    found = comparisons(ToyRun().rows)
    best = found[(found["against"] == "best") & (found["metric"] == "insertion")]
    assert set(best["reference"]) == {"rise"}
    assert best["method"].tolist() == [name for name in HELP if name not in ("rise", "random")]
