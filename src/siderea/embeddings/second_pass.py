"""Which points of a map stand apart from its main continuum: those of the second pass.

In the seed's maps normal spectra fill a few large continuous regions; the peculiar ones lie in
islands, and are mapped again without the others (Traven et al. 2017, ApJS 228, 24).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components

from siderea.embeddings.neighbours import Neighbours, kneighbours
from siderea.errors import DataError

__all__ = ["islands", "standing_apart"]

_LINKS = 10
"""Neighbours on the map that a point can be linked to."""

_REACH = 2.0
"""Points are linked up to this multiple of the map's median distance to the 10th neighbour."""


def islands(places: ArrayLike, *, main_share: float = 0.05) -> NDArray[np.bool_]:
    """Tell which points of a map lie outside its large continuous regions.

    Points are linked to their ten nearest within twice the median distance to the tenth, and
    belong to one region where links lead from one to the other. t-SNE evens out the density, so one
    length serves the whole map.

    Parameters
    ----------
    places : (N, 2) array-like
        A map.
    main_share : float
        A region with at least this share of the points is part of the main continuum.

    Returns
    -------
    (N,) ndarray of bool
        True outside the main continuum; nowhere if no region is that large.

    Raises
    ------
    DataError
        If the map is not finite or the share not between 0 and 1.
    """
    if not 0 < main_share <= 1:
        raise DataError(f"main_share: found {main_share}; expected above 0 and up to 1")
    n = len(np.asarray(places))
    found = kneighbours(places, min(_LINKS, n - 1))
    reach = _REACH * float(np.median(found.distances[:, -1]))
    near = found.distances <= max(reach, float(np.finfo(np.float32).tiny))
    rows = np.repeat(np.arange(n), near.sum(axis=1))
    graph = sp.csr_matrix((np.ones(rows.size, np.int8), (rows, found.indices[near])), shape=(n, n))
    _, region = connected_components(graph, directed=False)
    small = np.bincount(region) < main_share * n
    return small[region] if not small.all() else np.zeros(n, dtype=bool)


def standing_apart(
    places: ArrayLike,
    found: Neighbours,
    *,
    main_share: float = 0.05,
    least: int = 0,
) -> NDArray[np.bool_]:
    """Choose the points of the second pass.

    The `islands` of the map and, where those are fewer than ``least`` points, the loosest others:
    those whose neighbours in the space of the features are the most distant. A noisy spectrum is
    loose too.

    Parameters
    ----------
    places : (N, 2) array-like
        The map of the first pass.
    found : Neighbours
        Neighbours of the N points in the space of the features.
    main_share : float
        See `islands`.
    least : int
        Smallest number of points that is chosen.

    Returns
    -------
    (N,) ndarray of bool
    """
    chosen = islands(places, main_share=main_share)
    lacking = min(least, chosen.size) - int(chosen.sum())
    if lacking > 0:
        looseness = np.where(chosen, -1.0, found.distances.mean(axis=1))
        chosen[np.argsort(-looseness, kind="stable")[:lacking]] = True
    return chosen
