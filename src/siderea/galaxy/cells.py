"""Cells of a map: boxes along any columns, or HEALPix pixels of the sky."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["NOWHERE", "Axis", "CellSystem", "Cells", "SkyCells", "healpix_index"]

NOWHERE = -1
"""Number of the cell of a star that lies in none."""
TOO_MANY = 2**40


class CellSystem(Protocol):
    """What a map is cut into."""

    @property
    def size(self) -> int:
        """Number of cells."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that place a star."""
        ...

    def index(self, columns: Mapping[str, ArrayLike]) -> NDArray[np.int64]:
        """Return the cell of each star (N,), `NOWHERE` outside."""
        ...


@dataclass(frozen=True)
class Axis:
    """Equal steps along one column.

    Parameters
    ----------
    name : str
        The column.
    low, high : float
        Ends, the upper one excluded.
    step : float
        Width of a cell; the last cell may reach beyond ``high``.
    """

    name: str
    low: float
    high: float
    step: float

    def __post_init__(self) -> None:
        if not (self.step > 0 and self.high > self.low):
            raise DataError(
                f"axis {self.name}: found {self.low} to {self.high} in steps of {self.step}; "
                "expected low < high and a step above 0"
            )

    @property
    def n(self) -> int:
        """Number of cells."""
        return int(np.ceil((self.high - self.low) / self.step - 1e-9))

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the cells (n + 1,)."""
        return np.asarray(self.low + self.step * np.arange(self.n + 1))

    @property
    def centres(self) -> NDArray[np.float64]:
        """Centres of the cells (n,)."""
        return np.asarray(self.low + self.step * (np.arange(self.n) + 0.5))

    def index(self, values: ArrayLike) -> NDArray[np.int64]:
        """Return the cell of each value, `NOWHERE` outside and for NaN."""
        place = np.floor((np.asarray(values, dtype=np.float64) - self.low) / self.step)
        inside = (place >= 0) & (place < self.n)
        return np.where(inside, place, NOWHERE).astype(np.int64)


@dataclass(frozen=True)
class Cells:
    """Boxes: the product of some axes.

    Parameters
    ----------
    axes : tuple of Axis
        The last varies fastest in the numbers of the cells.

    Examples
    --------
    >>> plane = Cells((Axis("R", 0, 20, 0.05), Axis("z", -10, 10, 0.05)))
    >>> plane.size, plane.index({"R": [8.01, 25.0], "z": [0.02, 0.0]}).tolist()
    (160000, [64200, -1])
    """

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        if not self.axes or self.size > TOO_MANY:
            raise DataError(f"cells: found {self.size} of them; expected 1 to {TOO_MANY}")

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(np.prod([axis.n for axis in self.axes], dtype=object)) if self.axes else 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that place a star."""
        return tuple(axis.name for axis in self.axes)

    def index(self, columns: Mapping[str, ArrayLike]) -> NDArray[np.int64]:
        """Return the cell of each star (N,), `NOWHERE` outside."""
        number = np.zeros((), dtype=np.int64)
        outside = np.zeros((), dtype=bool)
        for axis in self.axes:
            place = axis.index(columns[axis.name])
            outside = outside | (place == NOWHERE)
            number = number * axis.n + place
        return np.where(outside, NOWHERE, number)

    def centres(self, cell: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return where cells lie, by column."""
        found: dict[str, NDArray[np.float64]] = {}
        for axis in reversed(self.axes):
            cell, place = np.divmod(cell, axis.n)
            found[axis.name] = axis.centres[place]
        return dict(reversed(found.items()))


@dataclass(frozen=True)
class SkyCells:
    """HEALPix pixels of the sky, nested, in ICRS: 12 · 4^order of them.

    Parameters
    ----------
    order : int
        5 is 1.8° across, 6 half of that, and so on.
    """

    order: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.order <= 16:
            raise DataError(f"sky cells: found order {self.order}; expected 0 to 16")

    @property
    def size(self) -> int:
        """Number of pixels of the whole sky."""
        return 12 * 4**self.order

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that place a star."""
        return ("ra", "dec")

    def index(self, columns: Mapping[str, ArrayLike]) -> NDArray[np.int64]:
        """Return the pixel of each star (N,)."""
        return healpix_index(columns["ra"], columns["dec"], self.order)

    def centres(self, cell: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return where pixels lie: ra, dec (deg)."""
        lon, lat = _cdshealpix().healpix_to_lonlat(np.asarray(cell, dtype=np.uint64), self.order)
        return {"ra": np.asarray(lon.to_value("deg")), "dec": np.asarray(lat.to_value("deg"))}


def healpix_index(ra: ArrayLike, dec: ArrayLike, order: int) -> NDArray[np.int64]:
    """Return nested HEALPix pixels of ICRS positions (deg); `NOWHERE` where one is not finite.

    Raises
    ------
    DataError
        If the package cdshealpix is absent.
    """
    from astropy.coordinates import Latitude, Longitude

    ra, dec = np.broadcast_arrays(np.asarray(ra, dtype=float), np.asarray(dec, dtype=float))
    good = np.isfinite(ra) & np.isfinite(dec)
    out = np.full(ra.shape, NOWHERE, dtype=np.int64)
    pixel = _cdshealpix().lonlat_to_healpix(
        Longitude(ra[good], "deg"), Latitude(dec[good], "deg"), order
    )
    out[good] = pixel.astype(np.int64)
    return out


def _cdshealpix():  # type: ignore[no-untyped-def]
    try:
        import cdshealpix.nested
    except ImportError:
        raise DataError(
            "maps of the sky need HEALPix, which is not installed; pip install 'siderea[scale]'"
        ) from None
    return cdshealpix.nested
