"""LAMOST spectra: the low-resolution survey (``spec-*``) and the medium-resolution one (``med-*``).

Products and versions: data releases 1 to 10, gzipped or not. Vacuum wavelengths, heliocentric.

- **LRS**, R = 1,800, 3700-9100 Å. To DR7 an image of five rows in the primary HDU (flux, ivar,
  wavelength, AND mask, OR mask); from DR8 a table in the extension ``COADD`` with the same as
  columns. Pixels of 1e-4 dex. The velocity is c Z of the header, for redshifts of stars.
- **MRS**, R = 7,500, 4950-5350 Å and 6300-6800 Å: extensions ``COADD_B``, ``COADD_R`` and one
  ``B-<LMJM>``, ``R-<LMJM>`` per exposure, named by the local minute of its start. B and R of one
  minute are two arms of one spectrum. The headers give no velocity.

A pixel is bad where ivar is 0, or where the AND mask (of one exposure: the pixel mask) is set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.errors import DataError, NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io.barycentre import bmjd
from siderea.io.fits_product import FitsProduct, open_product
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
from siderea.io.star_names import one_name_per_star
from siderea.spectra.doppler import shift

__all__ = [
    "LRS_GRID",
    "MRS_GRID",
    "PRODUCTS",
    "grid_of",
    "identify",
    "read_native",
    "read_spectra",
    "unify_stars",
]

PRODUCTS = ("LRS", "MRS")

Exposures = Literal["coadd", "single", "all"]

EXPECTED = "a LAMOST LRS or MRS spectrum"

LRS_STEP, MRS_STEP = 1e-4, 1e-5

LARGEST_STELLAR_Z = 0.01
"""A redshift beyond 3,000 km/s is no star's velocity: a galaxy, a quasar, or a failed fit."""

LOCAL_TIME = 8.0 / 24.0
"""Beijing time is UTC + 8 h; the minutes LMJM and the dates DATE-BEG are local."""

LRS_GRID = InstrumentGrid.from_arms(
    {"optical": log_wavelength(35682, 39590, LRS_STEP)}, medium="vacuum", resolution=(1800.0,)
)
"""3,909 pixels of 1e-4 dex, 3700-9099 Å: the widest LRS spectrum; a shorter one is a part of it."""

MRS_GRID = InstrumentGrid.from_arms(
    {
        "blue": log_wavelength(369461, 372835, MRS_STEP),
        "red": log_wavelength(379935, 383250, MRS_STEP),
    },
    medium="vacuum",
    resolution=(7500.0, 7500.0),
)
"""6,691 pixels of 1e-5 dex: 4950-5350 Å and 6300-6800 Å, which every MRS exposure covers."""

_ARM_NAMES = {"B": "blue", "R": "red"}


