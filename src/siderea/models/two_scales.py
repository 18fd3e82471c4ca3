"""A spectrum as its lines and its slope: what to give a data-driven model of unnormalised flux.

Divided by its own smooth run, a spectrum keeps the lines (as the Cannon of LAMOST does: Ho et al.
2017, ApJ 836, 5) but loses the temperature that its continuum shows. Here the smooth run, in
logarithm and coarsely sampled, is appended as pixels of its own, so that each scale has an
intrinsic scatter of its own: reddening and flux calibration then blur the slope and not the lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from siderea.data import plain
from siderea.errors import DataError
from siderea.models.training_set import clean_spectra

__all__ = ["two_scales"]

Array = NDArray[np.float64]


def two_scales(
    flux: ArrayLike,
    ivar: ArrayLike,
    wavelength: ArrayLike,
    *,
    width: float = 50.0,
    step: float = 18.0,
) -> tuple[Array, Array]:
    """Split spectra into lines and slope.

    Parameters
    ----------
    flux, ivar : (N, P) array-like
        Flux in any unit, not normalised; ivar 0 marks a bad pixel.
    wavelength : (P,) array-like or Quantity
        Å, evenly spaced.
    width : float
        Standard deviation of the Gaussian that makes the smooth run, Å.
    step : float
        Distance of the samples of the smooth run, Å.

    Returns
    -------
    flux : (N, P + Q) ndarray
        First flux / smooth run, then the logarithm of the smooth run less its mean.
    ivar : (N, P + Q) ndarray
        0 where there is nothing to go by. A sample of the slope has the error of the mean of the
        pixels under the Gaussian.

    Raises
    ------
    DataError
        If the wavelengths are not evenly spaced, or the shapes do not fit.
    """
    flux, ivar = clean_spectra(flux, ivar)
    grid = plain(wavelength, "Angstrom")
    spacing = np.diff(grid)
    if grid.shape != flux.shape[1:] or len(grid) < 3 or np.ptp(spacing) > 1e-3 * spacing.mean():
        raise DataError(
            f"wavelength: found {grid.shape} for flux {flux.shape}; expected (P,), evenly spaced"
        )
    sigma, every = width / spacing.mean(), max(round(step / spacing.mean()), 1)
    good = (ivar > 0).astype(np.float64)
    weight = _smooth(good, sigma)
    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = _smooth(good * flux, sigma) / weight
        sampled = np.s_[:, every // 2 :: every]
        # The squared Gaussian is a Gaussian narrower by √2, of integral 1 / (2σ√π).
        variance = _smooth(good / np.where(ivar > 0, ivar, 1), sigma / np.sqrt(2)) / weight**2
        variance = variance / (2 * sigma * np.sqrt(np.pi)) / smooth**2
        lines, slope = flux / smooth, np.log(smooth[sampled])
        both = np.hstack([lines, slope])
        weights = np.hstack([ivar * smooth**2, 1 / variance[sampled]])
    usable = np.isfinite(both) & np.isfinite(weights)
    usable &= np.hstack([smooth > 0, smooth[sampled] > 0])
    both, weights = np.where(usable, both, 0.0), np.where(usable, weights, 0.0)
    part = np.s_[:, flux.shape[1] :]
    used = weights[part] > 0
    mean = both[part].sum(axis=1) / np.maximum(used.sum(axis=1), 1)
    both[part] = np.where(used, both[part] - mean[:, None], 0.0)
    return both, weights


def _smooth(rows: Array, sigma: float) -> Array:
    return gaussian_filter1d(rows, sigma, axis=1, mode="nearest")
