"""Intervals agree with the theory where there is one, and cover as often as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks_kth_mad.intervals import bootstrap_difference, bootstrap_mean

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


@given(VALUES, st.integers(0, 9))
def test_bounds_hold_the_mean_and_stay_within_the_values(values, seed):
    mean, low, high = bootstrap_mean(values, n_resamples=400, seed=seed)
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert bootstrap_mean(values, n_resamples=400, seed=seed) == (mean, low, high)


@given(VALUES, st.floats(-5, 5), st.floats(0.1, 5))
def test_the_unit_does_not_matter(values, shift, scale):
    found = bootstrap_mean([scale * one + shift for one in values], n_resamples=100)
    expected = bootstrap_mean(values, n_resamples=100)
    assert found == pytest.approx([scale * one + shift for one in expected], abs=1e-6)


def test_two_values_are_binomial():
    """Of n zeros and ones the resampled sum is binomial: the bounds are its quantiles."""
    values = [0.0] * 10 + [1.0] * 10
    mean, low, high = bootstrap_mean(values)
    # Binomial(20, 1/2): P(X <= 5) = 0.0207, P(X <= 6) = 0.0577, so the 0.025 quantile is 6.
    assert (mean, low, high) == (0.5, pytest.approx(0.3), pytest.approx(0.7))
    # P(X <= 7) = 0.1316 is the first above 0.1.
    assert bootstrap_mean(values, confidence=0.8)[1:] == pytest.approx((0.35, 0.65))


def test_agrees_with_the_normal_interval_and_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    values = generator.normal(3, 2, 400)
    _, low, high = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)
    covered = 0
    for seed in range(200):
        _, low, high = bootstrap_mean(generator.normal(3, 2, 40), 0.9, 500, seed)
        covered += low <= 3 <= high
    # 200 trials of 0.9 (the percentile bootstrap of 40 covers about 0.88): three deviations each way.
    assert 0.81 <= covered / 200 <= 0.95


def test_more_confidence_is_wider_and_seeds_differ_little():
    values = np.random.default_rng(1).random(30)
    wide, narrow = bootstrap_mean(values, 0.99), bootstrap_mean(values, 0.5)
    assert wide.low < narrow.low < narrow.high < wide.high
    other = bootstrap_mean(values, 0.99, seed=1)
    assert other != wide
    assert other == pytest.approx(wide, abs=0.02)


def test_pairs_cancel_what_clips_share():
    generator = np.random.default_rng(2)
    clips = generator.normal(0, 5, 50)
    ours, theirs = clips + 0.5, clips + generator.normal(0, 0.1, 50)
    one, other = bootstrap_mean(ours), bootstrap_mean(theirs)
    assert one.low < other.high  # each by itself: no saying
    mean, low, high = bootstrap_difference(ours, theirs)
    assert 0.4 < low < mean < high < 0.6
    swapped = bootstrap_difference(theirs, ours)
    assert swapped == pytest.approx((-mean, -high, -low), abs=0.005)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean([]), r"values: .* got shape \(0,\)"),
        (lambda: bootstrap_mean([[1.0]]), r"values: .* got shape \(1, 1\)"),
        (lambda: bootstrap_mean([1.0, float("nan")]), "values: .*NaN"),
        (lambda: bootstrap_mean([1.0], 95), r"confidence: .* got 95"),
        (lambda: bootstrap_mean([1.0], n_resamples=0), "n_resamples: .* got 0"),
        (lambda: bootstrap_difference([1.0, 2.0], [1.0]), "second: .* 2 clips, got 1"),
    ],
)
def test_bad_values_say_why(call, message):
    with pytest.raises(ValueError, match=message):
        call()
