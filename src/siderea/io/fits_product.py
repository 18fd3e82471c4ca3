"""Opening a FITS file safely: whatever is wrong with it becomes one clear line.

A survey of a million files holds truncated downloads, error pages named ``.fits`` and files of
another product. Every reader goes through `open_product`, so each of these raises
`siderea.errors.NotThisProductError` with the path, what was found and what was expected, and
nothing else that a file can contain escapes as a traceback.
"""

from __future__ import annotations

import gzip
import io
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from siderea.errors import NotThisProductError

__all__ = ["FitsProduct", "open_product"]

BLOCK = 2880
"""Bytes that every header and every array of a FITS file fills a multiple of (the standard)."""

SENTINELS = (-9999.0, -999.0, -99.0)
"""Numbers that surveys write where a value is missing; they become NaN."""

_DAMAGE = (OSError, EOFError, ValueError, TypeError, AstropyUserWarning, fits.VerifyError)


class FitsProduct:
    """The open HDUs of one file, with every look-up checked.

    Made by `open_product`. An extension is named by number or by EXTNAME.
    """

    def __init__(self, path: object, expected: str, hdus: fits.HDUList, content: bytes) -> None:
        self.path, self.expected = str(path), expected
        self._hdus, self._content = hdus, content
        self._headers: dict[int | str, fits.Header] = {}

    def __len__(self) -> int:
        return self._checked("a damaged file", lambda: len(self._hdus))

    def wrong(self, found: str) -> NotThisProductError:
        """Return the error that says that ``found`` is not what the product holds."""
        return NotThisProductError(self.path, found, self.expected)

    def names(self) -> tuple[str, ...]:
        """Return the EXTNAME of every HDU (empty where there is none)."""
        return self._checked("a damaged file", lambda: tuple(hdu.name for hdu in self._hdus))

    def header(self, extension: int | str = 0) -> fits.Header:
        """Return the header of one extension.

        Raises
        ------
        NotThisProductError
            If the extension is absent or cannot be read.
        """
        if extension not in self._headers:
            self._headers[extension] = self._hdu(extension).header
        return self._headers[extension]

    def has(self, extension: int | str) -> bool:
        """Say whether the file holds an extension."""
        try:
            self._hdu(extension)
        except NotThisProductError:
            return False
        return True

    def text(self, key: str, extension: int | str = 0, *, default: str = "") -> str:
        """Return a keyword as a stripped string, ``default`` where it is absent."""
        return str(self.header(extension).get(key, default)).strip()

    def number(
        self,
        key: str,
        extension: int | str = 0,
        *,
        sentinels: Sequence[float] = SENTINELS,
    ) -> float:
        """Return a keyword as a float, NaN where it is absent, no number, or a sentinel."""
        value = self.header(extension).get(key)
        try:
            number = float(value)
        except (TypeError, ValueError):
            return float("nan")
        return float("nan") if number in sentinels else number

    def require(self, key: str, extension: int | str = 0) -> Any:
        """Return a keyword that the product always has.

        Raises
        ------
        NotThisProductError
            If it is absent.
        """
        header = self.header(extension)
        if key not in header:
            raise self.wrong(f"no keyword {key} in extension {extension}")
        return header[key]

    def image(self, extension: int | str = 0, *, ndim: int | None = None) -> NDArray:
        """Return an image in the machine's byte order (floats stay as wide as they are).

        Raises
        ------
        NotThisProductError
            If there is no image, it is cut short, or it has another number of dimensions.
        """
        hdu = self._hdu(extension)
        data = self._checked(f"a damaged extension {extension}", lambda: hdu.data)
        if not isinstance(data, np.ndarray) or data.dtype.names is not None:
            raise self.wrong(f"no image in extension {extension}")
        if ndim is not None and data.ndim != ndim:
            raise self.wrong(f"an image of shape {data.shape} in extension {extension}")
        return _native_order(data)

    def last_image(self) -> tuple[fits.Header, NDArray]:
        """Return header and image of the last extension, without walking those before it.

        A third of the time of reading a file goes into headers that nobody asked for.

        Raises
        ------
        NotThisProductError
            If the last extension is no image, or is cut short.
        """
        start = self._content.rfind(b"XTENSION= 'IMAGE")
        if start < 0 or start % BLOCK or self._content.rfind(b"XTENSION= 'BIN") > start:
            raise self.wrong("no image in the last extension")
        found = "a damaged last extension"
        hdu = self._checked(found, lambda: fits.ImageHDU.fromstring(self._content[start:]))
        data = self._checked(found, lambda: hdu.data)
        if not isinstance(data, np.ndarray):
            raise self.wrong("no image in the last extension")
        return hdu.header, _native_order(data)

    def columns(self, extension: int | str, *names: str) -> tuple[NDArray, ...]:
        """Return columns of a table, by name in any case, in the machine's byte order.

        Raises
        ------
        NotThisProductError
            If there is no table, it is cut short, or a column is absent.
        """
        hdu = self._hdu(extension)
        data = self._checked(f"a damaged extension {extension}", lambda: hdu.data)
        if not isinstance(data, np.ndarray) or data.dtype.names is None:
            raise self.wrong(f"no table in extension {extension}")
        known = {name.lower(): name for name in data.dtype.names}
        absent = [name for name in names if name.lower() not in known]
        if absent:
            raise self.wrong(f"no column {', '.join(absent)} in extension {extension}")
        return tuple(_native_order(np.asarray(data[known[name.lower()]])) for name in names)

    def column_names(self, extension: int | str) -> tuple[str, ...]:
        """Return the names of a table's columns in lower case; empty for an image."""
        columns = getattr(self._hdu(extension), "columns", None)
        return tuple(name.lower() for name in columns.names) if columns is not None else ()

    def _hdu(self, extension: int | str) -> Any:
        return self._checked(f"no extension {extension}", lambda: self._hdus[extension])

    def _checked(self, found: str, action: Any) -> Any:
        try:
            return action()
        except (*_DAMAGE, KeyError, IndexError) as error:
            detail = _one_line(error)
            raise self.wrong(f"{found} ({detail})" if detail else found) from error


