"""Isomap, LLE, spectral embedding, metric scaling, Sammon's mapping and UMAP, behind one interface.

The first five cannot take a whole survey: they map landmarks drawn from it, and every other
spectrum is placed among its nearest landmarks. UMAP takes all.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.manifold import Isomap, LocallyLinearEmbedding, SpectralEmbedding
from sklearn.utils.validation import check_is_fitted

from siderea.embeddings.neighbours import FaissIndex, finite_rows
from siderea.embeddings.stress import distance_map
from siderea.errors import DataError

__all__ = ["LANDMARKS", "ManifoldMap", "barycentric_weights"]

LANDMARKS = {"isomap": 5_000, "lle": 5_000, "spectral": 10_000, "mds": 2_000, "sammon": 2_000}
"""Landmarks by default: what takes about a minute at most, and a GB."""

_METHODS = (*LANDMARKS, "umap")

_SMALLEST = 4

_RIDGE = 1e-3
"""Regularisation of the weights, relative to the trace; scikit-learn's for LLE."""


class ManifoldMap(TransformerMixin, BaseEstimator):
    """A two-dimensional map by one of the classical methods, with a place for every new spectrum.

    Parameters
    ----------
    method : {"isomap", "lle", "spectral", "mds", "sammon", "umap"}
        Isomap (Tenenbaum et al. 2000), locally linear embedding (Roweis & Saul 2000), spectral
        embedding (Belkin & Niyogi 2003), metric scaling, Sammon's mapping (1969), UMAP (McInnes
        et al. 2018; needs the extra ``umap``).
    n_neighbors : int
        Neighbours of the graph, and those a new point is placed among.
    n_landmarks : int, optional
        Largest sample that is mapped as a whole; see `LANDMARKS`. UMAP has none.
    random_state : int
        Seed.

    Attributes
    ----------
    embedding_ : (N, 2) ndarray
        The map, in the order of the input, its bounding box centred on the origin.
    landmarks_ : (L,) ndarray of int
        Rows that the method mapped; all of them where N is small enough.
    is_extended_ : bool
        Whether some rows are not landmarks but placed among these.
    n_features_in_ : int
        Columns D.

    Notes
    -----
    A point that is no landmark lies at Σ_j w_j y_j over its nearest landmarks, with Σ w = 1 and the
    weights that reconstruct it best from these (Saul & Roweis 2003, J. Mach. Learn. Res. 4, 119).
    UMAP places new points by its own descent.
    """

    def __init__(
        self,
        method: str = "isomap",
        *,
        n_neighbors: int = 15,
        n_landmarks: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.n_neighbors = n_neighbors
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Make the map.

        Parameters
        ----------
        X : (N, D) array-like
            Points.
        y : None
            Ignored; scikit-learn's convention.

        Returns
        -------
        ManifoldMap
            Itself.

        Raises
        ------
        DataError
            On fewer than 4 points, values that are not finite, parameters out of range, or UMAP
            where umap-learn is not installed.
        """
        points = self._adopt(X)
        n = len(points)
        most = n if self.method == "umap" else self.n_landmarks or LANDMARKS[self.method]
        rng = np.random.default_rng(self.random_state)
        rows = np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))
        k = min(self.n_neighbors, len(rows) - 1)
        places = self._map(points[rows], k)
        places = places - (places.max(axis=0) + places.min(axis=0)) / 2
        self.landmarks_, self.is_extended_ = rows, len(rows) < n
        self._index = FaissIndex(points[rows], k, random_state=self.random_state)
        self._places = places
        self.embedding_ = self._extend(points) if self.is_extended_ else places
        self.embedding_[rows] = places
        return self

    def fit_transform(self, X: ArrayLike, y: Any = None) -> NDArray[np.float64]:
        """Make the map, and return the places (N, 2) of the points on it; see `fit`."""
        return self.fit(X).embedding_.copy()

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Place new points on the map, which stays as it is.

        Parameters
        ----------
        X : (M, D) array-like
            New points.

        Returns
        -------
        (M, 2) ndarray

        Raises
        ------
        DataError
            On other columns than those of the fit, or values that are not finite.
        """
        check_is_fitted(self)
        points = finite_rows(X)
        if points.shape[1] != self.n_features_in_:
            raise DataError(f"X: found {points.shape[1]} columns; expected {self.n_features_in_}")
        if len(points) == 0:
            return np.zeros((0, 2))
        if self.method == "umap":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return np.asarray(self._umap.transform(points), dtype=float) - self._middle
        return self._extend(points)

    def _adopt(self, X: ArrayLike) -> NDArray[np.float32]:
        if self.method not in _METHODS:
            raise DataError(f"method: found {self.method!r}; expected one of {', '.join(_METHODS)}")
        few = self.n_landmarks is not None and self.n_landmarks < _SMALLEST
        if self.n_neighbors < 2 or few:
            raise DataError(
                f"n_neighbors {self.n_neighbors}, n_landmarks {self.n_landmarks}; expected at "
                f"least 2 and {_SMALLEST}"
            )
        points = finite_rows(X)
        if len(points) < _SMALLEST:
            raise DataError(f"X: found {len(points)} rows; a map needs at least {_SMALLEST}")
        self.n_features_in_ = points.shape[1]
        return points

    def _map(self, points: NDArray[np.float32], k: int) -> NDArray[np.float64]:
        if not np.ptp(points, axis=0).any():  # all points are one
            return np.zeros((len(points), 2))
        if self.method in ("mds", "sammon"):
            return distance_map(points, weighting=self.method, random_state=self.random_state)[0]
        with warnings.catch_warnings():
            # Islands are what we look for: a graph in several pieces is no cause for alarm.
            warnings.simplefilter("ignore")
            if self.method == "umap":
                return self._by_umap(points, k)
            return np.asarray(self._engine(k, len(points)).fit_transform(points), dtype=float)

    def _engine(self, k: int, n: int) -> Any:
        if self.method == "isomap":
            return Isomap(n_neighbors=k)
        if self.method == "lle":
            solver = "dense" if n <= 500 else "arpack"
            return LocallyLinearEmbedding(
                n_neighbors=k, eigen_solver=solver, random_state=self.random_state
            )
        return SpectralEmbedding(n_neighbors=k, random_state=self.random_state)

    def _by_umap(self, points: NDArray[np.float32], k: int) -> NDArray[np.float64]:
        try:
            from umap import UMAP
        except ImportError as error:
            raise DataError(
                "method 'umap' needs umap-learn: pip install 'siderea[umap]'"
            ) from error
        self._umap = UMAP(n_neighbors=max(k, 2), random_state=self.random_state, n_jobs=1)
        places = np.asarray(self._umap.fit_transform(points), dtype=float)
        self._middle = (places.max(axis=0) + places.min(axis=0)) / 2
        return places

    def _extend(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Place points among their nearest landmarks."""
        k = min(self.n_neighbors, len(self._places))
        found = self._index.query(points, k).indices
        out = np.empty((len(points), 2))
        step = max(1, 2**22 // (k * points.shape[1]))
        for start in range(0, len(points), step):
            part = slice(start, start + step)
            weights = barycentric_weights(points[part], self._index.points(found[part]))
            out[part] = np.einsum("nk,nkd->nd", weights, self._places[found[part]])
        return out


def barycentric_weights(points: NDArray, neighbours: NDArray) -> NDArray[np.float64]:
    """Return the weights, of sum 1, that reconstruct points best from their neighbours.

    Parameters
    ----------
    points : (N, D) ndarray
    neighbours : (N, k, D) ndarray

    Returns
    -------
    (N, k) ndarray

    Examples
    --------
    >>> barycentric_weights(np.array([[1.0]]), np.array([[[0.0], [4.0]]])).round(2).tolist()
    [[0.75, 0.25]]
    """
    offset = neighbours.astype(np.float64) - points[:, None].astype(np.float64)
    gram = np.einsum("nkd,nld->nkl", offset, offset)
    k = gram.shape[1]
    trace = np.einsum("nkk->n", gram)
    ridge = np.where(trace > 0, _RIDGE * trace, 1.0)
    gram[:, np.arange(k), np.arange(k)] += ridge[:, None]
    weights = np.linalg.solve(gram, np.ones((len(points), k, 1)))[..., 0]
    return weights / weights.sum(axis=1, keepdims=True)
