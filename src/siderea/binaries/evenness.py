"""How evenly the pieces of a spectrum gain by a second star.

A second star improves nearly all of them. Lines that the model has wrong improve some and spoil
others; emission, lithium or a residue of the sky improve a few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["evenness", "steadiness_of"]

Array = NDArray[np.float64]


def steadiness_of(gain: NDArray, seen: NDArray[np.bool_]) -> tuple[Array, NDArray[np.int64]]:
    """Return the mean gain over its scatter from piece to piece (N,), and their number (N,).

    ḡ / s(g): it depends neither on how large the errors are, nor on the number of pieces.

    Parameters
    ----------
    gain : (N, B) ndarray
        In χ², of every piece.
    seen : (N, B) ndarray of bool
        Pieces that count.
    """
    number = np.maximum(seen.sum(axis=1), 2)
    mean = np.where(seen, gain, 0.0).sum(axis=1) / number
    variance = np.where(seen, (gain - mean[:, None]) ** 2, 0.0).sum(axis=1) / (number - 1)
    scatter = np.sqrt(variance)
    known = scatter > 1e-12
    return np.divide(mean, scatter, out=np.zeros(len(gain)), where=known), number


def evenness(gain: NDArray, seen: NDArray[np.bool_], piece: int) -> Array:
    """Return the gain in χ² in units of its own scatter between pieces of the spectrum (N,).

    t = Σ g / √(B var g), g the gain in each of B pieces. Were noise all, t² = Δχ²/4 about.

    Parameters
    ----------
    gain : (N, ..., P) ndarray
        Of each pixel.
    seen : (N, ..., P) ndarray of bool
        Good pixels; a piece with fewer than a quarter of them does not count.
    piece : int
        Pixels of a piece: several lines, some 6 Å.
    """
    whole = gain.shape[-1] // piece * piece
    shape = (len(gain), int(np.prod(gain.shape[1:-1])) * (whole // piece), piece)
    pieces = gain[..., :whole].reshape(shape).sum(axis=2, dtype=float)
    counts = seen[..., :whole].reshape(shape).sum(axis=2) > piece // 4
    steady, number = steadiness_of(pieces, counts)
    return steady * np.sqrt(number)
