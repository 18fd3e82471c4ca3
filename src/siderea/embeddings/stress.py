"""Maps that keep distances: metric multidimensional scaling and Sammon's mapping.

Both minimise E(Y) = Σ_{i<j} w_ij (δ_ij − |y_i − y_j|)² / Σ_{i<j} w_ij δ_ij², δ being the distances
of the points, with w = 1 (metric scaling; E is then the square of Kruskal's normalised stress) or
w = 1/δ, where E is Sammon's (1969, IEEE Trans. Comput. C-18, 401).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from siderea.embeddings.neighbours import finite_rows
from siderea.errors import DataError

__all__ = ["distance_map", "stress"]

_SHORTEST = 1e-3
"""Distances below this share of their mean weigh as this one: those of duplicates are zero."""


def distance_map(
    X: ArrayLike, *, weighting: str, n_iter: int = 200, random_state: int = 0
) -> tuple[NDArray[np.float64], float]:
    """Map points so that their distances are kept.

    Starts from the two principal components and descends by L-BFGS. Time and memory grow as N²:
    32 MB per table at 2,000 points, of which there are about four.

    Parameters
    ----------
    X : (N, D) array-like
        Points, no more than a few thousand.
    weighting : {"mds", "sammon"}
        w = 1, or 1/δ.
    n_iter : int
        Iterations at most.
    random_state : int
        Seed of the jitter that keeps equal points from staying stuck.

    Returns
    -------
    places : (N, 2) ndarray
        The map.
    stress : float
        E.

    Raises
    ------
    DataError
        On points that are not finite, or another weighting.
    """
    points = finite_rows(X).astype(np.float64)
    distances = _distances(points)
    weights = _weights(distances, weighting)
    total = float((weights * distances**2).sum())
    centred = points - points.mean(axis=0)
    spread = float(np.sqrt((centred**2).sum(axis=1).mean()))
    if not total > 0:
        return np.zeros((len(points), 2)), 0.0
    start = np.zeros((len(points), 2))
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    start[:, : len(axes)] = centred @ axes.T
    start += np.random.default_rng(random_state).normal(0, 1e-3 * spread, start.shape)
    found = minimize(
        _value_and_gradient,
        start.ravel(),
        args=(distances, weights, total),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": n_iter},
    )
    return found.x.reshape(-1, 2), float(found.fun)


def stress(X: ArrayLike, Y: ArrayLike, *, weighting: str = "mds") -> float:
    """Return E of a map ``Y`` (N, 2) of points ``X`` (N, D); see the module."""
    distances = _distances(finite_rows(X).astype(np.float64))
    weights = _weights(distances, weighting)
    places = finite_rows(Y, name="Y").astype(np.float64)
    total = max(float((weights * distances**2).sum()), 1e-300)
    return float(_value_and_gradient(places.ravel(), distances, weights, total)[0])


def _distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = points - points.mean(axis=0)
    squares = np.einsum("nd,nd->n", centred, centred)
    squared = squares[:, None] + squares - 2.0 * centred @ centred.T
    np.fill_diagonal(squared, 0.0)
    return np.sqrt(np.maximum(squared, 0.0))


def _weights(distances: NDArray[np.float64], weighting: str) -> NDArray[np.float64]:
    if weighting == "mds":
        weights = np.ones_like(distances)
    elif weighting == "sammon":
        shortest = max(_SHORTEST * float(distances.mean()), 1e-300)
        weights = 1.0 / np.maximum(distances, shortest)
    else:
        raise DataError(f"weighting: found {weighting!r}; expected 'mds' or 'sammon'")
    np.fill_diagonal(weights, 0.0)
    return weights


def _value_and_gradient(
    flat: NDArray[np.float64], distances: NDArray, weights: NDArray, total: float
) -> tuple[float, NDArray[np.float64]]:
    places = flat.reshape(-1, 2)
    apart = _distances(places)
    lacking = weights * (apart - distances)
    value = float((lacking * (apart - distances)).sum()) / total
    # Of two points in one place the direction is not known: they do not push.
    pull = np.divide(lacking, apart, out=np.zeros_like(apart), where=apart > 0)
    gradient = 4.0 * (pull.sum(axis=1)[:, None] * places - pull @ places) / total
    return value, gradient.ravel()
