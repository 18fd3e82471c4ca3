"""Weighted least squares with clipping, for many spectra that share their basis functions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

__all__ = ["clipped_fit", "covered", "masked_quantile"]

_ONE_SIGMA = 0.682689492137  # part of a Gaussian within one standard deviation


def clipped_fit(
    design: NDArray,
    penalty: NDArray,
    flux: NDArray,
    weight: NDArray,
    cuts: tuple[float, float],
    iterations: int,
    held: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Iterate fit and clip until no pixel changes; rows leave the loop as they settle."""
    pairs = _Pairs(design, penalty)
    kept = (_start(flux, weight > 0) & (weight > 0)) | held
    coefficients = np.zeros((len(flux), design.shape[1]))
    rising = np.zeros(len(flux))
    active = np.arange(len(flux))
    for _ in range(max(1, iterations)):
        root = np.sqrt(weight[active])
        good = (root > 0) & ~held[active]
        # What the kept pixels' mean lies above the continuum, by σ of the round before.
        lift = np.where(good, _level(*cuts) * rising[active, None], 0.0)
        shifted = flux[active] - np.divide(lift, root, out=np.zeros_like(root), where=good)
        coefficients[active] = pairs.solve(shifted, np.where(kept[active], weight[active], 0.0))
        residual = (flux[active] - coefficients[active] @ design.T) * root
        rising[active] = _sigma(residual - lift, kept[active] & good, good, cuts)
        sigma = rising[active, None]
        new = (residual >= -cuts[0] * sigma) & (residual <= cuts[1] * sigma) & (root > 0)
        new |= held[active]
        moving = (new != kept[active]).any(axis=1)
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
    """Return σ of each row from the side without lines, or from both where the cuts are even."""
    if cuts[0] == cuts[1]:
        sigma = 1.4826 * masked_quantile(np.abs(residual), kept, 0.5)
    else:
        sigma = masked_quantile(residual, good & (residual > 0), _ONE_SIGMA)
    floor = 1e-9 * np.abs(residual).max(axis=1, initial=0.0) + 1e-300
    return np.fmax(sigma, floor)


@lru_cache
def _level(lower: float, upper: float) -> float:
    """Return by how many σ (as `_sigma` measures it) a clipped mean lies above the continuum.

    The fixed point of the clipping for pure Gaussian noise about a continuum at 0: with the mean
    u of what lies within (−lower s, upper s), and s the 68.27 % quantile of what rises above u
    (measured from u), the answer is u/s. Correcting by it leaves noise without lines unbiased.
    """
    if lower == upper:
        return 0.0

    def mean(scale: float) -> float:
        low, high = -lower * scale, upper * scale
        return float((norm.pdf(low) - norm.pdf(high)) / (norm.cdf(high) - norm.cdf(low)))

    def excess(scale: float) -> float:
        u = mean(scale)
        return float(norm.isf(norm.sf(u) * (1 - _ONE_SIGMA))) - u - scale

    scale = brentq(excess, 0.05, 5.0)
    return mean(scale) / scale


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
