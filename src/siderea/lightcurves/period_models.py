"""Half the period or twice, told by models: for series of too few points to be binned.

`siderea.lightcurves.periods.check_period` compares bins, of which a series of a hundred points
fills too few. Here each curve is folded on half, once and twice its period, the two-Gaussian family
is fitted to each fold, and the Bayesian criterion weighs them: a fold on twice the true period has
four eclipses, which no model of the family has; one on half of it lays two eclipses, which differ,
on one another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import LightCurve
from siderea.errors import DataError
from siderea.lightcurves.folding import fold
from siderea.lightcurves.gaussian_family import FAMILY
from siderea.lightcurves.quality import MIN_POINTS, LightCurveFlag
from siderea.lightcurves.two_gaussian import TwoGaussianFit, fit

__all__ = ["SPARSE", "wrong_periods"]

Array = NDArray[np.float64]

SPARSE = 400
"""Points below which models decide, not bins."""

FACTORS = (0.5, 1.0, 2.0)

CLEAR = 10.0
"""By how much the criterion of another period must be lower."""

SHORT = 0.045
"""σ of a single eclipse at half the period up to which it is one: a wider one may be either half of
a curve with two equal minima by nature (contact, ellipsoidal)."""


def wrong_periods(curves: Sequence[LightCurve], period: ArrayLike) -> NDArray[np.int64]:
    """Flag periods that are half or twice of what the curves call for.

    Parameters
    ----------
    curves : sequence of LightCurve
        N series in time.
    period : (N,) array-like
        d.

    Returns
    -------
    (N,) ndarray of int
        `LightCurveFlag.HALF_PERIOD`, ``DOUBLE_PERIOD``, ``TOO_FEW`` (not enough points to tell) or
        none.

    Raises
    ------
    DataError
        If there is not a positive period for each.
    """
    periods = np.atleast_1d(np.asarray(period, dtype=np.float64))
    if len(periods) != len(curves) or not np.all(periods > 0):
        raise DataError(f"periods: found {periods}; expected {len(curves)} positive numbers")
    if len(curves) == 0:
        return np.zeros(0, dtype=np.int64)
    fits = [_fit(curves, factor * periods) for factor in FACTORS]
    half, once, twice = _criteria(fits).T
    single = fits[0].n_eclipses == 1
    two = (fits[0].n_eclipses == 2) | (fits[0].model == "CE")
    short = two | (single & (fits[0].sigma_1 < SHORT))
    flags = np.zeros(len(curves), dtype=np.int64)
    flags[(half < once - CLEAR) & (half <= twice) & short] = LightCurveFlag.DOUBLE_PERIOD
    flags[(twice < once - CLEAR) & (twice < half)] = LightCurveFlag.HALF_PERIOD
    flags[fits[1].n_points < MIN_POINTS] = LightCurveFlag.TOO_FEW
    return flags


def _fit(curves: Sequence[LightCurve], periods: Array) -> TwoGaussianFit:
    folds = [fold(curve, float(one)) for curve, one in zip(curves, periods, strict=True)]
    columns = [[getattr(one, name) for one in folds] for name in ("time", "flux", "flux_err")]
    return fit(columns[0], columns[1], columns[2])


def _criteria(fits: Sequence[TwoGaussianFit]) -> Array:
    """Return χ²/s² + k ln n of the chosen model of each fold, s² that of the best fold."""
    sizes = {model.name: model.size for model in FAMILY}
    k = np.array([[sizes[name] for name in one.model] for one in fits]).T
    chi2 = np.array([one.chi2 for one in fits]).T
    n = fits[0].n_points[:, None]
    squared = (chi2 / np.maximum(n - k, 1)).min(axis=1, keepdims=True)
    return np.asarray(chi2 / np.maximum(squared, 1.0) + k * np.log(np.maximum(n, 1)))
