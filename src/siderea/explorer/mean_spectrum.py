"""The mean spectrum of a selection, and the scatter about it, in one pass with bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.explorer.survey import Survey

__all__ = ["MOST", "MeanSpectrum", "mean_spectrum"]

MOST = 2000
"""Spectra beyond which a sample stands for a selection: its mean is known to 2 % of the scatter."""

_TOGETHER = 128
_SEED = 0


@dataclass(frozen=True)
class MeanSpectrum:
    """Mean and scatter.

    Parameters
    ----------
    mean, sigma : (P,) ndarray of float32
        NaN where no spectrum has a good pixel.
    n : int
        Spectra that entered.
    """

    mean: NDArray[np.float32]
    sigma: NDArray[np.float32]
    n: int


def mean_spectrum(survey: Survey, rows: NDArray[np.int64]) -> MeanSpectrum:
    """Average the good pixels of spectra.

    Parameters
    ----------
    survey : Survey
    rows : (M,) ndarray of int
        Beyond `MOST`, an even draw of as many is used: the same for the same selection.
    """
    rows = np.unique(rows)
    if rows.size > MOST:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, MOST, replace=False))
    n_pixels = survey.store.n_pixels
    count = np.zeros(n_pixels, dtype=np.int64)
    total, square = np.zeros(n_pixels), np.zeros(n_pixels)
    for start in range(0, rows.size, _TOGETHER):
        flux, ivar = survey.flux_and_ivar(rows[start : start + _TOGETHER])
        good = (ivar > 0) & np.isfinite(flux)
        # About 1, the continuum: squares of small numbers keep their digits.
        offset = np.where(good, flux - np.float32(1), np.float32(0))
        count += good.sum(axis=0)
        total += offset.sum(axis=0, dtype=np.float64)
        square += np.einsum("np,np->p", offset, offset, dtype=np.float64)
    known = np.where(count > 0, count, np.nan)
    mean = total / known
    sigma = np.sqrt(np.maximum(square / known - mean**2, 0.0))
    return MeanSpectrum((1 + mean).astype(np.float32), sigma.astype(np.float32), int(rows.size))
