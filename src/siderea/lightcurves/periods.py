"""Periods of eclipsing binaries: found, and checked against twice and half of themselves.

Searches are astropy's: box least squares (Kovács, Zucker & Mazeh 2002) for eclipses that are short,
Lomb–Scargle for curves that vary all along. What either finds may be half the period, or twice;
the light curve itself decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.timeseries import BoxLeastSquares, LombScargle
from numpy.typing import NDArray

from siderea.data import LightCurve
from siderea.errors import DataError
from siderea.lightcurves.quality import MIN_POINTS, LightCurveFlag

__all__ = ["PeriodCheck", "check_period", "find_period"]

Array = NDArray[np.float64]

FACTORS = (0.5, 1.0, 2.0)
BINS = 50
"""Bins of phase in which a fold is judged; of twice the period twice as many."""

SEARCH_LIMIT = 20_000
"""Longer series are thinned for the search."""


@dataclass(frozen=True)
class PeriodCheck:
    """How a period compares with half and twice of itself.

    Parameters
    ----------
    period : float
        The one of the three that the curve calls for, d.
    chi2 : (3,) ndarray
        Reduced χ² about the binned curve, folded at ½, 1 and 2 periods.
    flags : int
        `LightCurveFlag.HALF_PERIOD` if the period given is half of it, DOUBLE_PERIOD if twice.
    """

    period: float
    chi2: Array
    flags: int


def check_period(curve: LightCurve, period: float) -> PeriodCheck:
    """Decide between a period, its half and its double.

    Parameters
    ----------
    curve : LightCurve
        In time.
    period : float
        d.

    Returns
    -------
    PeriodCheck

    Raises
    ------
    DataError
        If the curve is folded, or the period is not positive.

    Notes
    -----
    The longest period of the three is folded in bins. A shorter one is as good if its bins, taken
    together two by two, differ by no more than noise: the χ² of the differences below its mean
    plus four standard deviations, errors scaled by the scatter within the bins. Of periods that are
    equally good the shortest is right, except that a curve whose only variation is ellipsoidal or
    contact has two equal minima by nature: where the curve folded at the shortest has one smooth
    minimum (most of its variance in one sine wave), twice of it is meant.
    """
    if curve.folded or not period > 0:
        raise DataError(f"check_period: found folded={curve.folded}, period {period}")
    good = np.isfinite(curve.flux) & (curve.flux_err > 0)
    time, flux, error = curve.time[good], curve.flux[good], curve.flux_err[good]
    if time.size < 4 * MIN_POINTS:
        return PeriodCheck(period, np.full(3, np.nan), int(LightCurveFlag.TOO_FEW))
    chi2 = np.array([_scatter(time / (factor * period), flux, error, BINS) for factor in FACTORS])
    # Noise that the errors do not tell is the same for all three: the best fold has none else.
    scale = np.sqrt(max(1.0, _scatter(time / (2 * period), flux, error, 2 * BINS)))
    alike = [_same_halves(time / (factor * period), flux, error * scale) for factor in (1.0, 2.0)]
    best = 2.0
    if alike[1]:
        best = 0.5 if alike[0] else 1.0
        if _one_wave(time / (best * period), flux, error):
            best *= 2.0
    flags = LightCurveFlag.NONE
    if best > 1.0:
        flags |= LightCurveFlag.HALF_PERIOD
    elif best < 1.0:
        flags |= LightCurveFlag.DOUBLE_PERIOD
    return PeriodCheck(best * period, chi2, int(flags))


def _folded(
    phase: Array, flux: Array, error: Array, bins: int
) -> tuple[NDArray[np.int64], Array, Array]:
    """Return bin of every point, and mean and weight of the bins."""
    place = np.minimum((np.mod(phase, 1.0) * bins).astype(np.int64), bins - 1)
    weight = np.bincount(place, error**-2.0, bins)
    mean = np.bincount(place, flux * error**-2.0, bins) / np.where(weight > 0, weight, 1.0)
    return np.asarray(place), mean, np.asarray(weight, dtype=np.float64)


def _scatter(phase: Array, flux: Array, error: Array, bins: int) -> float:
    place, mean, weight = _folded(phase, flux, error, bins)
    freedom = max(1, flux.size - int(np.count_nonzero(weight)))
    return float((((flux - mean[place]) / error) ** 2).sum() / freedom)


def _same_halves(phase: Array, flux: Array, error: Array) -> bool:
    """Say whether the two halves of a fold are one curve."""
    _, mean, weight = _folded(phase, flux, error, 2 * BINS)
    both = (weight[:BINS] > 0) & (weight[BINS:] > 0)
    n = int(both.sum())
    if n < BINS // 2:
        return False
    variance = 1.0 / weight[:BINS][both] + 1.0 / weight[BINS:][both]
    apart = (mean[:BINS] - mean[BINS:])[both]
    # Points are not spread evenly over a bin: where the curve is steep its mean shifts.
    steep = np.abs(np.gradient(0.5 * (mean[:BINS] + mean[BINS:])))[both]
    count = np.minimum(*np.bincount(_place(phase), minlength=2 * BINS).reshape(2, BINS))[both]
    variance = variance + steep**2 / 6.0 / np.maximum(count, 1)
    return bool((apart**2 / variance).sum() < n + 4.0 * np.sqrt(2.0 * n))


def _place(phase: Array) -> NDArray[np.int64]:
    return np.minimum((np.mod(phase, 1.0) * 2 * BINS).astype(np.int64), 2 * BINS - 1)


def _one_wave(phase: Array, flux: Array, error: Array) -> bool:
    """Say whether one sine wave over the fold holds four fifths of the variance of the bins."""
    _, mean, weight = _folded(phase, flux, error, BINS)
    held = weight > 0
    if held.sum() < BINS // 2:
        return False
    centre = 2.0 * np.pi * (np.flatnonzero(held) + 0.5) / BINS
    basis = np.stack((np.ones(centre.size), np.cos(centre), np.sin(centre)), axis=1)
    solution = np.linalg.lstsq(basis, mean[held], rcond=None)[0]
    varied = mean[held] - mean[held].mean()
    left = mean[held] - basis @ solution
    return bool((left**2).sum() < 0.2 * (varied**2).sum())


def find_period(
    curve: LightCurve, *, shortest: float = 0.2, longest: float | None = None
) -> PeriodCheck:
    """Search for a period, and check it.

    Parameters
    ----------
    curve : LightCurve
        In time.
    shortest, longest : float
        Range of periods, d; the longest is half the time spanned by default.

    Returns
    -------
    PeriodCheck
        Of the better of box least squares and Lomb–Scargle, judged by how little the curve
        scatters when folded.

    Raises
    ------
    DataError
        On a folded curve, fewer than 40 points, or an empty range.
    """
    good = np.isfinite(curve.flux) & (curve.flux_err > 0)
    time, flux, error = curve.time[good], curve.flux[good], curve.flux_err[good]
    span = float(np.ptp(time)) if time.size else 0.0
    longest = 0.5 * span if longest is None else min(longest, span)
    if curve.folded or time.size < 4 * MIN_POINTS or not longest > shortest:
        raise DataError(
            f"find_period: found {time.size} points over {span:.3g} d; expected at least "
            f"{4 * MIN_POINTS} in time, over more than {2 * shortest:g} d"
        )
    thin = slice(None, None, int(np.ceil(time.size / SEARCH_LIMIT)))
    candidates = _candidates(time[thin], flux[thin], error[thin], shortest, longest)
    scores = [_scatter(time / one, flux, error, BINS) for one in candidates]
    return check_period(curve, candidates[int(np.argmin(scores))])


def _candidates(
    time: Array, flux: Array, error: Array, shortest: float, longest: float
) -> list[float]:
    span = float(np.ptp(time))
    waves = LombScargle(time, flux, error)
    frequency = np.arange(1.0 / longest, 1.0 / shortest, 0.2 / span)
    power = waves.power(frequency, assume_regular_frequency=True)
    found = [1.0 / frequency[int(np.argmax(power))]]
    durations = np.geomspace(0.02, 0.12, 4) * max(shortest, 0.5)
    boxes = BoxLeastSquares(time - time[0], flux, error)
    trial = 1.0 / np.arange(1.0 / longest, 1.0 / max(shortest, 2 * durations[-1]), 0.1 / span)
    result = boxes.power(trial, durations)
    found.append(float(result.period[int(np.argmax(result.power))]))
    found = [found[0], 2.0 * found[0], found[1], 2.0 * found[1]]
    return [_refined(time, flux, error, one) for one in found]


def _refined(time: Array, flux: Array, error: Array, period: float) -> float:
    """Shift a period by less than a bin over the whole span, to where the fold is sharpest."""
    span = float(np.ptp(time))
    trial = 1.0 / (1.0 / period + np.linspace(-0.15, 0.15, 61) / span)
    scores = [_scatter(time / one, flux, error, BINS) for one in trial]
    return float(trial[int(np.argmin(scores))])
