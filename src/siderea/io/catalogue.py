"""Tables of stars: read in any format of the field, and joined to spectra by identifier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from siderea.data import Spectra
from siderea.errors import DataError

__all__ = ["Catalogue", "read_table"]

ID_COLUMNS = ("id", "sobject_id", "APOGEE_ID", "apogee_id", "obsid", "OBSID")
"""Columns that can hold the identifier, first found first taken."""
_SENTINELS = (-9999.0, 1e20, -1e20)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table: FITS, VOTable, ECSV, CSV, ASCII (gzipped or not) or Parquet.

    Parameters
    ----------
    path : path-like
        The format is known by the ending.

    Returns
    -------
    pandas.DataFrame
        One-dimensional columns only; masked values and the sentinels -9999 and 1e20 are NaN.

    Raises
    ------
    DataError
        If the file is absent or no such table.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such table")
    try:
        frame = _read(path)
    except Exception as error:  # every parser has errors of its own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{path}: not a table that can be read ({reason}); expected FITS, VOTable, ECSV, "
            "CSV or Parquet"
        ) from error
    for name in frame.select_dtypes("floating"):
        frame[name] = frame[name].mask(frame[name].isin(_SENTINELS))
    return frame


def _read(path: Path) -> pd.DataFrame:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".parquet", ".pq")):
        return pd.read_parquet(path)
    if name.endswith((".csv", ".txt")):
        return pd.read_csv(path, skipinitialspace=True)
    from astropy.table import Table  # slow to import, and often not needed

    table = Table.read(path)
    table.convert_bytestring_to_unicode()
    return table[[name for name in table.colnames if table[name].ndim == 1]].to_pandas()


@dataclass(frozen=True)
class Catalogue:
    """A table with one row per identifier.

    Parameters
    ----------
    frame : pandas.DataFrame
        Indexed by the identifier as a string.
    """

    frame: pd.DataFrame

    @classmethod
    def empty(cls) -> Catalogue:
        """Return a catalogue without rows or columns."""
        return cls(pd.DataFrame(index=pd.Index([], dtype=str)))

    @classmethod
    def read(cls, path: str | Path) -> Catalogue:
        """Read a table and index it by its identifier.

        Raises
        ------
        DataError
            If no column can be the identifier.
        """
        frame = read_table(path)
        column = next((name for name in ID_COLUMNS if name in frame), None)
        if column is None:
            raise DataError(
                f"{path}: no column to join on; expected one of {', '.join(ID_COLUMNS)}, "
                f"found {', '.join(map(str, frame.columns[:8]))}"
            )
        ids = frame[column].map(_identifier)
        first = ~ids.duplicated()  # repeated rows of a star: the first is taken
        dropped = frame.drop(columns=[name for name in ("id",) if name in frame])
        return cls(dropped[first].set_index(pd.Index(ids[first], name="id")))

    def rv(self, one: str) -> float:
        """Return the velocity of an identifier (column ``rv``), NaN where there is none."""
        if "rv" not in self.frame or one not in self.frame.index:
            return float("nan")
        return float(self.frame.at[one, "rv"])

    def join(self, spectra: Spectra) -> Spectra:
        """Return the spectra with the catalogue's columns in their table.

        A column that the spectra have already is only filled where it is missing.
        """
        if self.frame.empty:
            return spectra
        table = spectra.table.copy()
        matched = self.frame.reindex(spectra.ids).reset_index(drop=True)
        for name in matched:
            table[name] = _filled(table[name], matched[name]) if name in table else matched[name]
        return replace(spectra, table=table)


def _identifier(value: Any) -> str:
    """Return an identifier as text; a whole number that a table holds as a float, as a whole."""
    return (
        str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    )


def _filled(own: pd.Series, other: pd.Series) -> Any:
    if own.dtype.kind == "f" and other.dtype.kind in "fiu":
        return own.where(np.isfinite(own), other.astype(float))
    return own
