"""Strengths of single lines in normalised spectra at rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.spectra.wavelength import air_to_vacuum

__all__ = ["BALMER", "equivalent_width"]

BALMER = {"halpha": 6562.80, "hbeta": 4861.33}
"""Hα and Hβ, Å in air (NIST Atomic Spectra Database)."""

_MIN_GOOD = 0.8


def equivalent_width(
    spectra: Spectra, line: float, *, half_width: float = 3.5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the equivalent width of a line, W = ∫ (1 − f) dλ.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra, at rest.
    line : float
        Centre in air, Å; converted where the spectra are in vacuum.
    half_width : float
        Half the window, Å. The default is the window of Čotar et al. for Balmer emission.

    Returns
    -------
    width, error : (N,) ndarray
        Å, positive for absorption. Bad pixels count as the mean of the good ones; NaN where less
        than four fifths of the window is good, or it is not covered.
    """
    if not half_width > 0:
        raise DataError(f"half_width: found {half_width}; expected a positive width in Å")
    centre = float(air_to_vacuum(line)) if spectra.medium == "vacuum" else line
    inside = np.abs(spectra.wavelength - centre) <= half_width
    n = len(spectra)
    pixel = np.gradient(spectra.wavelength[inside]) if np.count_nonzero(inside) > 2 else np.zeros(1)
    if pixel.sum() < _MIN_GOOD * 2.0 * half_width:
        return np.full(n, np.nan), np.full(n, np.nan)
    flux, ivar = spectra.flux[:, inside].astype(float), spectra.ivar[:, inside].astype(float)
    good = ivar > 0
    covered = (good * pixel).sum(axis=1) / pixel.sum()
    scale = np.divide(1.0, covered, out=np.full(n, np.nan), where=covered >= _MIN_GOOD)
    width = scale * ((1.0 - flux) * pixel * good).sum(axis=1)
    variance = np.divide(pixel**2, ivar, out=np.zeros_like(ivar), where=good).sum(axis=1)
    return width, np.abs(scale) * np.sqrt(variance)
