"""Nearest neighbours in Euclidean distance, on faiss: exact for small sets, inverted lists above.

The approximate search is not trusted but measured: the number of lists visited is raised until the
recall on a sample of the points, against exact neighbours, reaches what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import faiss
import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from openTSNE.nearest_neighbors import KNNIndex

from siderea.errors import DataError

__all__ = ["EXACT_MAX", "FaissIndex", "Neighbours", "finite_rows", "kneighbours"]

EXACT_MAX = 50_000
"""Largest N that is searched exactly by default (cost grows as N²)."""

_SAMPLE = 500
"""Points on which the recall of the approximate search is measured."""

_GATHER_VALUES = 2**23
"""Values gathered at once when distances are computed anew."""


class Neighbours(NamedTuple):
    """Neighbours of M points, nearest first (ties by index).

    Attributes
    ----------
    indices : (M, k) ndarray of int64
        Rows of the reference points.
    distances : (M, k) ndarray of float32
        Euclidean distances.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]


def finite_rows(X: ArrayLike, *, name: str = "X") -> NDArray[np.float32]:
    """Return a table of points as float32 rows, or say what is wrong with it.

    Parameters
    ----------
    X : (N, D) array-like
        Points.
    name : str
        What the error calls them.

    Returns
    -------
    (N, D) ndarray of float32
        The same, C-contiguous.

    Raises
    ------
    DataError
        If the shape is not (N, D) with D > 0, or values are NaN or infinite.
    """
    points = np.ascontiguousarray(X, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] == 0:
        raise DataError(f"{name}: found shape {points.shape}; expected (N, D) with D > 0")
    broken = np.count_nonzero(~np.isfinite(points).all(axis=1))
    if broken:
        raise DataError(
            f"{name}: {broken} of {len(points)} rows hold NaN or infinite values; "
            "leave those rows out or fill them first"
        )
    return points


