"""Cosmic rays: what is sharper than the spectrograph can draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from siderea.constants import GAUSSIAN_FWHM

__all__ = ["cosmic_rays"]


def cosmic_rays(
    flux: NDArray, ivar: NDArray, *, threshold: float = 4.0, fwhm: float = 4.0, grow: int = 1
) -> NDArray[np.bool_]:
    """Find spikes that are sharper than the spectrograph can draw.

    Light that came through the spectrograph has at least the width of its line spread function:
    a Gaussian line of height h with σ = fwhm/2.355 pixels stands by h (1 − e^(−1/2σ²)) above the
    mean of its two neighbours. A pixel is a cosmic ray if it does so by 1.5 times that share of
    the range of flux within 1.5 ``fwhm``, and ``threshold`` standard deviations more. Emission
    lines, and the peaks between absorption lines, stay; so do spikes three pixels wide and more.

    Parameters
    ----------
    flux, ivar : (N, P) ndarray
        Flux in any unit and its inverse variance.
    threshold : float
        Significance, in standard deviations of the second difference.
    fwhm : float
        Full width at half maximum of the line spread function, in pixels (GALAH: about 4).
    grow : int
        Pixels to mask on each side as well, for the wings of a spike.

    Returns
    -------
    (N, P) ndarray of bool
    """
    flux, ivar = np.asarray(flux, dtype=float), np.asarray(ivar, dtype=float)
    good = np.isfinite(flux) & (ivar > 0)
    value = np.where(good, flux, 0.0)
    left, right = _shifted(value, 1), _shifted(value, -1)
    has = np.stack([_shifted(good, 1), _shifted(good, -1)]).astype(float)
    count = has.sum(axis=0)
    excess = value - (left * has[0] + right * has[1]) / np.maximum(count, 1.0)
    span = _range(value, good, max(2, round(1.5 * fwhm)))
    limit = threshold * np.sqrt(_quiet_variance(ivar, good) * 1.5)
    found = good & (count > 0) & (excess - _sharpest(fwhm) * span > limit)
    return _dilated(found, grow)


def _range(value: NDArray, good: NDArray[np.bool_], reach: int) -> NDArray[np.float64]:
    """Return the difference of the highest and lowest good pixel within ``reach``."""
    width = 2 * reach + 1
    low = minimum_filter1d(np.where(good, value, np.inf), width, axis=1, mode="nearest")
    high = maximum_filter1d(np.where(good, value, -np.inf), width, axis=1, mode="nearest")
    return np.where(good, high, 0.0) - np.where(good, low, 0.0)


def _sharpest(fwhm: float) -> float:
    """Return the largest share of the local range by which a real peak tops its neighbours."""
    sigma = fwhm / GAUSSIAN_FWHM
    return float(min(0.9, 1.5 * (1.0 - np.exp(-0.5 / sigma**2))))


def _quiet_variance(ivar: NDArray, good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the smaller variance of the pixels two to each side (a spike's own is inflated)."""
    best = np.zeros(ivar.shape)
    for side in (2, -2):
        best = np.maximum(best, np.where(_shifted(good, side), _shifted(ivar, side), 0.0))
    best = np.where(best > 0, best, np.where(good, ivar, 1.0))
    return 1.0 / best


def _shifted(array: NDArray, step: int) -> NDArray:
    """Move columns right by ``step`` and fill with zeros."""
    out = np.zeros_like(array)
    if step > 0:
        out[:, step:] = array[:, :-step]
    else:
        out[:, :step] = array[:, -step:]
    return out


def _dilated(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    out = mask.copy()
    for step in range(1, min(pixels, mask.shape[1] - 1) + 1):
        out |= _shifted(mask, step) | _shifted(mask, -step)
    return out
