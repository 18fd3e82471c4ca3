"""A selection as a table of its own: CSV, FITS, VOTable."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
from numpy.typing import NDArray

from siderea.explorer.columns import Column
from siderea.explorer.refusals import TooLargeError
from siderea.explorer.survey import Survey
from siderea.explorer.votable import Field, votable

__all__ = ["FORMATS", "MOST_CELLS", "FileKind", "Format", "exported", "rows_told"]

MOST_CELLS = 20_000_000
"""Rows times columns of a file: about 160 MB."""

Format = Literal["csv", "fits", "votable"]

_CSV_ROWS = 20_000


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
    fields = _fields(survey, rows, chosen)
    if format == "votable":
        return iter([votable(survey.store.path.stem, fields)])
    return iter([_fits(fields)])


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
    """Return names by key: the column's own, and where two are alike that of its table before it.

    The catalogue's keep their names. FITS does not tell upper from lower case.
    """
    columns = list(columns)
    own = [column.name.lower() for column in columns]
    names = {}
    for column, name in zip(columns, own, strict=True):
        alone = column.table == "catalogue" or own.count(name) == 1
        keeps = alone and name not in ("id", "row")
        names[column.key] = column.name if keeps else f"{column.table}_{column.name}"
    return names


def _csv(survey: Survey, rows: NDArray[np.int64], chosen: list[Column]) -> Iterator[bytes]:
    names = _names(chosen)
    columns = {"row": pa.array(rows), "id": survey.names.ids.take(pa.array(rows))}
    for column in chosen:
        columns[names[column.key]] = _flat(survey.columns.taken(column.key, rows))
    table = pa.table(columns)
    for start in range(0, len(table), _CSV_ROWS):
        sink = io.BytesIO()
        options = pc_csv.WriteOptions(include_header=start == 0)
        pc_csv.write_csv(table.slice(start, _CSV_ROWS), sink, options)
        yield sink.getvalue()


def _flat(array: pa.Array) -> pa.Array:
    """Return a column that a table of text can hold."""
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        return pa.array([None if one is None else str(one) for one in array.to_pylist()])
    return array


_UNITS = {"Å": "Angstrom", "solar": "", "per pixel": "", "σ": ""}


def _fields(survey: Survey, rows: NDArray[np.int64], chosen: list[Column]) -> list[Field]:
    names = _names(chosen)
    fields = [
        Field("row", rows, "", "place in the store, from 0"),
        Field("id", _text(survey.names.of(rows)), "", "one spectrum, unique in the store"),
    ]
    for column in chosen:
        unit = _UNITS.get(column.naming.unit, column.naming.unit)
        values = _plain(survey.columns.taken(column.key, rows))
        fields.append(Field(names[column.key], values, unit, column.naming.description))
    return fields


def _text(words: Iterable[Any]) -> NDArray:
    return np.array(["" if one is None else str(one) for one in words], dtype=str)


def _plain(array: pa.Array) -> NDArray:
    """Return a column as FITS and VOTable hold it: NaN, empty text for what is missing."""
    kind = array.type
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not array.null_count):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if pa.types.is_integer(kind):
        return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if pa.types.is_boolean(kind) and not array.null_count:
        return np.asarray(array.to_numpy(zero_copy_only=False)).astype(bool)
    return _text(array.to_pylist())


def _fits(fields: Sequence[Field]) -> bytes:
    """Return a binary table; FITS holds ASCII: other characters become question marks."""
    from astropy.io import fits

    columns = []
    for number, field in enumerate(fields, 1):
        values = field.values
        if values.dtype.kind == "U":
            values = np.char.encode(values, "ascii", "replace") if values.size else values
        name = _ascii(field.name) or f"column_{number}"
        unit = "" if field.unit == "dex" else _ascii(field.unit)  # FITS knows none: readers warn
        columns.append(fits.Column(name, _form(values), unit=unit or None, array=values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are longer than a keyword's value
        table = fits.BinTableHDU.from_columns(columns)
        for number, field in enumerate(fields, 1):
            if field.description:
                table.header[f"TCOMM{number}"] = _ascii(field.description)
        sink = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(sink)
    return sink.getvalue()


def _form(values: NDArray) -> str:
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind in "SU":
        return f"{max(1, size if kind == 'S' else 1)}A"
    return {"b": "L", "f": "E" if size <= 4 else "D"}.get(kind, "K")


def _ascii(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text)


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
