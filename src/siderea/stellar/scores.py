"""How well labels were found: robust scatter, completeness, purity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["completeness_purity", "confusion", "mad_sigma"]


def mad_sigma(residual: ArrayLike) -> float:
    """Return 1.4826 times the median absolute deviation from the median; NaN does not count."""
    values = np.asarray(residual, dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if values.size else np.nan


def completeness_purity(truth: ArrayLike, found: ArrayLike) -> tuple[float, float]:
    """Return the share of true members that were found, and of the found that are true.

    Parameters
    ----------
    truth, found : (N,) array-like of bool

    Returns
    -------
    completeness, purity : float
    """
    truth, found = np.asarray(truth, dtype=bool), np.asarray(found, dtype=bool)
    both = np.sum(truth & found)
    return float(both / max(truth.sum(), 1)), float(both / max(found.sum(), 1))


def confusion(truth: ArrayLike, found: ArrayLike) -> NDArray[np.int64]:
    """Return the counts (2, 2): rows the truth (False, True), columns what was found."""
    truth, found = np.asarray(truth, dtype=int), np.asarray(found, dtype=int)
    return np.bincount(2 * truth + found, minlength=4).reshape(2, 2)
