"""What is known to be wrong with a light curve or its fit, one bit each, and how it is found."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MIN_POINTS",
    "LightCurveFlag",
    "describe",
    "halves_alike",
    "hidden_in_gap",
    "widest_gap",
    "wild_in_eclipse",
]

Array = NDArray[np.float64]

MIN_POINTS = 10
"""Fewer points than this say nothing about a curve of up to eight parameters."""

HALVES = 32
"""Bins of half a period in which two halves are compared."""


class LightCurveFlag(IntFlag):
    """What is known to be wrong with a light curve, or with its fit (column ``flags``)."""

    NONE = 0
    TOO_FEW = 1  #: fewer than ten usable points: only a constant was fitted
    NON_FINITE = 2  #: NaN or infinite values were found, and left out
    BAD_ERROR = 4  #: errors that are zero, negative or NaN were found, and the points left out
    FLAT = 8  #: nothing but a constant is called for: no eclipse, no ellipsoidal variation
    ONE_ECLIPSE = 16  #: a single eclipse: neither separation nor e cos ω is known
    GAP = 32  #: no point for longer than an eclipse lasts, or than chance leaves: one may be missed
    HALF_PERIOD = 64  #: two kinds of eclipse at one phase: the true period is twice the one used
    DOUBLE_PERIOD = 128  #: both halves are alike: the true period may be half the one used
    NOT_CONVERGED = 256  #: the iterations ran out before the steps became small
    AT_BOUND = 512  #: a width ended at the edge of its range
    POOR_FIT = 1024  #: the scatter about the best model is more than three times the errors


def describe(value: int) -> str:
    """Spell out a flag value.

    Examples
    --------
    >>> describe(24)
    'FLAT|ONE_ECLIPSE'
    """
    return "|".join(flag.name for flag in LightCurveFlag if flag & int(value) and flag.name)


def widest_gap(phase: Array) -> float:
    """Return the longest stretch of the circle of phase without a point (1 if there is none)."""
    if phase.size == 0:
        return 1.0
    ordered = np.sort(np.mod(phase, 1.0))
    return float(np.max(np.diff(ordered, append=ordered[0] + 1.0)))


def hidden_in_gap(phase: Array, width: float) -> bool:
    """Say whether an eclipse of a width (phase) would fit between two neighbouring points.

    Whatever the width (NaN where no eclipse is known), a stretch counts that is longer than
    3 ln n/n, or three times as long as any other: among n points at random phases the chance of
    either is about 1/n².
    """
    gap, n = widest_gap(phase), max(phase.size, 2)
    if gap > width or gap > 3.0 * float(np.log(n)) / n:
        return True
    ordered = np.sort(np.mod(phase, 1.0))
    second = np.partition(np.diff(ordered, append=ordered[0] + 1.0), -2)[-2]
    return bool(gap > 3.0 * second)


def wild_in_eclipse(
    phase: Array, flux: Array, flux_err: Array, position: float, sigma: float, depth: float
) -> bool:
    """Say whether neighbouring points of an eclipse disagree, as two eclipses in one would.

    Parameters
    ----------
    phase, flux, flux_err : (M,) ndarray
        In order of phase.
    position, sigma, depth : float
        The eclipse.

    Notes
    -----
    Second differences of three neighbours, which a smooth curve hardly has, inside ±1.5 σ: their
    rms must exceed three times the errors and 3 % of the depth, and be three times what it is
    outside of the eclipse.
    """
    off = phase[1:-1] - position
    off = np.abs(off - np.rint(off))
    near = np.flatnonzero(off < 1.5 * sigma)
    near = near[phase[near + 2] - phase[near] < 0.2 * sigma]
    if near.size < 8:
        return False
    inside = _bend(flux, near)
    error = float(np.sqrt(np.mean(flux_err[near + 1] ** 2)))
    if inside <= max(3.0 * error, 0.03 * depth):
        return False
    far = np.flatnonzero(off > 3.0 * sigma)
    return far.size >= 8 and inside > 3.0 * _bend(flux, far)


def _bend(flux: Array, rows: NDArray[np.int64]) -> float:
    """Return the rms of second differences, as one flux scatters; rows are those before."""
    second = flux[rows + 1] - 0.5 * (flux[rows] + flux[rows + 2])
    return float(np.sqrt(np.mean(second**2) / 1.5))


def halves_alike(phase: Array, flux: Array, flux_err: Array, scale: float = 1.0) -> bool:
    """Say whether the two halves of the period cannot be told apart although both vary.

    Parameters
    ----------
    phase, flux, flux_err : (M,) ndarray
    scale : float
        By how much the errors fall short of the scatter about a model.

    Notes
    -----
    Bin by bin, the halves differ with a χ² below its mean by no more than three of its standard
    deviations above, while each differs from its own mean by far more.
    """
    if phase.size < 4 * MIN_POINTS:
        return False
    place = np.floor(np.mod(phase, 1.0) * 2 * HALVES).astype(np.int64).clip(0, 2 * HALVES - 1)
    weight = 1.0 / (scale * flux_err) ** 2
    total = np.bincount(place, weight, 2 * HALVES)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(place, weight * flux, 2 * HALVES) / total
        first, second = mean[:HALVES], mean[HALVES:]
        variance = 1.0 / total[:HALVES] + 1.0 / total[HALVES:]
        both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < HALVES // 2:
        return False
    apart = float(((first - second)[both] ** 2 / variance[both]).sum())
    level = np.average(first[both], weights=1.0 / variance[both])
    varies = float(((first - level)[both] ** 2 / variance[both]).sum())
    n = int(both.sum())
    limit = n + 3.0 * np.sqrt(2.0 * n)
    return apart < limit and varies > 4.0 * limit
