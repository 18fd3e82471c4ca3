"""Pixels as a file stores them, turned into honest flux, ivar and wavelength."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.flags import SpectrumFlag

__all__ = ["clean", "log_wavelength", "on_log_grid"]

LOG_GRID_TOLERANCE = 0.05
"""How far, in pixels, a stored log10 wavelength may be from the grid that it was computed on. In
LAMOST MRS files of 1e-5 dex per pixel, 32-bit floats are off by up to 0.03."""


def clean(
    flux: ArrayLike,
    *,
    ivar: ArrayLike | None = None,
    error: ArrayLike | None = None,
    bad: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], SpectrumFlag]:
    """Turn flux with an error or an inverse variance into finite flux and an honest ivar.

    Parameters
    ----------
    flux : (P,) array-like
        Flux of one arm.
    ivar, error : (P,) array-like
        Exactly one of the two. An ivar of 0 is the survey's own way to mask, and not an error;
        an error must be positive.
    bad : (P,) array-like of bool, optional
        Pixels that the survey's mask calls bad: masked, whatever they hold, without a flag.

    Returns
    -------
    flux, ivar : (P,) ndarray
        Finite; ivar is 0 at every bad pixel, and non-finite flux there became 0.
    flags : SpectrumFlag
        ``NON_FINITE``, ``BAD_ERROR``, ``ZERO_SNR`` (median flux of the good pixels not above
        0), ``NO_GOOD_PIXELS``.
    """
    flux = np.array(flux, dtype=np.float64)
    masked = np.zeros(flux.shape, bool) if bad is None else np.asarray(bad, bool)
    weight, usable = _inverse_variance(ivar, error)
    finite = np.isfinite(flux)
    flags = SpectrumFlag.NONE
    if not np.all(finite | masked):
        flags |= SpectrumFlag.NON_FINITE
    if not np.all(usable | masked):
        flags |= SpectrumFlag.BAD_ERROR
    weight[~(finite & usable) | masked] = 0.0
    flux[~finite] = 0.0
    good = weight > 0
    if not good.any():
        flags |= SpectrumFlag.NO_GOOD_PIXELS
    elif not np.median(flux[good]) > 0:
        flags |= SpectrumFlag.ZERO_SNR
    return flux, weight, flags


def _inverse_variance(
    ivar: ArrayLike | None, error: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the inverse variance, and where it says something (an ivar of 0 does)."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if ivar is not None:
            weight = np.array(ivar, dtype=np.float64)
            return weight, np.isfinite(weight) & (weight >= 0)
        sigma = np.asarray(error, dtype=np.float64)
        weight = 1.0 / np.square(sigma)
        return weight, (sigma > 0) & np.isfinite(sigma) & np.isfinite(weight)


def log_wavelength(first: int, last: int, step: float) -> NDArray[np.float64]:
    """Return 10^(k step), Å, for k from ``first`` to ``last``, both included."""
    return np.asarray(10.0 ** (step * np.arange(first, last + 1)), dtype=np.float64)


def on_log_grid(log10_wavelength: ArrayLike, step: float) -> NDArray[np.float64]:
    """Undo the rounding of log10 wavelengths that lie on multiples of ``step``.

    Parameters
    ----------
    log10_wavelength : (P,) array-like
        log10 of the wavelength in Å, often stored as 32-bit floats.
    step : float
        Pixel of the survey's grid, dex.

    Returns
    -------
    (P,) ndarray
        Wavelengths, Å: those of the grid if every pixel is within 5 % of one, else as stored.
    """
    stored = np.asarray(log10_wavelength, dtype=np.float64)
    number = stored / step
    nearest = np.round(number)
    if np.all(np.abs(number - nearest) < LOG_GRID_TOLERANCE):
        stored = step * nearest
    return np.asarray(10.0**stored, dtype=np.float64)
