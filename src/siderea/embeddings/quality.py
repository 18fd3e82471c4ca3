"""How much of the neighbourhoods a map keeps.

Trustworthiness and continuity follow Venna & Kaski (2001, ICANN, LNCS 2130, 485); both are 1 where
the k nearest neighbours are kept, and lose by the rank of each intruder or absentee.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from siderea.embeddings.neighbours import FaissIndex, finite_rows
from siderea.errors import DataError

__all__ = [
    "class_purity",
    "continuity",
    "neighbour_recall",
    "neighbours_vote",
    "shepard_correlation",
    "trustworthiness",
]


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


def class_purity(
    Y: ArrayLike,
    classes: ArrayLike,
    *,
    k: int = 15,
    n_sample: int | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the share of the k nearest neighbours on a map that are of a point's own class.

    Parameters
    ----------
    Y : (N, D) array-like
        Places.
    classes : (N,) array-like
        Class of each point.
    k, n_sample, rng
        As `neighbour_recall`.

    Returns
    -------
    float
        The mean over classes of the mean over their points, so that the rare ones count as much.

    Raises
    ------
    DataError
        As `trustworthiness`.
    """
    known = np.asarray(classes)
    places, _ = _pair(Y, np.zeros((len(known), 1)), k)
    rows = _sample(len(places), n_sample, rng)
    own = (known[_neighbours(places, rows, k)] == known[rows, None]).mean(axis=1)
    return float(np.mean([own[known[rows] == one].mean() for one in np.unique(known[rows])]))


def neighbours_vote(Y: ArrayLike, classes: ArrayLike, *, k: int = 10) -> NDArray:
    """Return the class that most of the k nearest others have (leave-one-out).

    Parameters
    ----------
    Y : (N, D) array-like
        Places, or features.
    classes : (N,) array-like
        Class of each point.
    k : int
        Neighbours that vote; a tie goes to the class first in order, as in scikit-learn.

    Returns
    -------
    (N,) ndarray
        Of the values of ``classes``.

    Raises
    ------
    DataError
        As `trustworthiness`.
    """
    names, known = np.unique(np.asarray(classes), return_inverse=True)
    places, _ = _pair(Y, np.zeros((len(known), 1)), k)
    votes = known[_neighbours(places, np.arange(len(places)), k)]
    counts = (votes[:, :, None] == np.arange(len(names))).sum(axis=1)
    return names[counts.argmax(axis=1)]


def shepard_correlation(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    n_pairs: int = 100_000,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the rank correlation of distances in truth and on the map, over random pairs.

    Parameters
    ----------
    X, Y : (N, D) and (N, 2) array-like
        The points and their places.
    n_pairs : int
        Pairs drawn.
    rng : numpy.random.Generator, optional
        Draws them; seeded with 0 by default.

    Returns
    -------
    float
        Spearman's ρ: 1 where the order of all distances is kept; NaN where they are all equal.

    Raises
    ------
    DataError
        If the tables do not fit together or are not finite.
    """
    truth, places = _pair(X, Y, 1)
    rng = np.random.default_rng(0) if rng is None else rng
    first = rng.integers(len(truth), size=n_pairs)
    second = (first + rng.integers(1, len(truth), size=n_pairs)) % len(truth)
    apart = [np.linalg.norm(table[first] - table[second], axis=1) for table in (truth, places)]
    if not all(np.ptp(distances) > 0 for distances in apart):
        return float("nan")
    return float(spearmanr(*apart).statistic)


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
