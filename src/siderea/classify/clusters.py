"""Islands of a map: DBSCAN or HDBSCAN of its places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.neighbors import NearestNeighbors

from siderea.errors import DataError

__all__ = ["HDBSCAN_MAX", "METHODS", "Clusters", "knee", "map_clusters"]

METHODS = ("dbscan", "hdbscan")
HDBSCAN_MAX = 50_000
"""Largest number of points that the tree of HDBSCAN is built for: its time grows as N²."""

_SHARE = 0.999
"""Part of the k-distance curve that is looked at: a few far points would set its scale."""


@dataclass(frozen=True)
class Clusters:
    """Islands of a map of N spectra.

    Parameters
    ----------
    labels : (N,) ndarray of int
        Island of each spectrum, 0 the largest; −1 between islands or not on the map.
    sizes : (C,) ndarray of int
        Spectra per island, never growing.
    method : {"dbscan", "hdbscan"}
        What found them.
    eps : float
        Radius of DBSCAN in units of the map; NaN for HDBSCAN.
    min_points : int
        Neighbours within ``eps`` of a core point (DBSCAN), smallest island (HDBSCAN).
    """

    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    method: str
    eps: float
    min_points: int


def map_clusters(
    places: ArrayLike,
    *,
    method: str = "dbscan",
    min_points: int = 20,
    eps: float | None = None,
) -> Clusters:
    """Find the islands of a map.

    Parameters
    ----------
    places : (N, 2) array-like
        Places; a row that is not finite is not on the map, and in no island.
    method : {"dbscan", "hdbscan"}
        DBSCAN takes any size; HDBSCAN finds islands of different density, up to `HDBSCAN_MAX`.
    min_points : int
        See `Clusters`; an island of DBSCAN has about as many points or more.
    eps : float, optional
        Radius of DBSCAN; by default the knee of the curve of distances to the ``min_points``-th
        neighbour (Ester et al. 1996), see `knee`.

    Returns
    -------
    Clusters
        Numbered by size.

    Raises
    ------
    DataError
        If the shape or an option is wrong, or too few points are on the map.
    """
    points = np.asarray(places, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise DataError(f"places: found shape {points.shape}; expected (N, 2)")
    if method not in METHODS:
        raise DataError(f"method: found {method!r}; expected one of {', '.join(METHODS)}")
    if min_points < 2 or (eps is not None and not eps > 0):
        raise DataError(f"min_points {min_points}, eps {eps}; expected 2 or more, above 0")
    on_map = np.isfinite(points).all(axis=1)
    n = int(on_map.sum())
    if n <= min_points:
        raise DataError(f"places: {n} on the map; expected more than min_points, {min_points}")
    if method == "hdbscan":
        if n > HDBSCAN_MAX:
            raise DataError(f"hdbscan: found {n} points; up to {HDBSCAN_MAX}, use dbscan above")
        found = HDBSCAN(min_cluster_size=min_points, copy=True).fit_predict(points[on_map])
        return _numbered(found, on_map, method, float("nan"), min_points)
    radius = _radius(points[on_map], min_points) if eps is None else float(eps)
    found = DBSCAN(eps=radius, min_samples=min_points).fit_predict(points[on_map])
    return _numbered(found, on_map, method, radius, min_points)


def knee(curve: ArrayLike) -> float:
    """Return the value at which a rising curve turns up: its point farthest below the chord.

    Parameters
    ----------
    curve : (N,) array-like
        Values in rising order.

    Returns
    -------
    float
        One of the values.

    Examples
    --------
    >>> knee([1, 1, 1, 1, 2, 9])
    2.0
    """
    values = np.asarray(curve, dtype=float)
    chord = np.linspace(values[0], values[-1], values.size)
    return float(values[np.argmax(chord - values)])


def _radius(points: NDArray, k: int) -> float:
    distance = NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[0][:, -1]
    curve = np.sort(distance)
    radius = knee(curve[: max(2, int(np.ceil(_SHARE * curve.size)))])
    if not radius > 0:  # most points coincide
        positive = curve[curve > 0]
        radius = float(positive[0]) if positive.size else 1.0
    return radius


def _numbered(
    found: NDArray, on_map: NDArray[np.bool_], method: str, eps: float, min_points: int
) -> Clusters:
    sizes = np.bincount(found[found >= 0]) if (found >= 0).any() else np.zeros(0, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(sizes.size + 1, dtype=np.int64)
    rank[order], rank[-1] = np.arange(sizes.size), -1  # found is -1 for noise: the last entry
    labels = np.full(on_map.size, -1, dtype=np.int64)
    labels[on_map] = rank[found]
    return Clusters(labels, sizes[order].astype(np.int64), method, eps, min_points)
