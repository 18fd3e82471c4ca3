"""A selection as a table of its own: CSV, FITS, VOTable."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
from numpy.typing import NDArray

from siderea.explorer.columns import Column
from siderea.explorer.refusals import TooLargeError
from siderea.explorer.survey import Survey

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["FORMATS", "MOST_CELLS", "Format", "astropy_table", "exported", "rows_told"]

MOST_CELLS = 20_000_000
"""Rows times columns of a file: about 160 MB."""

Format = Literal["csv", "fits", "votable"]


@dataclass(frozen=True)
class FileKind:
    """How a format is named on its way.

    Parameters
    ----------
    suffix, media_type : str
    """

    suffix: str
    media_type: str


FORMATS: dict[str, FileKind] = {
    "csv": FileKind("csv", "text/csv; charset=utf-8"),
    "fits": FileKind("fits", "application/fits"),
    "votable": FileKind("vot", "application/x-votable+xml"),
}


def exported(
    survey: Survey, rows: NDArray[np.int64], keys: Sequence[str], format: Format
) -> Iterator[bytes]:
    """Return a file in pieces: ``row``, ``id``, and columns by keys (all for none).

    Parameters
    ----------
    survey : Survey
    rows : (M,) ndarray of int
    keys : sequence of str
    format : {"csv", "fits", "votable"}

    Raises
    ------
    DataError
        If a column is not there, or the file would be too large.
    """
    chosen = _chosen(survey, keys)
    _require_small(rows.size, len(chosen) + 2)
    if format == "csv":
        return _csv(survey, rows, chosen)
    table = astropy_table(survey, rows, [column.key for column in chosen])
    return iter([_written(table, format)])


def _chosen(survey: Survey, keys: Sequence[str]) -> list[Column]:
    if keys:
        return [survey.columns.column(key) for key in dict.fromkeys(keys)]
    return [column for column in survey.columns if column.key != "catalogue:id"]


def _require_small(n_rows: int, n_columns: int) -> None:
    if n_rows * n_columns > MOST_CELLS:
        raise TooLargeError(
            f"{n_rows} rows of {n_columns} columns: at most {MOST_CELLS} values go into one file; "
            "choose fewer columns"
        )


def _names(columns: Iterable[Column]) -> dict[str, str]:
    """Return names by key: the column's own, with its table's before it where two are alike."""
    columns = list(columns)
    own = [column.name for column in columns]
    return {
        column.key: column.name
        if own.count(column.name) == 1 and column.name not in ("id", "row")
        else f"{column.table}_{column.name}"
        for column in columns
    }


def _csv(survey: Survey, rows: NDArray[np.int64], chosen: list[Column]) -> Iterator[bytes]:
    names = _names(chosen)
    columns = {"row": pa.array(rows), "id": survey.names.ids.take(pa.array(rows))}
    for column in chosen:
        columns[names[column.key]] = _flat(survey.columns.taken(column.key, rows))
    table = pa.table(columns)
    step = 20_000
    for start in range(0, len(table), step):
        sink = io.BytesIO()
        options = pc_csv.WriteOptions(include_header=start == 0)
        pc_csv.write_csv(table.slice(start, step), sink, options)
        yield sink.getvalue()


def _flat(array: pa.Array) -> pa.Array:
    """Return a column that a table of text can hold."""
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        return pa.array([None if one is None else str(one) for one in array.to_pylist()])
    return array


def astropy_table(survey: Survey, rows: NDArray[np.int64], keys: Sequence[str]) -> Table:
    """Return rows and columns as an astropy table, with units and descriptions.

    Parameters
    ----------
    survey, rows, keys
        See `exported`.
    """
    from astropy.table import Table

    chosen = _chosen(survey, keys)
    _require_small(rows.size, len(chosen) + 2)
    names = _names(chosen)
    table = Table(meta={"name": survey.store.path.stem})
    table["row"] = rows
    table["row"].description = "place in the store, from 0"
    table["id"] = np.array(survey.names.of(rows), dtype=str)
    for column in chosen:
        name = names[column.key]
        table[name] = _plain(survey.columns.taken(column.key, rows))
        table[name].description = column.naming.description or None
        table[name].unit = _unit(column.naming.unit)
    return table


_UNITS = {"Å": "Angstrom", "solar": "", "per pixel": "", "dex": "dex", "σ": ""}


def _unit(unit: str) -> str | None:
    return _UNITS.get(unit, unit) or None


def _plain(array: pa.Array) -> NDArray:
    """Return a column as FITS and VOTable hold it: NaN, empty text for what is missing."""
    kind = array.type
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not array.null_count):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if pa.types.is_integer(kind):
        return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if pa.types.is_boolean(kind) and not array.null_count:
        return np.asarray(array.to_numpy(zero_copy_only=False)).astype(bool)
    words = ["" if one is None else str(one) for one in array.to_pylist()]
    return np.array(words, dtype=str)


def _written(table: Table, format: Format) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units that FITS has no word for stay as they are
        if format == "fits":
            for name in table.colnames:
                if table[name].dtype.kind == "U":  # FITS holds ASCII
                    table[name] = [_ascii(one) for one in table[name]]
                description = table[name].description
                table[name].description = _ascii(description) if description else None
            table.write(sink, format="fits")
        else:
            table.write(sink, format="votable", tabledata_format="binary2")
    return sink.getvalue()


def _ascii(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", str(text))


def rows_told(survey: Survey, rows: NDArray[np.int64], keys: Sequence[str]) -> dict[str, Any]:
    """Return some rows of some columns as they are, for a table on the screen.

    Parameters
    ----------
    survey, rows, keys
        See `exported`.
    """
    columns = [
        {"key": key, "values": _flat(survey.columns.taken(key, rows)).to_pylist()}
        for key in dict.fromkeys(keys)
    ]
    return {"rows": rows, "ids": survey.names.of(rows), "columns": columns}
