"""Noise: signal to noise along the spectrum, from the light of the star."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from siderea.simulate.instruments import BACKGROUND, Instrument
from siderea.spectra.doppler import shift
from siderea.spectra.instruments import InstrumentGrid
from siderea.spectra.masks import STRONG_BANDS, TELLURIC_BANDS
from siderea.spectra.wavelength import air_to_vacuum

__all__ = [
    "continuum_errors",
    "inverse_variance",
    "mask_telluric",
    "snr_curve",
    "standard_normal",
]

Array = NDArray[np.float32]

FAINTEST = 0.02
"""Flux below which the photon noise falls no further."""


def snr_curve(continuum: Array, snr: NDArray, instrument: Instrument) -> Array:
    """Return the S/N of the continuum (N, P).

    Parameters
    ----------
    continuum : (N, P) ndarray
        Flux density, any unit.
    snr : (N,) array-like
        Per pixel, mean over the pivot arm.
    instrument : Instrument

    Notes
    -----
    S/N ∝ √(F λ²), with a factor per arm: blue stars have more of it in the blue.
    """
    photons = continuum * instrument.sensitivity
    level = photons[:, instrument.pivot_pixels].mean(axis=1, keepdims=True)
    np.sqrt(photons, out=photons)
    photons *= np.asarray(snr, dtype=np.float32)[:, None] / np.sqrt(level)
    return photons


def inverse_variance(flux: Array, snr: Array) -> Array:
    """Return the inverse variance (N, P) of normalised flux: S/N² / (b + (1 − b) f).

    The photons of the star make the variance follow the flux f; the share b of sky and read-out
    (`instruments.BACKGROUND`) stays.
    """
    level = np.maximum(flux, np.float32(FAINTEST))
    level *= np.float32(1 - BACKGROUND)
    level += np.float32(BACKGROUND)
    return np.asarray(snr**2 / level, dtype=np.float32)


def standard_normal(generators: list[np.random.Generator], n_pixels: int) -> Array:
    """Draw unit noise (N, P), each row from its own generator."""
    out = np.empty((len(generators), n_pixels), dtype=np.float32)
    for row, generator in zip(out, generators, strict=True):
        generator.standard_normal(out=row, dtype=np.float32)
    return out


def continuum_errors(
    generators: list[np.random.Generator], grid: InstrumentGrid, error: float
) -> Array:
    """Draw what a fitted continuum is off by (N, P): a smooth factor about 1 in each arm.

    Parameters
    ----------
    generators : list of numpy.random.Generator
        One per row.
    grid : InstrumentGrid
    error : float
        Standard deviation of each Chebyshev coefficient, degree 0 to 3.
    """
    draws = np.array([one.standard_normal((len(grid.arms), 4)) for one in generators])
    out = np.empty((len(generators), grid.wavelength.size), dtype=np.float32)
    for arm, pixels in enumerate(grid.arms):
        shape = chebvander(np.linspace(-1, 1, pixels.stop - pixels.start), 3)
        out[:, pixels] = 1 + error * draws[:, arm] @ shape.T
    return out


def mask_telluric(ivar: Array, grid: InstrumentGrid, velocity: NDArray) -> None:
    """Mask in place the telluric bands, as `siderea.spectra.masks.telluric` marks them.

    Parameters
    ----------
    ivar : (N, P) ndarray
    grid : InstrumentGrid
    velocity : (N,) array-like
        Of the observatory in the frame of the spectra, km/s.
    """
    for band in STRONG_BANDS:
        edges = np.array(TELLURIC_BANDS[band])
        edges = air_to_vacuum(edges) if grid.medium == "vacuum" else edges
        moved = shift(edges, velocity)
        for arm in grid.arms:
            pixels = grid.wavelength[arm]
            if moved[:, 1].max() < pixels[0] or moved[:, 0].min() > pixels[-1]:
                continue
            first = arm.start + np.searchsorted(pixels, moved[:, 0], side="left")
            stop = arm.start + np.searchsorted(pixels, moved[:, 1], side="right")
            for row, (a, b) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
                ivar[row, a:b] = 0.0
