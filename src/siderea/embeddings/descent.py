"""The descent of a t-SNE map: momentum and gains, as openTSNE's, with no copy it can do without."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from openTSNE import _tsne
from openTSNE.quad_tree import QuadTree

__all__ = ["Descent", "Repulsion", "tree_repulsion"]

Repulsion = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""From places (N, 2): Σ q_ij and Σ_j q_ij² (y_i − y_j), with q_ij = 1/(1 + |y_i − y_j|²)."""

_GAIN_UP, _GAIN_DOWN, _GAIN_LEAST = 0.2, 0.8, 0.01
_LONGEST = 5.0
"""No point moves further than this at once."""


def tree_repulsion(threads: int) -> Repulsion:
    """Make the repulsion that is summed over openTSNE's quad tree (θ = 0.5)."""

    def repulsion(places: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        push = np.zeros_like(places)
        total = _tsne.estimate_negative_gradient_bh(
            QuadTree(places),
            places,
            push,
            theta=0.5,
            dof=1.0,
            num_threads=threads,
            pairwise_normalization=True,
        )
        return total, -total * push

    return repulsion


class Descent:
    """Points on their way down the Kullback-Leibler divergence.

    Parameters
    ----------
    start : (N, 2) ndarray
        Starting places; not changed.
    P : (N, N) csr_matrix
        Affinities, of sum 1.
    repulsion : callable
        See `Repulsion`.
    threads : int
        Threads of the attraction.

    Attributes
    ----------
    places : (N, 2) ndarray
        Where the points are, their mean at the origin.
    """

    def __init__(
        self, start: NDArray, P: sp.csr_matrix, repulsion: Repulsion, *, threads: int = 1
    ) -> None:
        self.places = np.array(start, dtype=np.float64, order="C")
        self._P, self._repulsion, self._threads = P, repulsion, threads
        self._update = np.zeros_like(self.places)
        self._gains = np.ones_like(self.places)

    def run(self, n_iter: int, *, exaggeration: float, momentum: float) -> float:
        """Make some iterations; return the divergence (without exaggeration) at their end.

        The learning rate is N / exaggeration (Belkina et al. 2019).
        """
        rate = len(self.places) / exaggeration
        for _ in range(n_iter):
            gradient = self._gradient(exaggeration)[1]
            same = (self._update > 0) == (gradient > 0)  # uphill: the last step went too far
            self._gains = np.where(
                same, self._gains * _GAIN_DOWN + _GAIN_LEAST, self._gains + _GAIN_UP
            )
            self._update *= momentum
            gradient *= self._gains
            gradient *= rate
            self._update -= gradient
            length = np.sqrt(np.einsum("nd,nd->n", self._update, self._update))
            if length.max() > _LONGEST:
                self._update *= np.minimum(1.0, _LONGEST / np.maximum(length, 1e-12))[:, None]
            self.places += self._update
            self.places -= self.places.mean(axis=0)
        return self._gradient(1.0, divergence=True)[0]

    def _gradient(
        self, exaggeration: float, *, divergence: bool = False
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the divergence (0 where it is not asked for) and the gradient (N, 2)."""
        total, push = self._repulsion(self.places)
        gradient = np.zeros_like(self.places)
        attraction, value = _tsne.estimate_positive_gradient_nn(
            self._P.indices,
            self._P.indptr,
            self._P.data,
            self.places,
            self.places,
            gradient,
            1.0,
            num_threads=self._threads,
            should_eval_error=divergence,
        )
        gradient *= exaggeration
        push *= -1.0 / total
        gradient += push
        return value + attraction * np.log(total + np.finfo(float).eps) * divergence, gradient
