"""Folding, binning, trends, outliers; periods and their halves and doubles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.data import LightCurve
from siderea.errors import DataError
from siderea.lightcurves.folding import binned, detrend, fold, without_outliers
from siderea.lightcurves.periods import check_period, find_period
from siderea.lightcurves.quality import LightCurveFlag, hidden_in_gap, widest_gap

PERIOD = 2.3


def series(depths=(0.3, 0.15), *, n=4000, span=80.0, error=0.003, seed=0, width=0.03, tide=0.0):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(55000, 55000 + span, n))
    phase = time / PERIOD % 1
    flux = 1 - tide * np.cos(4 * np.pi * phase)
    for depth, at in zip(depths, (0.0, 0.5), strict=True):
        flux -= depth * np.exp(-0.5 * (((phase - at + 0.5) % 1 - 0.5) / width) ** 2)
    return LightCurve(time, flux + error * rng.standard_normal(n), np.full(n, error))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 500), st.floats(-1e5, 1e5))
def test_folding_keeps_points_and_puts_them_between_0_and_1(period, time_0):
    curve = series(n=50)
    folded = fold(curve, period, time_0=time_0)
    assert folded.folded
    assert np.all((folded.time >= 0) & (folded.time < 1))
    assert np.all(np.diff(folded.time) >= 0)
    np.testing.assert_array_equal(np.sort(folded.flux), np.sort(curve.flux))


def test_fold_refuses_what_is_folded_and_periods_that_are_none():
    curve = series(n=20)
    with pytest.raises(DataError, match="folded"):
        fold(fold(curve, 1.0), 1.0)
    for period in (0.0, -1.0, np.nan):
        with pytest.raises(DataError, match="period"):
            fold(curve, period)


def test_bins_average_by_weight():
    folded = LightCurve([0.1, 0.11, 0.6], [1.0, 2.0, 5.0], [1.0, 0.5, 0.1], folded=True)
    few = binned(folded, 2)
    np.testing.assert_allclose(few.flux, [1.8, 5.0])
    np.testing.assert_allclose(few.flux_err, [5**-0.5, 0.1])
    np.testing.assert_allclose(few.time, [0.108, 0.6])
    with pytest.raises(DataError, match="folded"):
        binned(series(n=20), 5)


def test_trends_and_jumps_go_and_eclipses_stay():
    curve = series()
    slow = 1 + 0.1 * np.sin((curve.time - 55000) / 30) + 0.2 * (curve.time > 55040)
    # A gap where the jump is, as between quarters.
    keep = np.abs(curve.time - 55040) > 4
    bent = LightCurve(curve.time[keep], (curve.flux * slow)[keep], (curve.flux_err * slow)[keep])
    flat = detrend(bent, PERIOD)
    level = np.median(flat.flux / curve.flux[keep])
    assert np.std(flat.flux / curve.flux[keep] / level) < 0.02
    assert np.std(slow[keep]) > 0.1
    with pytest.raises(DataError):
        detrend(fold(curve, PERIOD), PERIOD)


def test_times_may_come_in_any_order():
    curve = series(n=1000)
    mixed = np.random.default_rng(4).permutation(len(curve))
    other = LightCurve(curve.time[mixed], curve.flux[mixed], curve.flux_err[mixed])
    np.testing.assert_array_equal(detrend(other, PERIOD).flux, detrend(curve, PERIOD).flux[mixed])
    one, two = fold(curve, PERIOD), fold(other, PERIOD)
    np.testing.assert_array_equal(one.flux, two.flux)
    kept = [np.sort(without_outliers(each).flux) for each in (curve, other)]
    np.testing.assert_array_equal(*kept)


def test_few_points_have_no_trend_of_their_own():
    """Gaia's visits of two transits: a level for each would take the eclipses away."""
    rng = np.random.default_rng(2)
    time = np.sort((55000 + rng.uniform(0, 1500, 40))[:, None] + np.array([0.0, 0.07]), axis=None)
    flux = 1 - 0.4 * (np.abs((time / PERIOD + 0.5) % 1 - 0.5) < 0.1)
    curve = LightCurve(time, 7 * flux, np.full(80, 0.01))
    flat = detrend(curve, PERIOD)
    np.testing.assert_allclose(flat.flux, flux)
    np.testing.assert_allclose(flat.flux_err, 0.01 / 7)


def test_outliers_upwards_go_and_eclipses_stay():
    curve = series(n=2000, width=0.01)
    flux = curve.flux.copy()
    flux[[5, 700, 1500]] += 0.5
    clean = without_outliers(LightCurve(curve.time, flux, curve.flux_err))
    assert clean.flux.max() < 1.1
    assert clean.flux.min() == flux.min()
    assert len(clean) > 1980


@pytest.mark.parametrize(
    ("factor", "flag"),
    [
        (1.0, LightCurveFlag.NONE),
        (0.5, LightCurveFlag.HALF_PERIOD),
        (2.0, LightCurveFlag.DOUBLE_PERIOD),
    ],
)
@pytest.mark.parametrize("depths", [(0.3, 0.15), (0.3, 0.0)])
def test_wrong_periods_are_known(factor, flag, depths):
    if depths[1] == 0 and factor == 0.5:
        flag = LightCurveFlag.HALF_PERIOD  # every second eclipse is missing
    check = check_period(series(depths), factor * PERIOD)
    assert LightCurveFlag(check.flags) == flag
    assert check.period == pytest.approx(PERIOD)


def test_an_ellipsoidal_curve_has_two_minima_to_a_period():
    check = check_period(series((0.0, 0.0), tide=0.05), PERIOD / 2)
    assert LightCurveFlag.HALF_PERIOD in LightCurveFlag(check.flags)
    assert check.period == pytest.approx(PERIOD)


@pytest.mark.parametrize("depths", [(0.3, 0.15), (0.3, 0.25)])
def test_a_period_is_found(depths):
    found = find_period(series(depths, n=1500), longest=10.0)
    assert found.period == pytest.approx(PERIOD, rel=2e-3)


def test_a_wave_is_found_by_its_power():
    found = find_period(series((0.0, 0.0), tide=0.05, n=1000), longest=10.0)
    assert found.period == pytest.approx(PERIOD, rel=2e-3)


def test_too_few_points_for_a_period():
    few = series(n=20)
    with pytest.raises(DataError, match="20 points"):
        find_period(few)
    assert LightCurveFlag.TOO_FEW in LightCurveFlag(check_period(few, 1.0).flags)


def test_gaps_go_round_the_circle():
    assert widest_gap(np.array([0.1, 0.5, 0.9])) == pytest.approx(0.4)
    assert widest_gap(np.array([0.3, 0.4])) == pytest.approx(0.9)
    assert widest_gap(np.empty(0)) == 1


def test_a_gap_among_even_points_counts_although_it_is_short():
    even = np.arange(1000) / 1000
    assert not hidden_in_gap(even, np.nan)
    assert hidden_in_gap(even[np.abs(even - 0.4) > 0.004], np.nan)
    rng = np.random.default_rng(3)
    assert np.mean([hidden_in_gap(rng.random(100), np.nan) for _ in range(1000)]) < 0.005
