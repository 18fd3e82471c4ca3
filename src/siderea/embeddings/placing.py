"""New points on a map that stays as it is, each for itself."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from openTSNE import TSNEEmbedding
from openTSNE.quad_tree import QuadTree

from siderea.embeddings.affinities import KnownAffinities, affinities_to, gradient_against
from siderea.embeddings.neighbours import Neighbours

__all__ = ["most_drawn_to", "place"]

_CANDIDATES = 15
"""Neighbours beside which a new point may start."""

_REACH = 4.0
"""Length on the map within which neighbours are taken to lie together when the start is chosen."""

_GATHER_VALUES = 2**22
"""Distances computed at once."""


def place(
    embedding: NDArray[np.float64],
    found: Neighbours,
    *,
    perplexity: float,
    n_iter: int,
    threads: int,
) -> NDArray[np.float64]:
    """Place new points on a map by t-SNE's gradient against the map.

    Each point starts beside the neighbour to whose surroundings it is drawn most: neighbours of a
    point often lie in several parts of a map, and their median then lies in none.

    Parameters
    ----------
    embedding : (N, 2) ndarray
        The map, its bounding box centred on the origin.
    found : Neighbours
        k neighbours on the map of each of M new points.
    perplexity : float
        Effective number of neighbours.
    n_iter : int
        Iterations.
    threads : int
        Threads.

    Returns
    -------
    (M, 2) ndarray
    """
    n = len(embedding)
    P = affinities_to(found, perplexity, n=n, threads=threads)
    # Not openTSNE's own transform: that one recentres the map it places points on. The array
    # made here holds a copy of the map.
    frozen = TSNEEmbedding(
        embedding,
        KnownAffinities(sp.csr_matrix((n, n)), (P, *found)),
        negative_gradient_method=gradient_against(QuadTree(embedding)),
        n_jobs=threads,
    )
    start = most_drawn_to(embedding, P)
    placed = frozen.prepare_partial(start, initialization=start, k=found.indices.shape[1])
    placed = placed.optimize(n_iter, learning_rate=0.1, exaggeration=1.5, max_grad_norm=0.25)
    return np.array(placed)


def most_drawn_to(embedding: NDArray[np.float64], P: sp.csr_matrix) -> NDArray[np.float64]:
    """Return, for each new point, the place of the neighbour with the most affinity around it.

    Of the likeliest neighbours j, the one with the largest Σ_k p_k / (1 + |y_j − y_k|²/r²), r = 4.

    Parameters
    ----------
    embedding : (N, 2) ndarray
        The map.
    P : (M, N) csr_matrix
        Affinities of the new points, as many in each row.

    Returns
    -------
    (M, 2) ndarray
    """
    m = P.shape[0]
    likely, near = P.data.reshape(m, -1), P.indices.reshape(m, -1)
    starts = np.empty((m, 2))
    rows = max(1, _GATHER_VALUES // (_CANDIDATES * near.shape[1]))
    for first in range(0, m, rows):
        p, places = likely[first : first + rows], embedding[near[first : first + rows]]
        best = np.argsort(-p, axis=1, kind="stable")[:, :_CANDIDATES]
        candidates = np.take_along_axis(places, best[..., None], axis=1)
        apart = ((candidates[:, :, None] - places[:, None]) ** 2).sum(axis=-1)
        drawn = (p[:, None] / (1.0 + apart / _REACH**2)).sum(axis=-1).argmax(axis=1)
        starts[first : first + rows] = candidates[np.arange(len(p)), drawn]
    return starts
