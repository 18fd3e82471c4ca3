"""Identifiers of the rows: found by name, by beginning, by row number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Found", "RowNames"]

MOST = 100
"""Rows that a search lists."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Parameters
    ----------
    rows : tuple of int
        At most `MOST`.
    total : int
        All there are.
    """

    rows: tuple[int, ...]
    total: int


class RowNames:
    """Identifiers (N,) and, where there are any, the stars they belong to.

    Parameters
    ----------
    ids : pyarrow.Array of string
        Unique.
    stars : pyarrow.Array of string, optional

    Examples
    --------
    >>> names = RowNames(pa.array(["a1", "a2", "b1"]))
    >>> names.search("a").rows, names.search("2").rows, names.rows_of(["b1", "?"]).tolist()
    ((0, 1), (2, 1), [2, -1])
    """

    def __init__(self, ids: pa.Array, stars: pa.Array | None = None) -> None:
        self.ids = ids
        self.stars = stars

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> str:
        return str(self.ids[row].as_py())

    def of(self, rows: Sequence[int] | NDArray) -> list[str]:
        """Return the identifiers of rows."""
        return self.ids.take(pa.array(rows, pa.int64())).to_pylist()

    def rows_of(self, ids: Sequence[str] | pa.Array) -> NDArray[np.int64]:
        """Return the row of each identifier, -1 for one that is not here."""
        if not len(ids):
            return np.empty(0, dtype=np.int64)
        wanted = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
        found = pc.index_in(wanted, value_set=self.ids).fill_null(-1)
        return np.asarray(found).astype(np.int64)

    def search(self, text: str) -> Found:
        """Find rows: the same name, the same star, the row number, the beginning, any part.

        Parameters
        ----------
        text : str
        """
        text = text.strip()
        if not text:
            return Found((), 0)
        columns = [self.ids] if self.stars is None else [self.ids, self.stars]
        chosen = [np.flatnonzero(pc.equal(column, text)) for column in columns]
        if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < len(self):
            chosen.append(np.array([int(text)]))
        for match in (pc.starts_with, pc.match_substring):
            chosen += [np.flatnonzero(match(column, text).fill_null(False)) for column in columns]
        rows = np.concatenate(chosen).astype(np.int64)
        _, first = np.unique(rows, return_index=True)
        ordered = rows[np.sort(first)]
        return Found(tuple(ordered[:MOST].tolist()), int(ordered.size))
