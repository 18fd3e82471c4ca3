import numpy as np
import pytest

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.spectra.lines import BALMER, equivalent_width
from siderea.spectra.wavelength import air_to_vacuum

WAVELENGTH = np.arange(6540.0, 6590.0, 0.05)


def gaussian(depth, sigma=0.5, centre=6562.8):
    return 1.0 - depth * np.exp(-0.5 * ((WAVELENGTH - centre) / sigma) ** 2)


def spectra(flux, ivar=None, wavelength=WAVELENGTH, medium="air"):
    flux = np.atleast_2d(flux)
    return Spectra(wavelength, flux, np.full_like(flux, 1e4) if ivar is None else ivar, medium)


@pytest.mark.parametrize("depth", [0.5, 0.1, -2.0])
def test_a_gaussian_line_has_its_analytic_width(depth):
    width, error = equivalent_width(spectra(gaussian(depth)), BALMER["halpha"])
    assert width[0] == pytest.approx(depth * 0.5 * np.sqrt(2 * np.pi), rel=1e-3)
    assert error[0] == pytest.approx(0.01 * 0.05 * np.sqrt(140), rel=0.02)


def test_the_error_is_the_scatter_of_noise():
    rng = np.random.default_rng(0)
    noisy = gaussian(0.5) + rng.normal(0, 0.01, (2000, WAVELENGTH.size))
    width, error = equivalent_width(spectra(noisy), 6562.8)
    assert width.std() == pytest.approx(error.mean(), rel=0.05)


def test_vacuum_spectra_are_measured_at_the_vacuum_wavelength():
    line = spectra(gaussian(0.5), wavelength=air_to_vacuum(WAVELENGTH), medium="vacuum")
    assert equivalent_width(line, 6562.8)[0][0] == pytest.approx(0.6267, rel=2e-3)


def test_bad_pixels_and_gaps():
    flux = np.repeat(gaussian(0.0)[None], 3, axis=0)
    flux[:, 440:450] = 50.0
    ivar = np.full_like(flux, 1e4)
    ivar[0, 440:450] = 0.0
    ivar[1, 400:500] = 0.0
    width, _ = equivalent_width(spectra(flux, ivar), 6562.8)
    assert width[0] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(width[1])
    assert width[2] < -20.0
    assert np.isnan(equivalent_width(spectra(flux, ivar), 4861.33)[0]).all()


def test_the_window_must_be_positive():
    with pytest.raises(DataError, match="positive width"):
        equivalent_width(spectra(gaussian(0.5)), 6562.8, half_width=0.0)
