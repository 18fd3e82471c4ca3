"""Light curves from files: tables of many stars, Kepler and TESS FITS, Gaia epoch photometry.

Products, told apart by what is in them:

- **a table** (CSV, text, ECSV, FITS, Parquet), one row per point, with columns under one of the
  names in `ALIASES` (in any case): ``id`` (absent: the whole file is one star), ``time`` or
  ``phase``, ``flux`` or ``mag``, ``flux_err``; and, the same in every row of a star, ``period``
  (d) and ``time_0``.
- **Kepler, K2, TESS** light curve files: extension 1, TIME, PDCSAP_FLUX and its error; points with
  a quality bit are left out. Files of one star are joined, each divided by its median.
- **Gaia epoch photometry** (DR3 DataLink): transits in G that neither the photometry nor the
  variability processing rejected.

Times become BMJD: Julian dates lose 2,400,000.5; Kepler's, TESS's and Gaia's own zero points are
added. Where a table has no errors, they are estimated from neighbouring points.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.table import Table
from numpy.typing import NDArray

from siderea.data import LightCurve
from siderea.errors import DataError, NotThisProductError
from siderea.io.fits_product import open_product

__all__ = ["ALIASES", "LightCurveTable", "read_lightcurves", "write_lightcurves"]

EXPECTED = "light curves: a table with time or phase and flux, Kepler FITS, or Gaia epochs"

ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "star_id", "source_id", "kic", "tic", "kepid", "name", "object"),
    "time": ("time", "bmjd", "mjd", "bjd", "hjd", "jd", "t", "date"),
    "phase": ("phase", "phi", "orbital_phase"),
    "flux": ("flux", "normalised_flux", "normalized_flux", "rel_flux", "pdcsap_flux"),
    "mag": ("mag", "magnitude"),
    "flux_err": ("flux_err", "flux_error", "error", "err", "sigma", "e_flux", "pdcsap_flux_err"),
    "mag_err": ("mag_err", "mag_error", "e_mag"),
    "period": ("period", "p_orb"),
    "time_0": ("time_0", "t0", "bjd0", "epoch"),
}
"""What each quantity may be called."""

JULIAN, MODIFIED = 1_000_000.0, 2_400_000.5
GAIA_ZERO = 2_455_197.5 - MODIFIED
"""Gaia's epochs count from 2010-01-01T00:00 (BJD 2,455,197.5)."""

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError)


@dataclass(frozen=True)
class LightCurveTable:
    """N light curves and what is known of their stars.

    Parameters
    ----------
    curves : tuple of LightCurve
    table : pandas.DataFrame
        N rows: ``id``, ``period`` (d) and ``time_0`` (BMJD), NaN where the file does not say.
    """

    curves: tuple[LightCurve, ...]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.curves)


