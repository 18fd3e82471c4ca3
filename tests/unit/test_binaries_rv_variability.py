"""Variability of radial velocities: false alarms, floors, the pair test."""

import numpy as np
import pytest
from scipy import stats

from siderea.binaries.rv_variability import error_floor, pair_significance, sb1_significance
from siderea.errors import DataError


def constant(n, rng, *, epochs=(2, 7), extra=0.0):
    count = rng.integers(*epochs, n)
    star = np.repeat(np.arange(n), count)
    error = rng.uniform(0.1, 0.5, star.size)
    scatter = np.hypot(error, extra) * rng.standard_normal(star.size)
    return rng.normal(0, 30, n)[star] + scatter, error, star


def test_false_alarms_come_at_the_nominal_rate():
    rv, error, star = constant(1_000_000, np.random.default_rng(1))
    table = sb1_significance(rv, error, star)
    nominal = stats.norm.sf(3.0)
    assert table["floor"].iloc[0] == 0.0
    assert (table["sigma"] > 3).mean() == pytest.approx(nominal, rel=0.1)
    assert (table["sigma_pair"] > 3).mean() == pytest.approx(nominal, rel=0.1)
    assert table["variable"].sum() <= 2


def test_the_floor_is_found_in_spite_of_binaries():
    rng = np.random.default_rng(2)
    rv, error, star = constant(20_000, rng, extra=0.3)
    binary = star % 4 == 0
    rv = rv + np.where(binary, rng.normal(0, 10, rv.size), 0.0)
    assert error_floor(rv, error, star) == pytest.approx(0.3, abs=0.03)
    table = sb1_significance(rv, error, star, false_alarms=0.05)
    is_binary = table["star_id"].to_numpy() % 4 == 0
    found = table["variable"].to_numpy()
    assert found[is_binary].mean() > 0.9
    assert (found & ~is_binary).sum() <= 0.06 * found.sum()


def test_the_pair_test_is_the_published_one():
    assert pair_significance(0.0, 1.0, 3 * np.sqrt(2), 1.0) == pytest.approx(2.87, abs=0.005)
    rng = np.random.default_rng(3)
    rv, error, star = constant(200, rng)
    table = sb1_significance(rv, error, star, floor=0.0).set_index("star_id")
    for one in (0, 57, 199):
        v, e = rv[star == one], error[star == one]
        first, second = np.triu_indices(v.size, 1)
        best = pair_significance(v[first], e[first], v[second], e[second]).max()
        assert table.loc[one, "p_log"] == pytest.approx(best)
        assert table.loc[one, "rv_range"] == pytest.approx(np.ptp(v))


def test_chi2_and_f2_are_what_they_say():
    v, e = np.array([1.0, 3.0, 2.5, -1.0]), np.array([0.5, 0.4, 0.8, 1.0])
    row = sb1_significance(v, e, ["a"] * 4, floor=0.3).iloc[0]
    sigma = np.hypot(e, 0.3)
    mean = np.average(v, weights=sigma**-2)
    chi2 = (((v - mean) / sigma) ** 2).sum()
    assert row["chi2"] == pytest.approx(chi2)
    assert row["rv_mean"] == pytest.approx(mean)
    expected = np.sqrt(13.5) * ((chi2 / 3) ** (1 / 3) + 2 / 27 - 1)
    assert row["f2"] == pytest.approx(expected)
    assert row["sigma"] == pytest.approx(stats.norm.isf(stats.chi2.sf(chi2, 3)))


def test_order_and_lone_or_bad_epochs():
    rv = [1.0, 5.0, np.nan, 1.2, 7.0, 5.1]
    error = [0.1, 0.1, 0.1, 0.1, 0.0, 0.1]
    table = sb1_significance(rv, error, ["b", "a", "a", "b", "c", "a"], floor=0.0)
    assert table["star_id"].tolist() == ["b", "a", "c"]
    assert table["n_epochs"].tolist() == [2, 2, 0]
    assert table["sigma"].notna().tolist() == [True, True, False]
    assert np.isnan(table["rv_mean"][2])
    assert not table["variable"][2]


def test_wrong_input_is_refused():
    with pytest.raises(DataError, match="one length"):
        sb1_significance([1.0, 2.0], [1.0], ["a", "a"])
    with pytest.raises(DataError, match="floor"):
        sb1_significance([1.0], [1.0], ["a"], floor=-1.0)
    with pytest.raises(DataError, match="star_id"):
        sb1_significance([1.0], [1.0], [None])
