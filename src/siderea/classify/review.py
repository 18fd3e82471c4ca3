"""Which spectra a person should look at next: doubtful ones, no two of them alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import MiniBatchKMeans

from siderea.embeddings.neighbours import finite_rows
from siderea.errors import DataError

__all__ = ["review_queue"]

_POOL = 5
"""The batch is spread over this many times as many spectra of the smallest margin."""


def review_queue(
    margin: ArrayLike,
    features: ArrayLike,
    *,
    size: int = 50,
    skip: ArrayLike | None = None,
    novelty: ArrayLike | None = None,
    novel_share: float = 0.1,
    random_state: int = 0,
) -> NDArray[np.int64]:
    """Choose the spectra most worth a label.

    The smallest margins are gathered, five times as many as asked for, and split into as many
    groups as asked for by their features; of each group the smallest margin is taken. So no two
    of a batch say the same. A share goes to the spectra least like anything labelled.

    Parameters
    ----------
    margin : (N,) array-like
        Largest minus second largest probability; NaN is never chosen.
    features : (N, K) array-like
        Features that tell spectra apart.
    size : int
        Spectra to choose.
    skip : (N,) array-like of bool, optional
        Spectra that are labelled already.
    novelty : (N,) array-like, optional
        p values, see `siderea.classify.novelty.Novelty`.
    novel_share : float
        Share of the batch for the smallest p values, where ``novelty`` is given.
    random_state : int
        Seed of the groups.

    Returns
    -------
    (size,) ndarray of int
        Rows, the smallest margin first, the novel ones last; fewer where fewer are left.

    Raises
    ------
    DataError
        If the shapes differ or ``size`` is not positive.
    """
    doubt = np.asarray(margin, dtype=float)
    points = finite_rows(features, name="features")
    if doubt.shape != (len(points),) or size < 1 or not 0 <= novel_share <= 1:
        raise DataError(
            f"margin {doubt.shape}, features {points.shape}, size {size}, novel_share "
            f"{novel_share}; expected (N,), (N, K), 1 or more, 0 to 1"
        )
    free = np.isfinite(doubt)
    if skip is not None:
        free &= ~np.asarray(skip, dtype=bool)
    n_novel = 0 if novelty is None else round(novel_share * size)
    chosen = _spread(doubt, points, np.flatnonzero(free), size - n_novel, random_state)
    if n_novel == 0:
        return chosen
    free[chosen] = False
    rest = np.flatnonzero(free)
    strange = rest[np.argsort(np.asarray(novelty, dtype=float)[rest], kind="stable")[:n_novel]]
    return np.concatenate([chosen, strange])


def _spread(
    doubt: NDArray, points: NDArray, rows: NDArray, size: int, seed: int
) -> NDArray[np.int64]:
    """Return the smallest margin of each of ``size`` groups of the most doubtful rows."""
    order = rows[np.argsort(doubt[rows], kind="stable")]
    pool = order[: _POOL * size]
    if size == 0 or pool.size <= size:
        return pool[:size].astype(np.int64)
    scale = points[pool].std(axis=0)
    scaled = points[pool] / np.where(scale > 0, scale, 1.0)
    groups = MiniBatchKMeans(size, random_state=seed, n_init=1, batch_size=1024).fit_predict(scaled)
    first = np.unique(groups, return_index=True)[1]  # the pool is sorted by margin
    spare = np.setdiff1d(np.arange(pool.size), first)[: size - first.size]  # empty groups
    return pool[np.sort(np.concatenate([first, spare]))].astype(np.int64)
