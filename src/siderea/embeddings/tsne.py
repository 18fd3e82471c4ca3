"""The t-SNE map of a sample, and the places of new spectra on it.

t-SNE (van der Maaten & Hinton 2008, J. Mach. Learn. Res. 9, 2579) on parts of openTSNE (Poličar,
Stražar & Zupan 2024, J. Stat. Softw. 109, 1), with our own neighbours (faiss), order of the points
(neighbours lie near each other in memory), repulsion, descent with annealed exaggeration, and new
points that meet a frozen map, each for itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from siderea.embeddings.affinities import ordered_affinities
from siderea.embeddings.descent import Descent, tree_repulsion
from siderea.embeddings.neighbours import FaissIndex, Neighbours, finite_rows
from siderea.embeddings.placing import place
from siderea.embeddings.repulsion import GridRepulsion
from siderea.embeddings.second_pass import standing_apart
from siderea.errors import DataError

__all__ = ["Progress", "TSNEMap"]

Progress = Callable[[int, float], object]
"""Called with (iteration, Kullback-Leibler divergence) as a map is made."""

_SMALLEST = 4
"""Fewer points than this have no neighbourhood to preserve."""

_STEP = 50
"""Iterations between two looks at the divergence; each of the next is a multiple of it."""

_ANNEALING = ((1.0, 150), (2 / 3, 50), (1 / 3, 50), (1 / 6, 50))
"""Shares of the early exaggeration, and the iterations that each is held: 12, 8, 4, 2."""

_EARLY_ITERATIONS = sum(held for _, held in _ANNEALING)

_MOMENTUM_EARLY, _MOMENTUM = 0.8, 0.9
"""Momentum while the full exaggeration lasts, as in openTSNE, and after. At N = 15,000 the annealed
descent came to a divergence of 2.21 in 450 iterations in all; openTSNE's schedule (250 at 12, the
rest at 1, momentum 0.8) came to 2.26 in 650."""

_START_STD = 1e-4
"""Spread of the starting positions along the first axis, as in openTSNE."""

_AUTO_MIN, _AUTO_MAX, _AUTO_GAIN = 200, 400, 1e-2
"""``n_iter=None``: at least, at most, and the relative gain in a step below which it ends."""

_TREE_MAX = 2_000
"""Largest N whose repulsion is summed over a tree; above, it is interpolated on a grid. At N =
5,000 the grid took 14 CPU s where the tree took 25, for a lower divergence (1.81 against 1.82)."""

_SERIAL_MAX = 5_000
"""Up to this many points the gradient is summed by one thread: iterations are so short that threads
wait for each other, and on a busy machine 3,000 points took three times as long on two."""

_VOTES = 15
"""Nearest points that decide whether a new one belongs on the second map."""


class TSNEMap(TransformerMixin, BaseEstimator):
    """A two-dimensional t-SNE map that new spectra can be placed on.

    Parameters
    ----------
    perplexity : float
        Effective number of neighbours; lowered, with a warning, to (N − 1)/3 for small samples.
    passes : {1, 2}
        1 maps the whole sample; 2 then also maps the part of it that stands apart, without the
        rest, as the classification of GALAH's spectra was made.
    early_exaggeration : float
        Attraction is multiplied by this during the first 150 iterations, then by 2/3, 1/3 and 1/6
        of it for 50 each.
    n_iter : int, optional
        Iterations after those 300. By default the descent ends when the divergence falls by less
        than 1 % in 50 iterations, after 200 to 400 of them; more make a large map a little better.
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
    second_pass_ : (N,) ndarray of bool
        With ``passes=2``: which points are on the second map too, by default those that
        `second_pass.standing_apart` chooses. Few points lower the perplexity there.
    second_embedding_ : (N, 2) ndarray
        With ``passes=2``: the second map; NaN for the points that are not on it.
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

    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        apart: ArrayLike | None = None,
        callback: Progress | None = None,
    ) -> Self:
        """Make the map.

        Parameters
        ----------
        X : (N, D) array-like
            Points: scores, latent coordinates or spectra without gaps.
        y : None
            Ignored; scikit-learn's convention.
        apart : (N,) array-like of bool, optional
            The points of the second pass, where they are known (for instance by their classes).
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
        if apart is not None and (self.passes != 2 or np.shape(apart) != (len(points),)):
            raise DataError(
                f"apart: found shape {np.shape(apart)} with passes={self.passes}; "
                f"expected ({len(points)},) with passes=2"
            )
        found = self._make(points, callback)
        for old in ("second_pass_", "second_embedding_"):  # of an earlier fit
            self.__dict__.pop(old, None)
        if self.passes == 2:
            chosen = (
                standing_apart(self.embedding_, found, least=self._least_apart(len(points)))
                if apart is None
                else np.array(apart, dtype=bool)
            )
            self._map_again(points, chosen, callback)
        return self

    def _make(self, points: NDArray[np.float32], callback: Progress | None) -> Neighbours:
        """Make the map of the points; return the neighbours it was made of."""
        perplexity = self._affordable_perplexity(len(points))
        k = min(len(points) - 1, int(3 * perplexity))
        threads = self._threads_for(len(points))
        self._index = self._new_index(points, k)
        found = self._index.build()
        order, P = ordered_affinities(found, perplexity, threads=threads)
        start = _start(points, self.random_state)[order]
        few = len(points) <= _TREE_MAX
        repulsion = tree_repulsion(threads) if few else GridRepulsion(threads)
        descent = Descent(start, P, repulsion, threads=threads)
        self.n_iter_, self.kl_divergence_ = self._descend(descent, callback)
        embedding = np.empty_like(descent.places)
        embedding[order] = descent.places
        self.embedding_ = _centred(embedding)
        self.perplexity_ = float(perplexity)
        return found

    def _least_apart(self, n: int) -> int:
        """Return how many of n points a second pass takes at least: 5 %, and a neighbourhood."""
        return max(n // 20, min(int(3 * self.perplexity) + 2, n // 2), _SMALLEST)

    def _map_again(
        self, points: NDArray[np.float32], chosen: NDArray[np.bool_], callback: Progress | None
    ) -> None:
        """Make the second map, of the chosen points alone."""
        if chosen.sum() < _SMALLEST:
            raise DataError(
                f"{chosen.sum()} points stand apart; a second pass needs at least {_SMALLEST}: "
                "use passes=1"
            )
        perplexity = min(self.perplexity, (int(chosen.sum()) - 1) / 3)
        second = clone(self).set_params(passes=1, perplexity=perplexity)
        self._second = second.fit(points[chosen], callback=callback)
        self.second_pass_ = chosen
        self.second_embedding_ = np.full((len(points), 2), np.nan)
        self.second_embedding_[chosen] = self._second.embedding_

    def fit_transform(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        apart: ArrayLike | None = None,
        callback: Progress | None = None,
    ) -> NDArray[np.float64]:
        """Make the map, and return the places (N, 2) of the points on the first; see `fit`."""
        return self.fit(X, apart=apart, callback=callback).embedding_.copy()

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
        self._index = self._new_index(points, min(len(points) - 1, int(3 * self.perplexity)))
        self.embedding_ = places
        return self

    def transform(self, X: ArrayLike, *, n_iter: int = 100) -> NDArray[np.float64]:
        """Place new points on the map, which stays as it is.

        Each starts where its neighbours on the map crowd and then moves by t-SNE's own gradient
        against the map, not against the other new ones: the place of a point does not depend on
        which others it comes with.

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
        n = len(self.embedding_)
        perplexity = min(self.perplexity, max((n - 1) / 3, 1.0))
        found = self._index.query(points, min(n, max(int(3 * perplexity), 1)))
        threads = self._threads_for(len(points))
        return place(self.embedding_, found, perplexity=perplexity, n_iter=n_iter, threads=threads)

    def transform_second(self, X: ArrayLike, *, n_iter: int = 100) -> NDArray[np.float64]:
        """Place new points on the second map, where they belong on it.

        Parameters
        ----------
        X : (M, D) array-like
            New points.
        n_iter : int
            Iterations.

        Returns
        -------
        (M, 2) ndarray
            Places in the frame of ``second_embedding_``; NaN for a point of whose 15 nearest on the
            first map less than half are on the second.

        Raises
        ------
        DataError
            As `transform`, or if no second map was made.
        """
        check_is_fitted(self)
        if not hasattr(self, "second_pass_"):
            raise DataError("no second map was made; fit with passes=2")
        points = finite_rows(X)
        places = np.full((len(points), 2), np.nan)
        if len(points):
            k = min(len(self.embedding_), _VOTES)
            apart = self.second_pass_[self._index.query(points, k).indices].mean(axis=1) >= 0.5
            places[apart] = self._second.transform(points[apart], n_iter=n_iter)
        return places

    def _threads_for(self, n: int) -> int:
        return 1 if n <= _SERIAL_MAX else effective_n_jobs(self.n_jobs)

    def _new_index(self, points: NDArray[np.float32], k: int) -> FaissIndex:
        return FaissIndex(points, k, n_jobs=self.n_jobs, random_state=self.random_state)

    def _adopt(self, X: ArrayLike) -> NDArray[np.float32]:
        """Check parameters and points before anything is computed."""
        if self.passes not in (1, 2):
            raise DataError(f"passes: found {self.passes}; expected 1 or 2")
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

    def _descend(self, descent: Descent, callback: Progress | None) -> tuple[int, float]:
        """Move the points; return the number of iterations made, and the divergence."""
        made, divergence = 0, np.inf
        for exaggeration, momentum, step in self._schedule():
            before = divergence
            divergence = descent.run(step, exaggeration=exaggeration, momentum=momentum)
            made += step
            if callback is not None:
                callback(made, divergence)
            gain = (before - divergence) / abs(divergence)
            settled = made >= _EARLY_ITERATIONS + _AUTO_MIN and gain < _AUTO_GAIN
            if self.n_iter is None and settled:
                break
        return made, divergence

    def _schedule(self) -> Iterator[tuple[float, float, int]]:
        """Yield exaggeration, momentum and number of iterations of each step of the descent."""
        for share, held in _ANNEALING:
            momentum = _MOMENTUM_EARLY if share == 1 else _MOMENTUM
            for _ in range(held // _STEP):
                yield max(share * self.early_exaggeration, 1.0), momentum, _STEP
        left = _AUTO_MAX if self.n_iter is None else self.n_iter
        while left > 0:
            yield 1.0, _MOMENTUM, min(_STEP, left)
            left -= _STEP


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


def _centred(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the middle of the bounding box at the origin, as openTSNE does when it places points."""
    return places - (places.max(axis=0) + places.min(axis=0)) / 2
