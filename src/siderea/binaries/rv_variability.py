"""Single-lined binaries: radial velocities that vary more than their errors let them.

Two statistics per star, as one-sided Gaussian σ: that of the pair of epochs that differ most
(Matijevič et al. 2011), as the widest of all pairs, and that of χ² of all epochs about
their mean, through the F2 of Merle et al. (2020). The errors' floor is estimated from the sample:
most stars are constant, and the constant ones must follow χ².
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from siderea.data import plain
from siderea.errors import DataError

__all__ = ["error_floor", "pair_significance", "sb1_significance", "survival_to_sigma"]

_SMALLEST = 1e-300

WIDTHS = np.linspace(0, 8, 161)
MOST_EPOCHS = 100
"""Beyond, the factor for pairs that are not independent is that of so many epochs."""


def survival_to_sigma(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the one-sided Gaussian σ of a probability: 0.00135 is 3."""
    return np.asarray(stats.norm.isf(np.clip(probability, _SMALLEST, 1.0 - 1e-16)))


def pair_significance(
    rv_1: ArrayLike, rv_1_err: ArrayLike, rv_2: ArrayLike, rv_2_err: ArrayLike
) -> NDArray[np.float64]:
    """Return p_log of pairs of epochs.

    p_log = −log₁₀{1 − ½ [1 + erf(|v₁ − v₂| / √(2 (σ₁² + σ₂²)))]}; 2.87 is 3σ, one-sided.

    Parameters
    ----------
    rv_1, rv_1_err, rv_2, rv_2_err : array-like
        km/s.

    References
    ----------
    Matijevič et al. (2011), AJ 141, 200.
    """
    difference = np.abs(np.asarray(rv_1, dtype=float) - np.asarray(rv_2, dtype=float))
    z = difference / np.hypot(np.asarray(rv_1_err, dtype=float), np.asarray(rv_2_err, dtype=float))
    return np.asarray(-stats.norm.logsf(z) / np.log(10.0))


def sb1_significance(
    rv: ArrayLike,
    rv_err: ArrayLike,
    star_id: ArrayLike,
    *,
    floor: float | None = None,
    false_alarms: float = 0.01,
) -> pd.DataFrame:
    """Test the radial velocities of many stars for variability.

    Parameters
    ----------
    rv, rv_err : (M,) array-like or Quantity
        One per epoch, km/s. Epochs without a finite velocity and a positive error are left out.
    star_id : (M,) array-like
        Star of each epoch, in any order.
    floor : float, optional
        Added to the errors in quadrature, km/s; estimated by `error_floor` when None.
    false_alarms : float
        Expected share of constant stars among those called ``variable``.

    Returns
    -------
    pandas.DataFrame
        One row per star, in order of first appearance: ``star_id``, ``n_epochs``, ``rv_mean``,
        ``rv_mean_err``, ``rv_range`` (km/s), ``chi2``, ``f2``, ``p_log`` (of the most different
        pair, by itself), ``p_value`` (of χ² with N − 1 degrees of freedom), ``sigma`` (the same
        as a one-sided Gaussian σ: a constant star exceeds 3 with probability 0.00135),
        ``sigma_pair`` (of the pair, as the widest of all of N epochs), ``variable`` (by the false
        discovery rate over the sample) and ``floor`` (km/s). NaN for a star of one epoch.

    Raises
    ------
    DataError
        If lengths differ, or the floor is negative.

    Notes
    -----
    χ² = Σ (vᵢ − v̄)²/(σᵢ² + floor²), with v̄ the weighted mean; F2 = √(9ν/2) [(χ²/ν)^⅓ + 2/(9ν) − 1],
    ν = N − 1, is nearly a Gaussian deviate for constant stars, but not in the tail of small ν:
    ``sigma`` is exact. ``variable`` controls the share of false alarms among all the stars that
    are called so (Benjamini & Hochberg 1995).

    References
    ----------
    Matijevič et al. (2011), AJ 141, 200; Merle et al. (2020), A&A 635, A155; Benjamini & Hochberg
    (1995), J. R. Stat. Soc. B 57, 289.
    """
    velocity, error, code, names = _epochs(rv, rv_err, star_id)
    if not 0 < false_alarms < 1:
        raise DataError(f"false_alarms: found {false_alarms}; expected between 0 and 1")
    if floor is None:
        floor = _floor(velocity, error, code, len(names))
    if not 0 <= floor < np.inf:
        raise DataError(f"floor: found {floor}; expected a velocity, km/s, not below 0")
    error = np.hypot(error, floor)
    n = np.bincount(code, minlength=len(names))
    chi2, mean, weight = _chi2(velocity, error, code, len(names))
    dof = np.maximum(n - 1, 1)
    several = np.where(n > 1, 0.0, np.nan)
    p_value = stats.chi2.sf(chi2, dof) + several
    widest, spread = _widest_pair(velocity, error, code, len(names))
    p_pair = _p_widest(widest, n) + several
    return pd.DataFrame(
        {
            "star_id": names,
            "n_epochs": n,
            "rv_mean": np.where(n > 0, mean, np.nan),
            "rv_mean_err": np.where(n > 0, 1 / np.sqrt(np.maximum(weight, 1e-300)), np.nan),
            "rv_range": spread + several,
            "chi2": chi2 + several,
            "f2": _f2(chi2, dof) + several,
            "p_log": -stats.norm.logsf(widest) / np.log(10.0) + several,
            "p_value": p_value,
            "sigma": survival_to_sigma(p_value),
            "sigma_pair": survival_to_sigma(p_pair),
            "variable": _discovered(p_value, false_alarms),
            "floor": floor,
        }
    )


