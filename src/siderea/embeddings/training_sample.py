"""The spectra that a network is trained on, drawn evenly from a stream of unknown length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TrainingSample"]


class TrainingSample:
    """Up to a number of rows of a stream, each with the same chance, in half precision.

    Vitter's algorithm R (1985, ACM Trans. Math. Softw. 11, 37).

    Parameters
    ----------
    most : int
        Rows kept.
    rng : numpy.random.Generator
        Draws them.
    """

    def __init__(self, most: int, rng: np.random.Generator) -> None:
        self._most, self._rng, self._seen = most, rng, 0
        self._rows: list[tuple[NDArray[np.float16], NDArray[np.float16]]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, absorbed: NDArray, weight: NDArray) -> None:
        """Offer rows (n, B) of both tables."""
        halves = absorbed.astype(np.float16), weight.astype(np.float16)
        for row in zip(*halves, strict=True):
            self._seen += 1
            if len(self._rows) < self._most:
                self._rows.append((row[0].copy(), row[1].copy()))
                continue
            place = int(self._rng.integers(self._seen))
            if place < self._most:
                self._rows[place] = row[0].copy(), row[1].copy()

    def take(self) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Return both tables (N, B), and forget the rows."""
        absorbed = np.stack([row[0] for row in self._rows])
        self._rows = [(absorbed[:0], row[1]) for row in self._rows]
        weight = np.stack([row[1] for row in self._rows])
        self._rows = []
        return absorbed, weight
