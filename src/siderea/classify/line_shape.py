"""The shape that all lines of a spectrum share: how wide they are, and whether they come twice.

The autocorrelation of the line spectrum knows nothing of which lines there are, nor of which star
of a pair moves which way: a second set of lines at ±Δv is one bump at Δv, and rotation a broad
core. What the principal components of the flux spread over many directions is here a few numbers.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from siderea.constants import C_KMS
from siderea.data import Spectra

__all__ = ["LAGS", "line_autocorrelation"]

LAGS: tuple[float, ...] = (
    *(3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 30.0, 38.0, 47.0, 58.0),
    *(70.0, 82.0, 96.0, 110.0, 126.0, 144.0, 164.0, 184.0, 206.0),
)
"""Edges of the bins of lag, km/s; the first bin is the unit of the others."""

_CLIP = (-0.5, 1.5)
_SHAPE_RANGE = 3.0


def line_autocorrelation(spectra: Spectra) -> NDArray[np.float64]:
    """Return the autocorrelation of the lines in bins of lag, in units of that at the first.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra; pixels of even steps in velocity, or nearly so, along an arm.

    Returns
    -------
    (N, L) ndarray
        The bins of `LAGS` but the first, summed over the arms; 0 where nothing is to be seen, and
        held within ±3. Lag 0, where the noise is, is never used.
    """
    edges = np.array(LAGS)
    total = np.zeros((len(spectra), edges.size - 1))
    for _, arm, _ in spectra.iter_arms():
        grid = spectra.wavelength[arm]
        if grid.size < 8:
            continue
        step = float(np.median(np.diff(np.log(grid)))) * C_KMS
        total += _binned(_lines(spectra, arm), np.maximum(1, np.rint(edges / step).astype(int)))
    unit = total[:, :1]
    out = np.zeros((len(spectra), edges.size - 2))
    np.divide(total[:, 1:], unit, out=out, where=unit > 0)
    return np.clip(out, -_SHAPE_RANGE, _SHAPE_RANGE)


def _lines(spectra: Spectra, arm: slice) -> NDArray[np.float32]:
    """Return 1 − flux less its mean, 0 in bad pixels."""
    good = spectra.ivar[:, arm] > 0
    depth = np.where(good, 1.0 - np.clip(spectra.flux[:, arm], *_CLIP), 0.0).astype(np.float32)
    mean = depth.sum(axis=1, keepdims=True) / np.maximum(good.sum(axis=1, keepdims=True), 1)
    return np.where(good, depth - mean.astype(np.float32), np.float32(0))


def _binned(depth: NDArray[np.float32], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean autocorrelation between edges (pixels), by Fourier transform."""
    longest = min(int(edges[-1]) + 1, depth.shape[1])
    size = next_fast_len(depth.shape[1] + longest, real=True)
    power = np.abs(rfft(depth, size, axis=1)) ** 2  # stays in single precision
    correlation = irfft(power, size, axis=1)[:, :longest]
    out = np.zeros((len(depth), edges.size - 1))
    for number, (low, high) in enumerate(pairwise(edges)):
        piece = correlation[:, low : max(high, low + 1)]
        if piece.shape[1]:
            out[:, number] = piece.mean(axis=1)
    return out
