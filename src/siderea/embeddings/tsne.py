"""The t-SNE map of a sample, and the places of new spectra on it.

t-SNE (van der Maaten & Hinton 2008, J. Mach. Learn. Res. 9, 2579) as computed by openTSNE (Poličar,
Stražar & Zupan 2024, J. Stat. Softw. 109, 1), with three things of our own: neighbours from faiss,
points reordered so that neighbours lie near each other in memory, and new points that meet a frozen
map, each for itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from openTSNE import TSNEEmbedding
from openTSNE.quad_tree import QuadTree
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from siderea.embeddings.affinities import (
    KnownAffinities,
    affinities_to,
    gradient_against,
    ordered_affinities,
)
from siderea.embeddings.neighbours import FaissIndex, finite_rows
from siderea.errors import DataError

__all__ = ["Progress", "TSNEMap"]

Progress = Callable[[int, float], object]
"""Called with (iteration, Kullback-Leibler divergence) as a map is made."""

_SMALLEST = 4
"""Fewer points than this have no neighbourhood to preserve."""

_STEP = 50
"""Iterations between two looks at the divergence."""

_EARLY_ITERATIONS = 250
"""Iterations with exaggerated attraction, as in openTSNE."""

_START_STD = 1e-4
"""Spread of the starting positions along the first axis, as in openTSNE."""

_AUTO_MIN, _AUTO_MAX, _AUTO_GAIN = 500, 3000, 2e-3
"""``n_iter=None``: at least, at most, and the relative gain in a step below which it ends."""

_TREE_MAX, _TREE_MAX_EARLY = 50_000, 10_000
"""Largest N whose repulsion is summed over a tree; above, it is interpolated on a grid, which costs
less per point but more per area of the map, so it is best early, when the map is small. At
N = 20,000 the tree took 0.14 CPU s per iteration all along, the grid from 0.04 early to 0.23 after
1,000 iterations, and the tree led to the lower divergence then (2.27 against 2.32)."""

_SERIAL_MAX = 5_000
"""Up to this many points the gradient is summed by one thread: iterations are so short that threads
wait for each other, and on a busy machine 3,000 points took three times as long on two."""

_PLACED_PERPLEXITY = 5
"""Perplexity of a new point against the map, as in openTSNE's transform."""


