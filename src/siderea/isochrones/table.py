"""The grid of isochrones: columns along a common phase coordinate, at nodes of age and [Fe/H].

On disk every column is a 16-bit integer with its own scale, written as differences along the
phase, because neighbouring phases are alike: that packs 4 times better than float32. The mass is
kept at full precision, since on the giant branch it decides everything.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from siderea.errors import DataError

__all__ = ["IsochroneTable", "pack", "unpack"]

Array = npt.NDArray[np.float64]
LEVELS = 65535


@dataclass(frozen=True)
class IsochroneTable:
    """Isochrones resampled on one phase coordinate.

    Parameters
    ----------
    fe_h : array (F,)
        Metallicities, dex, ascending.
    age : array (A,)
        Ages, Gyr, ascending.
    log_mass : array (F, A, K)
        log10 of the initial mass (solar), strictly ascending along the phase.
    columns : array (F, A, K, 2 + B)
        log10 Teff (K), log10 luminosity (solar), then absolute magnitudes.
    bands : tuple of str
        Names of the B magnitudes.

    Raises
    ------
    DataError
        If shapes disagree, an axis does not ascend or the mass does not.
    """

    fe_h: Array
    age: Array
    log_mass: Array
    columns: Array
    bands: tuple[str, ...]

    def __post_init__(self) -> None:
        nodes = (self.fe_h.size, self.age.size)
        expected = (*nodes, self.log_mass.shape[-1], 2 + len(self.bands))
        if self.columns.shape != expected or self.log_mass.shape != expected[:3]:
            raise DataError(
                f"isochrone table: found masses {self.log_mass.shape} and columns "
                f"{self.columns.shape}; expected {expected[:3]} and {expected}"
            )
        for name, axis in (("fe_h", self.fe_h), ("age", self.age), ("log_mass", self.log_mass)):
            if not np.all(np.diff(axis, axis=-1) > 0):
                raise DataError(f"isochrone table: {name} must ascend strictly; sort the table")


def pack(table: IsochroneTable) -> bytes:
    """Return a table as the bytes of a compressed npz file.

    Parameters
    ----------
    table : IsochroneTable
        The grid.

    Returns
    -------
    bytes
        What `unpack` reads; columns keep 1/65535 of their range.
    """
    lowest = table.columns.min((0, 1, 2))
    scale = (table.columns.max((0, 1, 2)) - lowest) / LEVELS
    levels = np.round((table.columns - lowest) / scale).astype(np.uint16)
    levels = np.moveaxis(levels, -1, 0)
    # Differences wrap around modulo 65536; the cumulative sum of `unpack` wraps back.
    steps = np.diff(levels, axis=-1, prepend=np.uint16(0))
    masses = np.moveaxis(table.log_mass, -1, 0)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        fe_h=table.fe_h,
        age=table.age,
        log_mass=masses,
        steps=steps,
        lowest=lowest,
        scale=scale,
        bands=np.array(table.bands),
    )
    return buffer.getvalue()


def unpack(source: bytes | Path) -> IsochroneTable:
    """Return the table that `pack` wrote.

    Parameters
    ----------
    source : bytes or Path
        The bytes, or the file that holds them.

    Returns
    -------
    IsochroneTable
        The grid.
    """
    with np.load(io.BytesIO(source) if isinstance(source, bytes) else source) as held:
        levels = np.cumsum(held["steps"], axis=-1, dtype=np.uint16)
        columns = np.moveaxis(levels, 0, -1) * held["scale"] + held["lowest"]
        return IsochroneTable(
            fe_h=held["fe_h"],
            age=held["age"],
            log_mass=np.ascontiguousarray(np.moveaxis(held["log_mass"], 0, -1)),
            columns=np.ascontiguousarray(columns),
            bands=tuple(str(band) for band in held["bands"]),
        )
