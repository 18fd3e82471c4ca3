"""From a time series to a folded light curve: trends, outliers, phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from siderea.data import LightCurve
from siderea.errors import DataError

__all__ = ["binned", "detrend", "fold", "without_outliers"]

Array = NDArray[np.float64]

FEWEST = 20
"""Points that give a level of their own."""


def fold(curve: LightCurve, period: float, *, time_0: float = 0.0) -> LightCurve:
    """Fold a light curve on a period.

    Parameters
    ----------
    curve : LightCurve
        In time.
    period : float
        d.
    time_0 : float
        Time of phase 0, BMJD.

    Returns
    -------
    LightCurve
        Points in order of phase, in [0, 1).

    Raises
    ------
    DataError
        If the curve is folded already, or the period is not positive.
    """
    if curve.folded:
        raise DataError("light curve: found one that is folded; expected times")
    if not (np.isfinite(period) and period > 0):
        raise DataError(f"period: found {period}; expected a positive number of days")
    phase = np.mod((curve.time - time_0) / period, 1.0)
    phase = np.where(phase >= 1.0, 0.0, phase)  # a tiny negative number rounds up to 1
    order = np.argsort(phase, kind="stable")
    return LightCurve(phase[order], curve.flux[order], curve.flux_err[order], folded=True)


def binned(curve: LightCurve, bins: int) -> LightCurve:
    """Average a folded curve in equal bins of phase, weighted by 1/error²; empty ones are left out.

    The phase of a bin is the mean of its points.
    """
    if not curve.folded:
        raise DataError("light curve: found times; expected one that is folded")
    good = np.isfinite(curve.flux) & (curve.flux_err > 0)
    phase, flux, weight = curve.time[good], curve.flux[good], curve.flux_err[good] ** -2.0
    place = np.minimum((np.mod(phase, 1.0) * bins).astype(np.int64), bins - 1)
    total = np.bincount(place, weight, bins)
    held = total > 0
    mean = [np.bincount(place, weight * value, bins)[held] / total[held] for value in (phase, flux)]
    return LightCurve(mean[0], mean[1], 1.0 / np.sqrt(total[held]), folded=True)


def detrend(curve: LightCurve, period: float, *, window: float = 3.0) -> LightCurve:
    """Divide by the slow change of brightness: running medians over whole periods.

    A median over whole periods holds as much of every phase whenever it is taken, so that it is
    flat for the binary itself. Each stretch without a longer gap has a level of its own, which also
    takes away the jumps from one quarter of Kepler to the next. Where there are few points
    (`FEWEST` in a stretch, or in a window), as in Gaia's visits, no trend can be told from an
    eclipse, and the level is that of the whole curve, or stretch.

    Parameters
    ----------
    curve : LightCurve
        In time.
    period : float
        d.
    window : float
        At least this many days, rounded up to whole periods.

    Returns
    -------
    LightCurve
        Flux about 1.

    Raises
    ------
    DataError
        If the curve is folded, or the period is not positive.
    """
    if curve.folded or not period > 0:
        raise DataError(f"detrend: found folded={curve.folded}, period {period}; expected times")
    length = period * np.ceil(max(window, period) / period)
    order = np.argsort(curve.time, kind="stable")
    step = np.flatnonzero(np.diff(curve.time[order]) > max(0.5 * length, 1.0)) + 1
    flux, error = curve.flux.copy(), curve.flux_err.copy()
    whole = np.nanmedian(flux) if len(curve) else 1.0
    for piece in np.split(order, step):
        if piece.size == 0:
            continue
        level = np.full(piece.size, whole)
        if piece.size >= FEWEST:
            level = _running_median(curve.time[piece], curve.flux[piece], length)
        flux[piece], error[piece] = flux[piece] / level, error[piece] / np.abs(level)
    return replace(curve, flux=flux, flux_err=error)


def _running_median(time: Array, flux: Array, length: float) -> Array:
    """Return medians over ``length`` about every point, interpolated between a few."""
    span = time[-1] - time[0]
    if span < length:
        return np.full(time.size, np.nanmedian(flux))
    # Near the ends the window stays whole and inside.
    centres = np.linspace(
        time[0] + 0.5 * length, time[-1] - 0.5 * length, int(2 * span / length) + 2
    )
    edges = np.searchsorted(time, (centres - 0.5 * length, centres + 0.5 * length))
    known = edges[1] >= edges[0] + FEWEST
    if not known.any():
        return np.full(time.size, np.nanmedian(flux))
    medians = [np.nanmedian(flux[a:b]) for a, b in edges[:, known].T]
    return np.interp(time, centres[known], medians)


def without_outliers(
    curve: LightCurve, *, upward: float = 5.0, downward: float = np.inf, neighbours: int = 11
) -> LightCurve:
    """Leave out points far from the median of their neighbours.

    Only what is too bright, by default: an eclipse is an outlier too.

    Parameters
    ----------
    curve : LightCurve
        In time or phase.
    upward, downward : float
        Limits in units of the scatter about the running median (1.4826 × the median deviation),
        or of the point's own error where that is larger.
    neighbours : int
        Points of the running median, odd.
    """
    from scipy.ndimage import median_filter

    order = np.argsort(curve.time, kind="stable")
    flux = curve.flux[order]
    filled = np.where(np.isfinite(flux), flux, np.nanmedian(flux) if flux.size else 0.0)
    size = min(neighbours, max(1, flux.size))
    off = filled - median_filter(filled, size=size, mode="wrap" if curve.folded else "nearest")
    scatter = np.maximum(1.4826 * np.median(np.abs(off)), curve.flux_err[order])
    keep = (off <= upward * scatter) & (off >= -downward * scatter)
    rows = np.sort(order[keep])
    return replace(
        curve, time=curve.time[rows], flux=curve.flux[rows], flux_err=curve.flux_err[rows]
    )
