"""Samples of a posterior of many narrow modes: from the prior to it by temperatures.

Sequential Monte Carlo (Del Moral, Doucet & Jasra 2006): particles of the density prior × L^β are
reweighted as β grows, resampled, and moved by random walks, until β = 1. A mode keeps the share of
the particles that it is due, however narrow it becomes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["anneal"]

EFFECTIVE = 0.5
"""β grows until the effective number of particles is this share of them."""

MOST_TEMPERATURES = 200

Density = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


def anneal(
    density: Density,
    draws: NDArray[np.float64],
    log_likelihood: NDArray[np.float64],
    scale: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    particles: int = 1024,
    moves: int = 12,
) -> NDArray[np.float64]:
    """Sample a posterior.

    Parameters
    ----------
    density : callable
        ln of prior and of likelihood, each (S,), at places (S, D); −inf where the prior is 0.
    draws : (M, D) ndarray
        Of the prior, M far above ``particles``.
    log_likelihood : (M,) ndarray
        Of the draws.
    scale : (D,) ndarray
        Largest steps of the random walk.
    rng : numpy.random.Generator
    particles, moves : int
        Particles, and moves of each at every temperature.

    Returns
    -------
    (particles, D) ndarray
    """
    beta = _next(log_likelihood, 0.0, particles / len(draws))
    rows = _resampled(beta * log_likelihood, particles, rng)
    place, value = draws[rows], log_likelihood[rows]
    size = 0.3
    prior = density(place)[0]
    for _ in range(MOST_TEMPERATURES):
        for _ in range(moves if beta < 1 else 2 * moves):
            place, prior, value, taken = _moved(
                density, place, prior, value, beta, size * scale, rng
            )
            size = float(np.clip(size * np.exp(taken - 0.25), 1e-6, 1.0))
        if beta >= 1:
            break
        higher = _next(value, beta, EFFECTIVE)
        rows = _resampled((higher - beta) * value, particles, rng)
        place, prior, value, beta = place[rows], prior[rows], value[rows], higher
    return place


def _next(log_likelihood: NDArray, beta: float, share: float) -> float:
    """Return the β at which the effective number falls to a share, at most 1."""
    x = log_likelihood - log_likelihood.max()

    def effective(step: float) -> float:
        weight = np.exp(step * x)
        return float(weight.sum() ** 2 / (weight**2).sum() / x.size)

    if effective(1 - beta) >= share:
        return 1.0
    low, high = 0.0, 1 - beta
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) > share else (low, middle)
    return beta + max(low, 1e-9)


def _resampled(log_weight: NDArray, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose n rows in proportion to their weights, by even steps through the sum."""
    weight = np.exp(log_weight - log_weight.max())
    total = np.cumsum(weight)
    at = (np.arange(n) + rng.random()) / n * total[-1]
    return np.minimum(np.searchsorted(total, at), total.size - 1)


def _moved(
    density: Density,
    place: NDArray,
    prior: NDArray,
    value: NDArray,
    beta: float,
    scale: NDArray,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Try a step of each particle, of a size between a hundredth of the scale and the scale."""
    n, d = place.shape
    size = 10.0 ** rng.uniform(-2, 0, (n, 1))
    along = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.7)
    tried = place + size * scale * along
    new_prior, new = density(tried)
    new = np.where(np.isfinite(new_prior), new, -np.inf)
    with np.errstate(invalid="ignore"):  # from nowhere to nowhere: a step that is not taken
        ln = new_prior - prior + beta * (new - value)
    taken = np.log(rng.random(n)) < ln
    keep = taken[:, None]
    return (
        np.where(keep, tried, place),
        np.where(taken, new_prior, prior),
        np.where(taken, new, value),
        float(taken.mean()),
    )
