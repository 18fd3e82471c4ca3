import warnings

import numpy as np
import pytest
from scipy.optimize import least_squares

from siderea.errors import DataError, MediumError
from siderea.flags import FitFlag
from siderea.models.cannon import Cannon
from siderea.models.cannon_inference import moments

NAMES = ("teff", "logg", "fe_h")
CENTRE, WIDTH = np.array([5000.0, 3.0, -0.5]), np.array([500.0, 0.8, 0.4])
PIXELS = 120


def lines(labels, *, seed=0):
    """Return flux (N, P), a cubic of the labels in every pixel."""
    rng = np.random.default_rng(seed)
    x = (np.atleast_2d(labels) - CENTRE) / WIDTH
    depth = 0.3 + x @ (0.05 * rng.normal(size=(3, PIXELS)))
    return 1 - depth - (x**2) @ (0.01 * rng.normal(size=(3, PIXELS)))


def training(n=150, *, snr=200.0, seed=1):
    rng = np.random.default_rng(seed)
    labels = CENTRE + WIDTH * rng.uniform(-2, 2, (n, 3))
    ivar = np.full((n, PIXELS), snr**2)
    return lines(labels) + rng.normal(size=ivar.shape) / snr, ivar, labels


@pytest.fixture(scope="module")
def cannon():
    wavelength = np.linspace(5000, 5100, PIXELS)
    model = Cannon(2, label_names=NAMES)
    return model.fit(*training(), wavelength=wavelength, medium="air", resolution=2000.0)


def observed(labels, *, snr=100.0, seed=2):
    flux = lines(labels)
    noise = np.random.default_rng(seed).normal(size=flux.shape) / snr
    return flux + noise, np.full(flux.shape, snr**2)


def test_three_calls_on_plain_lists():
    flux, ivar, labels = training(40)
    model = Cannon(order=1).fit(flux.tolist(), ivar.tolist(), labels.tolist())
    assert model.label_names == ("label_1", "label_2", "label_3")
    assert model.infer(flux[:2].tolist(), ivar[:2].tolist()).labels.shape == (2, 3)
    assert model.predict(labels[0].tolist()).shape == (1, PIXELS)


def test_labels_are_recovered(cannon):
    truth = CENTRE + WIDTH * np.random.default_rng(3).uniform(-1.5, 1.5, (200, 3))
    found = cannon.infer(*observed(truth))
    assert (found.flags == 0).all()
    pull = (found.labels - truth) / found.errors
    assert np.abs(pull.mean(axis=0)).max() < 0.3
    assert pull.std(axis=0) == pytest.approx(1.0, abs=0.25)
    assert np.median(found.chi2 / found.n_pixels) == pytest.approx(1.0, abs=0.1)