def error_floor(rv: ArrayLike, rv_err: ArrayLike, star_id: ArrayLike) -> float:
    """Estimate what is missing, in quadrature, from the errors of a sample.

    Parameters
    ----------
    rv, rv_err, star_id : (M,) array-like
        As in `sb1_significance`.

    Returns
    -------
    float
        The floor, km/s, 0 if the errors are large enough (or no star has two epochs): that for
        which the lower half of the stars' χ² probabilities is as constant stars would have it.

    Notes
    -----
    The median of the probabilities of constant stars is ½. Variable stars have all but 0, so that
    with a share b of them the quantile (1 + b)/2 of the whole sample is that median; b is
    estimated as the excess of probabilities below 0.001, and both are iterated.
    """
    velocity, error, code, names = _epochs(rv, rv_err, star_id)
    return _floor(velocity, error, code, len(names))


def _floor(velocity: NDArray, error: NDArray, code: NDArray, n_stars: int) -> float:
    dof = np.bincount(code, minlength=n_stars) - 1
    usable = dof > 0
    if np.count_nonzero(usable) < 20:  # a quantile of fewer says nothing
        return 0.0

    def excess(floor: float) -> float:
        chi2, _, _ = _chi2(velocity, np.hypot(error, floor), code, n_stars)
        p = stats.chi2.sf(chi2[usable], dof[usable])
        variable = max(0.0, float(np.mean(p < 0.001)) - 0.001)
        return float(np.quantile(p, min(0.99, variable + 0.5 * (1 - variable)))) - 0.5

    tolerance = 1.5 / np.sqrt(np.count_nonzero(usable))
    if excess(0.0) > -tolerance:  # as constant stars scatter: nothing is missing
        return 0.0
    low, high = 0.0, 10.0 * float(np.median(error)) + 1e-6
    while excess(high) < 0 and high < 1e4:
        high *= 4
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return 0.5 * (low + high)


def _epochs(
    rv: ArrayLike, rv_err: ArrayLike, star_id: ArrayLike
) -> tuple[NDArray, NDArray, NDArray[np.intp], NDArray]:
    """Return good velocities and errors, the number of their star, and the stars' names."""
    velocity, error = plain(rv, "km/s"), plain(rv_err, "km/s")
    names = np.asarray(star_id)
    if velocity.ndim != 1 or velocity.shape != error.shape or velocity.shape != names.shape:
        raise DataError(
            f"rv {velocity.shape}, rv_err {error.shape}, star_id {names.shape}; expected three "
            "arrays of one length"
        )
    code, unique = pd.factorize(names)
    if np.any(code < 0):
        raise DataError("star_id: found missing values; expected the star of every epoch")
    good = np.isfinite(velocity) & np.isfinite(error) & (error > 0)
    return velocity[good], error[good], code[good], np.asarray(unique)


