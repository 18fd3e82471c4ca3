"""The labels of the log as columns, beside those of the store."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from siderea.explorer.ids import RowNames
from siderea.io.label_log import LabelLog

__all__ = ["ArrayTable", "LabelTable"]


class ArrayTable:
    """Columns in memory as a table.

    Parameters
    ----------
    name, version : str
    arrays : dict of str to pyarrow.Array
        (N,) each.
    """

    def __init__(self, name: str, version: str, arrays: dict[str, pa.Array]) -> None:
        self.name = name
        self.version = version
        self._arrays = arrays

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._arrays)

    def read(self, column: str) -> pa.Array:
        """Return a column."""
        return self._arrays[column]

    def at(self, row: int, columns: Iterable[str]) -> dict[str, Any]:
        """Return values of one row."""
        return {name: self._arrays[name][row].as_py() for name in columns}


class LabelTable:
    """The class, the flag and the person of each spectrum, as the log has them now.

    Parameters
    ----------
    log : LabelLog
    names : RowNames
    """

    name = "labels"
    columns = ("class", "flag", "user")

    def __init__(self, log: LabelLog, names: RowNames) -> None:
        self.log = log
        self.names = names
        self._made: tuple[int, dict[str, pa.Array]] = (-1, {})
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """The number of the last entry."""
        return f"labels-{self.log.seq}"

    def read(self, column: str) -> pa.Array:
        """Return a column, null where nothing was said."""
        with self._lock:
            seq = self.log.seq
            if self._made[0] != seq:
                self._made = (seq, self._columns())
            return self._made[1][column]

    def at(self, row: int, columns: Iterable[str]) -> dict[str, Any]:
        """Return values of one row."""
        return {name: self.read(name)[row].as_py() for name in columns}

    def _columns(self) -> dict[str, pa.Array]:
        classes, flags = self.log.standing("class"), self.log.standing("flag")
        return {
            "class": self._laid([(one, entry.value) for one, entry in classes]),
            "flag": self._laid([(one, entry.value) for one, entry in flags]),
            "user": self._laid([(one, entry.user) for one, entry in (*flags, *classes)]),
        }

    def _laid(self, said: list[tuple[str, str]]) -> pa.Array:
        """Return words (N,) by row; what was said last counts, of ids that are not here nothing."""
        rows = self.names.rows_of([one for one, _ in said])
        words = sorted({word for _, word in said})
        place = {word: number for number, word in enumerate(words)}
        codes = np.full(len(self.names), -1, dtype=np.int32)
        for row, (_, word) in zip(rows, said, strict=True):
            if row >= 0:
                codes[row] = place[word]
        indices = pa.array(codes, mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))