def identify(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is a LAMOST spectrum, by its keywords and extensions."""
    try:
        with open_product(path, expected=EXPECTED) as product:
            return _kind(product) is not None
    except NotThisProductError:
        return False


def read_native(
    path: str | os.PathLike[str], *, exposures: Exposures = "coadd"
) -> tuple[NativeSpectrum, ...]:
    """Read the spectra of one file on their own pixels.

    Parameters
    ----------
    path : path-like
        An LRS or MRS file.
    exposures : {"coadd", "single", "all"}
        Of an MRS file: the sum of the exposures, each exposure, or the sum and then each. An LRS
        file holds the sum only.

    Returns
    -------
    tuple of NativeSpectrum
        Flux in the units of the file, not normalised.

    Raises
    ------
    NotThisProductError
        If the file is no LAMOST spectrum, is damaged, or lacks what is asked for.
    DataError
        If ``exposures`` is none of the three.
    """
    if exposures not in ("coadd", "single", "all"):
        raise DataError(f"exposures: found {exposures!r}; expected 'coadd', 'single' or 'all'")
    with open_product(path, expected=EXPECTED) as product:
        kind = _kind(product)
        if kind == "LRS":
            return (_read_lrs(product),)
        if kind == "MRS":
            return _read_mrs(product, exposures)
        telescope = product.text("TELESCOP", default="unknown")
        raise product.wrong(f"a file of telescope {telescope or 'unknown'}")


def grid_of(natives: Sequence[NativeSpectrum]) -> InstrumentGrid:
    """Return the common grid of the survey, LRS or MRS, that the first spectrum is of."""
    return LRS_GRID if natives[0].row["survey"] == "LRS" else MRS_GRID


def read_spectra(
    paths: Paths,
    *,
    grid: InstrumentGrid | None = None,
    frame: Frame = "rest",
    exposures: Exposures = "coadd",
) -> Spectra:
    """Read any number of files of one of the two surveys onto one grid.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        LRS files, or MRS files.
    grid : InstrumentGrid, optional
        Another grid than `LRS_GRID` (arm ``optical``) or `MRS_GRID` (arms ``blue``, ``red``).
    frame : {"rest", "barycentric"}
        Barycentric, LRS spectra and MRS sums are copied without resampling. MRS headers give no
        velocity: asked for at rest, the spectra stay barycentric and are flagged ``NO_RV``.
    exposures : {"coadd", "single", "all"}
        What to read of MRS files.

    Returns
    -------
    Spectra
        The table has ``id`` (OBSID; of an exposure OBSID-LMJM), ``star_id`` (the designation,
        the same one for all spectra within `star_names.RADIUS` of each other), ``ra``, ``dec``,
        ``rv``, ``rv_err``, ``snr``, ``time``, ``barycentric_velocity``, ``flags``, ``path``; LRS:
        ``snr_u`` ... ``snr_z``, ``class``, ``subclass``, ``z``; MRS: ``snr_blue``, ``snr_red``,
        ``n_exposures``, ``is_coadd``.

    Raises
    ------
    NotThisProductError
        If a file is no LAMOST spectrum or damaged, or the two surveys are mixed.
    DataError
        If there is no path.
    """
    natives: list[NativeSpectrum] = []
    for path in as_paths(paths):
        natives += read_native(path, exposures=exposures)
        survey, first = (one.row["survey"] for one in (natives[-1], natives[0]))
        if survey != first:
            raise NotThisProductError(
                path, f"an {survey} file", f"{first} files only; read the two apart"
            )
    spectra = to_common_grid(natives, grid or grid_of(natives), frame=frame)
    return replace(spectra, table=unify_stars(spectra.table))


def unify_stars(table: pd.DataFrame) -> pd.DataFrame:
    """Give all spectra of a star one ``star_id``: designations are rounded positions, and differ.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``star_id``, ``ra`` and ``dec``.

    Returns
    -------
    pandas.DataFrame
    """
    same = one_name_per_star(table["star_id"], table["ra"], table["dec"])
    return table.assign(star_id=same)


def _kind(product: FitsProduct) -> str | None:
    if not product.text("TELESCOP").upper().startswith("LAMOST"):
        return None
    header = product.header(0)
    if header.get("NAXIS", 0) == 2 and header.get("NAXIS2", 0) >= 4:
        return "LRS"
    names = product.names()
    if "COADD" in names:
        return "LRS"
    if any(re.fullmatch(r"COADD_[BR]|[BR]-\d+", name) for name in names):
        return "MRS"
    return None


def _common_columns(product: FitsProduct) -> dict[str, Any]:
    return {
        "star_id": product.text("UID") or product.text("DESIG").removeprefix("LAMOST "),
        "ra": product.number("RA"),
        "dec": product.number("DEC"),
        "barycentric_velocity": product.number("HELIO_RV"),
        "plan": product.text("PLANID"),
        "spectrograph": product.text("SPID"),
        "fiber": product.text("FIBERID"),
    }


def _identifier(product: FitsProduct) -> str:
    name = os.path.basename(product.path).removesuffix(".gz").removesuffix(".fits")
    return product.text("OBSID") or name


def _to_vacuum_barycentre(
    product: FitsProduct, wavelength: NDArray[np.float64], extension: int | str = 0
) -> NDArray[np.float64]:
    """Check what the wavelengths are, and take out the Earth's motion where the file has not."""
    for key in ("VACUUM", "HELIO"):
        header = product.header(extension)
        value = header.get(key, product.header(0).get(key, True))
        if value in (True, "T"):
            continue
        correction = product.number("HELIO_RV", extension)
        if key == "VACUUM" or not np.isfinite(correction):
            raise product.wrong(f"{key} = {value} in extension {extension}")
        wavelength = shift(wavelength, correction)
    if not np.all(np.diff(wavelength) > 0):
        raise product.wrong(f"wavelengths that do not increase in extension {extension}")
    return wavelength


def _mjd_of(date: str) -> float:
    try:
        return float(np.datetime64(date, "ms").astype(np.int64)) / 86_400_000 + 40_587
    except ValueError:
        return float("nan")


# LRS


def _read_lrs(product: FitsProduct) -> NativeSpectrum:
    flux, ivar, wavelength, mask = _lrs_pixels(product)
    wavelength = _to_vacuum_barycentre(product, wavelength)
    values, weight, flags = clean(flux, ivar=ivar, bad=mask != 0)
    arm = Arm("optical", wavelength, values, weight)
    common = _common_columns(product)
    time = bmjd(_mjd_of(product.text("DATE-OBS")), common["ra"], common["dec"])
    row = {**common, **_redshift_columns(product), "time": float(time), "survey": "LRS"}
    row["snr"] = median_snr(arm)
    for band in "ugriz":
        row[f"snr_{band}"] = product.number(f"SNR{band.upper()}")
    return NativeSpectrum(
        id=_identifier(product),
        arms=(arm,),
        medium="vacuum",
        resolution=LRS_GRID.resolution,
        row=row,
        flags=flags,
        path=product.path,
    )


def _lrs_pixels(product: FitsProduct) -> tuple[NDArray, NDArray, NDArray[np.float64], NDArray]:
    """Return flux, ivar, wavelength, AND mask of either layout."""
    if product.header(0).get("NAXIS", 0) == 2:
        image = product.image(0, ndim=2)
        flux, ivar, stored, mask = image[:4]
        first, step = product.number("COEFF0"), product.number("COEFF1")
        if np.isfinite(first + step):  # exact, where the third row is rounded to 32 bits
            exact = 10.0 ** (first + step * np.arange(image.shape[1]))
            return flux, ivar, np.asarray(exact, dtype=np.float64), mask
        return flux, ivar, stored.astype(np.float64), mask
    return _table_pixels(product, "COADD", LRS_STEP)


def _table_pixels(
    product: FitsProduct, extension: str, step: float
) -> tuple[NDArray, NDArray, NDArray[np.float64], NDArray]:
    """Return flux, ivar, wavelength, mask of a table: a row per pixel, or one row of vectors."""
    names = product.column_names(extension)
    place = "loglam" if "loglam" in names else "wavelength"
    bits = next((name for name in ("andmask", "pixmask", "and_mask") if name in names), None)
    columns = product.columns(extension, "flux", "ivar", place, *([bits] if bits else []))
    flux, ivar, stored, *rest = (np.ravel(column) for column in columns)
    mask = rest[0] if rest else np.zeros(flux.size, np.int16)
    if not flux.shape == ivar.shape == stored.shape == mask.shape or flux.size < 2:
        raise product.wrong(f"{flux.size} pixels in extension {extension}")
    if place == "wavelength":
        if not np.all(stored > 0):
            raise product.wrong(f"wavelengths that are not positive in extension {extension}")
        stored = np.log10(stored.astype(np.float64))
    wavelength = on_log_grid(stored, step)
    order = slice(None, None, -1 if wavelength[0] > wavelength[-1] else 1)
    return flux[order], ivar[order], wavelength[order], mask[order]


def _redshift_columns(product: FitsProduct) -> dict[str, Any]:
    z, error = product.number("Z"), product.number("Z_ERR")
    stellar = abs(z) < LARGEST_STELLAR_Z
    return {
        "z": z,
        "rv": z * C_KMS if stellar else float("nan"),
        "rv_err": error * C_KMS if stellar and error > 0 else float("nan"),
        "class": product.text("CLASS"),
        "subclass": product.text("SUBCLASS"),
    }


# MRS


def _read_mrs(product: FitsProduct, exposures: Exposures) -> tuple[NativeSpectrum, ...]:
    names = product.names()
    minutes = sorted({name[2:] for name in names if re.fullmatch(r"[BR]-\d+", name)})
    spectra = []
    if exposures != "single":
        spectra.append(_mrs_coadd(product, names))
    if exposures != "coadd":
        if not minutes:
            raise NotThisProductError(product.path, "no single exposure", "an MRS file with some")
        spectra += [_mrs_exposure(product, names, minute) for minute in minutes]
    return tuple(spectra)


def _mrs_coadd(product: FitsProduct, names: tuple[str, ...]) -> NativeSpectrum:
    present = [f"COADD_{arm}" for arm in "BR" if f"COADD_{arm}" in names]
    if not present:
        raise NotThisProductError(product.path, "no COADD_B or COADD_R", "a summed MRS spectrum")
    minutes = sorted({minute for name in present for minute in _minutes_of(product, name)})
    row = {
        "n_exposures": len(minutes),
        "is_coadd": True,
        "mjd": float(np.mean([_mid_exposure(product, names, minute) for minute in minutes]))
        if minutes
        else _mjd_of(product.text("DATE-OBS")),
    }
    return _mrs_spectrum(product, present, _identifier(product), row)


def _mrs_exposure(product: FitsProduct, names: tuple[str, ...], minute: str) -> NativeSpectrum:
    present = [f"{arm}-{minute}" for arm in "BR" if f"{arm}-{minute}" in names]
    row = {
        "n_exposures": 1,
        "is_coadd": False,
        "lmjm": int(minute),
        "mjd": _mid_exposure(product, names, minute),
    }
    return _mrs_spectrum(product, present, f"{_identifier(product)}-{minute}", row)


def _minutes_of(product: FitsProduct, extension: str) -> list[str]:
    header = product.header(extension)
    lists = [str(header[key]) for key in header if key.startswith("LMJMLIS")]
    return [minute for text in lists for minute in re.findall(r"\d+", text)]


def _mid_exposure(product: FitsProduct, names: tuple[str, ...], minute: str) -> float:
    """MJD (UTC) of the middle of an exposure that began in a local minute, to about a minute."""
    extension = next((f"{arm}-{minute}" for arm in "BR" if f"{arm}-{minute}" in names), None)
    seconds = product.number("EXPTIME", extension) if extension else float("nan")
    length = 0.0 if np.isnan(seconds) else seconds / 86_400
    return int(minute) / 1440 - LOCAL_TIME + length / 2


def _mrs_spectrum(
    product: FitsProduct, extensions: list[str], identifier: str, row: dict[str, Any]
) -> NativeSpectrum:
    arms, flags = [], SpectrumFlag.NONE
    common = _common_columns(product)
    for extension in extensions:
        flux, ivar, wavelength, mask = _table_pixels(product, extension, MRS_STEP)
        wavelength = _to_vacuum_barycentre(product, wavelength, extension)
        values, weight, found = clean(flux, ivar=ivar, bad=mask != 0)
        name = _ARM_NAMES[extension.removeprefix("COADD_")[0]]
        arms.append(Arm(name, wavelength, values, weight))
        row[f"snr_{name}"] = product.number("SNR", extension)
        flags |= found
    time = bmjd(row.pop("mjd"), common["ra"], common["dec"])
    row = {**common, "rv": float("nan"), "rv_err": float("nan"), **row, "time": float(time)}
    return NativeSpectrum(
        id=identifier,
        arms=tuple(arms),
        medium="vacuum",
        resolution=(MRS_GRID.resolution[0],) * len(arms),
        row={**row, "snr": median_snr(*arms), "survey": "MRS"},
        flags=flags,
        path=product.path,
    )