def _chi2(
    velocity: NDArray, error: NDArray, code: NDArray, n_stars: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return χ² about the weighted mean, that mean, and the sum of the weights, per star."""
    weight = error**-2
    total = np.bincount(code, weight, n_stars)
    safe = np.maximum(total, 1e-300)
    mean = np.bincount(code, weight * velocity, n_stars) / safe
    chi2 = np.bincount(code, weight * (velocity - mean[code]) ** 2, n_stars)
    return np.asarray(chi2, dtype=float), mean, np.asarray(total, dtype=float)


def _f2(chi2: NDArray, dof: NDArray) -> NDArray[np.float64]:
    """Return F2 = √(9ν/2) [(χ²/ν)^⅓ + 2/(9ν) − 1] (Wilson & Hilferty 1931)."""
    return np.asarray(np.sqrt(4.5 * dof) * (np.cbrt(chi2 / dof) + 2 / (9 * dof) - 1))


def _widest_pair(
    velocity: NDArray, error: NDArray, code: NDArray, n_stars: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest |vᵢ − vⱼ|/√(σᵢ² + σⱼ²), and the range of velocities, per star.

    Epochs are sorted by star; those k places apart are compared for every k that occurs.
    """
    order = np.argsort(code, kind="stable")
    v, e, c = velocity[order], error[order], code[order]
    widest, spread = np.zeros(n_stars), np.zeros(n_stars)
    for step in range(1, int(np.bincount(c, minlength=1).max(initial=0))):
        same = np.flatnonzero(c[step:] == c[:-step])
        difference = np.abs(v[same + step] - v[same])
        np.maximum.at(widest, c[same], difference / np.hypot(e[same + step], e[same]))
        np.maximum.at(spread, c[same], difference)
    return widest, spread


def _p_widest(widest: NDArray, n: NDArray) -> NDArray[np.float64]:
    """Return the probability that the widest of all pairs of n epochs is as wide by chance.

    That of the studentised range with known errors (Tukey; Kramer's form where errors differ):
    N (N − 1)/2 pairs are not as many independent ones.
    """
    pairs = np.maximum(n * (n - 1) / 2, 1)
    p = 2 * stats.norm.sf(widest) * pairs
    for number in np.unique(n[n > 2]).tolist():
        rows = n == number
        p[rows] *= np.interp(widest[rows], WIDTHS, _range_factor(min(number, MOST_EPOCHS)))
    return np.asarray(np.clip(p, 0, 1))


@lru_cache(maxsize=256)
def _range_factor(n: int) -> NDArray[np.float64]:
    """Return P(range of n Gaussian deviates > √2 w) over 2 Q(w) n (n − 1)/2, at `WIDTHS`.

    1 − n ∫ φ(z) [Φ(z) − Φ(z − q)]ⁿ⁻¹ dz; where it is too small to be told from 0, the factor
    hardly changes any more.
    """
    z = np.linspace(-9, 9, 1801)
    inside = stats.norm.cdf(z) - stats.norm.cdf(z - np.sqrt(2) * WIDTHS[:, None])
    left = n * np.trapezoid(stats.norm.pdf(z) * inside ** (n - 1), z, axis=1)
    factor = (1 - left) / (n * (n - 1) * stats.norm.sf(WIDTHS))
    last = np.flatnonzero(1 - left > 1e-9)[-1]
    factor[last:] = factor[last]
    return np.asarray(factor)


def _discovered(p_value: NDArray, rate: float) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected at a false discovery rate (Benjamini & Hochberg)."""
    known = np.isfinite(p_value)
    p = np.sort(p_value[known])
    below = np.flatnonzero(p <= rate * (np.arange(p.size) + 1) / max(1, p.size))
    limit = p[below[-1]] if below.size else -1.0
    return known & (np.nan_to_num(p_value, nan=2.0) <= limit)
