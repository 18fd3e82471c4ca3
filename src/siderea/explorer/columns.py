"""Every column of a store by its key ``table:column``: read when asked for, kept within a bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.explorer.cache import ByteCache
from siderea.explorer.flag_names import FlagBit, flags_of
from siderea.explorer.names import Naming, naming
from siderea.explorer.refusals import AbsentError
from siderea.explorer.values import Summary, Values, decoded, summary

__all__ = ["Column", "Columns", "Table"]

_ALWAYS_TEXT = {"id", "star_id"}
_CACHE = 96 * 2**20


class Table(Protocol):
    """What columns are read from."""

    @property
    def name(self) -> str:  # noqa: D102
        ...

    @property
    def version(self) -> str:  # noqa: D102
        ...

    @property
    def columns(self) -> tuple[str, ...]:  # noqa: D102
        ...

    def read(self, column: str) -> pa.Array:
        """Return a column (N,) in the order of the catalogue."""
        ...

    def at(self, row: int, columns: Iterable[str]) -> dict[str, Any]:
        """Return values of one row."""
        ...


@dataclass(frozen=True)
class Column:
    """What is known of a column without its values.

    Parameters
    ----------
    key : str
        ``table:column``.
    table, name : str
    naming : Naming
    flags : tuple of FlagBit
    version : str
        Changes when the values may have.
    """

    key: str
    table: str
    name: str
    naming: Naming
    flags: tuple[FlagBit, ...]
    version: str


class Columns:
    """The columns of several tables of N rows each.

    Parameters
    ----------
    max_bytes : int
        Bound of what is kept in memory.

    Attributes
    ----------
    summaries : dict of str to (str, Summary)
        Version and `Summary` by key, of the columns that were asked about.
    """

    def __init__(self, *, max_bytes: int = _CACHE) -> None:
        self._tables: dict[str, Table] = {}
        self._cache = ByteCache(max_bytes)
        self.summaries: dict[str, tuple[str, Summary]] = {}

    @property
    def tables(self) -> Mapping[str, Table]:
        """Tables by name."""
        return self._tables

    def set_tables(self, tables: list[Table]) -> None:
        """Replace the tables: what is kept of unchanged ones stays good."""
        self._tables = {table.name: table for table in tables}

    def __iter__(self) -> Iterator[Column]:
        """Yield every `Column`."""
        for table in list(self._tables):
            yield from self.of(table)

    def of(self, name: str) -> Iterator[Column]:
        """Yield the columns of one table; the ``id`` of products is that of the catalogue."""
        table = self._tables[name]
        for column in table.columns:
            if name == "catalogue" or column != "id":
                yield self._column(table, column)

    def _column(self, table: Table, name: str) -> Column:
        bits = flags_of(table.name, name)
        key = f"{table.name}:{name}"
        return Column(key, table.name, name, naming(name), bits, table.version)

    def column(self, key: str) -> Column:
        """Return a column by its key.

        Raises
        ------
        DataError
            If there is none.
        """
        table, _, name = key.partition(":")
        if table not in self._tables or name not in self._tables[table].columns:
            raise AbsentError(f"no column {_short(key)}; GET /api/schema lists those that are")
        return self._column(self._tables[table], name)

    def values(self, key: str) -> Values:
        """Return the values of a column.

        Raises
        ------
        DataError
            If there is none.
        """
        column = self.column(key)
        if column.name in _ALWAYS_TEXT:
            return Values("text", np.empty(0, dtype=np.float32))
        table = self._tables[column.table]
        return self._cache.get(
            ("values", key, column.version),
            lambda: decoded(table.read(column.name), flags=bool(column.flags)),
            lambda values: values.n_bytes,
        )

    def buffer(self, key: str) -> bytes:
        """Return the values of a column as the page gets them.

        Raises
        ------
        DataError
            If there is none, or it is text.
        """
        values = self.values(key)
        if values.kind == "text":
            raise DataError(f"column {_short(key)} is text: POST /api/table gives it by rows")
        version = self.column(key).version
        return self._cache.get(("buffer", key, version), values.buffer, len)

    def summary(self, key: str) -> Summary:
        """Return what is said of a column; worked out once for each version of it."""
        version = self.column(key).version
        known = self.summaries.get(key)
        if known is None or known[0] != version:
            known = (version, summary(self.values(key)))
            self.summaries[key] = known
        return known[1]

    def named(self, name: str) -> str:
        """Return the key that a name means: ``table:column``, ``table.column`` or a bare column.

        Raises
        ------
        DataError
            If there is none, or several products have it.
        """
        for separator in (":", "."):
            table, _, column = name.partition(separator)
            if column and table in self._tables and column in self._tables[table].columns:
                return f"{table}:{column}"
        having = [one for one, table in self._tables.items() if name in table.columns]
        if "catalogue" in having or len(having) == 1:
            return f"{'catalogue' if 'catalogue' in having else having[0]}:{name}"
        if having:
            raise DataError(f"{name} is in {', '.join(having)}: write {having[0]}.{name}")
        raise DataError(f"no column {_short(name)}; GET /api/schema lists those that are")

    def taken(self, key: str, rows: NDArray[np.int64]) -> pa.Array:
        """Return values of some rows as they are stored."""
        column = self.column(key)
        array = self._tables[column.table].read(column.name)
        taken = array.take(pa.array(rows, pa.int64()))
        return taken.cast(pa.string()) if pa.types.is_dictionary(taken.type) else taken


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
