"""A table as VOTable, written from whole columns: astropy's writer goes value by value.

The rows stand as one base64 stream of the standard's BINARY serialisation, big-endian. Missing
numbers are NaN, missing words empty.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

__all__ = ["Field", "votable"]


@dataclass(frozen=True)
class Field:
    """A column.

    Parameters
    ----------
    name : str
    values : (N,) ndarray
        Numbers, bool, or text (dtype U).
    unit, description : str
    """

    name: str
    values: NDArray
    unit: str = ""
    description: str = ""


_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
<TABLE name={name} nrows="{n}">
"""
_TAIL = "\n</STREAM></BINARY></DATA></TABLE></RESOURCE></VOTABLE>\n"
_TYPES = {"f4": "float", "f8": "double", "i8": "long", "i4": "int"}


def votable(name: str, fields: Sequence[Field]) -> bytes:
    """Return a VOTable.

    Parameters
    ----------
    name : str
    fields : sequence of Field
        At least one, of the same length.
    """
    n = len(fields[0].values)
    columns = [_stored(field.values) for field in fields]
    kind = np.dtype([(f"c{i}", *_kind(column)) for i, column in enumerate(columns)])
    rows = np.empty(n, dtype=kind)
    for i, column in enumerate(columns):
        rows[f"c{i}"] = column
    described = "".join(
        _described(field, column) for field, column in zip(fields, columns, strict=True)
    )
    head = _HEAD.format(name=_quoted(name), n=n)
    opening = f'{head}{described}<DATA><BINARY><STREAM encoding="base64">\n'
    return opening.encode() + base64.encodebytes(rows.tobytes()) + _TAIL.encode()


def _stored(values: NDArray) -> NDArray:
    """Return numbers in a type of the standard's, big-endian; text as fixed UTF-16 characters."""
    if values.dtype.kind == "b":
        return values.astype(">i4")
    if values.dtype.kind in "iu":
        return values.astype(">i8")
    if values.dtype.kind == "f":
        return values.astype(f">f{max(4, values.dtype.itemsize)}")
    words = [str(one).encode("utf-16-be", "replace") for one in values]
    width = max(2, *(len(word) for word in words)) if words else 2
    packed = b"".join(word.ljust(width, b"\0") for word in words)
    return np.frombuffer(packed, dtype=">u2").reshape(len(words), width // 2)


def _kind(column: NDArray) -> tuple:
    return (column.dtype, column.shape[1:]) if column.ndim > 1 else (column.dtype,)


def _described(field: Field, column: NDArray) -> str:
    if column.ndim > 1:
        sort = f'datatype="unicodeChar" arraysize="{column.shape[1]}"'
    else:
        sort = f'datatype="{_TYPES[column.dtype.str[1:]]}"'
    unit = f" unit={_quoted(field.unit)}" if field.unit else ""
    text = f"<DESCRIPTION>{_quoted(field.description)[1:-1]}</DESCRIPTION>"
    said = text if field.description else ""
    return f"<FIELD name={_quoted(field.name)} {sort}{unit}>{said}</FIELD>\n"


def _quoted(text: str) -> str:
    """Return text as an attribute, without what XML cannot hold."""
    kept = "".join(one for one in text if one >= " " and one not in "\ufffe\uffff")
    return quoteattr(kept.encode("utf-8", "replace").decode("utf-8"))