class FaissIndex(KNNIndex):
    """An index of N points that openTSNE can use, and that finds neighbours of new points.

    Parameters
    ----------
    data : (N, D) array-like
        Points.
    k : int
        Neighbours per point that `build` returns.
    exact : bool, optional
        Search all pairs; by default up to `EXACT_MAX` points.
    recall : float
        Recall that an approximate search must reach on a sample.
    n_jobs : int
        Threads; -1 is all processors.
    random_state : int
        Seed of the lists and of the sample.

    Attributes
    ----------
    recall_ : float
        Recall measured on the sample (1 for an exact search); set by the first search.

    Raises
    ------
    DataError
        If ``data`` is not finite or ``k`` is not between 1 and N − 1.
    """

    VALID_METRICS = ("euclidean",)

    def __init__(
        self,
        data: ArrayLike,
        k: int,
        *,
        exact: bool | None = None,
        recall: float = 0.98,
        n_jobs: int = -1,
        random_state: int = 0,
    ) -> None:
        points = finite_rows(data)
        if not 1 <= k < len(points):
            raise DataError(f"k: found {k}; expected 1 to {len(points) - 1} for {len(points)} rows")
        # faiss expands |x - y|² in single precision: a common offset would drown the differences.
        self._centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        super().__init__(
            points - self._centre,
            k,
            n_jobs=effective_n_jobs(n_jobs),
            random_state=random_state,
        )
        self.exact = len(points) <= EXACT_MAX if exact is None else exact
        self.target_recall = recall
        self.index: Any = None
        self.recall_ = 1.0

    def build(self) -> Neighbours:
        """Return the k nearest neighbours of each of the N points, itself excluded."""
        indices = self._search(self.data, self.k + 1)
        own = indices == np.arange(len(indices))[:, None]
        # Among more than k duplicates of a point, the point itself need not be listed.
        own[~own.any(axis=1), -1] = True
        return self._sorted(self.data, indices[~own].reshape(-1, self.k))

    def query(self, query: ArrayLike, k: int) -> Neighbours:
        """Return the k nearest of the N points to each row of ``query`` (M, D)."""
        points = finite_rows(query, name="query")
        if points.shape[1] != self.data.shape[1] or not 1 <= k <= self.n_samples:
            raise DataError(
                f"query: found {points.shape[1]} columns and k={k}; expected "
                f"{self.data.shape[1]} columns and k from 1 to {self.n_samples}"
            )
        points = points - self._centre
        return self._sorted(points, self._search(points, k))

    def points(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the indexed points (..., D) of some rows (...)."""
        return self.data[indices] + self._centre

    def _search(self, points: NDArray, k: int) -> NDArray[np.int64]:
        with _threads(self.n_jobs):
            if self.exact:
                return self._exact(points, k)
            if self.index is None:
                self.index = self._lists()
            indices = self.index.search(points, k)[1]
            # Fewer than k points lay in the lists that were visited.
            short = np.flatnonzero((indices < 0).any(axis=1))
            if short.size:
                indices[short] = self._exact(points[short], k)
            return indices

    def _exact(self, points: NDArray, k: int) -> NDArray[np.int64]:
        return faiss.knn(points, self.data, k)[1]

    def _lists(self) -> Any:
        """Build inverted lists, and visit as many as the recall that is asked for takes."""
        n, d = self.data.shape
        n_lists = max(1, min(int(4 * n**0.5), n // 39))  # faiss wants 39 points per list or more
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, n_lists)
        index.cp.seed = self.random_state
        index.cp.max_points_per_centroid = 64
        index.train(self.data)
        index.add(self.data)
        rng = np.random.default_rng(self.random_state)
        sample = self.data[rng.choice(n, min(_SAMPLE, n), replace=False)]
        truth = self._exact(sample, self.k + 1)
        index.nprobe = min(4, n_lists)
        while True:
            self.recall_ = _recall(truth, index.search(sample, self.k + 1)[1])
            if self.recall_ >= self.target_recall or index.nprobe >= n_lists:
                return index
            index.nprobe = min(2 * index.nprobe, n_lists)

    def _sorted(self, points: NDArray, indices: NDArray[np.int64]) -> Neighbours:
        """Compute the distances anew, free of cancellation, and sort by them."""
        distances = np.empty(indices.shape, np.float32)
        rows = max(1, _GATHER_VALUES // (indices.shape[1] * points.shape[1]))
        for start in range(0, len(points), rows):
            part = slice(start, start + rows)
            offset = self.data[indices[part]] - points[part, None]
            distances[part] = np.sqrt(np.einsum("nkd,nkd->nk", offset, offset))
            order = np.lexsort((indices[part], distances[part]), axis=-1)
            distances[part] = np.take_along_axis(distances[part], order, axis=1)
            indices[part] = np.take_along_axis(indices[part], order, axis=1)
        return Neighbours(indices, distances)


def kneighbours(
    X: ArrayLike,
    k: int,
    *,
    exact: bool | None = None,
    n_jobs: int = -1,
    random_state: int = 0,
) -> Neighbours:
    """Return the k nearest neighbours of every point among the others.

    Parameters
    ----------
    X : (N, D) array-like
        Points.
    k : int
        Neighbours per point, 1 to N − 1.
    exact : bool, optional
        Search all pairs; by default up to `EXACT_MAX` points.
    n_jobs : int
        Threads; -1 is all processors.
    random_state : int
        Seed of the approximate search.

    Returns
    -------
    Neighbours
        Indices and distances, (N, k) each, nearest first.

    Raises
    ------
    DataError
        If ``X`` is not a finite (N, D) table or ``k`` does not fit.

    Examples
    --------
    >>> kneighbours([[0.0], [1.0], [3.0]], 1).indices.ravel().tolist()
    [1, 0, 1]
    """
    return FaissIndex(X, k, exact=exact, n_jobs=n_jobs, random_state=random_state).build()


def _recall(truth: NDArray, found: NDArray) -> float:
    """Return the share of the true neighbours (M, k) that were found."""
    hits = [np.intersect1d(a, b).size for a, b in zip(truth, found, strict=True)]
    return float(np.sum(hits) / truth.size)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Let faiss use n threads, and give it back the number it had."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
