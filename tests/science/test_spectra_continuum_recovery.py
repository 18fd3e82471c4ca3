"""Continua and cosmic rays that were put in are found again."""

import numpy as np
import pytest

from siderea.constants import GAUSSIAN_FWHM
from siderea.spectra.continuum import fit_chebyshev
from siderea.spectra.masks import cosmic_rays

P = 4096
X = np.linspace(-1.0, 1.0, P)
WAVELENGTH = np.linspace(6477.0, 6736.0, P)


@pytest.mark.parametrize("snr", [5, 20, 100])
def test_noise_without_lines_is_unbiased_at_any_snr(snr):
    rng = np.random.default_rng(snr)
    truth = 1 + 0.2 * X - 0.1 * X**2
    flux = truth + rng.normal(0, 1 / snr, (40, P))
    ivar = np.full(flux.shape, float(snr) ** 2)
    fit = fit_chebyshev(WAVELENGTH, flux, ivar, degree=3)
    bias = (fit.continuum / truth - 1).mean()
    assert abs(bias) < 0.02 / snr  # a clip that climbs with the noise is off by 0.5/snr


def test_weights_that_know_their_own_noise_would_bias():
    """Poisson errors taken from the noisy flux itself leave the level where it is."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(50.0, (40, P)).astype(float)
    fit = fit_chebyshev(WAVELENGTH, counts, 1 / np.maximum(counts, 1.0), degree=2, lower=3.0)
    assert fit.continuum.mean() / 50.0 == pytest.approx(1.0, abs=0.003)


def test_continuum_under_lines():
    rng = np.random.default_rng(2)
    lines = np.ones(P)
    for centre in rng.uniform(0, P, 150):
        lines -= rng.uniform(0.02, 0.5) * np.exp(-0.5 * ((np.arange(P) - centre) / 2.2) ** 2)
    lines = np.clip(lines, 0.05, None)
    truth = 1 + 0.3 * X + 0.1 * X**3
    flux = truth * lines + rng.normal(0, 0.02, (20, P))
    fit = fit_chebyshev(WAVELENGTH, flux, np.full(flux.shape, 2500.0), degree=4)
    error = fit.continuum / truth - 1
    assert np.sqrt((error**2).mean()) < 0.01


def test_emission_does_not_lift_the_continuum():
    flux = 1 + 3 * np.exp(-0.5 * ((np.arange(P) - 1300) / 40.0) ** 2)
    flux = flux + np.random.default_rng(3).normal(0, 0.02, (10, P))
    fit = fit_chebyshev(WAVELENGTH, flux, np.full(flux.shape, 2500.0), degree=4)
    assert np.abs(fit.continuum - 1).max() < 0.02


def spectrum(rng, n=200, snr=50):
    flux = 1 + rng.normal(0, 1 / snr, (n, P))
    return flux, np.full(flux.shape, float(snr) ** 2)


def line(height, fwhm, centre=2000.3):
    return height * np.exp(-0.5 * ((np.arange(P) - centre) * GAUSSIAN_FWHM / fwhm) ** 2)


def test_clean_noise_holds_no_cosmic_rays():
    flux, ivar = spectrum(np.random.default_rng(4), n=500)
    assert cosmic_rays(flux, ivar).mean() < 1e-5


@pytest.mark.parametrize(("height", "found"), [(10, 0.9), (15, 0.99), (100, 1.0)])
def test_spikes_are_found(height, found):
    flux, ivar = spectrum(np.random.default_rng(5))
    flux[:, 2000] += height / 50
    assert cosmic_rays(flux, ivar, grow=0)[:, 2000].mean() >= found


def test_bright_spikes_of_two_pixels_are_found():
    flux, ivar = spectrum(np.random.default_rng(6))
    flux[:, 2000:2002] += 1.0  # 50 sigma
    assert cosmic_rays(flux, ivar)[:, 2000:2002].all()


@pytest.mark.parametrize("height", [0.2, 1.0, 10.0])
@pytest.mark.parametrize("fwhm", [4.0, 8.0, 60.0])
def test_lines_as_wide_as_the_instrument_stay(height, fwhm):
    flux, ivar = spectrum(np.random.default_rng(7))
    for centre in (2000.0, 2500.5):
        flux = flux + line(height, fwhm, centre)
    assert not cosmic_rays(flux, ivar).any()


def test_peaks_between_absorption_lines_stay():
    flux, ivar = spectrum(np.random.default_rng(8))
    for separation, centre in ((5, 500), (6, 1000), (8, 1500)):
        for side in (-1, 1):
            flux = flux - line(0.9, 4.0, centre + side * separation / 2)
    assert not cosmic_rays(flux, ivar).any()