def read_lightcurves(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> LightCurveTable:
    """Read light curves from one file or several.

    Parameters
    ----------
    paths : path-like or iterable of path-like

    Returns
    -------
    LightCurveTable
        Stars in the order in which they first appear.

    Raises
    ------
    NotThisProductError
        If a file is not one of the products, or cannot be read.
    DataError
        If there is no file.
    """
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not files:
        raise DataError("light curves: found no file; expected at least one")
    pieces: dict[str, list[tuple[LightCurve, float, float]]] = {}
    for path in files:
        for name, piece in _read(Path(path)):
            pieces.setdefault(name, []).append(piece)
    curves, rows = [], []
    for name, parts in pieces.items():
        curves.append(_joined([part[0] for part in parts], name))
        rows.append({"id": name, "period": parts[0][1], "time_0": parts[0][2]})
    return LightCurveTable(tuple(curves), pd.DataFrame(rows, columns=["id", "period", "time_0"]))


def write_lightcurves(
    path: str | os.PathLike[str], curves: Iterable[LightCurve], table: pd.DataFrame
) -> Path:
    """Write light curves as one Parquet table that `read_lightcurves` reads.

    Parameters
    ----------
    path : path-like
    curves : iterable of LightCurve
    table : pandas.DataFrame
        One row per curve: ``id``, and ``period`` and ``time_0`` where they are known.
    """
    frames = []
    for number, curve in enumerate(curves):
        row = table.iloc[number]
        frame: dict[str, Any] = {
            "id": str(row["id"]),
            "phase" if curve.folded else "time": curve.time,
        }
        frame |= {"flux": curve.flux, "flux_err": curve.flux_err}
        frame |= {name: float(row[name]) for name in ("period", "time_0") if name in table}
        frames.append(pd.DataFrame(frame))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pd.concat(frames, ignore_index=True).to_parquet(path, index=False)
    return Path(path)


def _joined(curves: list[LightCurve], name: str) -> LightCurve:
    if len(curves) == 1:
        return curves[0]
    if len({curve.folded for curve in curves}) > 1:
        raise DataError(f"{name}: found both times and phases; expected one of them")
    levels = [float(np.nanmedian(curve.flux)) if len(curve) else 1.0 for curve in curves]
    columns = [
        np.concatenate([curve.time for curve in curves]),
        np.concatenate([c.flux / level for c, level in zip(curves, levels, strict=True)]),
        np.concatenate([c.flux_err / level for c, level in zip(curves, levels, strict=True)]),
    ]
    order = np.argsort(columns[0], kind="stable")
    time, flux, error = (column[order] for column in columns)
    return LightCurve(time, flux, error, folded=curves[0].folded)


def _read(path: Path) -> list[tuple[str, tuple[LightCurve, float, float]]]:
    if path.suffix.lower() in (".fits", ".fit") or path.name.lower().endswith(".fits.gz"):
        satellite = _read_satellite(path)
        if satellite is not None:
            return satellite
    frame = _frame(path)
    names = {str(name).lower(): name for name in frame.columns}
    if {"band", "time", "flux"} <= set(names) and "transit_id" in names:
        return _gaia(path, frame.rename(columns={old: new for new, old in names.items()}))
    return _stars(path, frame, names)


def _frame(path: Path) -> pd.DataFrame:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise NotThisProductError(path, f"a file of type {path.suffix!r}", EXPECTED)
    try:
        return reader(path)
    except _UNREADABLE as problem:
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise NotThisProductError(path, f"an unreadable file ({line})", EXPECTED) from problem


def _astropy(path: Path, form: str) -> pd.DataFrame:
    table = Table.read(path, format=form)
    table.convert_bytestring_to_unicode()
    return table.to_pandas()


_READERS = {
    ".csv": lambda path: pd.read_csv(path, comment="#"),
    ".txt": lambda path: _astropy(path, "ascii"),
    ".dat": lambda path: _astropy(path, "ascii"),
    ".ecsv": lambda path: _astropy(path, "ascii.ecsv"),
    ".fits": lambda path: _astropy(path, "fits"),
    ".fit": lambda path: _astropy(path, "fits"),
    ".parquet": pd.read_parquet,
}


def _read_satellite(path: Path) -> list[tuple[str, tuple[LightCurve, float, float]]] | None:
    """Read a Kepler or TESS light curve; None if the file is another kind of FITS."""
    with open_product(path, expected=EXPECTED) as product:
        if len(product) < 2 or "pdcsap_flux" not in product.column_names(1):
            return None
        time, flux, error = product.columns(1, "TIME", "PDCSAP_FLUX", "PDCSAP_FLUX_ERR")
        quality_name = [n for n in ("sap_quality", "quality") if n in product.column_names(1)]
        quality = product.columns(1, quality_name[0])[0] if quality_name else np.zeros(time.size)
        zero = product.number("BJDREFI", 1) + product.number("BJDREFF", 1) - MODIFIED
        name = product.text("OBJECT") or product.text("KEPLERID") or path.stem
    if not np.isfinite(zero):
        raise NotThisProductError(path, "no BJDREFI and BJDREFF", EXPECTED)
    good = (quality == 0) & np.isfinite(time) & np.isfinite(flux)
    columns = [np.asarray(x[good], dtype=np.float64) for x in (time + zero, flux, error)]
    curve = LightCurve(columns[0], columns[1], columns[2])
    return [(name, (curve, np.nan, np.nan))]


def _gaia(path: Path, frame: pd.DataFrame) -> list[tuple[str, tuple[LightCurve, float, float]]]:
    used = frame[frame["band"].astype(str).str.strip() == "G"]
    for name in ("rejected_by_photometry", "rejected_by_variability"):
        if name in used:
            used = used[~used[name].astype(str).str.lower().isin(("true", "1"))]
    error = next((n for n in ("flux_error", "flux_err") if n in used), None)
    if error is None and "flux_over_error" in used:
        used, error = used.assign(error=used["flux"] / used["flux_over_error"]), "error"
    if error is None:
        raise NotThisProductError(path, "epochs without flux_error", EXPECTED)
    star = used["source_id"].astype(str) if "source_id" in used else path.stem
    stars = []
    for name, rows in used.groupby(star, sort=False) if len(used) else ():
        values = (rows[column].to_numpy(dtype=float) for column in ("time", "flux", error))
        time, flux, flux_err = values
        good = np.isfinite(time) & np.isfinite(flux)
        curve = LightCurve(time[good] + GAIA_ZERO, flux[good], flux_err[good])
        stars.append((str(name), (curve, np.nan, np.nan)))
    return stars


def _stars(
    path: Path, frame: pd.DataFrame, names: dict[str, Any]
) -> list[tuple[str, tuple[LightCurve, float, float]]]:
    known = {
        quantity: names[alias]
        for quantity, aliases in ALIASES.items()
        for alias in reversed(aliases)
        if alias in names
    }
    if not {"time", "phase"} & set(known) or not {"flux", "mag"} & set(known):
        found = "columns " + ", ".join(map(str, frame.columns[:8]))
        raise NotThisProductError(path, found, EXPECTED)
    if "id" not in known:
        return [(path.stem, _star(path, frame, known))]
    return [
        (str(name), _star(path, rows, known))
        for name, rows in frame.groupby(known["id"], sort=False, dropna=False)
    ]


def _star(path: Path, rows: pd.DataFrame, known: dict[str, Any]) -> tuple[LightCurve, float, float]:
    def column(quantity: str) -> NDArray[np.float64]:
        try:
            return rows[known[quantity]].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as problem:
            found = f"a column {known[quantity]!r} that holds no numbers"
            raise NotThisProductError(path, found, EXPECTED) from problem

    folded = "phase" in known and "time" not in known
    time = column("phase") if folded else _modified(column("time"))
    if "flux" in known:
        flux = column("flux")
        error = column("flux_err") if "flux_err" in known else _neighbours_disagree(time, flux)
    else:
        mag = column("mag")
        flux = 10.0 ** (-0.4 * (mag - np.nanmedian(mag)))
        error = (
            0.4 * np.log(10.0) * flux * column("mag_err")
            if "mag_err" in known
            else _neighbours_disagree(time, flux)
        )
    period = float(column("period")[0]) if "period" in known else np.nan
    time_0 = float(_modified(column("time_0"))[0]) if "time_0" in known else np.nan
    return LightCurve(time, flux, error, folded=folded), period, time_0


def _modified(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return BMJD of what may be Julian dates."""
    return np.where(time > JULIAN, time - MODIFIED, time)


def _neighbours_disagree(time: NDArray, flux: NDArray) -> NDArray[np.float64]:
    """Estimate one error for all points by the median difference of neighbours."""
    order = np.argsort(time)
    step = np.abs(np.diff(flux[order]))
    step = step[np.isfinite(step)]
    scatter = 1.4826 * float(np.median(step)) / np.sqrt(2.0) if step.size else np.nan
    return np.full(flux.shape, scatter if scatter > 0 else np.nan)
