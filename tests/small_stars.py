"""Small spectra of two arms for the tests of binaries: random lines, rotation, noise."""

import numpy as np

from siderea.data import Spectra
from siderea.spectra.broadening import rotational
from siderea.spectra.wavelength import log_grid

DV = 2.85
GRID = np.concatenate([log_grid(5000.0, 1500, DV), log_grid(5700.0, 1500, DV)])
ARMS = (slice(0, 1500), slice(1500, 3000))


def lines(rv, *, seed=1, strength=1.0):
    """Return normalised flux (3000,) with lines of R = 28,000."""
    rng = np.random.default_rng(seed)
    rest = GRID / (1 + rv / 299792.458)
    flux = np.ones_like(GRID)
    for low in (4985.0, 5685.0):
        centres, depths = rng.uniform(low, low + 100, 90), rng.uniform(0.05, 0.6, 90)
        for centre, depth in zip(centres, depths, strict=True):
            flux -= strength * depth * np.exp(-0.5 * ((rest / centre - 1) * 299792.458 / 4.9) ** 2)
    return flux


def star(rv, *, vsini=0.0):
    """Return the flux of a star of the first kind."""
    flux = lines(rv)
    if vsini:
        flux = np.concatenate([rotational(flux[arm], DV, vsini) for arm in ARMS])
    return flux


def spectra(rows, *, snr=60.0, seed=0):
    """Return spectra with noise (none for ``snr=None``)."""
    flux = np.array(rows, dtype=float)
    sigma = 1.0 / (snr or 1000.0)
    if snr:
        flux = flux + np.random.default_rng(seed).normal(0.0, sigma, flux.shape)
    return Spectra(
        GRID, flux, np.full(flux.shape, sigma**-2), "air", arms=ARMS, resolution=28_000.0
    )
