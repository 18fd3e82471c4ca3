"""How much of the neighbourhoods a map keeps.

Trustworthiness and continuity follow Venna & Kaski (2001, ICANN, LNCS 2130, 485); both are 1 where
the k nearest neighbours are kept, and lose by the rank of each intruder or absentee.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.embeddings.neighbours import FaissIndex, finite_rows
from siderea.errors import DataError

__all__ = ["continuity", "neighbour_recall", "trustworthiness"]


def trustworthiness(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 15,
    n_sample: int | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Tell whether neighbours on the map are neighbours in truth.

    T(k) = 1 − 2 / (n k (2N − 3k − 1)) Σᵢ Σ_{j ∈ Y_k(i)} max(0, r(i, j) − k), where r is the rank
    of j among the neighbours of i in ``X``.

    Parameters
    ----------
    X : (N, D) array-like
        The points.
    Y : (N, 2) array-like
        Their places on the map.
    k : int
        Neighbours; below N/2.
    n_sample : int, optional
        Sum over that many points drawn at random (ranked among all N); over all by default.
    rng : numpy.random.Generator, optional
        Draws the sample; seeded with 0 by default.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    DataError
        If the tables do not fit together, are not finite, or ``k`` is not below N/2.
    """
    truth, places = _pair(X, Y, k)
    rows = _sample(len(truth), n_sample, rng)
    near = _neighbours(places, rows, k)
    excess = sum(
        np.maximum(_ranks(truth, row, others) - k, 0).sum()
        for row, others in zip(rows, near, strict=True)
    )
    n = len(truth)
    return float(1.0 - 2.0 * excess / (len(rows) * k * (2 * n - 3 * k - 1)))


def continuity(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 15,
    n_sample: int | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Tell whether true neighbours are still neighbours on the map.

    The parameters and the result are those of `trustworthiness`, with the two spaces exchanged.
    """
    return trustworthiness(Y, X, k=k, n_sample=n_sample, rng=rng)


def neighbour_recall(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 15,
    n_sample: int | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the share of the k nearest neighbours in ``X`` that are among the k nearest in ``Y``.

    Parameters
    ----------
    X, Y : (N, D) and (N, 2) array-like
        The points and their places.
    k : int
        Neighbours.
    n_sample : int, optional
        Average over that many points drawn at random; over all by default.
    rng : numpy.random.Generator, optional
        Draws the sample; seeded with 0 by default.

    Returns
    -------
    float
        Between 0 and 1; about k/N for a random map. Neighbours are exact.

    Raises
    ------
    DataError
        As `trustworthiness`.
    """
    truth, places = _pair(X, Y, k)
    rows = _sample(len(truth), n_sample, rng)
    pairs = zip(_neighbours(truth, rows, k), _neighbours(places, rows, k), strict=True)
    return float(np.mean([np.intersect1d(a, b).size for a, b in pairs]) / k)


def _pair(X: ArrayLike, Y: ArrayLike, k: int) -> tuple[NDArray, NDArray]:
    points, places = finite_rows(X), finite_rows(Y, name="Y")
    if len(points) != len(places):
        raise DataError(f"X has {len(points)} rows, Y {len(places)}; expected as many")
    if not 1 <= k < len(points) / 2:
        raise DataError(f"k: found {k}; expected 1 to below half of the {len(points)} points")
    return points, places


def _sample(n: int, size: int | None, rng: np.random.Generator | None) -> NDArray[np.int64]:
    if size is None or size >= n:
        return np.arange(n)
    rng = np.random.default_rng(0) if rng is None else rng
    return np.sort(rng.choice(n, size, replace=False))


def _neighbours(points: NDArray, rows: NDArray, k: int) -> NDArray[np.int64]:
    """Return the exact k nearest neighbours (M, k) of some rows among all, without themselves."""
    indices = FaissIndex(points, k, exact=True).query(points[rows], k + 1).indices
    own = indices == rows[:, None]
    own[~own.any(axis=1), -1] = True
    return indices[~own].reshape(-1, k)


def _ranks(points: NDArray, row: int, others: NDArray) -> NDArray[np.int64]:
    """Return the ranks of other rows among the neighbours of one (the nearest is 1)."""
    offset = points - points[row]
    distance = np.einsum("nd,nd->n", offset, offset)
    nearer = np.searchsorted(np.sort(np.delete(distance, row)), distance[others])
    return nearer + 1
