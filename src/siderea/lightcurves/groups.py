"""Groups of light curves on a map: dense pieces, merged where their mean curves are alike.

One radius finds no groups that hold at every size of a sample: a large map breaks into strings of
similar curves, a small one runs together. So density only cuts the map into many small pieces;
what is in none goes with the curves that it is most like, and which pieces belong together is
decided by their mean curves (Ward 1963, J. Am. Stat. Assoc. 58, 236).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.neighbors import NearestNeighbors

from siderea.errors import DataError

__all__ = ["Method", "groups_of", "merged", "pieces_of", "voted"]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Method = Literal["dbscan", "hdbscan"]

NEIGHBOURS = 10
"""Of a dense point of DBSCAN, and that vote on a curve."""

REACHED = 0.5
"""Share of the points that have their tenth neighbour within DBSCAN's radius."""

SHARE = {"dbscan": 400, "hdbscan": 200}
"""One of so many points is the smallest piece, ten points at least."""

MOST = 20
"""Groups. `REACHED`, `SHARE` and this were chosen on one set of simulated binaries (Kepler and Gaia
sampling, 1,200 and 10,000 of each), and serve for all others."""


def groups_of(
    place: ArrayLike,
    features: ArrayLike,
    *,
    method: Method = "dbscan",
    smallest: int | None = None,
    most: int = MOST,
) -> tuple[Labels, Array]:
    """Find the groups of a map, the largest first.

    Parameters
    ----------
    place : (N, 2) array-like
        Of every curve on the map.
    features : (N, D) array-like
        What curves are compared by.
    method : {"dbscan", "hdbscan"}
        How dense pieces are found.
    smallest : int, optional
        Points of the smallest piece; N/400 (DBSCAN) or N/200 (HDBSCAN), and 10 at least, by
        default.
    most : int
        Groups that pieces are merged into, at most.

    Returns
    -------
    group : (N,) ndarray of int
        From 0. −1 everywhere if no part of the map is dense.
    probability : (N,) ndarray
        Share of the ten nearest curves that are of the group; NaN without groups.

    Raises
    ------
    DataError
        On an unknown method.
    """
    known = np.asarray(features, dtype=np.float64)
    piece = pieces_of(place, method=method, smallest=smallest)
    if not np.any(piece >= 0):
        return piece, np.full(len(piece), np.nan)
    group = merged(voted(piece, known)[0], known, most)
    return group, voted(group, known)[1]


def pieces_of(
    place: ArrayLike, *, method: Method = "dbscan", smallest: int | None = None
) -> Labels:
    """Cut a map into dense pieces; −1 is in none.

    Notes
    -----
    DBSCAN's radius is such that `REACHED` of the points have their tenth neighbour within it.
    HDBSCAN gives the leaves of its tree.
    """
    spots = np.asarray(place, dtype=np.float64)
    if method not in SHARE:
        raise DataError(f"method: found {method!r}; expected 'dbscan' or 'hdbscan'")
    smallest = max(10, len(spots) // SHARE[method]) if smallest is None else smallest
    if method == "hdbscan":
        tree = HDBSCAN(
            min_cluster_size=smallest, min_samples=5, cluster_selection_method="leaf", copy=True
        )
        found = tree.fit_predict(spots)
    else:
        k = min(NEIGHBOURS + 1, len(spots))
        reach = NearestNeighbors(n_neighbors=k).fit(spots).kneighbors(spots)[0][:, -1]
        found = DBSCAN(eps=float(np.quantile(reach, REACHED)), min_samples=k - 1).fit_predict(spots)
    return _by_size(np.asarray(found, dtype=np.int64), smallest)


def merged(piece: ArrayLike, features: ArrayLike, most: int) -> Labels:
    """Merge pieces until no more than ``most`` are left, those first that it costs least.

    Parameters
    ----------
    piece : (N,) array-like of int
        Negative for none.
    features : (N, D) array-like
    most : int

    Returns
    -------
    (N,) ndarray of int
        Numbered by size; negative labels stay −1.

    Notes
    -----
    The cost of a merger is by how much the sum of squares about the means grows,
    n₁ n₂/(n₁ + n₂) |m₁ − m₂|².
    """
    label, x = np.asarray(piece, dtype=np.int64), np.asarray(features, dtype=np.float64)
    names, size = np.unique(label[label >= 0], return_counts=True)
    mean = np.array([x[label == name].mean(axis=0) for name in names]).reshape(len(names), -1)
    owner, alive, weight = (
        np.arange(len(names)),
        np.ones(len(names), dtype=bool),
        size.astype(float),
    )
    while alive.sum() > max(most, 1):
        left = np.flatnonzero(alive)
        apart = ((mean[left, None] - mean[None, left]) ** 2).sum(axis=2)
        cost = apart * np.multiply.outer(weight[left], weight[left])
        cost /= np.add.outer(weight[left], weight[left])
        np.fill_diagonal(cost, np.inf)
        one, other = left[list(np.unravel_index(int(cost.argmin()), cost.shape))]
        both = weight[one] + weight[other]
        mean[one] = (weight[one] * mean[one] + weight[other] * mean[other]) / both
        weight[one], alive[other] = both, False
        owner[owner == other] = one
    new = np.full(label.shape, -1, dtype=np.int64)
    for name, own in zip(names, owner, strict=True):
        new[label == name] = own
    return _by_size(new, 1)


def voted(group: ArrayLike, features: ArrayLike) -> tuple[Labels, Array]:
    """Give curves that are in no group to the one that most of the nearest curves are in.

    Returns
    -------
    group : (N,) ndarray of int
    probability : (N,) ndarray
        Share of the nearest grouped curves (itself aside) that are of the group.
    """
    label, x = np.asarray(group, dtype=np.int64), np.asarray(features, dtype=np.float64)
    inside = np.flatnonzero(label >= 0)
    k = min(NEIGHBOURS, inside.size - 1)
    if k < 1:
        return label, np.where(label >= 0, 1.0, np.nan)
    near = NearestNeighbors(n_neighbors=k + 1).fit(x[inside]).kneighbors(x, return_distance=False)
    near = inside[near]
    # A grouped curve does not vote on itself; among equal curves it may not be its own nearest.
    own = near == np.arange(len(x))[:, None]
    own[~own.any(axis=1), -1] = True
    voters = label[near[~own].reshape(len(x), k)]
    count = (voters[:, :, None] == voters[:, None, :]).sum(axis=2)
    most = voters[np.arange(len(x)), count.argmax(axis=1)]
    new = np.where(label >= 0, label, most)
    return new, np.asarray((voters == new[:, None]).mean(axis=1))


def _by_size(label: Labels, smallest: int) -> Labels:
    """Number groups from the largest; smaller ones than ``smallest`` become −1."""
    names, counts = np.unique(label[label >= 0], return_counts=True)
    large = names[counts >= smallest]
    order = large[np.argsort(-counts[counts >= smallest], kind="stable")]
    new = np.full(label.shape, -1, dtype=np.int64)
    for number, name in enumerate(order):
        new[label == name] = number
    return new
