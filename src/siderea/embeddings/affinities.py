"""What draws the points of a map together, in the forms that openTSNE works with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from openTSNE import _tsne
from openTSNE.affinity import Affinities, joint_probabilities_nn
from openTSNE.quad_tree import QuadTree
from scipy.sparse.csgraph import reverse_cuthill_mckee

from siderea.embeddings.neighbours import Neighbours

__all__ = ["KnownAffinities", "affinities_to", "gradient_against", "ordered_affinities"]


class KnownAffinities(Affinities):
    """Affinities that were computed already: among the points, and of new points to them."""

    def __init__(self, P: sp.csr_matrix, of_new: tuple | None = None) -> None:
        super().__init__()
        self.P, self._of_new = P, of_new

    def to_new(self, data: NDArray, return_distances: bool = False) -> Any:
        """Return affinities, indices and distances of the new points (openTSNE's protocol)."""
        return self._of_new


def ordered_affinities(
    found: Neighbours, perplexity: float, *, threads: int
) -> tuple[NDArray[np.intp], sp.csr_matrix]:
    """Order the points so that neighbours lie side by side, and compute their affinities.

    The order is that of reverse Cuthill-McKee on the graph of neighbours: a step of the descent
    then reads memory almost in sequence.

    Parameters
    ----------
    found : Neighbours
        k neighbours of each of N points.
    perplexity : float
        Effective number of neighbours; below k.
    threads : int
        Threads.

    Returns
    -------
    order : (N,) ndarray
        Which point stands at each place of the new order.
    affinities : (N, N) csr_matrix
        Symmetric, of sum 1, in the new order.
    """
    n, k = found.indices.shape
    starts = np.arange(0, n * k + 1, k)
    graph = sp.csr_matrix((np.ones(n * k, np.int8), found.indices.ravel(), starts), shape=(n, n))
    order = reverse_cuthill_mckee(graph, symmetric_mode=False)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    P = joint_probabilities_nn(
        place[found.indices[order]], found.distances[order], [perplexity], n_jobs=threads
    )
    P.sort_indices()
    return order, P


def affinities_to(found: Neighbours, perplexity: float, *, n: int, threads: int) -> sp.csr_matrix:
    """Compute the affinities of new points to the points of a map.

    Parameters
    ----------
    found : Neighbours
        k neighbours on the map of each of M new points.
    perplexity : float
        Effective number of neighbours; lowered to k/3 where k is small.
    n : int
        Points N of the map.
    threads : int
        Threads.

    Returns
    -------
    (M, N) csr_matrix
        Rows of sum 1.
    """
    perplexity = max(min(perplexity, found.indices.shape[1] / 3), 1.0)
    return joint_probabilities_nn(
        found.indices,
        found.distances,
        [perplexity],
        symmetrize=False,
        normalization="point-wise",
        n_reference_samples=n,
        n_jobs=threads,
    )


def gradient_against(tree: QuadTree) -> Callable[..., tuple[float, NDArray]]:
    """Make the gradient of new points against a map whose tree is built only once.

    openTSNE's own Barnes-Hut gradient builds the tree of the map again in every iteration, which
    takes longer than all the rest where the map is large.

    Parameters
    ----------
    tree : QuadTree
        Tree of the places (N, 2) of the map.

    Returns
    -------
    callable
        What openTSNE takes as ``negative_gradient_method``.
    """

    def gradient_of(
        embedding: NDArray,
        P: sp.csr_matrix,
        *,
        dof: float,
        bh_params: dict[str, float],
        fft_params: dict[str, float],
        reference_embedding: NDArray,
        n_jobs: int,
        should_eval_error: bool,
    ) -> tuple[float, NDArray]:
        gradient = np.zeros_like(embedding, dtype=np.float64, order="C")
        total = _tsne.estimate_negative_gradient_bh(
            tree,
            embedding,
            gradient,
            theta=bh_params["theta"],
            dof=dof,
            num_threads=n_jobs,
            pairwise_normalization=False,
        )
        attraction, divergence = _tsne.estimate_positive_gradient_nn(
            P.indices,
            P.indptr,
            P.data,
            embedding,
            reference_embedding,
            gradient,
            dof,
            num_threads=n_jobs,
            should_eval_error=should_eval_error,
        )
        return divergence + attraction * np.log(total + np.finfo(float).eps), gradient

    return gradient_of
