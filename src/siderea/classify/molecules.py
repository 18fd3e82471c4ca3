"""Bands of TiO: a step down at each band's head, which no atomic line makes.

Only steps are used, not levels: the continuum of a cool star is drawn through its bands, and its
level means nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.classify.detection import Detection
from siderea.classify.profile_fit import in_medium
from siderea.data import Spectra
from siderea.spectra.clipped_fit import masked_quantile

__all__ = ["TIO_HEADS", "band_index"]

TIO_HEADS = (4761.1, 4803.3, 5847.6, 6650.7, 6680.7, 6713.6)
"""Heads of TiO bands that fade to the red, Å in air: the largest steps of the summed TiO lines of
the GALAH line list that lie well within the survey's arms."""

_BLUE = (-6.0, -0.8)
_RED = (0.3, 5.5)
_QUANTILE = 0.75
_QUANTILE_ERROR = 1.363  # √(q(1−q))/φ(z_q) of a Gaussian, in units of σ/√n
_MIN_GOOD = 0.6


def band_index(spectra: Spectra, *, heads: tuple[float, ...] = TIO_HEADS) -> Detection:
    """Measure the mean step of the TiO bands.

    At each head the index is 1 − f_red/f_blue, with f the upper quartile of the flux just redwards
    and just bluewards: the quartile passes over atomic lines. The heads are averaged with weights
    1/σ².

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra, at rest.
    heads : tuple of float
        Å in air; those that a spectrum does not cover are left out.

    Returns
    -------
    Detection
        Share of the flux that the bands take; NaN where no head is covered.
    """
    steps = [_step(spectra, in_medium(head, spectra)) for head in heads]
    value = np.stack([step[0] for step in steps], axis=1)
    variance = np.stack([step[1] for step in steps], axis=1)
    weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
    weight[~np.isfinite(value)] = 0.0
    total = weight.sum(axis=1)
    mean, error = np.full(len(spectra), np.nan), np.full(len(spectra), np.nan)
    np.divide((np.nan_to_num(value) * weight).sum(axis=1), total, out=mean, where=total > 0)
    np.divide(1.0, np.sqrt(total), out=error, where=total > 0)
    return Detection("tio_bands", mean, error)


def _step(spectra: Spectra, head: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 − f_red/f_blue at a head and its variance (N,), NaN where it is not covered."""
    red, red_variance = _level(spectra, head + _RED[0], head + _RED[1])
    blue, blue_variance = _level(spectra, head + _BLUE[0], head + _BLUE[1])
    usable = np.isfinite(red) & (np.nan_to_num(blue) > 0.05)
    ratio, variance = np.full(len(spectra), np.nan), np.full(len(spectra), np.nan)
    np.divide(red, blue, out=ratio, where=usable)
    np.divide(red_variance + ratio**2 * blue_variance, blue**2, out=variance, where=usable)
    return 1.0 - ratio, variance


def _level(
    spectra: Spectra, low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the upper quartile of the flux of a window and its variance (N,)."""
    pixels = np.flatnonzero((spectra.wavelength >= low) & (spectra.wavelength <= high))
    missing = np.full(len(spectra), np.nan)
    if pixels.size < 5 or spectra.wavelength[pixels[-1]] - spectra.wavelength[pixels[0]] < 0.9 * (
        high - low
    ):
        return missing, missing
    flux, ivar = spectra.flux[:, pixels].astype(float), spectra.ivar[:, pixels].astype(float)
    good = (ivar > 0) & np.isfinite(flux)
    count = good.sum(axis=1)
    level = masked_quantile(flux, good, _QUANTILE)
    mean_variance = np.divide(1.0, ivar, out=np.zeros_like(ivar), where=good).sum(axis=1)
    enough = count >= _MIN_GOOD * pixels.size
    variance = np.full(len(spectra), np.nan)
    np.divide(
        _QUANTILE_ERROR**2 * mean_variance, count.astype(float) ** 2, out=variance, where=enough
    )
    return np.where(enough, level, np.nan), variance
