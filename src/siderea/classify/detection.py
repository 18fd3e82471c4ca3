"""Measurements of one feature in many spectra, and how often nothing at all looks as strong.

A significance of photon noise alone cannot be read as a Gaussian's: the reference spectrum is not
exact, and continua are not either. So the false-alarm probability is taken from a null sample:
spectra without the feature (simulated), or, where a feature has one sign, the other side of the
same sample (`NullDistribution.mirrored`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["Detection", "NullDistribution", "against_neighbours", "false_discovery"]

_TAIL = 0.05
_FEWEST = 40
_SET_ASIDE = 0.001


@dataclass(frozen=True)
class Detection:
    """One feature measured in N spectra.

    Parameters
    ----------
    name : str
        Short name, also that of its columns in tables.
    value : (N,) ndarray
        The measurement, positive where the feature is there; NaN where it cannot be measured.
    error : (N,) ndarray
        1σ error.
    unit : str
        Of both; empty for a ratio.
    """

    name: str
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    unit: str = ""

    @property
    def significance(self) -> NDArray[np.float64]:
        """Value over error (N,); NaN where either is missing."""
        ratio = np.full(self.value.shape, np.nan)
        np.divide(self.value, self.error, out=ratio, where=self.error > 0)
        return ratio


def against_neighbours(
    measured: Detection, library: Detection, neighbours: NDArray[np.int64]
) -> Detection:
    """Set a measurement against the same one of similar spectra.

    Parameters
    ----------
    measured : Detection
        Of N spectra.
    library : Detection
        Of M spectra, each measured in the same way.
    neighbours : (N, k) ndarray of int
        Rows of the library that are like each spectrum, itself excluded.

    Returns
    -------
    Detection
        Value less the neighbours' median; error enlarged by what the neighbours scatter beyond
        their own errors: σ² + max(0, (1.4826 MAD)² − median σ_j²), and by the error of the
        median, (π/2k) (1.4826 MAD)².
    """
    near, near_error = library.value[neighbours], library.error[neighbours]
    known = np.isfinite(near) & np.isfinite(near_error)
    enough = known.sum(axis=1) >= 3
    filled = np.where(known, near, np.nan)
    filled[~enough] = np.nan
    level, spread, typical = (np.full(len(neighbours), np.nan) for _ in range(3))
    if enough.any():
        level[enough] = np.nanmedian(filled[enough], axis=1)
        deviation = np.abs(filled[enough] - level[enough, None])
        spread[enough] = (1.4826 * np.nanmedian(deviation, axis=1)) ** 2
        errors = np.where(known, near_error, np.nan)[enough]
        typical[enough] = np.nanmedian(errors**2, axis=1)
    extra = np.maximum(0.0, spread - typical) + np.pi / (2.0 * neighbours.shape[1]) * spread
    error = np.sqrt(measured.error**2 + extra)
    return Detection(measured.name, measured.value - level, error, measured.unit)


@dataclass(frozen=True)
class NullDistribution:
    """Significances of spectra that do not have the feature.

    Below the 95th percentile the false-alarm probability is the empirical one, above it that of a
    generalised Pareto tail fitted by probability-weighted moments (Hosking & Wallis 1987), whose
    shape is never taken below 0: the tail has no end.

    Parameters
    ----------
    body : (M,) ndarray
        Sorted null significances.
    threshold : float
        Where the tail begins.
    scale, shape : float
        Of the tail.
    """

    body: NDArray[np.float64]
    threshold: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, significance: ArrayLike) -> NullDistribution:
        """Learn from a null sample.

        Parameters
        ----------
        significance : (M,) array-like
            NaN is left out; at least 40 values.

        Raises
        ------
        DataError
            If the sample is smaller.
        """
        values = np.asarray(significance, dtype=float)
        values = np.sort(values[np.isfinite(values)])
        if values.size < _FEWEST:
            raise DataError(f"null sample: found {values.size} values; expected {_FEWEST} or more")
        threshold = float(np.quantile(values, 1.0 - _TAIL))
        excess = values[values > threshold] - threshold
        scale, shape = _pareto(excess)
        return cls(values, threshold, scale, shape)

    @classmethod
    def mirrored(cls, significance: ArrayLike) -> NullDistribution:
        """Learn from the sample itself, for a feature that only raises the value.

        Values below the median can only be noise, or something as rare that lowers the value (the
        absorption of a P Cygni profile, say); mirrored about the median they tell what noise does
        above it. The outermost thousandth is set aside for that something.

        Parameters
        ----------
        significance : (N,) array-like
            Significances of the sample, most of it without the feature.
        """
        values = np.asarray(significance, dtype=float)
        values = values[np.isfinite(values)]
        if values.size < _FEWEST:
            raise DataError(f"null sample: found {values.size} values; expected {_FEWEST} or more")
        middle = float(np.median(values))
        below = np.sort(values[values <= middle])
        below = below[int(_SET_ASIDE * below.size) :]
        return cls.fit(np.concatenate([below, 2.0 * middle - below]))

    def false_alarm(self, significance: ArrayLike) -> NDArray[np.float64]:
        """Return how probable it is that noise reaches a significance.

        Parameters
        ----------
        significance : (N,) array-like
            Significances.

        Returns
        -------
        (N,) ndarray
            Never exactly 0; NaN where the significance is NaN.
        """
        values = np.asarray(significance, dtype=float)
        n = self.body.size
        above = n - np.searchsorted(self.body, values, side="left")
        chance = (1.0 + above) / (1.0 + n)
        excess = np.maximum(values - self.threshold, 0.0) / self.scale
        with np.errstate(over="ignore"):
            tail = (
                np.exp(-excess)
                if self.shape < 1e-6
                else (1.0 + self.shape * excess) ** (-1.0 / self.shape)
            )
        chance = np.where(values > self.threshold, np.maximum(_TAIL * tail, 1e-300), chance)
        return np.where(np.isfinite(values), chance, np.nan)


def _pareto(excess: NDArray) -> tuple[float, float]:
    """Return scale and shape (≥ 0) of a generalised Pareto tail by weighted moments."""
    x = np.sort(excess)
    if x.size < 2 or not x[-1] > 0:
        return 1.0, 0.0
    first = float(x.mean())
    rank = (np.arange(1, x.size + 1) - 0.35) / x.size
    second = float(((1.0 - rank) * x).mean())
    if not first > 2.0 * second > 0:
        return first, 0.0
    shape = 2.0 - first / (first - 2.0 * second)
    if shape <= 0:
        return first, 0.0
    return 2.0 * first * second / (first - 2.0 * second), min(shape, 0.9)


def false_discovery(false_alarm: ArrayLike) -> NDArray[np.float64]:
    """Return q values: the share of false ones among all that are as significant or more.

    Parameters
    ----------
    false_alarm : (N,) array-like
        Probabilities of the N spectra of a survey; NaN stays NaN.

    Returns
    -------
    (N,) ndarray
        Of Benjamini & Hochberg (1995).

    Examples
    --------
    >>> false_discovery([0.01, 0.5, 0.02, 1.0]).round(3).tolist()
    [0.04, 0.667, 0.04, 1.0]
    """
    chance = np.asarray(false_alarm, dtype=float)
    known = np.flatnonzero(np.isfinite(chance))
    order = known[np.argsort(chance[known], kind="stable")]
    q = chance[order] * order.size / np.arange(1, order.size + 1)
    out = np.full(chance.shape, np.nan)
    out[order] = np.minimum(1.0, np.minimum.accumulate(q[::-1])[::-1])
    return out
