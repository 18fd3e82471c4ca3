"""The shipped emulator in composites and in the batched fit: binaries whose truth is known."""

import numpy as np
import pytest

from siderea.data import Spectra
from siderea.io.galah import GRID
from siderea.models.composite import Binary, Single
from siderea.models.emulator import load_default
from siderea.models.fitting import fit
from siderea.models.pairing import FreeRadii

GREEN = GRID.arms[1]
SNR = 100.0


@pytest.fixture(scope="module")
def model():
    """The emulator on the green arm, its broadening a label."""
    return load_default().at(
        GRID.wavelength[GREEN], resolution=28_000.0, medium="air", extra_labels=("vbroad",)
    )


def observed(flux, seed):
    rng = np.random.default_rng(seed)
    flux = np.atleast_2d(flux)
    noisy = flux + rng.normal(0.0, 1.0 / SNR, flux.shape)
    ivar = np.full(flux.shape, SNR**2)
    ivar[:, :150] = ivar[:, -150:] = 0.0  # a star in motion leaves the arm's ends
    return Spectra(GRID.wavelength[GREEN], noisy, ivar, "air")


def parameters(composite, values, n=1):
    """Return rows of parameters in the composite's own order."""
    return np.tile([values[name] for name in composite.label_names], (n, 1))


def test_a_twin_at_rest_is_the_single_star(model):
    single, binary = Single(model), Binary(model, FreeRadii())
    star = {"teff": 5600.0, "logg": 4.4, "fe_h": -0.1, "alpha_fe": 0.05, "vmic": 1.1, "vbroad": 5.0}
    values = dict(star, rv=12.0, rv_1=12.0, rv_2=12.0, radius_ratio=0.8)
    values |= {f"{name}_{i}": value for name, value in star.items() for i in (1, 2)}
    one = np.asarray(single.predict(parameters(single, values)))
    two = np.asarray(binary.predict(parameters(binary, values)))
    np.testing.assert_allclose(two, one, atol=1e-5)


def test_labels_and_velocity_of_single_stars_are_found(model):
    single = Single(model)
    star = {"teff": 5600.0, "logg": 4.3, "fe_h": -0.2, "alpha_fe": 0.1, "vmic": 1.2, "vbroad": 6.0}
    truth = parameters(single, dict(star, rv=0.0), 8)
    names = list(single.label_names)
    truth[:, names.index("teff")] += np.linspace(-600, 600, 8)
    truth[:, names.index("rv")] = np.linspace(-90, 90, 8)
    result = fit(observed(np.asarray(single.predict(truth)), 1), single)
    pull = (result.labels - truth) / result.errors
    assert np.isfinite(pull).all()
    assert np.abs(result.labels[:, names.index("rv")] - truth[:, names.index("rv")]).max() < 0.5
    assert np.sqrt(np.mean(pull**2)) == pytest.approx(1.0, abs=0.35)
    assert np.all(result.chi2 < 1.15 * result.n_pixels)


def test_two_stars_fit_a_binary_better_and_their_velocities_are_found(model):
    single, binary = Single(model), Binary(model, FreeRadii())
    star = {"logg": 4.4, "fe_h": -0.1, "alpha_fe": 0.05, "vmic": 1.1, "vbroad": 5.0}
    values = {"radius_ratio": 0.85, "rv_1": -25.0, "rv_2": 35.0, "teff_1": 5900.0, "teff_2": 5400.0}
    values |= star | {f"{name}_{i}": value for name, value in star.items() for i in (1, 2)}
    truth = parameters(binary, values, 2)
    names = list(binary.label_names)
    truth[1, names.index("rv_2")] = -85.0
    spectra = observed(np.asarray(binary.predict(truth)), 2)
    two, one = fit(spectra, binary), fit(spectra, single)
    assert np.all(two.chi2 < 1.15 * two.n_pixels)
    assert np.all(one.chi2 - two.chi2 > 300)
    found = two.labels[:, [names.index("rv_1"), names.index("rv_2")]]
    expected = truth[:, [names.index("rv_1"), names.index("rv_2")]]
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1.5)
