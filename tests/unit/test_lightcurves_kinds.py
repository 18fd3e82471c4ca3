"""Fourier series of folded curves, and the kinds that a network reads from them."""

import numpy as np
import pytest

from siderea.errors import DataError
from siderea.lightcurves import two_gaussian
from siderea.lightcurves.harmonics import ORDERS, series
from siderea.lightcurves.kinds import inputs, load_default, names_of_groups, probabilities
from siderea.simulate.binaries import KINDS
from siderea.simulate.lightcurves import simulate_lightcurves

PHASE = np.arange(300) / 300


def waves(cosines, sines, at):
    angle = 2 * np.pi * (PHASE - at)
    flux = 1 + sum(c * np.cos((k + 1) * angle) for k, c in enumerate(cosines))
    return flux + sum(s * np.sin((k + 1) * angle) for k, s in enumerate(sines))


def test_coefficients_of_a_known_series():
    flux = waves([0.01, -0.05, 0.0, 0.004], [0.002], at=0.37)
    found = series(PHASE, flux, 1e-4, position=[0.37], amplitude=[0.1])[0]
    np.testing.assert_allclose(found[:4], [0.1, -0.5, 0.0, 0.04], atol=3e-3)
    assert found[ORDERS] == pytest.approx(0.02, abs=2e-3)


def test_unit_and_phase_of_the_flux_do_not_count():
    flux = waves([0.01, -0.05], [], at=0.37)
    one = series(PHASE, flux, 1e-3, position=[0.37], amplitude=[0.1])
    two = series(PHASE + 0.2, 7 * flux, 7e-3, position=[0.57], amplitude=[0.7])
    np.testing.assert_allclose(one, two, atol=1e-9)


def test_what_the_points_do_not_fix_stays_small():
    few = slice(0, 300, 60)  # five points, twenty coefficients
    flux = waves([0.01, -0.05], [], at=0.0)
    found = series(PHASE[few], flux[few], 1e-3, position=[0.0], amplitude=[0.1])
    assert np.all(np.isfinite(found))
    assert np.abs(found[0, 5:]).max() < 0.1
    empty = series([[]], [[]], [[]], position=[0.0], amplitude=[0.1])
    assert np.isnan(empty).all()


@pytest.fixture(scope="module")
def sample():
    curves, truth = simulate_lightcurves(120, rng=np.random.default_rng(31), points=200)
    points = [[getattr(c, name) for c in curves] for name in ("time", "flux", "flux_err")]
    return points, two_gaussian.fit(*points), truth["kind"].to_numpy().astype(str)


def test_kinds_of_systems_drawn_otherwise_than_in_training(sample):
    """`draw_systems`, not the catalogue: other shares, other ranges of everything."""
    points, fit, truth = sample
    shares = {kind: float(np.mean(truth == kind)) for kind in KINDS}
    chance = probabilities(*points, fit, shares=shares)
    np.testing.assert_allclose(np.nansum(chance, axis=1)[fit.model != "C"], 1.0)
    known = np.isfinite(chance).all(axis=1)
    right = np.array(KINDS)[chance[known].argmax(axis=1)] == truth[known]
    assert right.mean() > 0.8
    own = chance[known][np.arange(known.sum()), [KINDS.index(k) for k in truth[known]]]
    assert own.mean() > 0.75


def test_a_flat_curve_is_of_no_kind():
    flux = 1 + 1e-3 * np.random.default_rng(0).standard_normal((2, 300))
    fit = two_gaussian.fit(PHASE, flux, 1e-3)
    assert np.isnan(inputs(PHASE, flux, 1e-3, fit)).any(axis=1).all()
    chance = probabilities(PHASE, flux, 1e-3, fit)
    assert np.isnan(chance).all()
    assert names_of_groups([0, 0], chance) == ("mixed",)


def test_shares_turn_the_odds(sample):
    points, fit, _ = sample
    x = inputs(*points, fit)
    net = load_default()
    even = net.predict(x, shares=dict.fromkeys(KINDS, 0.25))
    rare = net.predict(x, shares=dict(zip(KINDS, (0.01, 0.33, 0.33, 0.33), strict=True)))
    assert np.nanmean(rare[:, 0]) < np.nanmean(even[:, 0])
    with pytest.raises(DataError, match="shares"):
        net.predict(x, shares={"detached": 1.0})


def test_groups_bear_the_name_of_the_kind_that_is_most_probable():
    chance = np.array([[0.9, 0.1, 0, 0], [0.8, 0.2, 0, 0], [0.3, 0.3, 0.2, 0.2], [np.nan] * 4])
    assert names_of_groups([0, 0, 1, 1], chance) == ("detached", "mixed")
    assert names_of_groups([-1, -2], chance[:2]) == ()
