"""Spectra unlike everything that was labelled: distances judged by those among the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

__all__ = ["Novelty"]

_CHUNK = 20_000


@dataclass(frozen=True)
class Novelty:
    """How unusual a point is for the class that it was given, as a conformal p value.

    The measure is the mean distance to the nearest k labelled points of a class, in units of its
    median among the labelled points of that class themselves (each left out in turn). The p value
    is the share of labelled points with a measure as large (Vovk et al. 2005): of points like the
    labelled ones a share of at most about p has one below p.

    Parameters
    ----------
    points : tuple of (n_c, K) ndarray
        Labelled points of each class.
    scales : (C,) ndarray
        Median measure of each class.
    measures : (n,) ndarray
        Measures of all labelled points, sorted.
    k : int
        Neighbours.
    """

    points: tuple[NDArray, ...]
    scales: NDArray[np.float64]
    measures: NDArray[np.float64]
    k: int

    @classmethod
    def fit(cls, features: NDArray, codes: NDArray[np.int64], *, k: int = 3) -> Novelty:
        """Learn from labelled points.

        Parameters
        ----------
        features : (n, K) ndarray
            Labelled points.
        codes : (n,) ndarray of int
            Class of each, 0 to C − 1; each class with at least two points.
        k : int
            Neighbours; fewer where a class is smaller.
        """
        groups = tuple(features[codes == c] for c in range(int(codes.max()) + 1))
        scales, measures = np.empty(len(groups)), []
        for number, group in enumerate(groups):
            own = _mean_distance(group, group, min(k, len(group) - 1), itself=True)
            scales[number] = max(float(np.median(own)), np.finfo(float).tiny)
            measures.append(own / scales[number])
        return cls(groups, scales, np.sort(np.concatenate(measures)), k)

    def p_value(self, features: NDArray, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the p value (N,) of points, each as a member of the class it was given.

        Parameters
        ----------
        features : (N, K) ndarray
            Points.
        codes : (N,) ndarray of int
            Class given to each.
        """
        measure = np.zeros(len(features))
        for number, group in enumerate(self.points):
            rows = np.flatnonzero(codes == number)
            for piece in np.array_split(rows, max(1, -(-rows.size // _CHUNK))):
                if piece.size:
                    found = _mean_distance(features[piece], group, min(self.k, len(group) - 1))
                    measure[piece] = found / self.scales[number]
        above = self.measures.size - np.searchsorted(self.measures, measure, side="left")
        return np.asarray((1.0 + above) / (1.0 + self.measures.size), dtype=np.float64)


def _mean_distance(
    points: NDArray, among: NDArray, k: int, *, itself: bool = False
) -> NDArray[np.float64]:
    """Return the mean distance to the k nearest; without the point itself if it is among them."""
    search = NearestNeighbors(n_neighbors=max(k, 1)).fit(among)
    distance = search.kneighbors(None if itself else points)[0]
    return np.einsum("nk->n", distance).astype(np.float64) / distance.shape[1]
