"""The repulsion of all points of a map by all others, interpolated on a grid.

Sums of 1/(1 + d²) over all pairs are convolutions (Linderman et al. 2019, Nat. Methods 16, 243):
each point is spread over the nodes of a regular grid around it, the grid is convolved by FFT, and
the sums are read off at the points. Four things differ from openTSNE's: points are spread by cubic
B-splines, whose smoothing is divided out of the kernels (Essmann et al. 1995, J. Chem. Phys. 103,
8577); the number of points is convolved with the three kernels that are wanted, instead of four
moments with two; the spacing stays as the map grows, so that transformed kernels serve many steps;
and the arithmetic is in single precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import fft

__all__ = ["GridRepulsion"]

_SPACING = 0.4
"""Distance between nodes, on a map whose kernel is 1/(1 + d²)."""

_NODES = 4
"""Nodes around a point along either axis: cubic B-splines."""

_MIN_NODES = 128
"""A small map has at least so many nodes along its longer side."""

_STEP_NODES = 32
"""The grid grows by so many nodes at once, not at every step of the descent."""


class GridRepulsion:
    """The repulsion of a map's points: call it with their places.

    Parameters
    ----------
    threads : int
        Threads.

    Notes
    -----
    On the map of 5,000 points of a smooth manifold, the rms error of the forces is 1.3 % of their
    rms; it is 1.4 % for openTSNE's tree and 3.8 % for openTSNE's grid, with their defaults.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._key: tuple[Any, ...] = ()
        self._shape = (0, 0)
        self._kernels: list[NDArray] = []

    def __call__(self, places: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return Σ_{i≠j} q_ij and Σ_j q_ij² (y_i − y_j), with q_ij = 1/(1 + |y_i − y_j|²).

        Parameters
        ----------
        places : (N, 2) ndarray
            Points y of the map.

        Returns
        -------
        total : float
        force : (N, 2) ndarray
        """
        low = places.min(axis=0)
        span = places.max(axis=0) - low
        spacing = min(_SPACING, max(float(span.max()), 1e-9) / _MIN_NODES)
        nodes = span / spacing + 2 * _NODES
        size = tuple((np.ceil(nodes / _STEP_NODES) * _STEP_NODES).astype(int).tolist())
        kernels = self._transformed(size, spacing)
        spread = _interpolation((places - low) / spacing + _NODES, size)
        counts = np.bincount(spread.indices, spread.data, size[0] * size[1])
        charge = fft.rfft2(
            counts.reshape(size).astype(np.float32), s=self._shape, workers=self._threads
        )
        fields = np.empty((counts.size, 3), np.float32)
        for number, kernel in enumerate(kernels):
            field = fft.irfft2(charge * kernel, s=self._shape, workers=self._threads)
            fields[:, number] = field[: size[0], : size[1]].ravel()
        felt = spread @ fields
        total = float(felt[:, 0].sum(dtype=np.float64)) - len(places)  # less each point's own 1
        return max(total, 1e-12), felt[:, 1:].astype(np.float64)

    def _transformed(self, size: tuple[int, ...], spacing: float) -> list[NDArray]:
        """Return the transforms of q, q² x and q² y on the padded grid, made only when it grew."""
        if self._key != (size, spacing):
            self._key = (size, spacing)
            self._shape = (
                fft.next_fast_len(2 * size[0], True),
                fft.next_fast_len(2 * size[1], True),
            )
            x, y = (spacing * n * fft.fftfreq(n) for n in self._shape)
            q = 1.0 / (1.0 + x[:, None] ** 2 + y**2)
            smoothing = (
                _smoothing(fft.fftfreq(self._shape[0]))[:, None]
                * _smoothing(fft.rfftfreq(self._shape[1]))
            ).astype(np.float32)
            self._kernels = [
                fft.rfft2(kernel.astype(np.float32), workers=self._threads) / smoothing
                for kernel in (q, q**2 * x[:, None], q**2 * y)
            ]
        return self._kernels


def _interpolation(at: NDArray[np.float64], size: tuple[int, ...]) -> sp.csr_matrix:
    """Return the weights (N, nodes) of the nodes around each place, given in units of the grid."""
    below = np.floor(at)
    offset = (at - below).astype(np.float32)
    first = below.astype(np.int32) - 1
    x, y = _spline(offset[:, 0]), _spline(offset[:, 1])
    weights = x[:, :, None] * y[:, None, :]
    steps = np.arange(_NODES, dtype=np.int32)
    around = (steps[:, None] * np.int32(size[1]) + steps).ravel()
    columns = (first[:, 0] * np.int32(size[1]) + first[:, 1])[:, None] + around
    starts = np.arange(0, columns.size + 1, _NODES**2, dtype=np.int32)
    return sp.csr_matrix(
        (weights.ravel(), columns.ravel(), starts), shape=(len(at), size[0] * size[1])
    )


def _spline(t: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cubic B-spline at t (N,), in 0 to 1, from the nodes −1, 0, 1 and 2: (N, 4)."""
    s = 1 - t
    left, right = s * s, t * t
    weights = np.empty((len(t), _NODES), np.float32)
    weights[:, 0] = left * s
    weights[:, 1] = 4 - right * (6 - 3 * t)
    weights[:, 2] = 4 - left * (6 - 3 * s)
    weights[:, 3] = right * t
    weights /= 6
    return weights


def _smoothing(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what spreading and reading off by cubic B-splines do to a wave (cycles per node)."""
    return ((2 + np.cos(2 * np.pi * frequency)) / 3) ** 2
