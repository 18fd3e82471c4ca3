"""Li I at 6708 Å, which blends with an iron line.

The two are fitted together, so the error of lithium includes what the blend does not tell apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.classify.detection import Detection
from siderea.classify.profile_fit import ProfileFit, fit_profiles, in_medium, window_pixels
from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.data import Spectra

__all__ = ["DOUBLET", "FWHM", "IRON", "lithium_width"]

DOUBLET = ((6707.76, 2.0 / 3.0), (6707.91, 1.0 / 3.0))
"""The two fine-structure lines of ⁷Li (Å in air) and their shares of a weak line."""
IRON = 6707.43
"""The Fe I line in the blend, Å in air."""
WINDOW = (6705.9, 6709.6)
FWHM = (10.0, 11.5, 13.5, 16.0, 20.0, 26.0, 35.0, 50.0, 75.0)
"""Widths that are tried, km/s: instrument and rotation together."""


def lithium_width(spectra: Spectra) -> Detection:
    """Measure the equivalent width of Li I 6708, freed of Fe I 6707.4.

    The continuum, a Gaussian for iron and a double one for lithium are fitted by weighted least
    squares at each of the widths `FWHM`. The result is the mean over the widths, each by its
    likelihood, and what they differ by is part of the error.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra, at rest.

    Returns
    -------
    Detection
        Å, in units of the local continuum; NaN where the window is not covered.
    """
    pixels = window_pixels(spectra, *WINDOW)
    grid = spectra.wavelength[pixels]
    missing, ivar = 1.0 - spectra.flux[:, pixels], spectra.ivar[:, pixels]
    fits = [fit_profiles(missing, ivar, _profiles(spectra, grid, width)) for width in FWHM]
    chi2 = np.stack([fit.chi2 for fit in fits])
    likely = np.exp(-0.5 * (chi2 - chi2.min(axis=0)))
    share = likely / likely.sum(axis=0)
    values = np.stack([_in_continuum(fit) for fit in fits])
    errors = np.stack([fit.error[:, 2] for fit in fits])
    value = (share * values).sum(axis=0)
    variance = (share * (errors**2 + (values - value) ** 2)).sum(axis=0)
    return Detection("li_6708", value, np.sqrt(variance), "Å")


def _in_continuum(fit: ProfileFit) -> NDArray[np.float64]:
    """Return the width of lithium in units of the continuum that was fitted with it."""
    continuum = 1.0 - fit.amplitude[:, 0]
    return fit.amplitude[:, 2] / np.where(continuum > 0.05, continuum, np.nan)


def _profiles(spectra: Spectra, grid: NDArray, width: float) -> NDArray[np.float64]:
    """Return continuum, iron and lithium (3, P); the lines have an equivalent width of 1 Å."""
    lithium = sum(
        share * _gaussian(grid, in_medium(line, spectra), width) for line, share in DOUBLET
    )
    return np.stack([np.ones(grid.size), _gaussian(grid, in_medium(IRON, spectra), width), lithium])


def _gaussian(grid: NDArray, centre: float, width: float) -> NDArray[np.float64]:
    sigma = centre * width / C_KMS / GAUSSIAN_FWHM
    return np.exp(-0.5 * ((grid - centre) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))
