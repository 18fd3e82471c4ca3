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
        self._schema = pq.read_schema(path)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._schema.names)

    def type_of(self, column: str) -> pa.DataType:
        """Return the type of a column as it is stored."""
        return self._schema.field(column).type

    @cached_property
    def _rows(self) -> NDArray[np.int64] | None:
        """Row of the table (N,) for each of the catalogue, -1 for none; None: they are the same."""
        if self._names is None:
            return None
        own = RowNames(_joined(pq.read_table(self.path, columns=["id"])["id"]).cast(pa.string()))
        if own.ids.equals(self._names.ids):
            return None
        return own.rows_of(self._names.ids)

    @cached_property
    def n_matched(self) -> int:
        """Rows of the catalogue that the table knows."""
        rows = self._rows
        if rows is None:
            return int(pq.read_metadata(self.path).num_rows)
        return int(np.count_nonzero(rows >= 0))

    def read(self, column: str) -> pa.Array:
        """Return a column (N,), null where the table lacks the row."""
        words = pa.types.is_string(self.type_of(column)) or pa.types.is_large_string(
            self.type_of(column)
        )
        options = {"read_dictionary": [column]} if words else {}
        array = _joined(pq.read_table(self.path, columns=[column], **options)[column])
        rows = self._rows
        return array if rows is None else array.take(pa.array(rows, mask=rows < 0))

    def at(self, row: int, columns: Iterable[str]) -> dict[str, Any]:
        """Return values of one row of the catalogue, from the row group that holds it."""
        place = row if self._rows is None else int(self._rows[row])
        if place < 0:
            return {}
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                if place < size:
                    held = file.read_row_group(group, columns=list(columns), use_threads=False)
                    return dict(held.slice(place, 1).to_pylist()[0])
                place -= size
        return {}


def _joined(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
