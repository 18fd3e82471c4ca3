"""Weighted least squares with clipping, for many spectra that share their basis functions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["clipped_fit", "covered", "masked_quantile"]

_STILL = 1e-3  # part of the pixels that may still change in a spectrum that is done
_BEST = 1e-4  # no noise is taken to be below this part of the flux: S/N 10,000 per pixel


def clipped_fit(
    design: NDArray,
    penalty: NDArray,
    flux: NDArray,
    weight: NDArray,
    cuts: tuple[float, float],
    iterations: int,
    held: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Iterate fit and clip until the pixels hardly change; rows leave the loop as they settle."""
    pairs = _Pairs(design, penalty)
    kept = (_start(flux, weight > 0) & (weight > 0)) | held
    coefficients = np.zeros((len(flux), design.shape[1]))
    rising = np.zeros(len(flux))
    level = masked_quantile(np.abs(flux) * np.sqrt(weight), weight > 0, 0.5)
    floor = np.nan_to_num(_BEST * level) + 1e-300
    active = np.arange(len(flux))
    for _ in range(max(1, iterations)):
        root = np.sqrt(weight[active])
        good = (root > 0) & ~held[active]
        # What the kept pixels' mean lies above the continuum, by σ of the round before.
        lift = np.where(good, _truncated_mean(*cuts) * rising[active, None], 0.0)
        shifted = flux[active] - np.divide(lift, root, out=np.zeros_like(root), where=good)
        coefficients[active] = pairs.solve(shifted, np.where(kept[active], weight[active], 0.0))
        residual = (flux[active] - coefficients[active] @ design.T) * root
        found = _sigma(residual - lift, kept[active] & good, good, cuts)
        # σ falls by half at most, or the cuts close before the polynomial has risen.
        rising[active] = np.fmax(found, np.maximum(0.5 * rising[active], floor[active]))
        sigma = rising[active, None]
        new = (residual >= -cuts[0] * sigma) & (residual <= cuts[1] * sigma) & (root > 0)
        new |= held[active]
        moving = (new != kept[active]).sum(axis=1) > _STILL * design.shape[0]
        kept[active] = new
        active = active[moving]
        if active.size == 0:
            break
    return coefficients, kept


class _Pairs:
    """Normal equations of a shared basis: one product with all pairs of overlapping functions."""

    def __init__(self, design: NDArray, penalty: NDArray) -> None:
        overlap = (np.abs(design).T @ np.abs(design)) > 0
        self.first, self.second = np.nonzero(np.triu(overlap))
        self.products = design[:, self.first] * design[:, self.second]
        self.design, self.penalty = design, penalty

    def solve(self, target: NDArray, weight: NDArray) -> NDArray[np.float64]:
        """Return the coefficients (N, K) of weighted least squares, always finite."""
        size = self.design.shape[1]
        normal = np.zeros((len(target), size, size))
        values = weight @ self.products
        normal[:, self.first, self.second] = values
        normal[:, self.second, self.first] = values
        trace = np.trace(normal, axis1=1, axis2=2)
        # A ridge far below the data keeps rows with too few pixels from stopping the others.
        ridge = np.where(trace > 0, 1e-9 * trace / size, 1.0)
        normal += ridge[:, None, None] * self.penalty + 1e-3 * ridge[:, None, None] * np.eye(size)
        right = (weight * target) @ self.design
        return np.linalg.solve(normal, right[..., None])[..., 0]


def _start(flux: NDArray, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out of the first round what stands far above the rest, whatever its weight."""
    median = masked_quantile(flux, good, 0.5)[:, None]
    spread = 1.4826 * masked_quantile(np.abs(flux - median), good, 0.5)[:, None]
    return flux <= median + 10.0 * spread + 0.5 * np.abs(median)


def _sigma(
    residual: NDArray, kept: NDArray[np.bool_], good: NDArray[np.bool_], cuts: tuple[float, float]
) -> NDArray[np.float64]:
    """Return σ of each row, from the side without lines, or from both where the cuts are even.

    On one side it is the spread of the residuals above the kept pixels' mean, not their
    distance from it: that would grow as the continuum sinks into the lines, and hold it there.
    """
    if cuts[0] == cuts[1]:
        sigma = 1.4826 * masked_quantile(np.abs(residual), kept, 0.5)
    else:
        above = good & (residual > 0)
        spread = masked_quantile(residual, above, 0.75) - masked_quantile(residual, above, 0.25)
        sigma = spread / _upper_spread(_truncated_mean(*cuts))
    return sigma


@lru_cache
def _truncated_mean(lower: float, upper: float) -> float:
    """Return the mean of a unit Gaussian cut at −lower and upper."""
    if lower == upper:
        return 0.0
    part = norm.cdf(upper) - norm.cdf(-lower)
    return float((norm.pdf(lower) - norm.pdf(upper)) / part)


@lru_cache
def _upper_spread(above: float) -> float:
    """Return the interquartile range of the part of a unit Gaussian that lies above a level."""
    part = norm.sf(above)
    return float(norm.isf(0.25 * part) - norm.isf(0.75 * part))


def masked_quantile(values: NDArray, good: NDArray[np.bool_], q: float) -> NDArray[np.float64]:
    """Return the q-quantile of the good values of each row (NaN where there are none)."""
    count = good.sum(axis=1)
    ranked = np.sort(np.where(good, values, np.inf), axis=1)
    index = np.minimum((q * count).astype(int), np.maximum(count - 1, 0))
    chosen = ranked[np.arange(len(ranked)), index] if ranked.shape[1] else np.full(len(good), 0.0)
    return np.where(count > 0, chosen, np.nan)


def covered(good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark everything from the first to the last good pixel of each row."""
    return (
        np.logical_or.accumulate(good, axis=1)
        & (np.logical_or.accumulate(good[:, ::-1], axis=1)[:, ::-1])
    )
