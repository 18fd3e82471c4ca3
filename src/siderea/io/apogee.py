"""APOGEE and APOGEE-2 spectra: apStar (asStar), apVisit (asVisit) and aspcapStar files.

Products and versions: the layouts of data releases 10 to 17. Vacuum wavelengths, R = 22,500.

- **apStar**: 8,575 pixels, 10^(4.179 + 6e-6 i) Å, at rest. Row 1 is the combination of the visits
  pixel by pixel, rows 3 on are the visits; a star of one visit has one row. The reader gives the
  combined spectrum, or with ``visits=True`` the visits.
- **apVisit**: one visit on the detectors' pixels, three chips from red to blue, topocentric. The
  reader sorts them by wavelength and takes them to the barycentre with the header's ``BC``.
- **aspcapStar**: the combined spectrum divided by ASPCAP's continuum; no mask.

A pixel is bad if `BAD_PIXEL` bits of APOGEE_PIXMASK are set: 0 to 7 (BADPIX, CRPIX, SATPIX,
UNFIXABLE, BADDARK, BADFLAT, BADERR, NOSKY) and 14 (NOT_ENOUGH_PSF), those that the survey's
software calls bad; Littrow ghost, persistence, sky and telluric bits (8 to 13) are warnings and
stay, as the errors hold them. A combined spectrum is judged by the AND of the visits' masks (row
2), since the combination has already left out or weighted down what is bad in some of them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    to_common_grid,
)
from siderea.io.pixels import clean
from siderea.spectra.doppler import shift

__all__ = ["GRID", "PRODUCTS", "identify", "read_native", "read_spectra"]

PRODUCTS = ("apStar", "apVisit", "aspcapStar")

EXPECTED = "an APOGEE apStar, apVisit or aspcapStar file"

BAD_PIXEL = sum(1 << bit for bit in (0, 1, 2, 3, 4, 5, 6, 7, 14))
"""Bits of APOGEE_PIXMASK that the survey's software (getpixmask) calls bad: 16639."""

BAD_STAR = 1 << 0 | 1 << 3 | 1 << 18
"""Bits of STARFLAG called bad: BAD_PIXELS, VERY_BRIGHT_NEIGHBOR, BAD_RV_COMBINATION."""

BAD_ASPCAP = 1 << 23
"""Bit of ASPCAPFLAG: STAR_BAD."""

NO_DATA_ERROR = 1e10
"""Error that the pipeline writes where there is no data."""

RESOLUTION = 22_500.0

N_PIXELS = 8575

CHIPS = ("blue", "green", "red")

_WAVELENGTH = np.asarray(10.0 ** (4.179 + 6e-6 * np.arange(N_PIXELS)), dtype=np.float64)

_CHIP_SLICES = (slice(0, 3425), slice(3425, 6206), slice(6206, N_PIXELS))
# The chips light pixels 207-3306, 3544-6112 and 6301-8365 (header keywords BMIN to RMAX); the
# arms are cut in the middle of the gaps, so that they tile the grid.

GRID = InstrumentGrid(CHIPS, _WAVELENGTH, _CHIP_SLICES, "vacuum", (RESOLUTION,) * 3)
"""The apStar grid, with the three chips as arms."""


