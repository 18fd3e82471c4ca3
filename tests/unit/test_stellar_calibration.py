"""Coverage is mended, the relation of Bond is as published, scores are what they say."""

import numpy as np
import pytest

from siderea.stellar.calibration import Calibration, coverage, coverage_by
from siderea.stellar.relations import bond2010_fe_h
from siderea.stellar.scores import completeness_purity, confusion, mad_sigma


def test_errors_that_are_too_small_are_mended_where_they_are():
    rng = np.random.default_rng(0)
    fe_h, colour = rng.uniform(-2, 0, 20_000), rng.uniform(-1, 1, 20_000)
    width = np.where(fe_h < -1, 2.0, 1.0)  # the network believes 1 everywhere
    truth = width * rng.normal(size=20_000)
    from scipy.stats import norm

    calibration = Calibration.fit(norm.cdf(truth)[:, None], fe_h, colour, n_fe_h=4)
    levels = calibration.network_levels(np.array([0.025, 0.16, 0.84, 0.975]), fe_h, colour)[0]
    low, inner_low, inner_high, high = norm.ppf(levels).T
    for poor in (True, False):
        rows = (fe_h < -1) == poor
        assert coverage(low[rows], high[rows], truth[rows]) == pytest.approx(0.95, abs=0.015)
        inner = coverage(inner_low[rows], inner_high[rows], truth[rows])
        assert inner == pytest.approx(0.68, abs=0.02)


def test_no_calibration_changes_nothing():
    levels = np.array([0.1, 0.5, 0.9])
    found = Calibration.none(2).network_levels(levels, np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(found, np.broadcast_to(levels, (2, 3, 3)))


def test_coverage_in_bins():
    frame = coverage_by([0, 0, 1], [0, 0.5, 2], [0, 0, 0], [1, 1, 1], [0.5, 2.0, 0.5])
    assert frame["coverage"].tolist() == [0.5, 1.0]
    assert frame["n"].tolist() == [2, 1]


def test_bond_2010_at_the_sun_and_outside():
    fe_h = bond2010_fe_h([1.15, 0.9, 3.0], [0.40, 0.30, 0.30])
    assert -0.9 < fe_h[0] < -0.1  # a disc star's colours
    assert fe_h[1] < -1.0  # u - g is bluer by the metals that lack
    assert np.isnan(fe_h[2])


def test_scores():
    rng = np.random.default_rng(0)
    assert mad_sigma([*rng.normal(size=20_000), 1e9, np.nan]) == pytest.approx(1.0, abs=0.02)
    truth, found = [True, True, False, False], [True, False, True, False]
    assert completeness_purity(truth, found) == (0.5, 0.5)
    assert confusion(truth, found).tolist() == [[1, 1], [1, 1]]
