"""The objects nearest to one, on a map or among the features that a map was made of."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.explorer.refusals import NotNowError
from siderea.explorer.survey import SECOND_PASS, Survey

__all__ = ["MOST", "Near", "Neighbours"]

MOST = 200


@dataclass(frozen=True)
class Near:
    """Neighbours, the nearest first.

    Parameters
    ----------
    rows : (k,) ndarray of int
    distances : (k,) ndarray
        In the units of the map or of the features.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float32]


class Neighbours:
    """Neighbours in the spaces of a survey; the points of the last space are kept.

    Parameters
    ----------
    survey : Survey
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self._held: tuple[tuple[str, str], NDArray, NDArray] | None = None
        self._lock = threading.Lock()

    def of(self, row: int, space: str, k: int) -> Near:
        """Find the neighbours of a row.

        Parameters
        ----------
        row : int
        space : str
            ``"map:NAME"`` or ``"features:NAME"``.
        k : int
            At most `MOST`.

        Raises
        ------
        DataError
            If there is no such space, or the object is not in it.
        """
        import faiss

        rows, points = self._points(space)
        place = int(np.searchsorted(rows, row))
        if place == rows.size or rows[place] != row:
            raise NotNowError(f"row {row} is not on {space}: too few good pixels")
        squared, found = faiss.knn(points[place : place + 1], points, min(k + 1, rows.size))
        others = found[0] != place
        distance = np.sqrt(np.maximum(squared[0][others], 0.0))
        return Near(rows[found[0][others]][:k], distance[:k])

    def _points(self, space: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        kind, _, name = space.partition(":")
        if kind == "map":
            places = self.survey.places(name)
            usable = np.flatnonzero(np.isfinite(places).all(axis=1))
            return usable, np.ascontiguousarray(places[usable], dtype=np.float32)
        if kind != "features":
            raise DataError(f"space: found {space[:60]!r}; expected map:NAME or features:NAME")
        with self._lock:
            name = name.removesuffix(SECOND_PASS)  # it is made of the same features
            key = (name, self.survey.features_version(name))
            if self._held is None or self._held[0] != key:
                self._held = None  # the old ones go before the new ones come
                self._held = (key, *self.survey.feature_matrix(name))
            return self._held[1], self._held[2]

    def features(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return rows (M,) and features (M, K) of a map, kept for the next call."""
        return self._points(f"features:{name}")