def identify(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is one of `PRODUCTS`, by its extensions and keywords."""
    try:
        with open_product(path, expected=EXPECTED) as product:
            return _kind(product) is not None
    except NotThisProductError:
        return False


def read_native(
    path: str | os.PathLike[str], *, visits: bool = False
) -> tuple[NativeSpectrum, ...]:
    """Read the spectra of one file on their own pixels.

    Parameters
    ----------
    path : path-like
        An apStar, apVisit or aspcapStar file.
    visits : bool
        Of an apStar file, give the visits instead of the combined spectrum.

    Returns
    -------
    tuple of NativeSpectrum
        One spectrum, or one per visit.

    Raises
    ------
    NotThisProductError
        If the file is none of the three products, or damaged.
    """
    with open_product(path, expected=EXPECTED) as product:
        kind = _kind(product)
        if kind == "apStar":
            return _read_star(product, visits=visits)
        if kind == "apVisit":
            return (_read_visit(product),)
        if kind == "aspcapStar":
            return (_read_aspcap(product),)
        raise product.wrong(f"extensions {_summary(product)}")


def read_spectra(
    paths: Paths,
    *,
    grid: InstrumentGrid | None = None,
    frame: Frame = "rest",
    visits: bool = False,
) -> Spectra:
    """Read any number of files onto the apStar grid.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        apStar, apVisit or aspcapStar files, also mixed.
    grid : InstrumentGrid, optional
        Another grid than `GRID`, with arms named blue, green and red.
    frame : {"rest", "barycentric"}
        apStar and aspcapStar are at rest as they come, and copied without resampling;
        barycentric, they are shifted by the velocity that the survey took out.
    visits : bool
        Of apStar files, read the visits instead of the combined spectra.

    Returns
    -------
    Spectra
        Flux in 1e-17 erg/s/cm²/Å (aspcapStar: normalised). The table has ``id``
        (``<location>.<star>`` or ``<star>-<plate>-<mjd>-<fiber>``), ``star_id``, ``ra``, ``dec``,
        ``rv``, ``rv_err``, ``snr``, ``time``, ``barycentric_velocity`` (visits),
        ``n_visits``, ``starflag``, ``flags``, ``path``.

    Raises
    ------
    NotThisProductError
        If a file is not one of the products, or damaged.
    DataError
        If there is no path.
    """
    natives = [one for path in as_paths(paths) for one in read_native(path, visits=visits)]
    return to_common_grid(natives, grid or GRID, frame=frame)


def _kind(product: FitsProduct) -> str | None:
    if len(product) < 5:
        return None
    first = product.header(1)
    width, height = first.get("NAXIS1", 0), first.get("NAXIS2", 1)
    if width == N_PIXELS and "NVISITS" in product.header(0) and product.header(0).get("SFILE1"):
        return "apStar"
    if height == 3 and product.text("BUNIT", 4).startswith("Wavelen"):
        return "apVisit"
    if width == N_PIXELS and {"fparam", "param"} & set(product.column_names(4)):
        return "aspcapStar"
    return None


def _summary(product: FitsProduct) -> str:
    names = [name or f"#{number}" for number, name in enumerate(product.names())]
    return ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")


def _star_columns(product: FitsProduct) -> dict[str, Any]:
    header = product.header(0)
    return {
        "star_id": product.text("OBJID"),
        "ra": product.number("RA"),
        "dec": product.number("DEC"),
        "starflag": int(header.get("STARFLAG", 0)),
        **{name: product.number(name.upper(), sentinels=_NO_MAGNITUDE) for name in "jhk"},
    }


_NO_MAGNITUDE = (*SENTINELS, 99.0, 99.99, 99.999, 99.9999)


def _quality(starflag: int) -> SpectrumFlag:
    return SpectrumFlag.PIPELINE if starflag & BAD_STAR else SpectrumFlag.NONE


# apStar


def _read_star(product: FitsProduct, *, visits: bool) -> tuple[NativeSpectrum, ...]:
    flux, error, mask = (np.atleast_2d(product.image(number)) for number in (1, 2, 3))
    n_visits = int(product.require("NVISITS"))
    n_rows = 1 if n_visits == 1 else n_visits + 2
    if flux.shape != (n_rows, N_PIXELS) or error.shape != flux.shape or mask.shape != flux.shape:
        raise product.wrong(f"images of {flux.shape} pixels for {n_visits} visits")
    star = _star_columns(product)
    if not visits:
        bits = mask[0 if n_rows == 1 else 1]  # the AND of the visits
        row = {**star, **_combined_columns(product, n_visits)}
        return (_rest_spectrum(product, row, flux[0], error[0], bits),)
    first = 0 if n_rows == 1 else 2
    rows = [{**star, **_visit_columns(product, number)} for number in range(1, n_visits + 1)]
    times = bmjd([row.pop("mjd") for row in rows], star["ra"], star["dec"])
    return tuple(
        _rest_spectrum(product, {**row, "time": float(time)}, *images)
        for row, time, *images in zip(
            rows, times, flux[first:], error[first:], mask[first:], strict=True
        )
    )


def _combined_columns(product: FitsProduct, n_visits: int) -> dict[str, Any]:
    place = product.text("LOCID") or product.text("FIELD")
    return {
        "id": f"{place}.{product.text('OBJID')}",
        "rv": _first_number(product, "VHELIO", "VHBARY"),
        "rv_err": product.number("VERR"),
        "rv_scatter": product.number("VSCATTER"),
        "snr": product.number("SNR"),
        "n_visits": n_visits,
    }


def _visit_columns(product: FitsProduct, number: int) -> dict[str, Any]:
    stem = product.text(f"SFILE{number}").rsplit("/", 1)[-1].removesuffix(".fits")
    visit = "-".join(stem.split("-")[-3:])
    return {
        "id": f"{product.text('OBJID')}-{visit}",
        "rv": _first_number(product, f"VHELIO{number}", f"VHBARY{number}"),
        "rv_err": product.number(f"VERR{number}"),
        "snr": product.number(f"SNRVIS{number}"),
        "starflag": int(product.header(0).get(f"FLAG{number}", 0)),
        "barycentric_velocity": product.number(f"BC{number}"),
        "mjd": product.number(f"JD{number}") - 2_400_000.5,
    }


def _first_number(product: FitsProduct, *keys: str) -> float:
    values = [product.number(key) for key in keys]
    return next((value for value in values if np.isfinite(value)), float("nan"))


def _rest_spectrum(
    product: FitsProduct,
    row: dict[str, Any],
    flux: NDArray,
    error: NDArray,
    mask: NDArray | None,
) -> NativeSpectrum:
    arms, flags = [], _quality(int(row.get("starflag", 0)))
    unlit = error >= NO_DATA_ERROR
    bad = unlit if mask is None else unlit | (mask.astype(np.int64) & BAD_PIXEL > 0)
    for name, pixels in zip(CHIPS, _CHIP_SLICES, strict=True):
        values, ivar, found = clean(flux[pixels], error=error[pixels], bad=bad[pixels])
        arms.append(Arm(name, _WAVELENGTH[pixels], values, ivar))
        flags |= found
    return NativeSpectrum(
        id=str(row["id"]),
        arms=tuple(arms),
        medium="vacuum",
        resolution=(RESOLUTION,) * 3,
        row={key: value for key, value in row.items() if key != "id"},
        flags=flags,
        path=product.path,
        frame="rest",
    )


# apVisit


def _read_visit(product: FitsProduct) -> NativeSpectrum:
    flux, error, mask, wavelength = (product.image(number, ndim=2) for number in (1, 2, 3, 4))
    if not flux.shape == error.shape == mask.shape == wavelength.shape or len(flux) != 3:
        raise product.wrong(f"chips of {flux.shape}, {wavelength.shape} pixels")
    row = _visit_row(product)
    correction = row["barycentric_velocity"]
    if not np.isfinite(correction):
        raise product.wrong("no barycentric correction BC")
    arms, flags = [], _quality(row["starflag"])
    for name, chip in zip(CHIPS, np.argsort(wavelength[:, 0]), strict=True):
        order = np.argsort(wavelength[chip])
        bad = (error[chip] >= NO_DATA_ERROR) | (mask[chip].astype(np.int64) & BAD_PIXEL > 0)
        values, ivar, found = clean(flux[chip], error=error[chip], bad=bad)
        barycentric = shift(wavelength[chip][order], correction)
        if not np.all(np.diff(barycentric) > 0):
            raise product.wrong(f"wavelengths of the {name} chip that do not increase")
        arms.append(Arm(name, barycentric, values[order], ivar[order]))
        flags |= found
    return NativeSpectrum(
        id=row.pop("id"),
        arms=tuple(arms),
        medium="vacuum",
        resolution=(RESOLUTION,) * 3,
        row=row,
        flags=flags,
        path=product.path,
        frame="barycentric",
    )


def _visit_row(product: FitsProduct) -> dict[str, Any]:
    star = _star_columns(product)
    middle = product.number("JD-MID") - 2_400_000.5
    visit = "-".join(product.text(key) for key in ("PLATE", "MJD5", "FIBERID"))
    return {
        **star,
        "id": f"{star['star_id']}-{visit}",
        "rv": _first_number(product, "VHELIO", "VHBARY"),
        "rv_err": _first_number(product, "VRADERR", "VERR"),
        "snr": product.number("SNR"),
        "barycentric_velocity": product.number("BC"),
        "time": float(bmjd(middle, star["ra"], star["dec"])),
    }


# aspcapStar

_ASPCAP_COLUMNS = {
    "ra": "ra",
    "dec": "dec",
    "rv": "vhelio_avg",
    "rv_err": "verr",
    "rv_scatter": "vscatter",
    "snr": "snr",
    "teff": "teff",
    "logg": "logg",
    "m_h": "m_h",
    "fe_h": "fe_h",
}
_ASPCAP_PARAMETERS = {"teff": 0, "logg": 1, "m_h": 3}  # places in PARAM, before DR13 had columns


def _read_aspcap(product: FitsProduct) -> NativeSpectrum:
    flux, error = (np.ravel(product.image(number)) for number in (1, 2))
    if flux.shape != (N_PIXELS,) or error.shape != flux.shape:
        raise product.wrong(f"images of {flux.shape} and {error.shape} pixels")
    names = set(product.column_names(4))
    row: dict[str, Any] = {
        name: _table_number(product, column) if column in names else float("nan")
        for name, column in _ASPCAP_COLUMNS.items()
    }
    if "param" in names:
        parameters = product.columns(4, "param")[0].ravel()
        for name, index in _ASPCAP_PARAMETERS.items():
            if not np.isfinite(row[name]) and index < parameters.size:
                row[name] = _no_sentinel(float(parameters[index]))
    for name in ("ra", "dec"):
        row[name] = row[name] if np.isfinite(row[name]) else product.number(name.upper())
    row["star_id"] = _table_text(product, "apogee_id") or product.text("OBJID")
    place = _table_text(product, "location_id") or _table_text(product, "field")
    row["id"] = f"{place}.{row['star_id']}" if place else row["star_id"]
    for bits in ("aspcapflag", "starflag"):
        row[bits] = int(_table_text(product, bits) or 0)
    native = _rest_spectrum(product, row, flux, error, None)
    if not row["aspcapflag"] & BAD_ASPCAP:
        return native
    return replace(native, flags=native.flags | SpectrumFlag.PIPELINE)


def _table_number(product: FitsProduct, column: str) -> float:
    return _no_sentinel(float(product.columns(4, column)[0].ravel()[0]))


def _no_sentinel(value: float) -> float:
    return float("nan") if value in SENTINELS else value


def _table_text(product: FitsProduct, column: str) -> str:
    if column not in product.column_names(4):
        return ""
    return str(product.columns(4, column)[0].ravel()[0]).strip()
