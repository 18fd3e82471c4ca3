"""Astrometric binaries: paths that are not straight, and proper motions that change.

RUWE, the renormalised error of unit weight of Gaia's five-parameter fit, is near 1 for single
stars; a star whose proper motion differs between a short and a long baseline is pulled by another
(Brandt 2021; Kervella et al. 2019). What a single star gives is learnt from the sample, most of
which is single: for RUWE from the lower side of its logarithm; for the anomaly by a
factor on the errors that makes the median of χ² that of two degrees of freedom.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from siderea.errors import DataError

__all__ = ["AstrometricFlag", "astrometric_binaries", "mixture_probability"]

LONG = ("pmra_long", "pmdec_long", "pmra_long_err", "pmdec_long_err")
SHORT = ("pmra", "pmdec", "pmra_err", "pmdec_err")
FEWEST = 50
"""Stars from which the distribution of single ones is learnt."""

CUT, LOWEST = 1.0, 4.0
"""Single stars are told from ln RUWE below the mode + 1σ: few others are there. Below −4σ no star
is believed."""

_SMALLEST = 1e-300


class AstrometricFlag(IntFlag):
    """What an astrometric probability rests on."""

    NONE = 0
    NO_RUWE = 1  #: no RUWE
    NO_ANOMALY = 2  #: no second proper motion
    NO_DATA = 4  #: neither


def astrometric_binaries(frame: pd.DataFrame) -> pd.DataFrame:
    """Find stars whose astrometry is not that of one star.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``id``, and ``ruwe``, or two proper motions: ``pmra``, ``pmdec`` (mas/yr) with ``_err`` and
        ``pmra_long``, ``pmdec_long`` with ``_err``; ``pmra_pmdec_corr`` where known.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``ruwe_p`` (p-value of the RUWE), ``pm_chi2``, ``pm_p`` (of the anomaly, 2 degrees
        of freedom), ``p_value`` (both, by Fisher's method), ``significance`` (as a one-sided
        Gaussian σ), ``probability`` (of not being single, `mixture_probability`) and ``flags``
        (`AstrometricFlag`). NaN without data.

    Raises
    ------
    DataError
        If neither kind of column is there, or too few stars have values.
    """
    has_ruwe, has_long = "ruwe" in frame, all(name in frame for name in (*SHORT, *LONG))
    if not (has_ruwe or has_long) or "id" not in frame:
        raise DataError(
            "astrometry: found no columns id and ruwe, or pmra, pmdec, pmra_long, pmdec_long with "
            "their _err"
        )
    nothing = np.full(len(frame), np.nan)
    ruwe_p = _ruwe_p(_numbers(frame, "ruwe")) if has_ruwe else nothing
    chi2 = _anomaly(frame) if has_long else nothing
    pm_p = np.asarray(stats.chi2.sf(chi2, 2))
    p_value = _fisher(ruwe_p, pm_p)
    flags = np.where(np.isfinite(ruwe_p), 0, int(AstrometricFlag.NO_RUWE))
    flags |= np.where(np.isfinite(chi2), 0, int(AstrometricFlag.NO_ANOMALY))
    flags |= np.where(np.isfinite(p_value), 0, int(AstrometricFlag.NO_DATA))
    return pd.DataFrame(
        {
            "id": frame["id"].to_numpy(),
            "ruwe_p": ruwe_p,
            "pm_chi2": chi2,
            "pm_p": pm_p,
            "p_value": p_value,
            "significance": stats.norm.isf(np.clip(p_value, _SMALLEST, 1 - 1e-16)),
            "probability": mixture_probability(p_value),
            "flags": flags,
        }
    )


def mixture_probability(p_value: NDArray) -> NDArray[np.float64]:
    """Return the probability of each star not to be single, from all the p-values.

    p-values of single stars are uniform, those of others pile up at 0: f(p) = λ + (1 − λ) a p^(a−1)
    with λ and a fitted by maximum likelihood, and of λ + (1 − λ) a, the density at p = 1, all is
    counted as single.

    References
    ----------
    Pounds & Morris (2003), Bioinformatics 19, 1236.
    """
    known = np.isfinite(p_value)
    p = np.clip(p_value, _SMALLEST, 1.0)
    if known.sum() < FEWEST:
        return np.full(p.shape, np.nan)
    log_p = np.log(p[known])

    def minus_log_likelihood(x: NDArray) -> float:
        share, a = 1 / (1 + np.exp(-x[0])), 1 / (1 + np.exp(-x[1]))
        return -float(np.log(share + (1 - share) * a * np.exp((a - 1) * log_p)).sum())

    best = min(
        (
            optimize.minimize(minus_log_likelihood, start, method="Nelder-Mead")
            for start in ([2.0, -2.0], [0.0, -1.0], [4.0, -3.0])
        ),
        key=lambda fit: float(fit.fun),
    )
    share, a = 1 / (1 + np.exp(-best.x))
    with np.errstate(over="ignore"):
        density = share + (1 - share) * a * p ** (a - 1)
    single = share + (1 - share) * a
    return np.where(known, np.clip(1 - single / density, 0.0, 1.0), np.nan)


def _ruwe_p(ruwe: NDArray) -> NDArray[np.float64]:
    """Return p-values of RUWE under the Gaussian that the lower side of its logarithm follows."""
    value = np.log(np.where(ruwe > 0, ruwe, np.nan))
    known = np.sort(value[np.isfinite(value)])
    if known.size < FEWEST:
        raise DataError(f"ruwe: found {known.size} values; expected at least {FEWEST}")
    mode, sigma = _lower_side(known)
    return np.asarray(stats.norm.sf((value - mode) / max(sigma, 1e-6)))


def _lower_side(values: NDArray) -> tuple[float, float]:
    """Return mean and σ of the Gaussian that sorted values follow below mean + σ.

    The likelihood of a Gaussian cut off there, by a first guess: the densest half's median, and a
    quantile below it (neither minds a few values that are far too low). Of 20,000 single stars the
    share beyond p = 0.01 scatters by .0010 so, and by .0024 with the first guess alone.
    """
    half = (values.size + 1) // 2
    start = int((values[half - 1 :] - values[: values.size - half + 1]).argmin())
    mode = float(np.median(values[start : start + half]))
    sigma = max(mode - float(np.quantile(values[values <= mode], 0.3173)), 1e-6)
    scaled = (values - mode) / sigma
    scaled = scaled[(scaled > -LOWEST) & (scaled < CUT)]
    mean, square = scaled.mean(), (scaled**2).mean()

    def minus_log_likelihood(x: NDArray) -> float:
        about = square - 2 * x[0] * mean + x[0] ** 2
        cut = (CUT - x[0]) * np.exp(-x[1])
        return float(0.5 * about * np.exp(-2 * x[1]) + x[1] + stats.norm.logcdf(cut))

    best = optimize.minimize(minus_log_likelihood, [0.0, 0.0], method="Nelder-Mead").x
    return mode + sigma * float(best[0]), sigma * float(np.exp(best[1]))


def _anomaly(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return χ² (2 degrees of freedom) of the change of the proper motion."""
    ra, dec, ra_err, dec_err = (_numbers(frame, name) for name in SHORT)
    ra_2, dec_2, ra_2_err, dec_2_err = (_numbers(frame, name) for name in LONG)
    corr = _numbers(frame, "pmra_pmdec_corr") if "pmra_pmdec_corr" in frame else np.zeros(len(ra))
    mixed = np.nan_to_num(corr) * ra_err * dec_err
    a, d = ra_err**2 + ra_2_err**2, dec_err**2 + dec_2_err**2
    x, y = ra - ra_2, dec - dec_2
    chi2 = (d * x**2 - 2 * mixed * x * y + a * y**2) / (a * d - mixed**2)
    known = np.sort(chi2[np.isfinite(chi2)])
    if known.size < FEWEST:
        return np.asarray(chi2)
    # Binaries sit at large χ²: the lower third tells of the errors, and hardly of them.
    factor = np.quantile(known, 0.3) / stats.chi2.ppf(0.3, 2)
    return np.asarray(chi2 / max(1.0, factor))


def _fisher(*p_values: NDArray) -> NDArray[np.float64]:
    """Combine p-values; a missing one says nothing."""
    stacked = np.stack(p_values)
    known = np.isfinite(stacked)
    statistic = -2 * np.where(known, np.log(np.clip(stacked, _SMALLEST, 1.0)), 0.0).sum(axis=0)
    count = known.sum(axis=0)
    combined = stats.chi2.sf(statistic, 2 * np.maximum(count, 1))
    return np.where(count > 0, combined, np.nan)


def _numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)
