"""Levenberg–Marquardt for many small least-squares problems at once, within bounds.

Every problem has its own damping and its own verdict; a problem that is done costs nothing more.
The caller gives χ², half its gradient, and the Gauss–Newton curvature JᵀWJ from exact derivatives;
this module knows nothing of spectra.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Descent", "Local", "descend", "inverse"]

Array = NDArray[np.float64]

_MAX_DAMPING = 1e10
_CURVATURE = 1e-12
"""Smallest eigenvalue, over the largest, of a curvature (scaled to unit diagonal) to invert."""


@dataclass(frozen=True)
class Local:
    """χ² (M,), half its gradient (M, L) and half its curvature (M, L, L) at M points."""

    chi2: Array
    gradient: Array
    curvature: Array

    def put(self, rows: NDArray, other: Local) -> None:
        """Overwrite some rows by those of another."""
        self.chi2[rows] = other.chi2
        self.gradient[rows] = other.gradient
        self.curvature[rows] = other.curvature


Evaluate = Callable[[Array, NDArray[np.intp]], Local]
"""(points (m, L), rows (m,)) -> what the problems ``rows`` are like at the points."""


@dataclass(frozen=True)
class Descent:
    """Where M descents ended.

    Parameters
    ----------
    x : (M, L) ndarray
    local : Local
        At ``x``.
    converged : (M,) bool ndarray
    at_bound : (M, L) bool ndarray
        Parameters held at a bound that the gradient pushes against.
    """

    x: Array
    local: Local
    converged: NDArray[np.bool_]
    at_bound: NDArray[np.bool_]

    def lowest_of(self, n_starts: int) -> Descent:
        """Return the lowest end of each of M problems that were begun ``n_starts`` times.

        The descents are those of the first starts of all problems, then the second ones, and so on.
        """
        n = len(self.x) // n_starts
        best = self.local.chi2.reshape(n_starts, n).argmin(axis=0) * n + np.arange(n)
        local = self.local
        kept = Local(local.chi2[best], local.gradient[best], local.curvature[best])
        return Descent(self.x[best], kept, self.converged[best], self.at_bound[best])


def descend(
    evaluate: Evaluate,
    start: Array,
    bounds: Array,
    *,
    max_iterations: int = 60,
    tolerance: float = 1e-6,
) -> Descent:
    """Minimise M independent χ² by Levenberg–Marquardt steps projected on a box.

    Parameters
    ----------
    evaluate : callable
        See `Evaluate`.
    start : (M, L) ndarray
        First points, within the bounds. Parameters should be scaled to order one.
    bounds : (L, 2) ndarray
    max_iterations : int
        Most evaluations of one problem.
    tolerance : float
        A problem is done when an undamped step is shorter than this in every parameter, or can
        lower χ² by no more than rounding.

    Returns
    -------
    Descent
    """
    x = start.copy()
    rows = np.arange(len(x))
    local = evaluate(x, rows)
    damping = np.full(len(x), 1e-3)
    converged = np.zeros(len(x), dtype=bool)
    for _ in range(max_iterations):
        if not len(rows):
            break
        move, gain = _step(x[rows], local, rows, damping[rows], bounds)
        done = _finished(move, gain, local.chi2[rows], damping[rows], tolerance)
        converged[rows[done]] = True
        rows, move = rows[~done], move[~done]
        trial = x[rows] + move
        new = evaluate(trial, rows)
        better = new.chi2 <= local.chi2[rows]
        x[rows[better]] = trial[better]
        local.put(
            rows[better], Local(new.chi2[better], new.gradient[better], new.curvature[better])
        )
        damping[rows] = np.where(better, damping[rows] * 0.1, np.maximum(damping[rows], 1e-4) * 10)
        rows = rows[damping[rows] < _MAX_DAMPING]
    return Descent(x, local, converged, _held(x, local.gradient, bounds))


def _finished(move: Array, gain: Array, chi2: Array, damping: Array, tolerance: float) -> NDArray:
    """Whether the step is short (and not for its damping), or gains nothing but rounding."""
    short = (np.abs(move).max(axis=1) < tolerance) & (damping <= 1.0)
    return short | (gain <= 1e-13 * (1 + np.abs(chi2)))


def _held(x: Array, gradient: Array, bounds: Array) -> NDArray[np.bool_]:
    low = (x <= bounds[:, 0]) & (gradient >= 0)
    return low | ((x >= bounds[:, 1]) & (gradient <= 0))


def _step(
    x: Array, local: Local, rows: NDArray, damping: Array, bounds: Array
) -> tuple[Array, Array]:
    """Return the moves (m, L), cut at the bounds, and the fall of χ² (m,) that they promise."""
    gradient, curvature = local.gradient[rows], local.curvature[rows].copy()
    fixed = _held(x, gradient, bounds)
    gradient = np.where(fixed, 0.0, gradient)
    curvature *= ~fixed[:, :, None] & ~fixed[:, None, :]
    k = np.arange(x.shape[1])
    diagonal = curvature[:, k, k]
    floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    damped = curvature.copy()
    damped[:, k, k] = diagonal * (1 + damping[:, None]) + floor + fixed
    move = -np.linalg.solve(damped, gradient[:, :, None])[:, :, 0]
    move = np.clip(x + move, bounds[:, 0], bounds[:, 1]) - x
    bend = np.einsum("mi,mij,mj->m", move, curvature, move)
    return move, np.abs(2 * np.einsum("mi,mi->m", gradient, move) + bend)


def inverse(curvature: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Invert M symmetric curvatures.

    Parameters
    ----------
    curvature : (M, L, L) ndarray

    Returns
    -------
    inverse : (M, L, L) ndarray
        NaN where the curvature is singular.
    singular : (M,) bool ndarray
    """
    k = np.arange(curvature.shape[1])
    diagonal = curvature[:, k, k]
    finite = np.isfinite(curvature).all(axis=(1, 2))
    good = np.asarray(finite & (diagonal > 0).all(axis=1))
    scale = np.sqrt(np.where(good[:, None], diagonal, 1.0))
    outer = scale[:, :, None] * scale[:, None, :]
    unit = np.where(good[:, None, None], curvature / outer, np.eye(len(k)))
    values = np.linalg.eigvalsh(unit)
    singular = ~good | (values[:, 0] < _CURVATURE * values[:, -1])
    unit[singular] = np.eye(len(k))
    found = np.linalg.inv(unit) / outer
    found[singular] = np.nan
    return found, singular
