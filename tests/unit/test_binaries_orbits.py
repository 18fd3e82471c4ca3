"""Orbits from velocities: elements recovered, errors honest, samples that hold the truth."""

import numpy as np
import pytest

from siderea.binaries.annealing import anneal
from siderea.binaries.orbit_fit import fit_orbit, search_periods
from siderea.binaries.orbit_samples import marginal_likelihood, sample_orbits
from siderea.errors import DataError
from siderea.simulate.orbits import radial_velocity

ORBIT = {"period": 23.7, "e": 0.45, "omega": 1.1, "k": 18.0, "gamma": -7.0}


def observed(n, seed, *, error=0.3, span=300.0):
    rng = np.random.default_rng(seed)
    time = 57000.0 + np.sort(rng.uniform(0, span, n))
    o = ORBIT
    rv = radial_velocity(time, o["period"], 57003.0, o["k"], o["e"], o["omega"], o["gamma"])
    return time, rv + rng.normal(0, error, n), np.full(n, error)


def test_the_elements_are_found_within_their_errors():
    orbit = fit_orbit(*observed(25, 1), shortest=3.0)
    assert orbit.unimodal
    truth = {
        "period": 23.7,
        "eccentricity": 0.45,
        "arg_periastron": 1.1,
        "amplitude": 18.0,
        "rv_system": -7.0,
    }
    for name, value in truth.items():
        assert abs(getattr(orbit, name) - value) < 4 * orbit.errors[name], name
    assert orbit.errors["period"] < 0.05
    assert orbit.chi2 < 40
    turns = (orbit.time_periastron - 57003.0) / orbit.period
    assert turns - round(turns) == pytest.approx(0.0, abs=0.02)


def test_the_search_is_deepest_at_the_period():
    period, chi2 = search_periods(*observed(20, 2), shortest=3.0, longest=150.0)
    assert period[chi2.argmin()] == pytest.approx(23.7, rel=0.03)


def test_a_circular_orbit_and_its_velocities():
    time = np.linspace(0, 40, 15) ** 1.2
    noise = np.random.default_rng(7).normal(0, 0.1, 15)
    rv = 3.0 + 10.0 * np.cos(2 * np.pi * time / 7.3) + noise
    orbit = fit_orbit(time, rv, np.full(15, 0.1), shortest=2.0)
    assert orbit.period == pytest.approx(7.3, rel=1e-3)
    assert orbit.eccentricity < 0.04
    np.testing.assert_allclose(orbit.velocity(time), rv - noise, atol=0.3)


def test_the_marginal_likelihood_is_the_integral():
    time, rv, error = observed(5, 3, error=2.0)
    one = np.array([25.0]), np.array([0.3]), np.array([0.7]), np.array([0.2])
    got, mean, _ = marginal_likelihood(time, rv, error, *one, rv_spread=20.0)
    sigma_k = 30.0 * (25.0 / 365.25) ** (-1 / 3) / np.sqrt(1 - 0.09)
    centre = rv.mean()
    k = np.linspace(-6 * sigma_k, 6 * sigma_k, 4001)[:, None]
    gamma = np.linspace(-100, 100, 2001)[None, :]
    shape = radial_velocity(time - time[0], 25.0, -5.0, 1.0, 0.3, 0.7)
    log = -0.5 * (k / sigma_k) ** 2 - np.log(2 * np.pi * sigma_k * 20.0) - gamma**2 / 800
    for v, s, z in zip(rv, error, shape, strict=True):
        log = log - 0.5 * ((v - centre - gamma - k * z) / s) ** 2 - 0.5 * np.log(2 * np.pi * s**2)
    cell = (k[1, 0] - k[0, 0]) * (gamma[0, 1] - gamma[0, 0])
    assert got[0] == pytest.approx(
        np.log(np.exp(log - log.max()).sum() * cell) + log.max(), abs=1e-3
    )
    best = np.unravel_index(log.argmax(), log.shape)
    np.testing.assert_allclose(mean[0], [k[best[0], 0], gamma[0, best[1]] + centre], atol=0.3)


def test_samples_hold_the_truth():
    time, rv, error = observed(6, 4, error=1.0, span=60.0)
    samples = sample_orbits(
        time, rv, error, rng=np.random.default_rng(0), shortest=5.0, longest=100.0, n_prior=50_000
    )
    assert len(samples) > 3
    assert samples.period.min() < 25.0 < 25.1 < samples.period.max() + 3.0
    model = radial_velocity(
        time[:, None] - time[0],
        samples.period,
        -samples.phase * samples.period,
        samples.amplitude,
        samples.eccentricity,
        samples.arg_periastron,
        samples.rv_system,
    )
    chi2 = (((rv - model.T) / error) ** 2).sum(axis=1)
    assert np.median(chi2) < 20


def test_good_data_leave_a_posterior_rather_than_one_draw():
    time, rv, error = observed(12, 14, error=0.2)
    samples = sample_orbits(
        time, rv, error, rng=np.random.default_rng(2), shortest=2.0, longest=500.0, n_prior=50_000
    )
    assert len(samples) == 256
    for name, value in (("period", 23.7), ("eccentricity", 0.45)):
        draws = getattr(samples, name)
        assert abs(np.median(draws) - value) < 4 * draws.std() + 1e-3 * value, name
        assert np.unique(draws).size > 100, name
    assert samples.period.std() < 0.3
    fit = fit_orbit(time, rv, error, shortest=2.0, longest=500.0)
    assert samples.period.std() == pytest.approx(fit.errors["period"], rel=0.6)


def test_annealing_keeps_the_shares_of_narrow_modes():
    rng = np.random.default_rng(3)
    draws = rng.uniform(0, 1, (100_000, 2))

    def density(x):
        inside = ((x > 0) & (x < 1)).all(axis=1)
        one, two = (((x - place) / 0.003) ** 2 for place in (0.25, 0.75))
        ln = np.logaddexp(np.log(0.7) - 0.5 * one.sum(axis=1), np.log(0.3) - 0.5 * two.sum(axis=1))
        return np.where(inside, 0.0, -np.inf), ln

    found = anneal(density, draws, density(draws)[1], np.array([0.1, 0.1]), rng=rng)
    first = found[:, 0] < 0.5
    assert first.mean() == pytest.approx(0.7, abs=0.12)
    assert found[first].std(axis=0) == pytest.approx([0.003, 0.003], rel=0.15)


def test_two_epochs_do_not_tell_the_period():
    time, rv, error = observed(2, 5)
    samples = sample_orbits(time, rv, error, rng=np.random.default_rng(0), n_prior=20_000)
    assert not samples.unimodal(float(np.ptp(time)))


def test_too_little_data_is_refused():
    with pytest.raises(DataError, match="7"):
        fit_orbit(*observed(5, 6))
    with pytest.raises(DataError, match="epochs"):
        sample_orbits([1.0], [1.0], [0.1], rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="shortest"):
        fit_orbit(*observed(12, 6), shortest=500.0)
