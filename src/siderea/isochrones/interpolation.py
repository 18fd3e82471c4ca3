"""Stars of given initial mass, age and [Fe/H] from the shipped isochrones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from siderea.errors import DataError
from siderea.isochrones.phase import Place, neighbours, place
from siderea.isochrones.table import IsochroneTable, unpack

__all__ = ["IsochroneStars", "Isochrones", "load_default"]

Array = npt.NDArray[np.float64]

LOG_TEFF_SUN = float(np.log10(5772.0))
"""Nominal solar effective temperature (IAU 2015 resolution B3), log10 K."""

LOGG_SUN = 4.438_068
"""log10 of the Sun's surface gravity (cgs): nominal GM and radius of IAU 2015 resolution B3."""

CHUNK = 1 << 15  # stars at a time: their gathered rows stay in the cache


@dataclass(frozen=True)
class IsochroneStars:
    """Stars of an isochrone, arrays of one shape; NaN where no such star lives.

    Parameters
    ----------
    teff : array
        Effective temperature, K.
    logg : array
        Surface gravity of the initial mass, dex (cgs); the models lose no mass.
    radius, luminosity : array
        Solar.
    phase : array
        Phase coordinate, in steps of the table.
    """

    teff: Array
    logg: Array
    radius: Array
    luminosity: Array
    phase: Array


class Isochrones:
    """Interpolator over a table of isochrones.

    Parameters
    ----------
    table : IsochroneTable
        The grid.

    Notes
    -----
    Linear in log age, [Fe/H] and phase for log mass, log Teff, log luminosity and magnitudes. NaN
    comes back for ages and metallicities off the grid, masses below its lowest, and masses that
    have left the tip of the giant branch.
    """

    def __init__(self, table: IsochroneTable) -> None:
        self.table = table

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, ``<system>_<band>``."""
        return self.table.bands

    def stars(self, mass: npt.ArrayLike, age: npt.ArrayLike, fe_h: npt.ArrayLike) -> IsochroneStars:
        """Return atmospheres and sizes.

        Parameters
        ----------
        mass, age, fe_h : array_like
            Initial mass (solar), age (Gyr), [Fe/H] (dex); they broadcast.

        Returns
        -------
        IsochroneStars
            Arrays of the broadcast shape: R² = L/(T/T☉)⁴, g = GM/R².
        """
        shape, values = self._columns(mass, age, fe_h, np.array([0, 1]), phase=True)
        log_teff, log_luminosity, phase, log_mass = values.T
        log_radius = 0.5 * log_luminosity - 2 * (log_teff - LOG_TEFF_SUN)
        return IsochroneStars(
            teff=(10**log_teff).reshape(shape),
            logg=(LOGG_SUN + log_mass - 2 * log_radius).reshape(shape),
            radius=(10**log_radius).reshape(shape),
            luminosity=(10**log_luminosity).reshape(shape),
            phase=phase.reshape(shape),
        )

    def magnitudes(
        self,
        mass: npt.ArrayLike,
        age: npt.ArrayLike,
        fe_h: npt.ArrayLike,
        bands: Sequence[str] | None = None,
    ) -> Array:
        """Return absolute magnitudes.

        Parameters
        ----------
        mass, age, fe_h : array_like
            Initial mass (solar), age (Gyr), [Fe/H] (dex); they broadcast to shape S.
        bands : sequence of str, optional
            Names out of `bands`; all of them by default.

        Returns
        -------
        array (*S, B)
            Absolute magnitudes, NaN where no such star lives.

        Raises
        ------
        DataError
            If a band is unknown.
        """
        wanted = self.bands if bands is None else tuple(bands)
        unknown = [band for band in wanted if band not in self.bands]
        if unknown:
            raise DataError(f"bands: found {unknown}; expected some of {', '.join(self.bands)}")
        which = np.array([2 + self.bands.index(band) for band in wanted], dtype=np.int64)
        shape, values = self._columns(mass, age, fe_h, which, phase=False)
        return values.reshape(*shape, len(wanted))

    def heaviest(self, age: npt.ArrayLike, fe_h: npt.ArrayLike) -> Array:
        """Return the largest initial mass still alive, that of the tip of the giant branch.

        Parameters
        ----------
        age, fe_h : array_like
            Gyr and dex; they broadcast.

        Returns
        -------
        array
            Solar masses; NaN off the grid.
        """
        return self._edge(age, fe_h, -1)

    def lightest(self, age: npt.ArrayLike, fe_h: npt.ArrayLike) -> Array:
        """Return the smallest initial mass of the grid; arguments as of `heaviest`."""
        return self._edge(age, fe_h, 0)

    def _edge(self, age: npt.ArrayLike, fe_h: npt.ArrayLike, phase: int) -> Array:
        ages, metals = np.broadcast_arrays(np.asarray(age, float), np.asarray(fe_h, float))
        nodes, weights, inside = neighbours(self.table, ages.ravel(), metals.ravel())
        edge = self.table.log_mass[..., phase].ravel()
        mass = 10 ** np.sum(weights * edge[nodes], axis=0)
        return np.where(inside, mass, np.nan).reshape(ages.shape)

    def _columns(
        self,
        mass: npt.ArrayLike,
        age: npt.ArrayLike,
        fe_h: npt.ArrayLike,
        which: npt.NDArray[np.int64],
        *,
        phase: bool,
    ) -> tuple[tuple[int, ...], Array]:
        arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (mass, age, fe_h)))
        shape = arrays[0].shape
        masses, ages, metals = (np.ravel(x) for x in arrays)
        out = np.empty((masses.size, which.size + 2 * phase))
        grid = self.table.columns
        contiguous = which[0] == 0 and which.size == 2
        flat = np.ascontiguousarray(grid[..., :2]) if contiguous else grid[..., which]
        flat = flat.reshape(-1, which.size)
        for start in range(0, masses.size, CHUNK):
            part = slice(start, start + CHUNK)
            at = place(self.table, masses[part], ages[part], metals[part])
            out[part, : which.size] = _blend(flat, at, grid.shape[2])
            if phase:
                out[part, -2] = at.below + at.part
                with np.errstate(divide="ignore", invalid="ignore"):
                    out[part, -1] = np.log10(masses[part])
            out[part][~at.alive] = np.nan
        return shape, out


def _blend(flat: Array, at: Place, n_phases: int) -> Array:
    """Weigh the rows (·, C) of four isochrones at two phases."""
    total = 0.0
    for node, weight in zip(at.nodes, at.weights, strict=True):
        row = node * n_phases + at.below
        low, high = flat[row], flat[row + 1]
        total = total + weight[:, None] * (low + at.part[:, None] * (high - low))
    return np.asarray(total)


@lru_cache(maxsize=1)
def load_default() -> Isochrones:
    """Return the shipped isochrones, read once.

    Returns
    -------
    Isochrones
        Dartmouth isochrones of 1 to 13 Gyr and [Fe/H] from −2.5 to 0.5, scaled-solar.

    Examples
    --------
    >>> sun = load_default().stars(1.0, 4.57, 0.0)
    >>> bool(abs(sun.teff / 5772 - 1) < 0.015)
    True
    """
    return Isochrones(unpack(files("siderea.isochrones").joinpath("data/dsed.npz").read_bytes()))
