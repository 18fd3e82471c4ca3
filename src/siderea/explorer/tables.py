"""The tables of a store, each in the order of the catalogue whatever its own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from siderea.explorer.ids import RowNames

__all__ = ["ParquetTable", "signature"]


def signature(path: Path) -> str:
    """Return what changes when a file does: its time, size and number."""
    status = path.stat()
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


class ParquetTable:
    """The catalogue or a product.

    Parameters
    ----------
    name : str
        ``"catalogue"`` or that of the product.
    path : Path
    names : RowNames, optional
        Rows of the catalogue to lay the table on; None where it is the catalogue.
    """

    def __init__(self, name: str, path: Path, names: RowNames | None = None) -> None:
        self.name = name
        self.path = path
        self.version = signature(path)
        self._names = names
        self._metadata = pq.read_metadata(path)  # parsed once: large tables have much of it
        self._schema = self._metadata.schema.to_arrow_schema()
        sizes = [
            self._metadata.row_group(group).num_rows
            for group in range(self._metadata.num_row_groups)
        ]
        self._starts = np.cumsum([0, *sizes])

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(dict.fromkeys(self._schema.names))

    @cached_property
    def _rows(self) -> NDArray[np.int64] | None:
        """Row of the table (N,) for each of the catalogue, -1 for none; None: they are the same."""
        if self._names is None:
            return None
        own = RowNames(_joined(self._read(["id"])["id"]).cast(pa.string()))
        if own.ids.equals(self._names.ids):
            return None
        return own.rows_of(self._names.ids)

    def read(self, column: str) -> pa.Array:
        """Return a column (N,), null where the table lacks the row."""
        array = _joined(self._read([column])[column])
        rows = self._rows
        return array if rows is None else array.take(pa.array(rows, mask=rows < 0))

    def at(self, row: int, columns: Iterable[str]) -> dict[str, Any]:
        """Return values of one row of the catalogue, from the row group that holds it."""
        place = row if self._rows is None else int(self._rows[row])
        if place < 0:
            return {}
        group = int(np.searchsorted(self._starts, place, side="right")) - 1
        held = self._read(list(columns), [group]).slice(place - int(self._starts[group]), 1)
        return {name: held[name][0].as_py() for name in dict.fromkeys(held.column_names)}

    def _read(self, columns: list[str], groups: list[int] | None = None) -> pa.Table:
        words = [
            name
            for name in columns
            if groups is None and pa.types.is_string(self._schema.field(name).type)
        ]
        with pq.ParquetFile(self.path, metadata=self._metadata, read_dictionary=words) as file:
            if groups is None:
                return file.read(columns=columns, use_threads=False)
            return file.read_row_groups(groups, columns=columns, use_threads=False)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
