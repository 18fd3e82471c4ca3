"""Injection and recovery: what the Cannon says of labels that we put in."""

import numpy as np
import pytest

from siderea.models.cannon import Cannon
from siderea.models.polynomial import PolynomialTerms

TERMS = PolynomialTerms(3, 2)
PIXELS = 300


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    theta = 0.02 * rng.normal(size=(PIXELS, len(TERMS)))
    theta[:, 0] = 0.9
    theta[:, 4:] *= 0.3
    return theta, 10 ** rng.uniform(-3, -1.7, PIXELS)


def stars(truth, n, *, snr, seed, shared=None):
    theta, scatter = truth
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 3))
    noise = rng.normal(size=(n, PIXELS)) * np.hypot(1 / snr, scatter)
    if shared is not None:
        noise += rng.normal(size=(n, shared.shape[1])) @ shared.T
    ivar = np.where(rng.random(noise.shape) < 0.03, 0.0, float(snr) ** 2)
    return TERMS.design(x) @ theta.T + noise, ivar, x


def pulls(model, given):
    flux, ivar, x = given
    found = model.infer(flux, ivar)
    fine = found.flags == 0
    assert fine.mean() > 0.8
    return ((found.labels - x) / found.errors)[fine]


def test_scatter_and_coefficients_of_the_truth_come_back(truth):
    flux, ivar, x = stars(truth, 4000, snr=100, seed=1)
    model = Cannon(2).fit(flux, ivar, x)
    known = truth[1] > 0.005
    ratio = model.scatter_[known] / truth[1][known]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    probe = np.random.default_rng(2).uniform(-1.5, 1.5, (50, 3))
    expected = TERMS.design(probe) @ truth[0].T
    assert np.sqrt(np.mean((model.predict(probe) - expected) ** 2)) < 2e-3


@pytest.mark.parametrize("snr", [20, 200])
def test_errors_of_labels_are_honest(truth, snr):
    model = Cannon(2).fit(*stars(truth, 2000, snr=100, seed=3))
    z = pulls(model, stars(truth, 800, snr=snr, seed=4))
    assert np.abs(z.mean(axis=0)).max() < 0.25
    assert z.std(axis=0) == pytest.approx(1.0, abs=0.12)


def test_chi2_of_a_good_fit_is_its_number_of_pixels(truth):
    model = Cannon(2).fit(*stars(truth, 2000, snr=100, seed=5))
    flux, ivar, _ = stars(truth, 400, snr=100, seed=6)
    found = model.infer(flux, ivar)
    assert np.mean(found.chi2 / (found.n_pixels - 3)) == pytest.approx(1.0, abs=0.03)


def test_shared_scatter_is_learnt_and_makes_errors_honest(truth):
    smooth = np.linspace(-1, 1, PIXELS)[:, None]
    shared = 0.03 * np.hstack([smooth, smooth**2 - 1 / 3])
    theta = truth[0].copy()
    theta[:, 1:3] += shared  # labels act on the slope as well, so that the plain fit is misled
    truth = theta, truth[1]
    train = stars(truth, 2000, snr=100, seed=7, shared=shared)
    test = stars(truth, 800, snr=100, seed=8, shared=shared)
    plain, with_modes = Cannon(2).fit(*train), Cannon(2, n_modes=2).fit(*train)
    assert pulls(plain, test).std(axis=0).max() > 1.5
    assert pulls(with_modes, test).std(axis=0) == pytest.approx(1.0, abs=0.2)
    error = [
        np.std(model.infer(test[0], test[1]).labels - test[2]) for model in (plain, with_modes)
    ]
    assert error[1] < 0.9 * error[0]
    basis, _ = np.linalg.qr(shared)
    caught = np.linalg.norm(basis.T @ with_modes.templates_) / np.linalg.norm(shared)
    assert caught == pytest.approx(1.0, abs=0.25)


def test_clipping_leaves_out_the_stars_whose_labels_are_wrong(truth):
    flux, ivar, x = stars(truth, 600, snr=100, seed=9)
    wrong = np.arange(600) < 20
    given = np.where(wrong[:, None], x[::-1], x)
    far = np.abs(given - x).max(axis=1) > 0.5
    model = Cannon(2, clip=5.0).fit(flux, ivar, given)
    assert not model.used_[far].any()
    assert model.used_[~wrong].mean() > 0.95


def test_l1_sets_to_zero_the_terms_that_are_not_there():
    rng = np.random.default_rng(10)
    x = rng.uniform(-2, 2, (500, 3))
    theta = np.zeros((40, len(TERMS)))
    theta[:, 0], theta[:, 1] = 0.9, 0.05
    flux = TERMS.design(x) @ theta.T + 0.01 * rng.normal(size=(500, 40))
    ivar = np.full(flux.shape, 1e4)
    free = Cannon(2).fit(flux, ivar, x).coefficients_
    sparse = Cannon(2, regularisation=3e4).fit(flux, ivar, x).coefficients_
    assert (free[:, 2:] == 0).mean() == 0
    assert (sparse[:, 2:] == 0).mean() > 0.9
    assert (sparse[:, 1] > 0).all()
