import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.classify.detection import (
    Detection,
    NullDistribution,
    against_neighbours,
    false_discovery,
)
from siderea.errors import DataError


@pytest.mark.parametrize("kind", ["gaussian", "heavy"])
@pytest.mark.parametrize("level", [0.2, 0.01, 0.002])
def test_a_false_alarm_probability_is_as_frequent_as_it_says(kind, level):
    """Learned on 4,000 spectra without the feature, tested on 100,000 others."""
    rng = np.random.default_rng(2)
    draw = rng.standard_normal if kind == "gaussian" else (lambda n: rng.standard_t(4, n))
    null = NullDistribution.fit(draw(4000))
    share = np.mean(null.false_alarm(draw(100_000)) <= level)
    # beyond the sample a Gaussian's tail is taken for an exponential one: rather too many than few
    assert (0.5 if level >= 0.01 else 0.25) * level < share < 1.6 * level


@pytest.mark.parametrize("level", [0.1, 0.01])
def test_the_other_side_of_a_sample_tells_what_noise_does(level):
    """Three per cent of emitters do not spoil the null that is mirrored from the quiet side."""
    rng = np.random.default_rng(3)
    noise, emitters = 0.4 + 1.7 * rng.standard_normal(5000), rng.uniform(5, 60, 150)
    null = NullDistribution.mirrored(np.concatenate([noise, emitters, [np.nan]]))
    fresh = 0.4 + 1.7 * rng.standard_normal(50_000)
    assert 0.5 * level < np.mean(null.false_alarm(fresh) <= level) < 1.8 * level
    assert np.median(null.false_alarm(emitters)) < 1e-4


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_false_alarm_falls_with_significance_and_is_never_nought(seed):
    rng = np.random.default_rng(seed)
    null = NullDistribution.fit(rng.standard_t(rng.uniform(2, 20), 200))
    chance = null.false_alarm(np.linspace(-5, 1e6, 400))
    assert np.all(np.diff(chance) <= 1e-12)
    assert np.all((chance > 0) & (chance <= 1))


def test_missing_values_stay_missing_and_small_nulls_are_refused():
    null = NullDistribution.fit(np.arange(100.0))
    assert np.isnan(null.false_alarm([np.nan]))[0]
    for learn in (NullDistribution.fit, NullDistribution.mirrored):
        with pytest.raises(DataError, match="found 3 values"):
            learn([1.0, 2.0, np.nan, 3.0])


def test_q_values_hold_the_share_of_false_discoveries():
    rng = np.random.default_rng(0)
    real = np.arange(5000) < 200
    chance = np.where(real, rng.uniform(0, 1e-5, 5000), rng.random(5000))
    accepted = false_discovery(chance) <= 0.05
    assert accepted[real].all()
    assert np.mean(~real[accepted]) < 0.1
    assert np.isnan(false_discovery([np.nan, 0.5])[0])


def test_significance_is_value_over_error():
    found = Detection("x", np.array([2.0, 1.0, np.nan]), np.array([0.5, 0.0, 1.0]))
    np.testing.assert_array_equal(found.significance, [4.0, np.nan, np.nan])


def test_neighbours_remove_a_trend_and_widen_the_errors_by_what_they_scatter():
    """A systematic offset and scatter of the sample, unknown to the errors, becomes noise of 1."""
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 1, 3000)
    value = 5.0 * place + rng.normal(0, 0.3, 3000) + rng.normal(0, 0.1, 3000)
    order = np.argsort(place)
    where = np.empty(3000, dtype=int)
    where[order] = np.arange(3000)
    near = np.stack([order[np.clip(where + s, 0, 2999)] for s in range(-12, 13) if s], axis=1)
    raw = Detection("x", value, np.full(3000, 0.1))
    found = against_neighbours(raw, raw, near)
    middle = (where > 20) & (where < 2980)
    assert abs(found.significance[middle].mean()) < 0.1
    assert found.significance[middle].std() == pytest.approx(1.0, abs=0.12)
    assert raw.significance.std() > 10


def test_neighbours_that_know_nothing_give_nothing():
    raw = Detection("x", np.array([1.0, np.nan, np.nan, np.nan]), np.full(4, 0.1))
    found = against_neighbours(raw, raw, np.array([[1, 2, 3]] * 4))
    assert np.isnan(found.value).all()
