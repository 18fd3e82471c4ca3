"""The fast training against a slow, readable one: one pixel at a time, straight from the paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from siderea.models.cannon_training import censor_mask, train
from siderea.models.polynomial import PolynomialTerms

TERMS = PolynomialTerms(2, 2)


def simulated(n_stars=60, n_pixels=12, *, seed=0, spread=0.5, bad=0.05):
    """Return flux, ivar, design: errors vary from star to star and pixel to pixel."""
    rng = np.random.default_rng(seed)
    design = TERMS.design(rng.normal(size=(n_stars, 2)))
    theta = 0.05 * rng.normal(size=(n_pixels, len(TERMS)))
    sigma = 0.01 * np.exp(spread * rng.normal(size=(n_stars, n_pixels)))
    scatter = 10 ** rng.uniform(-3.5, -1.0, n_pixels)
    flux = design @ theta.T + rng.normal(size=sigma.shape) * np.hypot(sigma, scatter)
    ivar = 1 / sigma**2
    ivar[rng.random(ivar.shape) < bad] = 0
    return np.where(ivar > 0, flux, 0), ivar, design


def at_fixed_scatter(flux, ivar, design, variance):
    """Return θ of one pixel by weighted least squares, and −2 ln L."""
    good = ivar > 0
    weights = 1 / (1 / ivar[good] + variance)
    v, f = design[good], flux[good]
    theta = np.linalg.solve(v.T @ (weights[:, None] * v), v.T @ (weights * f))
    return theta, np.sum(weights * (f - v @ theta) ** 2 - np.log(weights))


def slow_pixel(flux, ivar, design):
    """Return θ and s of one pixel: a fine grid of ln s, refined between the neighbours."""
    grid = np.arange(np.log(1e-5), 1.0, 0.25)

    def cost(ln_s):
        return at_fixed_scatter(flux, ivar, design, np.exp(2 * ln_s))[1]

    lowest = int(np.argmin([cost(one) for one in grid]))
    around = grid[[max(lowest - 1, 0), min(lowest + 1, len(grid) - 1)]]
    ln_s = minimize_scalar(cost, bounds=around, method="bounded", options={"xatol": 1e-9}).x
    if at_fixed_scatter(flux, ivar, design, 0.0)[1] <= cost(ln_s):
        return at_fixed_scatter(flux, ivar, design, 0.0)[0], 0.0
    return at_fixed_scatter(flux, ivar, design, np.exp(2 * ln_s))[0], np.exp(ln_s)


def fast(flux, ivar, design, *, allowed=None, penalty=0.0, n_jobs=1):
    n_terms, n_pixels = design.shape[1], flux.shape[1]
    allowed = np.ones((n_terms, n_pixels), dtype=bool) if allowed is None else allowed
    penalty = np.full(n_pixels, penalty)
    return train(flux, ivar, design, allowed=allowed, penalty=penalty, n_jobs=n_jobs)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("spread", [0.0, 0.5, 1.5])
def test_every_pixel_is_the_closed_form(seed, spread):
    flux, ivar, design = simulated(seed=seed, spread=spread)
    found = fast(flux, ivar, design)
    for pixel in range(flux.shape[1]):
        theta, scatter = slow_pixel(flux[:, pixel], ivar[:, pixel], design)
        assert found.scatter[pixel] == pytest.approx(scatter, rel=1e-4, abs=2e-5)
        np.testing.assert_allclose(found.coefficients[pixel], theta, atol=1e-6)


def test_at_the_scatter_found_the_coefficients_are_the_closed_form_to_rounding():
    flux, ivar, design = simulated(seed=4)
    found = fast(flux, ivar, design)
    for pixel in range(flux.shape[1]):
        variance = found.scatter[pixel] ** 2
        theta, _ = at_fixed_scatter(flux[:, pixel], ivar[:, pixel], design, variance)
        np.testing.assert_allclose(found.coefficients[pixel], theta, rtol=1e-9, atol=1e-12)


def test_the_result_does_not_depend_on_threads_or_blocks():
    flux, ivar, design = simulated(n_stars=4000, n_pixels=70, seed=5)
    one, two = fast(flux, ivar, design, n_jobs=1), fast(flux, ivar, design, n_jobs=2)
    alone = fast(flux[:, 60:61], ivar[:, 60:61], design)
    np.testing.assert_array_equal(one.coefficients, two.coefficients)
    np.testing.assert_allclose(one.coefficients[60:61], alone.coefficients, rtol=1e-9, atol=1e-13)


def test_a_pixel_with_too_few_good_stars_is_not_trained_and_spoils_no_other():
    flux, ivar, design = simulated(seed=6)
    whole = fast(flux, ivar, design)
    poor = ivar.copy()
    poor[:, 0] = 0
    poor[6:, 3] = 0
    found = fast(flux, poor, design)
    assert np.isnan(found.coefficients[[0, 3]]).all()
    assert np.isnan(found.scatter[[0, 3]]).all()
    others = np.setdiff1d(np.arange(flux.shape[1]), [0, 3])
    np.testing.assert_allclose(found.coefficients[others], whole.coefficients[others], atol=1e-10)


def test_a_pixel_whose_good_stars_do_not_tell_the_terms_apart_is_not_trained():
    flux, ivar, design = simulated(seed=7, bad=0.0)
    design = design.copy()
    design[:20] = design[0]
    ivar[20:, 5] = 0
    found = fast(flux, ivar, design)
    assert np.isnan(found.coefficients[5]).all()
    assert np.isfinite(found.coefficients[[4, 6]]).all()


def test_a_pixel_without_excess_has_no_scatter():
    rng = np.random.default_rng(8)
    design = TERMS.design(rng.normal(size=(200, 2)))
    flux = 0.005 * rng.normal(size=(200, 5))
    assert (fast(flux, np.full(flux.shape, 1e4), design).scatter == 0).all()


@pytest.mark.parametrize("penalty", [1.0, 30.0, 1000.0])
def test_l1_meets_the_conditions_of_its_optimum(penalty):
    flux, ivar, design = simulated(seed=9)
    found = fast(flux, ivar, design, penalty=penalty)
    weights = ivar / (1 + found.scatter**2 * ivar)
    pull = 2 * design.T @ (weights * (flux - design @ found.coefficients.T))
    theta = found.coefficients.T
    np.testing.assert_allclose(pull[0], 0, atol=1e-4 * np.abs(weights).sum(axis=0).max() ** 0.5)
    free = theta[1:] != 0
    np.testing.assert_allclose(pull[1:][free], penalty * np.sign(theta[1:][free]), rtol=2e-3)
    assert (np.abs(pull[1:][~free]) <= penalty * (1 + 1e-6)).all()


def test_l1_is_what_a_general_minimiser_finds():
    flux, ivar, design = simulated(n_pixels=3, seed=10)
    found = fast(flux, ivar, design, penalty=50.0)
    for pixel in range(3):

        def cost(theta, pixel=pixel):
            weights = ivar[:, pixel] / (1 + found.scatter[pixel] ** 2 * ivar[:, pixel])
            residual = flux[:, pixel] - design @ theta
            return np.sum(weights * residual**2) + 50.0 * np.abs(theta[1:]).sum()

        start = found.coefficients[pixel] + 0.01
        options = {"xatol": 1e-10, "fatol": 1e-10, "maxiter": 20000, "maxfev": 20000}
        best = minimize(cost, start, method="Nelder-Mead", options=options)
        assert cost(found.coefficients[pixel]) <= best.fun + 1e-6


def test_a_strong_penalty_leaves_only_the_constant():
    flux, ivar, design = simulated(seed=11)
    found = fast(flux, ivar, design, penalty=1e8)
    assert (found.coefficients[:, 1:] == 0).all()
    assert (found.coefficients[:, 0] != 0).all()


def test_censored_terms_are_left_out_as_if_they_did_not_exist():
    flux, ivar, design = simulated(seed=12)
    mask = np.zeros(flux.shape[1], dtype=bool)
    mask[::2] = True
    allowed = censor_mask(TERMS, ("a", "b"), {"b": mask}, flux.shape[1])
    found = fast(flux, ivar, design, allowed=allowed)
    without = np.flatnonzero(~TERMS.involves(1))
    alone = fast(flux, ivar, design[:, without])
    whole = fast(flux, ivar, design)
    assert (found.coefficients[::2][:, TERMS.involves(1)] == 0).all()
    np.testing.assert_allclose(
        found.coefficients[::2][:, without], alone.coefficients[::2], atol=1e-9
    )
    np.testing.assert_allclose(found.coefficients[1::2], whole.coefficients[1::2], atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
def test_flux_in_other_units_scales_the_answer(scale, seed):
    flux, ivar, design = simulated(seed=seed, n_pixels=4)
    one, other = fast(flux, ivar, design), fast(flux * scale, ivar / scale**2, design)
    np.testing.assert_allclose(other.coefficients, one.coefficients * scale, atol=1e-6 * scale)
    np.testing.assert_allclose(other.scatter, one.scatter * scale, rtol=1e-4, atol=1e-6 * scale)
