"""Fits of fixed profiles to a window of many spectra at once: linear, so exact and fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.spectra.wavelength import air_to_vacuum

__all__ = ["ProfileFit", "fit_profiles", "in_medium", "window_pixels"]

_MIN_GOOD = 0.8


@dataclass(frozen=True)
class ProfileFit:
    """Amplitudes of M profiles in N spectra.

    Parameters
    ----------
    amplitude, error : (N, M) ndarray
        NaN where less than four fifths of the window is good.
    chi2 : (N,) ndarray
        Of the fit.
    """

    amplitude: NDArray[np.float64]
    error: NDArray[np.float64]
    chi2: NDArray[np.float64]


def in_medium(wavelength: float, spectra: Spectra) -> float:
    """Return a wavelength in air as the spectra measure it."""
    return float(air_to_vacuum(wavelength)) if spectra.medium == "vacuum" else wavelength


def window_pixels(spectra: Spectra, low: float, high: float) -> NDArray[np.int64]:
    """Return the pixels of a window (Å in air); none if the spectra do not cover it all."""
    edges = in_medium(low, spectra), in_medium(high, spectra)
    for _, arm, _ in spectra.iter_arms():
        grid = spectra.wavelength[arm]
        if grid[0] <= edges[0] and grid[-1] >= edges[1]:
            return arm.start + np.flatnonzero((grid >= edges[0]) & (grid <= edges[1]))
    return np.zeros(0, dtype=np.int64)


def fit_profiles(flux: NDArray, ivar: NDArray, profiles: NDArray) -> ProfileFit:
    """Fit f = Σ a_m p_m by weighted least squares.

    Parameters
    ----------
    flux, ivar : (N, P) ndarray
        A window of N spectra.
    profiles : (M, P) ndarray
        Linearly independent.

    Returns
    -------
    ProfileFit
        Errors from the full covariance: profiles that blend share theirs.
    """
    n, n_profiles = len(flux), len(profiles)
    amplitude = np.full((n, n_profiles), np.nan)
    error, chi2 = amplitude.copy(), np.full(n, np.nan)
    good = (ivar > 0) & np.isfinite(flux)
    rows = np.flatnonzero(good.mean(axis=1) >= _MIN_GOOD) if flux.shape[1] else np.zeros(0, int)
    if not rows.size:
        return ProfileFit(amplitude, error, chi2)
    weight = np.where(good[rows], ivar[rows], 0.0).astype(float)
    value = np.where(good[rows], flux[rows], 0.0).astype(float)
    pairs = (profiles[:, None] * profiles[None]).reshape(-1, profiles.shape[1])
    normal = (weight @ pairs.T).reshape(-1, n_profiles, n_profiles)
    # scaled to unit diagonal, so that a nearly missing profile does not look singular
    scale = 1.0 / np.sqrt(np.maximum(np.einsum("nii->ni", normal), 1e-300))
    scaled = normal * scale[:, :, None] * scale[:, None, :]
    inverse = np.linalg.pinv(scaled, hermitian=True) * scale[:, :, None] * scale[:, None, :]
    found = np.einsum("nij,nj->ni", inverse, (weight * value) @ profiles.T)
    amplitude[rows] = found
    error[rows] = np.sqrt(np.einsum("nii->ni", inverse))
    chi2[rows] = (weight * (value - found @ profiles) ** 2).sum(axis=1)
    return ProfileFit(amplitude, error, chi2)
