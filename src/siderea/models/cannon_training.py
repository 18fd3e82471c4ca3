"""Training The Cannon: all pixels at once, in closed form given the intrinsic scatter.

For one pixel, with variances σₙ² of N stars, design vₙ (K terms) and intrinsic scatter s,

    −2 ln L(θ, s²) = Σₙ wₙ (fₙ − vₙ·θ)² − ln wₙ,     wₙ = 1 / (σₙ² + s²)

(Ness et al. 2015, ApJ 808, 16). At fixed s the best θ solves the weighted normal equations
G θ = Σ wₙ fₙ vₙ, G = Σ wₙ vₙ vₙᵀ. For all pixels together G is one matrix product of the weights
with the K(K+1)/2 products of the design's columns. s² descends the profile likelihood: a coarse
grid first, then Fisher scoring, and Newton steps with the exact second derivative of the profile,

    g = Σ w − w² r²,     h = Σ 2 w³ r² − w² − 2 cᵀ G⁻¹ c,     c = Σ w² r v.

With L1 regularisation Λ Σ |θ_k| over all terms but the constant (Casey et al. 2016,
arXiv:1603.03040) the normal equations give way to coordinate descent on the same G.

Arrays are (…, P): the pixels last, so that every step runs along memory for a block of pixels.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from siderea.models.polynomial import PolynomialTerms

__all__ = ["Trained", "censor_mask", "train"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_BLOCK_VALUES = 2**17
"""Flux values per block of pixels: a few such arrays stay in a core's cache."""

_GRID = 10.0 ** np.arange(-5.0, 1.1)
"""Trial s² in units of the mean squared residual; s² = 0 is tried as well."""

_MAX_STEPS = 60
_TOLERANCE = 1e-7
"""A pixel is done when a step changes its typical variance s² + σ² by less than this part."""

_PIVOT = 1e-11
"""A Cholesky pivot below this part of its diagonal: the terms are not independent here."""

_SWEEPS = 2000
"""Most sweeps of the coordinate descent over the terms."""


@dataclass(frozen=True)
class Trained:
    """What one training found, per pixel.

    Parameters
    ----------
    coefficients : (P, K) ndarray
        θ; NaN where a pixel is not trained.
    scatter : (P,) ndarray
        Intrinsic scatter s; NaN where a pixel is not trained.
    """

    coefficients: Array
    scatter: Array


def censor_mask(
    terms: PolynomialTerms, label_names: tuple[str, ...], censors: dict[str, Mask], n_pixels: int
) -> Mask:
    """Return (K, P): whether each term may act on each pixel.

    Parameters
    ----------
    terms : PolynomialTerms
    label_names : tuple of str
    censors : dict of str to (P,) bool
        True where the label must not act on the pixel.
    n_pixels : int
    """
    allowed = np.ones((len(terms), n_pixels), dtype=bool)
    for name, mask in censors.items():
        allowed &= ~np.outer(terms.involves(label_names.index(name)), mask)
    return allowed


