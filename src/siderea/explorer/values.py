"""Columns as numbers, words or flags: what the page colours by and filters on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["MOST_CATEGORIES", "Kind", "Summary", "Values", "decoded", "summary"]

Kind = Literal["number", "category", "flags", "text"]

MOST_CATEGORIES = 250
"""Different words in a column beyond which it is text, not categories."""

_QUANTILES_OF = 65_536
"""Values that the quantiles are taken of."""


@dataclass(frozen=True)
class Values:
    """A column in memory.

    Parameters
    ----------
    kind : {"number", "category", "flags", "text"}
    array : (N,) ndarray
        Numbers as float64, float32 or int64; the place among ``words`` as int16, -1 for none;
        flags as int64; empty for text.
    words : tuple of str
        Categories.
    """

    kind: Kind
    array: NDArray[Any]
    words: tuple[str, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return int(self.array.nbytes) + sum(100 + len(word) for word in self.words)

    def buffer(self) -> bytes:
        """Return what the page gets: float32, int16 or uint32, little-endian."""
        sort = {"number": "<f4", "category": "<i2", "flags": "<u4"}[self.kind]
        with np.errstate(over="ignore"):
            return self.array.astype(sort).tobytes()


@dataclass(frozen=True)
class Summary:
    """What is said of a column without its values.

    Parameters
    ----------
    kind : {"number", "category", "flags", "text"}
    words : tuple of str
        Categories.
    low, high : float or None
        Quantiles of 2 and 98 %.
    min, max : float or None
        Of the finite values.
    n_missing : int
    integer : bool
        Whether all values are whole.
    """

    kind: Kind
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    min: float | None = None
    max: float | None = None
    n_missing: int = 0
    integer: bool = False


def decoded(array: pa.Array, *, flags: bool = False) -> Values:
    """Turn an Arrow column into `Values`.

    Parameters
    ----------
    array : pyarrow.Array
        (N,), strings plain or as a dictionary.
    flags : bool
        Whether whole numbers are bits.
    """
    kind = array.type
    if pa.types.is_boolean(kind):
        codes = array.cast(pa.int16()).fill_null(-1)
        return Values("category", np.asarray(codes), ("no", "yes"))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numbers(array, flags=flags)
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _words(array)
    return Values("text", np.empty(0, dtype=np.float32))


def _numbers(array: pa.Array, *, flags: bool) -> Values:
    if flags:
        whole = array.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
        return Values("flags", np.nan_to_num(whole).astype(np.int64))
    if array.null_count and pa.types.is_integer(array.type):
        array = array.cast(pa.float64(), safe=False)
    numbers = array.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind != "f":
        return Values("number", numbers.astype(np.float64 if numbers.dtype == "u8" else np.int64))
    if numbers.dtype not in (np.float32, np.float64):
        numbers = numbers.astype(np.float32)
    infinite = np.isinf(numbers)
    return Values("number", np.where(infinite, np.nan, numbers) if infinite.any() else numbers)


def _words(array: pa.Array) -> Values:
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    dictionary = array.dictionary.cast(pa.string())
    used = pc.unique(array.indices.drop_null())
    if len(used) > MOST_CATEGORIES:
        return Values("text", np.empty(0, dtype=np.float32))
    named = {code: dictionary[code].as_py() for code in used.to_pylist()}
    words = tuple(sorted({word for word in named.values() if word}))
    place = np.full(len(dictionary) + 1, -1, dtype=np.int16)  # the last one: missing
    for code, word in named.items():
        place[code] = words.index(word) if word else -1
    codes = np.asarray(array.indices.cast(pa.int64()).fill_null(len(dictionary)))
    return Values("category", place[codes], words)


def summary(values: Values) -> Summary:
    """Return what is said of a column; quantiles from an even sample where it is long."""
    array = values.array
    if values.kind == "category":
        return Summary("category", values.words, n_missing=int(np.count_nonzero(array < 0)))
    if values.kind != "number":
        return Summary(values.kind)
    known = array if array.dtype.kind == "i" else array[np.isfinite(array)]
    if not known.size:
        return Summary("number", n_missing=int(array.size))
    some = known[:: max(1, known.size // _QUANTILES_OF)]
    low, high = np.percentile(some, [2, 98])
    whole = bool(np.all(some == np.rint(some)) and np.all(known == np.rint(known)))
    return Summary(
        "number",
        low=float(low),
        high=float(high),
        min=float(known.min()),
        max=float(known.max()),
        n_missing=int(array.size - known.size),
        integer=whole,
    )
