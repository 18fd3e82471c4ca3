"""Tables of magnitudes and labels to `siderea.data.Photometry`, and tables out again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.io.catalogue import read_table
from siderea.io.files import atomic_write
from siderea.photometry.bands import BANDS, error_column, magnitude_column

__all__ = ["FORMATS", "photometry_of", "read_photometry", "write_table"]

FORMATS = (".parquet", ".csv", ".fits", ".vot", ".xml", ".ecsv")
"""Endings that `write_table` knows."""
_MAGNITUDE = re.compile(r"mag_(.+?)(_err)?$")


def photometry_of(frame: pd.DataFrame, *, bands: Sequence[str] | None = None) -> Photometry:
    """Read the magnitudes of a table.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``mag_<band>`` and ``mag_<band>_err`` (errors may be absent: unknown).
    bands : sequence of str, optional
        Bands to read; those that are absent are left out. By default all that are there.

    Returns
    -------
    Photometry
        With the whole frame as its table.

    Raises
    ------
    DataError
        If fewer than two bands are there, or a magnitude column is of no known band.
    """
    named = [m.group(1) for m in map(_MAGNITUDE.match, map(str, frame.columns)) if m]
    strange = sorted({name for name in named if name not in BANDS})
    if strange and bands is None:
        raise DataError(f"bands: found {', '.join(strange)}; expected some of {', '.join(BANDS)}")
    wanted = BANDS if bands is None else bands
    found = tuple(name for name in wanted if magnitude_column(name) in frame)
    if len(found) < 2:
        raise DataError(
            f"table: found magnitudes of {', '.join(found) or 'no band'}; expected at least two "
            f"columns such as mag_sdss_g, of {', '.join(wanted)}"
        )
    mag = np.stack([_numbers(frame, magnitude_column(name)) for name in found], axis=1)
    err = np.stack([_numbers(frame, error_column(name)) for name in found], axis=1)
    return Photometry(found, mag, err, frame)


def read_photometry(path: str | Path, *, bands: Sequence[str] | None = None) -> Photometry:
    """Read a table of stars: FITS, VOTable, ECSV, CSV or Parquet; see `photometry_of`."""
    try:
        return photometry_of(read_table(path), bands=bands)
    except DataError as error:
        raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def write_table(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a table in the format of its ending; it appears whole or not at all.

    Parameters
    ----------
    frame : pandas.DataFrame
    path : path-like
        Ending in one of `FORMATS`.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If the ending is of no such format.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise DataError(f"{path}: found ending {path.suffix!r}; expected {', '.join(FORMATS)}")
    with atomic_write(path) as handle:
        if path.suffix == ".parquet":
            frame.to_parquet(handle, index=False)
        elif path.suffix == ".csv":
            handle.write(frame.to_csv(index=False).encode())
        else:
            from astropy.table import Table  # slow to import, and often not needed

            formats = {".fits": "fits", ".ecsv": "ascii.ecsv"}
            table = Table.from_pandas(frame)
            if path.suffix == ".ecsv":
                import io

                text = io.StringIO()
                table.write(text, format="ascii.ecsv")
                handle.write(text.getvalue().encode())
            else:
                table.write(handle, format=formats.get(path.suffix, "votable"))
    return path


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
