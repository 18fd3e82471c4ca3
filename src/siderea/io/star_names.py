"""One name for all the spectra of a star, where a survey's own names are made of its positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

__all__ = ["RADIUS", "one_name_per_star"]

RADIUS = 3.0
"""Arcsec. A LAMOST fibre is 3.3 arcsec wide: two stars as close cannot be observed apart."""


def one_name_per_star(
    names: ArrayLike, ra: ArrayLike, dec: ArrayLike, *, radius: float = RADIUS
) -> NDArray[np.object_]:
    """Give all spectra that lie within a radius of each other the first one's name.

    Parameters
    ----------
    names : (N,) array-like of str
        A name per spectrum, for instance ``J192814.09+435531.0``.
    ra, dec : (N,) array-like
        ICRS positions, deg. A spectrum without a finite position keeps its name.
    radius : float
        Arcsec. Neighbours of neighbours count as one star.

    Returns
    -------
    (N,) ndarray of str
        The names.
    """
    result = np.array(names, dtype=object)
    a, d = (np.radians(np.asarray(angle, dtype=np.float64)) for angle in (ra, dec))
    placed = np.flatnonzero(np.isfinite(a + d))
    if placed.size < 2:
        return result
    a, d = a[placed], d[placed]
    points = np.column_stack((np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)))
    chord = 2 * np.sin(np.radians(radius / 3600) / 2)
    pairs = cKDTree(points).query_pairs(chord, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(a), len(a)))
    _, group = connected_components(links, directed=False)
    _, first = np.unique(group, return_index=True)
    result[placed] = result[placed[first[group]]]
    return result
