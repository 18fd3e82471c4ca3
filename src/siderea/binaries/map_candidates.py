"""Binaries by the company that spectra keep: islands of a map, and the nearest with a known class.

Spectra of two stars lie together on a map, and near each other among the features that it was made
of. What speaks for a spectrum is the share of known binaries among its nearest neighbours of known
class, on the map and in features, and that of its island. A regression learned on the known
spectra, each seen from those of other folds only, turns these shares into a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from siderea.errors import DataError

__all__ = ["MapCandidates", "map_candidates"]

Array = NDArray[np.float64]

NEIGHBOURS = (5, 15, 40)
FOLDS = 5
SMOOTHING = 5.0
"""Spectra of the sample's own share that are added to every count."""

LEAST = 20
"""Known binaries, and known others, without which nothing is learned."""


@dataclass(frozen=True)
class MapCandidates:
    """What the map says of N spectra.

    Parameters
    ----------
    probability : (N,) ndarray
        Of a binary; of a spectrum of known class as the others see it. NaN off the map.
    threshold : float
        Probability above which known others are called binary as often as was asked.
    island_share, map_share, feature_share : (N,) ndarray
        Share of known binaries in the island, and among the nearest 15 on the map and in features.
    nearest : (N,) ndarray of int
        Row of the nearest known binary among the features; −1 off the map.
    """

    probability: Array
    threshold: float
    island_share: Array
    map_share: Array
    feature_share: Array
    nearest: NDArray[np.int64]

    @property
    def is_binary(self) -> NDArray[np.bool_]:
        """Candidates (N,)."""
        return np.asarray(np.nan_to_num(self.probability) > self.threshold)


def map_candidates(
    places: ArrayLike,
    features: ArrayLike,
    known: ArrayLike,
    *,
    islands: ArrayLike | None = None,
    false_positives: float = 0.01,
    random_state: int = 0,
) -> MapCandidates:
    """Find spectra that keep the company of known binaries.

    Parameters
    ----------
    places : (N, 2) array-like
        The map; NaN for spectra that are not on it.
    features : (N, K) array-like
        What the map was made of; NaN rows likewise.
    known : (N,) array-like
        1 for known binaries, 0 for spectra of another class, NaN for the rest.
    islands : (N,) array-like of int, optional
        Island of each spectrum, −1 between them.
    false_positives : float
        Share of the known others that the threshold lets pass.
    random_state : int
        Of the folds.

    Returns
    -------
    MapCandidates

    Raises
    ------
    DataError
        If shapes differ, or too few spectra are known.
    """
    where, values = np.asarray(places, dtype=float), np.asarray(features, dtype=float)
    truth = np.asarray(known, dtype=float)
    if where.ndim != 2 or values.ndim != 2 or not len(where) == len(values) == truth.size:
        raise DataError(
            f"places {where.shape}, features {values.shape}, known {truth.shape}; expected one row "
            "for each spectrum"
        )
    seen = np.isfinite(where).all(axis=1) & np.isfinite(values).all(axis=1)
    rows = np.flatnonzero(seen & np.isfinite(truth))
    binary = truth[rows] > 0.5
    if min(binary.sum(), (~binary).sum()) < LEAST:
        raise DataError(
            f"known classes: found {int(binary.sum())} binaries and {int((~binary).sum())} others "
            f"on the map; expected {LEAST} or more of each"
        )
    groups = np.full(truth.size, -1) if islands is None else np.asarray(islands, dtype=np.int64)
    fold = _folds(binary, random_state)
    spaces = (where, _scaled(values, rows))
    x = _shares(spaces, groups, rows, binary, fold, seen)
    return _learned(x, spaces[1], rows, binary, fold, seen, false_positives)


def _folds(binary: NDArray[np.bool_], random_state: int) -> NDArray[np.int64]:
    """Deal the known spectra of either kind out to folds."""
    rng = np.random.default_rng(random_state)
    fold = np.empty(binary.size, dtype=np.int64)
    for kind in (False, True):
        mine = rng.permutation(np.flatnonzero(binary == kind))
        fold[mine] = np.arange(mine.size) % FOLDS
    return fold


def _scaled(values: Array, rows: NDArray) -> Array:
    """Divide features by the root of their scatter, as the classes of this package do."""
    scatter = np.std(values[rows], axis=0)
    return np.asarray(values / np.sqrt(np.where(scatter > 0, scatter, 1.0)))


def _shares(
    spaces: Sequence[Array],
    groups: NDArray[np.int64],
    rows: NDArray,
    binary: NDArray[np.bool_],
    fold: NDArray[np.int64],
    seen: NDArray[np.bool_],
) -> Array:
    """Return logarithms of odds (N, F): known spectra see those of other folds only."""
    n = seen.size
    mine = np.full(n, -1)
    mine[rows] = fold
    out = np.full((n, 2 * len(NEIGHBOURS) + 1), np.nan)
    for one in range(-1, FOLDS):
        there = np.flatnonzero(seen & (mine == one))
        if not there.size:
            continue
        others = fold != one
        base, kind = rows[others], binary[others]
        share = kind.mean()
        columns = []
        for space in spaces:
            most = min(max(NEIGHBOURS), base.size)
            tree = NearestNeighbors(n_neighbors=most).fit(space[base])
            found = kind[tree.kneighbors(space[there], return_distance=False)]
            columns += [_odds(found[:, :k].sum(axis=1), min(k, most), share) for k in NEIGHBOURS]
        columns.append(_island_odds(groups, base, kind, share)[there])
        out[there] = np.column_stack(columns)
    return out


def _odds(count: NDArray, total: NDArray | int, share: float) -> Array:
    """Return the logarithm of the odds of a smoothed share, against the sample's own."""
    smooth = (count + SMOOTHING * share) / (total + SMOOTHING)
    return np.asarray(logit(np.clip(smooth, 1e-6, 1 - 1e-6)) - logit(share))


def _island_odds(
    groups: NDArray[np.int64], base: NDArray, kind: NDArray[np.bool_], share: float
) -> Array:
    shifted, size = groups + 1, int(groups.max()) + 2
    total = np.bincount(shifted[base], minlength=size)
    count = np.bincount(shifted[base][kind], minlength=size)
    odds = _odds(count, total, share)
    return odds[shifted]


def _learned(
    x: Array,
    space: Array,
    rows: NDArray,
    binary: NDArray[np.bool_],
    fold: NDArray[np.int64],
    seen: NDArray[np.bool_],
    false_positives: float,
) -> MapCandidates:
    p = np.full(len(x), np.nan)
    p[seen] = _regression(x[rows], binary).predict_proba(x[seen])[:, 1]
    for one in range(FOLDS):
        inside = fold == one
        model = _regression(x[rows[~inside]], binary[~inside])
        p[rows[inside]] = model.predict_proba(x[rows[inside]])[:, 1]
    threshold = float(np.quantile(p[rows][~binary], 1.0 - false_positives, method="higher"))
    centre = logit(binary.mean())
    shares = expit(x + centre)
    nearest = np.full(len(x), -1, dtype=np.int64)
    tree = NearestNeighbors(n_neighbors=1).fit(space[rows[binary]])
    nearest[seen] = rows[binary][tree.kneighbors(space[seen], return_distance=False)[:, 0]]
    middle = NEIGHBOURS.index(15)
    return MapCandidates(
        p, threshold, shares[:, -1], shares[:, middle], shares[:, len(NEIGHBOURS) + middle], nearest
    )


def _regression(x: Array, binary: NDArray[np.bool_]) -> LogisticRegression:
    return LogisticRegression(C=1.0).fit(x, binary)