def train(
    flux: NDArray,
    ivar: NDArray,
    design: Array,
    *,
    allowed: Mask,
    penalty: Array,
    n_jobs: int | None = None,
) -> Trained:
    """Fit coefficients and intrinsic scatter of every pixel.

    Parameters
    ----------
    flux, ivar : (N, P) ndarray
        A pixel of ivar 0 is not used, its flux must be finite.
    design : (N, K) ndarray
        Terms of the labels; the first column is the constant.
    allowed : (K, P) bool ndarray
        Terms that may act on each pixel; the coefficients of others are 0.
    penalty : (P,) ndarray
        Λ ≥ 0 of the L1 regularisation.
    n_jobs : int, optional
        Threads over blocks of pixels; by default one per core. The result does not depend on it.

    Returns
    -------
    Trained
        A pixel with no more good stars than terms, or whose good stars do not tell the terms
        apart, is not trained.
    """
    n_stars, n_pixels = flux.shape
    pairs = _Pairs.of(design)
    coefficients = np.full((n_pixels, design.shape[1]), np.nan)
    scatter = np.full(n_pixels, np.nan)
    (pixels,) = np.nonzero((ivar > 0).sum(axis=0) > allowed.sum(axis=0))
    size = max(_BLOCK_VALUES // n_stars, 16)

    def fit(block: NDArray[np.intp]) -> None:
        data = (flux[:, block].astype(np.float64), ivar[:, block].astype(np.float64))
        problem = _Problem(*data, pairs, allowed[:, block], penalty[block])
        theta, variance = _fit_block(problem)
        coefficients[block], scatter[block] = theta.T, np.sqrt(variance)

    blocks = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    # Threads over blocks use the cores better than threads inside each small matrix product.
    with threadpool_limits(1), ThreadPoolExecutor(n_jobs or os.cpu_count()) as pool:
        list(pool.map(fit, blocks))
    return Trained(coefficients, scatter)


@dataclass(frozen=True)
class _Pairs:
    """The design (N, K), and the products of its columns' pairs, upper triangle (T, N)."""

    design: Array
    products: Array
    place: NDArray[np.intp]

    @classmethod
    def of(cls, design: Array) -> _Pairs:
        n_terms = design.shape[1]
        i, j = np.triu_indices(n_terms)
        place = np.zeros((n_terms, n_terms), dtype=np.intp)
        place[i, j] = place[j, i] = np.arange(len(i))
        return cls(design, np.ascontiguousarray((design[:, i] * design[:, j]).T), place)

    def gram(self, weights: Array) -> Array:
        """Return Σₙ w v vᵀ as (K, K, B) for weights (N, B)."""
        return (self.products @ weights)[self.place]


@dataclass(frozen=True)
class _Problem:
    """A block of B pixels: data (N, B), allowed terms (K, B), penalty (B,)."""

    flux: Array
    ivar: Array
    pairs: _Pairs
    allowed: Mask
    penalty: Array

    def take(self, keep: NDArray) -> _Problem:
        """Return the problem of some of the pixels."""
        return _Problem(
            self.flux[:, keep],
            self.ivar[:, keep],
            self.pairs,
            self.allowed[:, keep],
            self.penalty[keep],
        )


@dataclass(frozen=True)
class _Step:
    """θ (K, B) at one s², and the slope and curvatures (B,) of the profile there."""

    theta: Array
    slope: Array
    fisher: Array
    curvature: Array
    residual: Array


def _fit_block(problem: _Problem) -> tuple[Array, Array]:
    """Return θ (K, B) and s² (B,) of a block of pixels."""
    theta, found = _descend(problem, _first_variance(problem))
    # Where the errors differ much from star to star, s = 0 can be a second, lower minimum.
    (some,) = np.nonzero(found > 0)
    if len(some):
        part = problem if len(some) == len(found) else problem.take(some)
        none = np.zeros(len(some))
        step = _solve_at(part, none)
        at_none = _minus_two_ln_l(part, step.residual**2, none)
        residual = part.flux - part.pairs.design @ theta[:, some]
        lower = (step.slope >= 0) & (at_none < _minus_two_ln_l(part, residual**2, found[some]))
        theta[:, some[lower]], found[some[lower]] = step.theta[:, lower], 0.0
    return theta, found


def _descend(problem: _Problem, variance: Array) -> tuple[Array, Array]:
    """Return θ (K, B) and s² (B,) where the descent from a first s² ends; NaN if singular."""
    theta = np.full((problem.pairs.design.shape[1], len(variance)), np.nan)
    found = np.full(len(variance), np.nan)
    active, part = np.arange(len(variance)), problem
    for _ in range(_MAX_STEPS):
        step = _solve_at(part, variance)
        theta[:, active], found[active] = step.theta, variance
        moved = _move(variance, step)
        going = np.abs(moved - variance) > _TOLERANCE * np.sqrt(_count(part) / step.fisher)
        if not going.any():
            break
        active, variance = active[going], moved[going]
        part = part if going.all() else part.take(going)
    bad = ~np.isfinite(theta).all(axis=0)
    theta[:, bad], found[bad] = np.nan, np.nan
    return theta, found


def _count(problem: _Problem) -> Array:
    return np.count_nonzero(problem.ivar, axis=0).astype(np.float64)


def _first_variance(problem: _Problem) -> Array:
    """Return s² (B,), the best of a grid given the residuals of a fit with tempered weights.

    The temper is the variance of a typical star: a better one cannot outweigh the others, and
    one without signal counts little.
    """
    typical = (_count(problem) / np.sqrt(problem.ivar).sum(axis=0)) ** 2
    squared = _solve_at(problem, typical).residual ** 2
    weights = _weights(problem.ivar, typical)
    scale = (weights * squared).sum(axis=0) / weights.sum(axis=0)
    best, lowest = np.zeros_like(scale), _minus_two_ln_l(problem, squared, np.zeros_like(scale))
    for factor in _GRID:
        trial = factor * scale
        value = _minus_two_ln_l(problem, squared, trial)
        better = value < lowest
        best[better], lowest[better] = trial[better], value[better]
    return best


def _weights(ivar: Array, variance: Array) -> Array:
    """Return 1 / (σ² + s²) (N, B), 0 at bad pixels."""
    return ivar / (1 + variance * ivar)


def _minus_two_ln_l(problem: _Problem, squared: Array, variance: Array) -> Array:
    """Return −2 ln L (B,) but for the terms that do not depend on s²."""
    factor = 1 + variance * problem.ivar
    return np.einsum("nb,nb->b", problem.ivar / factor, squared) + np.log(factor).sum(axis=0)


def _solve_at(problem: _Problem, variance: Array) -> _Step:
    """Fit θ at given s², with the derivatives of the profile likelihood in s²."""
    weights = _weights(problem.ivar, variance)
    design = problem.pairs.design
    gram, target = problem.pairs.gram(weights), design.T @ (weights * problem.flux)
    _forbid(gram, target, problem.allowed)
    factor = _cholesky(gram)
    theta = _cholesky_solve(factor, target)
    penalised = bool(problem.penalty.any())
    if penalised:
        theta = _coordinate_descent(gram, target, problem.penalty, theta)
    residual = problem.flux - design @ theta
    weighted = weights * residual
    squared = weighted * weighted
    fisher = np.einsum("nb,nb->b", weights, weights)
    slope = weights.sum(axis=0) - squared.sum(axis=0)
    curvature = 2 * np.einsum("nb,nb->b", weights, squared) - fisher
    if not penalised:
        cross = np.where(problem.allowed, design.T @ (weights * weighted), 0.0)
        curvature -= 2 * np.einsum("kb,kb->b", cross, _cholesky_solve(factor, cross))
    return _Step(theta, slope, fisher, curvature, residual)


def _move(variance: Array, step: _Step) -> Array:
    """Return the next s²: Newton where the profile is convex and the step short, else scoring."""
    with np.errstate(divide="ignore", invalid="ignore"):
        newton = variance - step.slope / step.curvature
        scoring = variance - step.slope / step.fisher
    near = (step.curvature > 0.3 * step.fisher) & np.isfinite(newton)
    moved = np.where(near, newton, scoring)
    return np.maximum(np.where(np.isfinite(moved), moved, variance), 0.0)


def _forbid(gram: Array, target: Array, allowed: Mask) -> None:
    """Take the censored terms out of the normal equations, in place."""
    if allowed.all():
        return
    gram *= allowed[:, None] & allowed[None, :]
    target *= allowed
    k = np.arange(len(target))
    gram[k, k] += ~allowed


def _cholesky(gram: Array) -> Array:
    """Return L (K, K, B) of gram = L Lᵀ; NaN in the pixels where the matrix is singular."""
    factor = np.zeros_like(gram)
    for j in range(len(gram)):
        left = factor[j, :j]
        column = gram[j:, j] - np.einsum("ikb,kb->ib", factor[j:, :j], left)
        column[0][column[0] <= _PIVOT * gram[j, j]] = np.nan
        factor[j:, j] = column / np.sqrt(column[0])
    return factor


def _cholesky_solve(factor: Array, target: Array) -> Array:
    """Return x (K, B) of L Lᵀ x = target."""
    x = target.copy()
    for k in range(len(x)):
        x[k] = (x[k] - np.einsum("ib,ib->b", factor[k, :k], x[:k])) / factor[k, k]
    for k in reversed(range(len(x))):
        x[k] = (x[k] - np.einsum("ib,ib->b", factor[k + 1 :, k], x[k + 1 :])) / factor[k, k]
    return x


def _coordinate_descent(gram: Array, target: Array, penalty: Array, start: Array) -> Array:
    """Return the θ (K, B) that minimises θᵀGθ − 2 θ·target + Λ Σ_{k≥1} |θ_k|."""
    theta = np.where(np.isfinite(start), start, np.nan)
    active = np.flatnonzero(np.isfinite(theta).all(axis=0))
    for _ in range(_SWEEPS):
        g, t, half = gram[:, :, active], target[:, active], penalty[active] / 2
        x = theta[:, active]
        before = x.copy()
        for k in range(len(x)):
            pull = t[k] - np.einsum("ib,ib->b", g[k], x) + g[k, k] * x[k]
            shrunk = np.sign(pull) * np.maximum(np.abs(pull) - (half if k else 0.0), 0.0)
            x[k] = shrunk / g[k, k]
        theta[:, active] = x
        change = np.einsum("iib,ib->b", g, (x - before) ** 2)
        active = active[change > 1e-16 * (1 + np.einsum("iib,ib->b", g, x**2))]
        if not len(active):
            break
    return theta
