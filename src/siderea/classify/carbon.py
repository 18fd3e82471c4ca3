"""The Swan band of C₂ at 4737 Å, which carbon-enhanced stars show.

After Čotar et al. (2019): the spectrum is divided by the median of similar ones, and a profile with
a sharp head at 4737 Å and a tail towards the blue is fitted to the ratio. They fit a log-gamma
profile with free shape; here head and tail are fixed, so that the fit is linear, its error exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.classify.detection import Detection
from siderea.classify.profile_fit import fit_profiles, in_medium, window_pixels
from siderea.constants import GAUSSIAN_FWHM
from siderea.data import Spectra
from siderea.errors import DataError

__all__ = ["HEAD", "WINDOW", "band_profile", "swan_band"]

HEAD = 4737.1
"""Head of the (1, 0) Swan band, Å in air."""
WINDOW = (4718.0, 4760.0)
"""Å in air: the band's tail, the head, and continuum on its red side."""
TAIL = 6.0
"""Length over which the band fades towards the blue, Å."""

_LEAST = 0.2


def band_profile(
    wavelength: NDArray, head: float, *, tail: float, fwhm: float
) -> NDArray[np.float64]:
    """Return exp(−(head − λ)/tail) bluewards of a head, 0 redwards, seen at a resolution.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å.
    head : float
        Å.
    tail : float
        Å.
    fwhm : float
        Resolution, Å: the head is as sharp as that (a logistic edge of the same 10–90 % width).

    Returns
    -------
    (P,) ndarray
        Between 0 and 1.
    """
    blue = head - wavelength
    sigma = fwhm / GAUSSIAN_FWHM
    edge = 1.0 / (1.0 + np.exp(-np.clip(1.702 * blue / sigma, -50.0, 50.0)))
    return edge * np.exp(-np.maximum(blue, 0.0) / tail)


def swan_band(spectra: Spectra, reference: ArrayLike) -> Detection:
    """Measure how deep the Swan band is at its head.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra, at rest.
    reference : (N, P) or (P,) array-like
        Expected flux on the same pixels.

    Returns
    -------
    Detection
        Depth as a share of the continuum; NaN where the window is not covered.
    """
    expected = np.asarray(reference, dtype=float)
    if expected.shape[-1] != spectra.n_pixels or expected.ndim > 2:
        raise DataError(
            f"reference: found shape {expected.shape}; expected ({len(spectra)}, "
            f"{spectra.n_pixels})"
        )
    pixels = window_pixels(spectra, *WINDOW)
    level = np.broadcast_to(expected, spectra.flux.shape)[:, pixels]
    usable = level > _LEAST  # a ratio to nothing says nothing
    level = np.where(usable, level, 1.0)
    missing = 1.0 - spectra.flux[:, pixels] / level
    weight = np.where(usable, spectra.ivar[:, pixels] * level**2, 0.0)
    grid = spectra.wavelength[pixels]
    profile = band_profile(
        grid, in_medium(HEAD, spectra), tail=TAIL, fwhm=HEAD / _resolution(spectra, pixels)
    )
    fit = fit_profiles(missing, weight, np.stack([np.ones(grid.size), profile]))
    return Detection("swan_c2", fit.amplitude[:, 1], fit.error[:, 1])


def _resolution(spectra: Spectra, pixels: NDArray[np.int64]) -> float:
    """Return the resolving power of the arm that the pixels lie in; 28,000 where unknown."""
    for _, arm, power in spectra.iter_arms():
        if pixels.size and arm.start <= pixels[0] < arm.stop and np.isfinite(power):
            return power
    return 28_000.0