class TSNEMap(TransformerMixin, BaseEstimator):
    """A two-dimensional t-SNE map that new spectra can be placed on.

    Parameters
    ----------
    perplexity : float
        Effective number of neighbours; lowered, with a warning, to (N − 1)/3 for small samples.
    passes : int
        Only 1: the whole sample at once.
    early_exaggeration : float
        Attraction is multiplied by this during the first 250 iterations.
    n_iter : int, optional
        Iterations after those. By default the descent ends when the divergence falls by less than
        0.2 % in 50 iterations, after 500 to 3,000 of them.
    random_state : int
        Seed; the same seed and ``n_jobs`` give the same map.
    n_jobs : int
        Threads; -1 is all processors.

    Attributes
    ----------
    embedding_ : (N, 2) ndarray
        The map, in the order of the input, its bounding box centred on the origin.
    kl_divergence_ : float
        Kullback-Leibler divergence of the map from the neighbourhoods.
    n_iter_ : int
        Iterations made, the early ones included.
    perplexity_ : float
        Perplexity that was used.
    n_features_in_ : int
        Columns D of the input.

    Notes
    -----
    The learning rate is N / exaggeration in either phase (Belkina et al. 2019, Nat. Commun. 10,
    5415), the start is the first two principal components. Distances on the map mean little beyond
    the nearest neighbours.
    """

    def __init__(
        self,
        perplexity: float = 30,
        passes: int = 1,
        *,
        early_exaggeration: float = 12,
        n_iter: int | None = None,
        random_state: int = 0,
        n_jobs: int = -1,
    ) -> None:
        self.perplexity = perplexity
        self.passes = passes
        self.early_exaggeration = early_exaggeration
        self.n_iter = n_iter
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: Any = None, *, callback: Progress | None = None) -> Self:
        """Make the map.

        Parameters
        ----------
        X : (N, D) array-like
            Points: scores, latent coordinates or spectra without gaps.
        y : None
            Ignored; scikit-learn's convention.
        callback : callable, optional
            Called with (iteration, divergence) every 50 iterations; what it returns is ignored.

        Returns
        -------
        TSNEMap
            Itself.

        Raises
        ------
        DataError
            On fewer than 4 points, values that are not finite, or parameters out of range.
        """
        points = self._adopt(X)
        perplexity = self._affordable_perplexity(len(points))
        k = min(len(points) - 1, int(3 * perplexity))
        self._index = self._new_index(points, k)
        order, P = ordered_affinities(
            self._index.build(), perplexity, threads=self._threads_for(len(points))
        )
        start = _start(points, self.random_state)[order]
        layout = TSNEEmbedding(
            start,
            KnownAffinities(P),
            n_jobs=self._threads_for(len(points)),
        )
        self.n_iter_ = self._descend(layout, callback)
        embedding = np.empty(layout.shape)
        embedding[order] = np.asarray(layout)
        self.embedding_ = _centred(embedding)
        self.kl_divergence_ = float(layout.kl_divergence)
        self.perplexity_ = float(perplexity)
        return self

    def fit_transform(
        self, X: ArrayLike, y: Any = None, *, callback: Progress | None = None
    ) -> NDArray[np.float64]:
        """Make the map, and return the places (N, 2) of the points on it; see `fit`."""
        return self.fit(X, callback=callback).embedding_.copy()

    def from_map(self, X: ArrayLike, embedding: ArrayLike) -> Self:
        """Take up a map that was made and stored before, so that `transform` works on it.

        Parameters
        ----------
        X : (N, D) array-like
            The points that the map was made of.
        embedding : (N, 2) array-like
            Their places on it.

        Returns
        -------
        TSNEMap
            Itself. ``kl_divergence_`` and ``n_iter_`` are not known to it.

        Raises
        ------
        DataError
            If the two do not belong together, or are not finite.
        """
        points = self._adopt(X)
        places = np.asarray(embedding, dtype=np.float64)
        if places.shape != (len(points), 2) or not np.isfinite(places).all():
            raise DataError(f"embedding: found {places.shape}; expected finite ({len(points)}, 2)")
        self._index = self._new_index(points, 1)
        self.embedding_ = places
        return self

    def transform(self, X: ArrayLike, *, n_iter: int = 250) -> NDArray[np.float64]:
        """Place new points on the map, which stays as it is.

        Each starts at the median place of its 15 nearest points and then moves by t-SNE's own
        gradient against the map, not against the other new ones: the place of a point does not
        depend on which others it comes with.

        Parameters
        ----------
        X : (M, D) array-like
            New points, in the same D columns.
        n_iter : int
            Iterations.

        Returns
        -------
        (M, 2) ndarray
            Places in the frame of ``embedding_``.

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
        k = min(len(self.embedding_), 3 * _PLACED_PERPLEXITY)
        found = self._index.query(points, k)
        n = len(self.embedding_)
        P = affinities_to(found, _PLACED_PERPLEXITY, n=n, threads=self._threads_for(len(points)))
        # Not openTSNE's own transform: that one recentres the map it places points on. The array
        # made here holds a copy of the map.
        frozen = TSNEEmbedding(
            self.embedding_,
            KnownAffinities(sp.csr_matrix((n, n)), (P, *found)),
            negative_gradient_method=gradient_against(QuadTree(self.embedding_)),
            n_jobs=self._threads_for(len(points)),
        )
        placed = frozen.prepare_partial(points, initialization="median", k=k)
        placed = placed.optimize(n_iter, learning_rate=0.1, exaggeration=1.5, max_grad_norm=0.25)
        return np.array(placed)

    def _threads_for(self, n: int) -> int:
        return 1 if n <= _SERIAL_MAX else effective_n_jobs(self.n_jobs)

    def _new_index(self, points: NDArray[np.float32], k: int) -> FaissIndex:
        return FaissIndex(points, k, n_jobs=self.n_jobs, random_state=self.random_state)

    def _adopt(self, X: ArrayLike) -> NDArray[np.float32]:
        """Check parameters and points before anything is computed."""
        if self.passes != 1:
            raise DataError(f"passes: found {self.passes}; only passes=1 is available")
        if not (self.perplexity >= 1 and self.early_exaggeration >= 1):
            raise DataError(
                f"perplexity {self.perplexity}, early_exaggeration {self.early_exaggeration}; "
                "expected both 1 or more"
            )
        points = finite_rows(X)
        if len(points) < _SMALLEST:
            raise DataError(f"X: found {len(points)} rows; a map needs at least {_SMALLEST}")
        self.n_features_in_ = points.shape[1]
        return points

    def _affordable_perplexity(self, n: int) -> float:
        largest = (n - 1) / 3
        if self.perplexity <= largest:
            return self.perplexity
        warnings.warn(
            f"perplexity lowered from {self.perplexity:g} to {largest:.3g}: "
            f"{n} points allow no more than (N - 1)/3",
            stacklevel=4,
        )
        return largest

    def _descend(self, layout: TSNEEmbedding, callback: Progress | None) -> int:
        """Move the points, in place; return the number of iterations made."""
        made, before = 0, np.inf
        last = _EARLY_ITERATIONS + (_AUTO_MAX if self.n_iter is None else self.n_iter)
        while made < last:
            early = made < _EARLY_ITERATIONS
            step = min(_STEP, last - made)
            layout.optimize(
                step,
                inplace=True,
                exaggeration=self.early_exaggeration if early else None,
                negative_gradient_method=_repulsion(len(layout), early=early),
            )
            made += step
            if callback is not None:
                callback(made, float(layout.kl_divergence))
            gain = (before - layout.kl_divergence) / abs(layout.kl_divergence)
            settled = made >= _EARLY_ITERATIONS + _AUTO_MIN and gain < _AUTO_GAIN
            if self.n_iter is None and settled:
                break
            before = layout.kl_divergence
        return made


def _start(points: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Return small starting positions (N, 2): two principal components, slightly jittered."""
    rng = np.random.default_rng(seed)
    jitter = rng.normal(0.0, 0.01 * _START_STD, (len(points), 2))
    pca = PCA(n_components=min(2, points.shape[1]), random_state=seed)
    with np.errstate(invalid="ignore", divide="ignore"):  # shares of a variance that may be zero
        scores = pca.fit_transform(points).astype(np.float64)
    spread = scores[:, 0].std()
    if not spread > 0:  # all points are one
        return 100 * jitter
    jitter[:, : scores.shape[1]] += scores * (_START_STD / spread)
    return jitter


def _repulsion(n: int, *, early: bool) -> str:
    """Return openTSNE's name for how the repulsion of n points is summed."""
    return "bh" if n <= (_TREE_MAX_EARLY if early else _TREE_MAX) else "fft"


def _centred(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the middle of the bounding box at the origin, as openTSNE does when it places points."""
    return places - (places.max(axis=0) + places.min(axis=0)) / 2
