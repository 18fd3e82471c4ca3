"""Splits that never put one star, one sky block or one repeated measurement on both sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from siderea.errors import DataError

__all__ = ["folds", "groups_of", "held_out_mask", "repeated_rows", "sky_blocks"]


def repeated_rows(values: ArrayLike) -> NDArray[np.int64]:
    """Number the distinct rows: two stars with the same numbers everywhere are one group.

    Parameters
    ----------
    values : (N, B) array-like
        NaN equals NaN.

    Returns
    -------
    (N,) ndarray of int
    """
    array = np.asarray(values, dtype=np.float64)
    array = np.where(np.isnan(array), np.inf, array)  # rows with NaN would all differ
    return np.unique(array, axis=0, return_inverse=True)[1].ravel()


def sky_blocks(ra: ArrayLike, dec: ArrayLike, *, size: float = 2.0) -> NDArray[np.int64]:
    """Number blocks of sky of about equal area: rings of declination, cut in right ascension.

    Parameters
    ----------
    ra, dec : (N,) array-like
        deg. A star without a position is a block of its own.
    size : float
        Height of a block, deg.

    Returns
    -------
    (N,) ndarray of int
    """
    ra, dec = np.asarray(ra, dtype=np.float64) % 360, np.asarray(dec, dtype=np.float64)
    known = np.isfinite(ra) & np.isfinite(dec)
    ring = np.floor((np.where(known, dec, 0) + 90) / size)
    width = np.cos(np.radians((ring + 0.5) * size - 90)).clip(0.01)
    n_in_ring = np.maximum(np.round(360 * width / size), 1)
    block = np.floor(np.where(known, ra, 0) / 360 * n_in_ring)
    key = np.stack([ring, block, np.where(known, -1, np.arange(ra.size))], axis=1)
    return repeated_rows(key)


def groups_of(*numbers: ArrayLike) -> NDArray[np.int64]:
    """Join groupings: stars that share any of the groups are together.

    Parameters
    ----------
    *numbers : (N,) array-like
        One or more groupings (any hashable values): star identifiers, blocks, repeated rows.

    Returns
    -------
    (N,) ndarray of int
        The connected groups, numbered from 0.
    """
    if not numbers:
        raise DataError("groups_of: found no grouping; expected one or more")
    codes = [np.unique(np.asarray(one), return_inverse=True)[1].ravel() for one in numbers]
    n = codes[0].size
    offsets = n + np.cumsum([0, *(code.max(initial=-1) + 1 for code in codes)])
    rows = np.tile(np.arange(n), len(codes))
    columns = np.concatenate([code + start for code, start in zip(codes, offsets, strict=False)])
    graph = coo_array((np.ones(rows.size), (rows, columns)), shape=(offsets[-1], offsets[-1]))
    return connected_components(graph, directed=False)[1][:n].astype(np.int64)


def folds(groups: ArrayLike, n_folds: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Share groups out to folds, at random.

    Parameters
    ----------
    groups : (N,) array-like
        Group of each star.
    n_folds : int
        Number of folds, no more than groups.
    seed : int

    Returns
    -------
    (N,) ndarray of int
        Fold of each star, 0 to ``n_folds`` - 1.

    Raises
    ------
    DataError
        If there are fewer groups than folds.
    """
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    if names.size < n_folds:
        raise DataError(f"groups: found {names.size}; expected at least one per fold, {n_folds}")
    order = np.random.default_rng(seed).permutation(names.size)
    return (order % n_folds)[number.ravel()]


def held_out_mask(groups: ArrayLike, *, fraction: float = 0.2, seed: int = 0) -> NDArray[np.bool_]:
    """Choose whole groups for a test, about ``fraction`` of them.

    Parameters
    ----------
    groups : (N,) array-like
        Group of each star.
    fraction : float
        Share of the groups.
    seed : int

    Returns
    -------
    (N,) ndarray of bool
        True for the test.
    """
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    order = np.random.default_rng(seed).permutation(names.size)
    return (order < fraction * names.size)[number.ravel()]
