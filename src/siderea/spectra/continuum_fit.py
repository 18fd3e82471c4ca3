"""Continuum normalisation of N spectra at once.

A continuum is a linear combination of a few smooth functions that all rows share, so one matrix
product gives the weighted normal equations of every spectrum. What differs between the methods is
which pixels count:

`fit_chebyshev`, `fit_spline`
    all pixels, less those clipped. Lines only take light away, so the lower cut is tight (0.5σ)
    and the upper loose (3σ); σ comes from the pixels above the continuum, where no lines are,
    and the level is corrected for the mean of a Gaussian cut at those two places. Without
    that correction such a clip climbs with the noise.
`fit_pixels`
    pixels known to be continuum (windows of a survey, The Cannon's pixels), clipped evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.spectra.clipped_fit import clipped_fit, covered, masked_quantile
from siderea.spectra.continuum_basis import ChebyshevBasis, SplineBasis

__all__ = [
    "ContinuumFit",
    "fit_basis",
    "fit_chebyshev",
    "fit_pixels",
    "fit_spline",
    "smooth_weights",
]

_BLOCK = 64  # pixels over which the variance is smoothed: much wider than the core of a line


@dataclass(frozen=True)
class ContinuumFit:
    """Continua of N spectra on one grid.

    Parameters
    ----------
    basis : ChebyshevBasis or SplineBasis
        The functions, with their domain.
    coefficients : (N, K) ndarray
        One row per spectrum; NaN where ``ok`` is False.
    continuum : (N, P) ndarray
        The continuum in the unit of the flux; 1 where ``ok`` is False.
    kept : (N, P) ndarray of bool
        Pixels that the final fit used.
    ok : (N,) ndarray of bool
        False where there were too few pixels, no signal (median flux not above 0), or a
        continuum that is not positive over all the pixels with data.
    """

    basis: ChebyshevBasis | SplineBasis
    coefficients: NDArray[np.float64]
    continuum: NDArray[np.float64]
    kept: NDArray[np.bool_]
    ok: NDArray[np.bool_]

    def evaluate(self, wavelength: ArrayLike) -> NDArray[np.float64]:
        """Return the continua at wavelengths (Q,), as (N, Q): flux = normalised × continuum."""
        return self.coefficients @ self.basis.design(np.asarray(wavelength, dtype=float)).T


def fit_chebyshev(
    wavelength: NDArray,
    flux: NDArray,
    ivar: NDArray,
    *,
    degree: int = 4,
    lower: float = 0.5,
    upper: float = 3.0,
    iterations: int = 20,
) -> ContinuumFit:
    """Fit a sigma-clipped Chebyshev polynomial to every spectrum.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å (or pixel numbers), increasing.
    flux, ivar : (N, P) ndarray
        Flux in any unit, and its inverse variance (0 = bad pixel, not used). Pixels are weighted
        by the inverse variance smoothed over 64 pixels: weights that knew their own pixel's
        noise would pull the continuum down by about 1/SNR².
    degree : int
        Degree of the polynomial.
    lower, upper : float
        Cuts below and above the continuum in units of σ. With unequal cuts σ comes from the
        interquartile range of what lies above the kept pixels' mean, and the continuum is put
        below that mean by the mean of a unit Gaussian cut at −lower and upper; with equal
        cuts σ is 1.4826 times the median absolute residual.
    iterations : int
        At most so many rounds; a spectrum of whose pixels less than one in a thousand changes is
        done.

    Returns
    -------
    ContinuumFit

    Raises
    ------
    DataError
        If the shapes do not fit or ``degree`` is negative.
    """
    basis = ChebyshevBasis.over(np.asarray(wavelength), degree)
    return fit_basis(
        basis, wavelength, flux, smooth_weights(flux, ivar), (lower, upper), iterations
    )


def fit_spline(
    wavelength: NDArray,
    flux: NDArray,
    ivar: NDArray,
    *,
    spacing: float = 300.0,
    lower: float = 0.5,
    upper: float = 3.0,
    iterations: int = 20,
) -> ContinuumFit:
    """Fit a sigma-clipped cubic spline to every spectrum, for long arms (LAMOST, SDSS).

    Parameters
    ----------
    wavelength, flux, ivar, lower, upper, iterations
        As in `fit_chebyshev`.
    spacing : float
        Distance of the knots in the unit of ``wavelength``. Spans that hold no pixel are
        bridged smoothly.

    Returns
    -------
    ContinuumFit
    """
    basis = SplineBasis.over(np.asarray(wavelength), spacing)
    return fit_basis(
        basis, wavelength, flux, smooth_weights(flux, ivar), (lower, upper), iterations
    )


def fit_pixels(
    wavelength: NDArray,
    flux: NDArray,
    ivar: NDArray,
    pixels: NDArray[np.bool_],
    *,
    degree: int = 2,
    clip: float = 3.0,
    edge: float = 0.0,
    iterations: int = 8,
) -> ContinuumFit:
    """Fit a Chebyshev polynomial to given continuum pixels of every spectrum.

    Parameters
    ----------
    wavelength, flux, ivar, iterations
        As in `fit_chebyshev`.
    pixels : (P,) or (N, P) ndarray of bool
        The continuum pixels, the same for all or one row per spectrum.
    degree : int
        Degree of the polynomial.
    clip : float
        Cut on both sides, in units of 1.4826 times the median absolute residual; ``inf`` for
        none.
    edge : float
        Part of the arm at each end whose upper level (clipped as in `fit_chebyshev`) holds
        the polynomial there, with the weight of three pixels, when the continuum pixels do
        not reach that far. 0 for none.

    Returns
    -------
    ContinuumFit

    References
    ----------
    Ness et al. 2015, ApJ 808, 16.
    """
    weight = smooth_weights(flux, ivar)
    basis = ChebyshevBasis.over(np.asarray(wavelength), degree)
    target, chosen = np.asarray(flux, dtype=float), np.where(pixels, weight, 0.0)
    anchors = np.zeros(chosen.shape, dtype=bool)
    if edge > 0:
        target = target.copy()
        _hold_edges(target, chosen, anchors, weight, max(4, int(edge * target.shape[1])))
    return fit_basis(
        basis, wavelength, target, chosen, (clip, clip), iterations, anchors, weight > 0
    )


def fit_basis(
    basis: ChebyshevBasis | SplineBasis,
    wavelength: NDArray,
    flux: NDArray,
    weight: NDArray,
    cuts: tuple[float, float],
    iterations: int,
    anchors: NDArray[np.bool_] | None = None,
    over: NDArray[np.bool_] | None = None,
) -> ContinuumFit:
    """Fit the basis by rounds of weighted least squares and clipping.

    ``anchors`` marks pixels that are never clipped, ``over`` pixels over which the
    continuum has to be positive (by default those with weight).
    """
    grid = np.asarray(wavelength, dtype=float)
    flux = np.where(weight > 0, flux, 0.0)  # NaN times a weight of 0 is NaN
    design = basis.design(grid)
    columns = np.flatnonzero((weight > 0).any(axis=0))  # windows are few: leave the rest out
    small = design[columns]
    held = np.zeros((len(flux), columns.size), bool) if anchors is None else anchors[:, columns]
    coefficients, kept_columns = clipped_fit(
        small, basis.penalty(), flux[:, columns], weight[:, columns], cuts, iterations, held
    )
    kept = np.zeros(flux.shape, dtype=bool)
    kept[:, columns] = kept_columns
    continuum = coefficients @ design.T
    region = covered(weight > 0 if over is None else over)
    ok = (kept.sum(axis=1) >= 3 * design.shape[1]) & region.any(axis=1)
    ok &= masked_quantile(flux, weight > 0, 0.5) > 0
    ok &= np.where(region, continuum, np.inf).min(axis=1, initial=np.inf) > 0
    column = ok[:, None]
    return ContinuumFit(
        basis,
        np.where(column, coefficients, np.nan),
        np.where(column, continuum, 1.0),
        kept & column,
        ok,
    )


def smooth_weights(flux: NDArray, ivar: NDArray) -> NDArray[np.float64]:
    """Return the inverse variance smoothed over blocks, scaled to about 1; 0 where bad.

    A pixel twice as uncertain as its surroundings keeps its own weight.
    """
    flux, ivar = np.asarray(flux), np.asarray(ivar, dtype=float)
    if flux.ndim != 2 or ivar.shape != flux.shape:
        raise DataError(f"flux {flux.shape}, ivar {ivar.shape}; expected both (N, P)")
    good = np.isfinite(flux) & (ivar > 0)
    n, p = flux.shape
    starts = np.arange(0, p, _BLOCK)
    level = np.empty((n, starts.size))
    for number, start in enumerate(starts):
        block = slice(start, start + _BLOCK)
        level[:, number] = masked_quantile(ivar[:, block], good[:, block], 0.5)
    typical = masked_quantile(level, np.isfinite(level), 0.5)[:, None]
    typical = np.where(typical > 0, typical, 1.0)
    level = np.where(np.isfinite(level), level / typical, 0.0)
    smooth = np.repeat(level, _BLOCK, axis=1)[:, :p]
    own = ivar / typical
    return np.where(good, np.where(own < 0.25 * smooth, own, smooth), 0.0)


def _hold_edges(
    target: NDArray, chosen: NDArray, anchors: NDArray, weight: NDArray, width: int
) -> None:
    """Replace the first and last pixel with data of every row by the upper level near it."""
    rows = np.flatnonzero((weight > 0).any(axis=1))
    good = weight[rows] > 0
    ends = (good.argmax(axis=1), good.shape[1] - 1 - good[:, ::-1].argmax(axis=1))
    for end, step in zip(ends, (1, -1), strict=True):
        near = np.clip(end[:, None] + step * np.arange(width), 0, good.shape[1] - 1)
        flux, part = target[rows[:, None], near], weight[rows[:, None], near]
        level, _ = clipped_fit(
            np.ones((width, 1)), np.eye(1), flux, part, (0.5, 3.0), 20, np.zeros(flux.shape, bool)
        )
        target[rows, end] = level[:, 0]
        chosen[rows, end] = 3.0 * masked_quantile(part, part > 0, 0.5)
        anchors[rows, end] = True