@contextmanager
def open_product(path: str | os.PathLike[str], *, expected: str) -> Iterator[FitsProduct]:
    """Open a FITS file (gzipped or not), for the time of a ``with``.

    The file is read into memory once: no memory map stays open, and a gzipped file leaves no
    temporary file behind.

    Parameters
    ----------
    path : path-like
        The file.
    expected : str
        The product that is wanted, as it should read in an error message.

    Yields
    ------
    FitsProduct
        Its checked contents.

    Raises
    ------
    NotThisProductError
        If the file is absent, empty, not FITS, or cut short.
    """
    content = _content(path, expected)
    with warnings.catch_warnings():  # once for all that is read: it costs more than a look-up
        warnings.simplefilter("error", AstropyUserWarning)
        try:
            hdus = fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=True)
        except _DAMAGE as error:
            found = f"a damaged file ({_one_line(error)})"
            raise NotThisProductError(path, found, expected) from error
        with hdus:
            yield FitsProduct(path, expected, hdus, content)


def _content(path: str | os.PathLike[str], expected: str) -> bytes:
    try:
        content = Path(path).read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        found = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NotThisProductError(path, f"an unreadable file ({found})", expected) from error
    if not content:
        raise NotThisProductError(path, "an empty file", expected)
    if not content.startswith(b"SIMPLE  ="):
        raise NotThisProductError(path, "a file that is not FITS", expected)
    return content


def _native_order(data: NDArray) -> NDArray:
    if data.dtype.kind in "fiuc" and not data.dtype.isnative:
        return data.astype(data.dtype.newbyteorder("="))
    return data


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip("'\". ") if lines else ""
