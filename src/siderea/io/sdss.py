"""SDSS and BOSS optical spectra: ``spec-<plate>-<mjd>-<fiber>.fits``.

Products and versions: the ``spec`` and ``spec-lite`` files of data releases 8 to 18, the only ones
with a table ``COADD`` of ``loglam``, ``flux``, ``ivar``, ``and_mask`` in HDU 1 and the row of the
catalogue (``SPECOBJ`` or ``SPALL``) in HDU 2. Vacuum wavelengths, heliocentric, pixels of 1e-4
dex, R about 2,000. The older ``spSpec`` files are another product.

A pixel is bad where ivar is 0, which the survey sets for all that it considers very bad, or where
the AND mask has `BAD_PIXEL` bits: NOSKY, and BRIGHTSKY, the one that its guide says to look at.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.errors import NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io.barycentre import bmjd
from siderea.io.fits_product import SENTINELS, FitsProduct, open_product
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
from siderea.io.pixels import clean, log_wavelength, on_log_grid

__all__ = ["GRID", "PRODUCTS", "identify", "read_native", "read_spectra"]

PRODUCTS = ("spec",)

EXPECTED = "an SDSS or BOSS spec file"

BAD_PIXEL = 1 << 22 | 1 << 23
"""Bits of SPPIXMASK: NOSKY, BRIGHTSKY."""

STEP = 1e-4

GRID = InstrumentGrid.from_arms(
    {"optical": log_wavelength(35500, 40175, STEP)}, medium="vacuum", resolution=(2000.0,)
)
"""4,676 pixels of 1e-4 dex, 3548-10411 Å: what BOSS covers; SDSS-I/II is a part of it."""

LARGEST_STELLAR_Z = 0.01
"""A redshift beyond 3,000 km/s is no star's velocity."""

SECONDS_PER_DAY = 86_400.0


def identify(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is a spec file, by its extensions and columns."""
    try:
        with open_product(path, expected=EXPECTED) as product:
            return _is_spec(product)
    except NotThisProductError:
        return False


def read_native(path: str | os.PathLike[str]) -> tuple[NativeSpectrum, ...]:
    """Read the one spectrum of a file on its own pixels.

    Parameters
    ----------
    path : path-like
        A spec file.

    Returns
    -------
    tuple of NativeSpectrum
        One.

    Raises
    ------
    NotThisProductError
        If the file is no spec file, or damaged.
    """
    with open_product(path, expected=EXPECTED) as product:
        if not _is_spec(product):
            raise product.wrong("no table of loglam, flux, ivar, and_mask with a catalogue row")
        loglam, flux, ivar, mask = product.columns(1, "loglam", "flux", "ivar", "and_mask")
        wavelength = on_log_grid(loglam, STEP)
        if wavelength.size < 2 or not np.all(np.diff(wavelength) > 0):
            raise product.wrong("wavelengths that do not increase")
        bad = mask.astype(np.int64) & BAD_PIXEL > 0
        values, weight, flags = clean(flux, ivar=ivar, bad=bad)
        arm = Arm("optical", wavelength, values, weight)
        row = _row(product)
        if row["zwarning"]:
            flags |= SpectrumFlag.PIPELINE
        if not np.isfinite(row["snr"]):
            row["snr"] = median_snr(arm)
        return (
            NativeSpectrum(
                id=row.pop("id"),
                arms=(arm,),
                medium="vacuum",
                resolution=GRID.resolution,
                row=row,
                flags=flags,
                path=product.path,
            ),
        )


def read_spectra(
    paths: Paths, *, grid: InstrumentGrid | None = None, frame: Frame = "rest"
) -> Spectra:
    """Read any number of spec files onto one grid.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        spec files.
    grid : InstrumentGrid, optional
        Another grid than `GRID`, with one arm named optical.
    frame : {"rest", "barycentric"}
        Barycentric, the spectra are copied without resampling.

    Returns
    -------
    Spectra
        Flux in 1e-17 erg/s/cm²/Å. The table has ``id`` (plate-mjd-fiber), ``star_id``, ``ra``,
        ``dec``, ``rv``, ``rv_err`` (c Z, for redshifts of stars), ``z``, ``zwarning``, ``snr``,
        ``time``, ``class``, ``subclass``, ``flags``, ``path``.

    Raises
    ------
    NotThisProductError
        If a file is no spec file, or damaged.
    DataError
        If there is no path.
    """
    natives = [native for path in as_paths(paths) for native in read_native(path)]
    return to_common_grid(natives, grid or GRID, frame=frame)


def _is_spec(product: FitsProduct) -> bool:
    if len(product) < 3:
        return False
    pixels, catalogue = set(product.column_names(1)), set(product.column_names(2))
    return {"loglam", "flux", "ivar", "and_mask"} <= pixels and {"z", "class"} <= catalogue


def _row(product: FitsProduct) -> dict[str, Any]:
    plate, mjd, fiber = (
        _value(product, key, default=product.text(header))
        for key, header in (("plate", "PLATEID"), ("mjd", "MJD"), ("fiberid", "FIBERID"))
    )
    ra, dec = (_number(product, f"plug_{key}", f"PLUG_{key.upper()}") for key in ("ra", "dec"))
    z, error = _number(product, "z"), _number(product, "z_err")
    stellar = abs(z) < LARGEST_STELLAR_Z
    identifier = f"{plate}-{mjd}-{fiber}"
    thing = _value(product, "thing_id", default="-1")
    return {
        "id": identifier,
        "star_id": thing if int(float(thing)) > 0 else identifier,
        "ra": ra,
        "dec": dec,
        "z": z,
        "rv": z * C_KMS if stellar else float("nan"),
        "rv_err": error * C_KMS if stellar and error > 0 else float("nan"),
        "zwarning": int(float(_value(product, "zwarning", default="0"))),
        "class": _value(product, "class"),
        "subclass": _value(product, "subclass"),
        "snr": _number(product, "sn_median_all"),
        "time": _time(product, ra, dec),
    }


def _value(product: FitsProduct, column: str, *, default: str = "") -> str:
    """Return the first value of a column of the catalogue row, as text."""
    if column not in product.column_names(2):
        return default
    values = product.columns(2, column)[0].ravel()
    if not values.size:
        raise product.wrong("a catalogue table without a row")
    return str(values[0]).strip()


def _number(product: FitsProduct, column: str, keyword: str | None = None) -> float:
    """Return a column as a number, else a keyword of the primary header; NaN if missing."""
    text = _value(product, column)
    try:
        value = float(text)
    except ValueError:
        return product.number(keyword) if keyword else float("nan")
    return float("nan") if value in SENTINELS else value


def _time(product: FitsProduct, ra: float, dec: float) -> float:
    begin, end, tai = (product.number(key) for key in ("TAI-BEG", "TAI-END", "TAI"))
    seconds = (begin + end) / 2 if np.isfinite(begin + end) else tai
    return float(bmjd(seconds / SECONDS_PER_DAY, ra, dec, scale="tai"))