def test_infer_is_the_optimum_that_a_general_solver_finds(cannon):
    flux, ivar = observed(CENTRE + WIDTH * np.array([[0.3, -0.4, 0.5], [-1.0, 0.8, -0.6]]))
    ivar[:, 5:20] = 0
    flux[0, 30] = np.nan
    found = cannon.infer(flux, ivar)
    for star in range(2):
        good = (ivar[star] > 0) & np.isfinite(flux[star])
        sigma = np.sqrt(1 / ivar[star, good] + cannon.scatter_[good] ** 2)

        def residual(x, star=star, good=good, sigma=sigma):
            model = cannon.predict(CENTRE + WIDTH * x)[0, good]
            return (flux[star, good] - model) / sigma

        best = least_squares(residual, np.zeros(3), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        np.testing.assert_allclose((found.labels[star] - CENTRE) / WIDTH, best.x, atol=1e-5)
        assert found.chi2[star] == pytest.approx(2 * best.cost, rel=1e-9)
        covariance = np.linalg.inv(best.jac.T @ best.jac) * np.outer(WIDTH, WIDTH)
        np.testing.assert_allclose(found.covariance[star], covariance, rtol=1e-3, atol=1e-6)
        assert found.n_pixels[star] == good.sum()


def test_a_batch_is_its_stars_one_by_one(cannon):
    flux, ivar = observed(CENTRE + WIDTH * np.random.default_rng(4).uniform(-1, 1, (7, 3)))
    whole = cannon.infer(flux, ivar)
    for star in range(7):
        one = cannon.infer(flux[star], ivar[star])
        np.testing.assert_allclose(one.labels[0], whole.labels[star], rtol=1e-7)


def test_float32_spectra_give_the_labels_of_float64(cannon):
    flux, ivar = observed(CENTRE[None])
    single = cannon.infer(flux.astype(np.float32), ivar.astype(np.float32))
    np.testing.assert_allclose(single.labels, cannon.infer(flux, ivar).labels, rtol=1e-4)


def test_an_all_masked_spectrum_is_flagged_and_spoils_no_other(cannon):
    flux, ivar = observed(np.repeat(CENTRE[None], 4, axis=0))
    alone = cannon.infer(flux[3], ivar[3])
    ivar[0], flux[1] = 0, np.nan
    ivar[2, 2:] = 0
    found = cannon.infer(flux, ivar)
    assert found.flags.tolist() == [FitFlag.BAD_DATA] * 3 + [0]
    assert np.isnan(found.labels[:3]).all()
    assert np.isnan(found.covariance[:3]).all()
    assert found.n_pixels.tolist() == [0, 0, 2, PIXELS]
    np.testing.assert_allclose(found.labels[3], alone.labels[0], rtol=1e-9)


def test_a_star_beyond_the_training_range_ends_at_the_bound_with_the_flag(cannon):
    found = cannon.infer(*observed(CENTRE + WIDTH * np.array([[3.0, 0.0, 0.0]])))
    assert found.flags[0] & FitFlag.AT_BOUND
    assert found.labels[0, 0] == cannon.label_range[0, 1]


def test_a_label_that_no_pixel_knows_is_singular():
    flux, ivar, labels = training()
    blind = {"logg": np.ones(PIXELS, dtype=bool)}
    model = Cannon(2, label_names=NAMES, censors=blind).fit(flux, ivar, labels)
    found = model.infer(flux[:3], ivar[:3])
    assert (found.flags & FitFlag.SINGULAR).all()
    assert np.isnan(found.covariance).all()
    assert np.abs(found.labels[:, 0] - labels[:3, 0]).max() < 300


def test_stars_without_labels_are_left_out_with_a_warning():
    flux, ivar, labels = training()
    expected = Cannon().fit(flux[2:], ivar[2:], labels[2:])
    labels[0, 1] = labels[1, 0] = np.nan
    with pytest.warns(UserWarning, match="2 of 150 training stars"):
        found = Cannon().fit(flux, ivar, labels)
    np.testing.assert_allclose(found.coefficients_, expected.coefficients_, atol=1e-12)


def test_nan_labels_give_nan_spectra(cannon):
    flux = cannon.predict([[5000.0, 3.0, np.nan], CENTRE])
    assert np.isnan(flux[0]).all()
    assert np.isfinite(flux[1]).all()


def test_an_untrained_pixel_is_nan_and_does_not_hurt_the_fit():
    flux, ivar, labels = training()
    ivar[:, 7] = 0
    model = Cannon(2).fit(flux, ivar, labels)
    assert np.flatnonzero(np.isnan(model.predict(CENTRE)[0])).tolist() == [7]
    found = model.infer(*observed(CENTRE[None]))
    assert found.flags[0] == 0
    assert found.n_pixels[0] == PIXELS - 1


def test_one_pixel_is_too_little_for_three_labels_and_enough_for_one():
    flux, ivar, labels = training()
    one = Cannon(1).fit(flux[:, :1], ivar[:, :1], labels)
    assert one.infer(flux[:2, :1], ivar[:2, :1]).flags.tolist() == [FitFlag.BAD_DATA] * 2
    single = Cannon(1).fit(flux[:, :1], ivar[:, :1], labels[:, 0])
    assert np.isfinite(single.infer(flux[:2, :1], ivar[:2, :1]).labels).all()


def test_spectra_of_the_other_medium_or_grid_are_refused(cannon):
    flux, ivar = observed(CENTRE[None])
    with pytest.raises(MediumError, match="'vacuum' spectra; the model is in 'air'"):
        cannon.infer(flux, ivar, medium="vacuum")
    with pytest.raises(DataError, match="another grid"):
        cannon.infer(flux, ivar, wavelength=cannon.wavelength + 1.0)
    with pytest.raises(DataError, match="resample to its grid"):
        cannon.infer(flux[:, 1:], ivar[:, 1:])
    cannon.infer(flux, ivar, wavelength=cannon.wavelength, medium="air")


def test_wavelengths_need_their_medium():
    with pytest.raises(MediumError, match="expected 'air' or 'vacuum'"):
        Cannon().fit(*training(), wavelength=np.arange(1.0, PIXELS + 1))


@pytest.mark.parametrize("wavelength", [np.arange(PIXELS, 0, -1.0), np.arange(1.0, PIXELS)])
def test_wavelengths_must_be_those_of_the_pixels(wavelength):
    with pytest.raises(DataError, match="wavelength"):
        Cannon().fit(*training(), wavelength=wavelength, medium="air")


def test_what_cannot_be_trained_is_refused():
    flux, ivar, labels = training()
    with pytest.raises(DataError, match="has 10 terms"):
        Cannon(2).fit(flux[:10], ivar[:10], labels[:10])
    with pytest.raises(DataError, match="does not vary"):
        Cannon(2).fit(flux, ivar, labels * [1, 0, 1])
    with pytest.raises(DataError, match="not independent"):
        Cannon(1).fit(flux, ivar, np.c_[labels, labels[:, 0] - labels[:, 1]])
    with pytest.raises(DataError, match="negative"):
        Cannon(1).fit(flux, -ivar, labels)
    with pytest.raises(DataError, match=r"expected \(150, L\)"):
        Cannon(1).fit(flux, ivar, labels[:5])
    with pytest.raises(DataError, match="no star"):
        Cannon(1).fit(flux, ivar, labels * np.nan)
    with pytest.raises(DataError, match="regularisation"):
        Cannon(1, regularisation=-1.0).fit(flux, ivar, labels)
    with pytest.raises(DataError, match="censors"):
        Cannon(1, censors={"mg_fe": np.ones(PIXELS, bool)}).fit(flux, ivar, labels)
    with pytest.raises(DataError, match="not trained"):
        Cannon(1).infer(flux, ivar)


def test_it_knows_no_physical_flux(cannon):
    with pytest.raises(DataError, match="normalised flux only"):
        cannon.flux_density(CENTRE)


def test_templates_are_marginalised_as_a_dense_covariance_would_be():
    rng = np.random.default_rng(5)
    coefficients, scatter = rng.normal(size=(30, 6)), rng.uniform(0.01, 0.1, 30)
    templates, flux = rng.normal(size=(30, 2)), rng.normal(size=(1, 30))
    ivar = rng.uniform(10, 100, (1, 30))
    ivar[0, :3] = 0
    given = moments(flux, ivar, coefficients, scatter, templates)
    good = ivar[0] > 0
    noise = np.diag(1 / ivar[0, good] + scatter[good] ** 2)
    inverse = np.linalg.inv(noise + templates[good] @ templates[good].T)
    theta, residual = coefficients[good, 1:], flux[0, good] - coefficients[good, 0]
    np.testing.assert_allclose(given.matrix[0], theta.T @ inverse @ theta, rtol=1e-9)
    np.testing.assert_allclose(given.vector[0], theta.T @ inverse @ residual, rtol=1e-9)
    assert given.constant[0] == pytest.approx(residual @ inverse @ residual)


def test_float32_training_is_accepted():
    flux, ivar, labels = training()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        single = Cannon(2).fit(flux.astype(np.float32), ivar.astype(np.float32), labels)
    np.testing.assert_allclose(
        single.coefficients_, Cannon(2).fit(flux, ivar, labels).coefficients_, atol=1e-5
    )


@pytest.mark.parametrize(
    "options", [{"modes_at": "x"}, {"n_modes": -1}, {"n_starts": 0}, {"clip": 0.0}]
)
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(DataError, match="expected"):
        Cannon(**options)
