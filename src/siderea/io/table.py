"""Plain spectra: an npz of many on one grid, or a table (CSV, text, ECSV, FITS, Parquet) of one.

Products: any file that holds, under one of the names in `ALIASES` (in any case),

- **npz**: ``wavelength`` (P,) in Å, ``flux`` (N, P) or (P,), ``ivar`` or ``error`` of its shape;
  optionally ``medium`` and ``frame`` (one word each), ``id`` (N,), ``labels`` (N, L) with
  ``label_names`` (L,); any other array of N values becomes a column of the catalogue.
- **a table**: columns ``wavelength`` (or ``loglam``), ``flux``, ``ivar`` or ``error``, in ECSV and
  FITS with units; single values of its metadata (ECSV, Parquet) become the catalogue's. A text file
  without column names has wavelength, flux and perhaps error, in this order.

What the file does not say (medium, frame, errors) the caller says. Arrays of Python objects are
refused, since only ``pickle`` could read them.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.table import Table
from numpy.typing import NDArray

from siderea.data import Medium, Spectra, plain
from siderea.errors import MediumError, NotThisProductError
from siderea.io.fits_product import open_product
from siderea.io.native import (
    Arm,
    Frame,
    InstrumentGrid,
    NativeSpectrum,
    Paths,
    as_paths,
    median_snr,
    to_common_grid,
)
from siderea.io.pixels import clean

__all__ = ["ALIASES", "PRODUCTS", "grid_of", "identify", "read_native", "read_spectra"]

PRODUCTS = ("npz", "csv", "txt", "dat", "ecsv", "fits", "parquet")

EXPECTED = "a table or npz with wavelength, flux and ivar or error"

ALIASES: dict[str, tuple[str, ...]] = {
    "wavelength": ("wavelength", "wavelengths", "wave", "lambda", "lam"),
    "loglam": ("loglam", "log_wavelength"),
    "flux": ("flux", "fluxes", "spectra", "spectrum"),
    "ivar": ("ivar", "inverse_variance", "invvar"),
    "error": ("error", "errors", "err", "flux_err", "flux_error", "spec_errs", "sigma"),
    "id": ("id", "ids", "name", "names"),
    "medium": ("medium",),
    "frame": ("frame",),
}
"""What each quantity may be called."""

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class _Content:
    """What a file holds: quantities under their own names, and everything else."""

    known: Mapping[str, Any]
    other: Mapping[str, Any]


def identify(path: str | os.PathLike[str]) -> bool:
    """Say whether a file holds at least wavelengths and fluxes under known names."""
    try:
        known = _content(Path(path)).known
    except NotThisProductError:
        return False
    return "flux" in known and bool({"wavelength", "loglam"} & set(known))


def read_native(
    path: str | os.PathLike[str],
    *,
    medium: Medium | None = None,
    file_frame: Frame | None = None,
    resolution: float = float("nan"),
    error: float | None = None,
) -> tuple[NativeSpectrum, ...]:
    """Read the spectra of one file on their own pixels.

    Parameters
    ----------
    path : path-like
        An npz, or a table.
    medium : {"air", "vacuum"}, optional
        What the wavelengths are measured in, where the file does not say.
    file_frame : {"barycentric", "rest"}, optional
        What they refer to, where the file does not say; barycentric by default.
    resolution : float
        Resolving power.
    error : float, optional
        Error of every pixel of a file that has neither ``ivar`` nor ``error``.

    Returns
    -------
    tuple of NativeSpectrum
        N of an npz, one of a table; one arm, called ``spectrum``.

    Raises
    ------
    NotThisProductError
        If the file cannot be read, lacks a quantity, or holds Python objects.
    MediumError
        If neither the file nor the caller says the medium, or the two differ.
    """
    path = Path(path)
    content = _content(path)
    wavelength, flux, ivar, sigma = _pixels(path, content.known, error)
    stated = _medium(path, content.known, medium)
    frame = _frame(path, content.known, file_frame)
    names = _names(path, content.known, len(flux))
    rows = _rows(content.other, len(flux))
    spectra = []
    for number, name in enumerate(names):
        one = {"ivar": ivar[number]} if ivar is not None else {"error": sigma[number]}
        values, weight, flags = clean(flux[number], **one)
        arm = Arm("spectrum", wavelength, values, weight)
        row = {"snr": median_snr(arm), **rows[number]}
        spectra.append(
            NativeSpectrum(name, (arm,), stated, (resolution,), row, flags, str(path), frame)
        )
    return tuple(spectra)


def grid_of(natives: Sequence[NativeSpectrum]) -> InstrumentGrid:
    """Return the pixels of the first spectrum as the grid of all."""
    first = natives[0]
    return InstrumentGrid.from_arms(
        {"spectrum": first.arms[0].wavelength}, medium=first.medium, resolution=first.resolution
    )


def read_spectra(
    paths: Paths,
    *,
    grid: InstrumentGrid | None = None,
    frame: Frame | None = None,
    medium: Medium | None = None,
    file_frame: Frame | None = None,
    resolution: float = float("nan"),
    error: float | None = None,
) -> Spectra:
    """Read any number of files onto one grid.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        npz files and tables, also mixed.
    grid : InstrumentGrid, optional
        Common grid, with one arm called ``spectrum``; by default the pixels of the first
        spectrum. Spectra on the same pixels are copied without resampling.
    frame : {"rest", "barycentric"}, optional
        Frame to shift to with the column ``rv``; by default the spectra stay as they are.
    medium, file_frame, resolution, error
        As in `read_native`.

    Returns
    -------
    Spectra
        The table has ``id``, ``snr`` (computed, where the file gives none), the columns of the
        files, ``flags`` and ``path``.

    Raises
    ------
    NotThisProductError, MediumError
        As `read_native`; also if the files are in different media.
    DataError
        If there is no path.
    """
    natives = [
        native
        for path in as_paths(paths)
        for native in read_native(
            path, medium=medium, file_frame=file_frame, resolution=resolution, error=error
        )
    ]
    return to_common_grid(natives, grid or grid_of(natives), frame=frame)


def _content(path: Path) -> _Content:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise NotThisProductError(
            path, f"a file of type {path.suffix or 'unknown'!r}", f"one of {', '.join(_READERS)}"
        )
    try:
        if path.stat().st_size == 0:
            raise NotThisProductError(path, "an empty file", EXPECTED)
        arrays = reader(path)
    except _UNREADABLE as problem:
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise NotThisProductError(path, f"an unreadable file ({line})", EXPECTED) from problem
    place = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
    known: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for name, value in arrays.items():
        quantity = place.get(str(name).lower())
        if quantity is None or quantity in known:
            other[str(name)] = value
        else:
            known[quantity] = value
    return _Content(known, other)


def _read_npz(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise NotThisProductError(path, "a file that is not npz", EXPECTED)
    arrays: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError as problem:
                if "pickle" not in str(problem).lower():
                    raise
                raise NotThisProductError(
                    path,
                    f"array {name!r} of Python objects, which only pickle could read",
                    "plain arrays; save texts with np.asarray(x, dtype=str)",
                ) from problem
    return arrays


def _read_table(path: Path, form: str) -> dict[str, Any]:
    table = Table.read(path, format=form)
    names = table.colnames
    if all(name == f"col{number}" for number, name in enumerate(names, 1)):
        names = ["wavelength", "flux", "error"][: len(names)]
        table.rename_columns(table.colnames[: len(names)], names)
    meta = {str(key): value for key, value in table.meta.items() if np.ndim(value) == 0}
    columns = {name: _column(table[name]) for name in table.colnames}
    return {**{key: value for key, value in meta.items() if key != "comments"}, **columns}


def _column(column: Any) -> NDArray:
    if hasattr(column, "filled"):
        column = column.astype(float).filled(np.nan) if column.dtype.kind in "fiu" else column
    if getattr(column, "unit", None) is not None and column.unit.is_equivalent("Angstrom"):
        return plain(column.quantity, "Angstrom")
    return np.asarray(column)


def _read_text(path: Path) -> dict[str, Any]:
    return _read_table(path, "ascii")


def _read_csv(path: Path) -> dict[str, Any]:
    return _read_table(path, "ascii.csv")


def _read_ecsv(path: Path) -> dict[str, Any]:
    return _read_table(path, "ascii.ecsv")


def _read_fits(path: Path) -> dict[str, Any]:
    with open_product(path, expected=EXPECTED) as product:
        flux = ALIASES["flux"]
        for extension in range(1, len(product)):
            names = product.column_names(extension)
            if any(name in flux for name in names):
                values = product.columns(extension, *names)
                columns: dict[str, Any] = dict(zip(names, map(np.ravel, values), strict=True))
                medium = product.text("MEDIUM", extension) or product.text("MEDIUM")
                return {**columns, **({"medium": medium.lower()} if medium else {})}
        raise product.wrong("no table with a column of flux")


def _read_parquet(path: Path) -> dict[str, Any]:
    frame = pd.read_parquet(path)
    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    return {**{str(key): value for key, value in frame.attrs.items()}, **columns}


_READERS = {
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".txt": _read_text,
    ".dat": _read_text,
    ".ecsv": _read_ecsv,
    ".fits": _read_fits,
    ".parquet": _read_parquet,
}


def _word(known: Mapping[str, Any], name: str) -> str:
    return str(np.ravel(known[name])[0]).strip().lower() if name in known else ""


def _medium(path: Path, known: Mapping[str, Any], medium: Medium | None) -> Medium:
    stated = _word(known, "medium")
    if stated and medium and stated != medium:
        raise MediumError(f"{path}: says {stated!r}, but medium={medium!r} was given")
    found = stated or medium
    if found == "air":
        return "air"
    if found == "vacuum":
        return "vacuum"
    if found:
        raise MediumError(f"{path}: medium {found!r}; expected 'air' or 'vacuum'")
    raise MediumError(
        f"{path}: does not say the medium of its wavelengths; give medium='air' or 'vacuum'"
    )


def _frame(path: Path, known: Mapping[str, Any], frame: Frame | None) -> Frame:
    found = _word(known, "frame") or frame or "barycentric"
    if found == "barycentric":
        return "barycentric"
    if found == "rest":
        return "rest"
    raise NotThisProductError(path, f"frame {found!r}", "barycentric or rest")


def _numbers(path: Path, name: str, value: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise NotThisProductError(path, f"{name} that are not numbers", EXPECTED) from problem


def _pixels(
    path: Path, known: Mapping[str, Any], error: float | None
) -> tuple[NDArray[np.float64], NDArray, NDArray | None, NDArray]:
    """Return wavelength (P,), flux (N, P), and ivar or error (N, P)."""
    absent = [name for name in ("wavelength", "flux") if name not in known]
    if absent == ["wavelength"] and "loglam" in known:
        absent = []
    if not {"ivar", "error"} & set(known) and error is None:
        absent.append("ivar or error (or give error= for all pixels)")
    if absent:
        raise NotThisProductError(path, f"no {', no '.join(absent)}", EXPECTED)
    wavelength = (
        _numbers(path, "wavelengths", known["wavelength"])
        if "wavelength" in known
        else 10.0 ** _numbers(path, "wavelengths", known["loglam"])
    )
    flux = np.atleast_2d(_numbers(path, "fluxes", known["flux"]))
    quality = "ivar" if "ivar" in known else "error"
    width = np.atleast_2d(
        _numbers(path, quality, known[quality]) if quality in known else np.full(flux.shape, error)
    )
    if wavelength.ndim != 1 or flux.shape[1:] != wavelength.shape or width.shape != flux.shape:
        found = f"wavelength {wavelength.shape}, flux {flux.shape}, {quality} {width.shape}"
        raise NotThisProductError(path, found, "wavelength (P,), the others (N, P)")
    if wavelength.size < 2 or not wavelength[0] > 0 or not np.all(np.diff(wavelength) > 0):
        raise NotThisProductError(
            path, "wavelengths that do not increase", "at least two positive, increasing values"
        )
    return wavelength, flux, (width if quality == "ivar" else None), width


def _names(path: Path, known: Mapping[str, Any], n: int) -> list[str]:
    if "id" in known and np.size(known["id"]) == n:
        return [str(name) for name in np.ravel(known["id"])]
    return [path.stem] if n == 1 else [f"{path.stem}-{number}" for number in range(n)]


def _rows(other: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    """Spread what else a file holds over the catalogue rows of its N spectra."""
    columns: dict[str, Any] = {}
    for name, value in other.items():
        array = np.asarray(value)
        if array.shape == (n,):
            columns[name] = array.tolist()
        elif n == 1 and array.ndim == 0:
            columns[name] = [array.item()]
    labels, names = np.asarray(other.get("labels", [])), np.ravel(other.get("label_names", []))
    if labels.shape == (n, names.size):
        columns.update({str(name): labels[:, k].tolist() for k, name in enumerate(names)})
    return [{name: values[number] for name, values in columns.items()} for number in range(n)]
