"""Stars of given initial mass, age and [Fe/H] from the shipped isochrones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

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
        rows = table.columns.reshape(-1, table.columns.shape[-1])
        # Contiguous, so that one star's columns lie in one stretch of memory.
        self._atmosphere = np.ascontiguousarray(rows[:, :2])
        self._magnitudes = np.ascontiguousarray(rows[:, 2:])

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
        shape, values, phase = self._columns(self._atmosphere, mass, age, fe_h)
        log_teff, log_luminosity = values.T
        log_radius = 0.5 * log_luminosity - 2 * (log_teff - LOG_TEFF_SUN)
        with np.errstate(divide="ignore", invalid="ignore"):  # not a star: NaN comes out
            log_mass = np.log10(np.broadcast_to(mass, shape)).ravel()
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
        grid = self._magnitudes
        if wanted != self.bands:
            grid = np.ascontiguousarray(grid[:, [self.bands.index(band) for band in wanted]])
        shape, values, _ = self._columns(grid, mass, age, fe_h)
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

    def differentiable(self) -> Callable[..., tuple[Any, Any, Any]]:
        """Return (mass, age, fe_h) -> (teff, logg, radius) over torch tensors.

        Returns
        -------
        callable
            As `siderea.models.pairing.ByIsochrone` takes it; what lies off the grid counts as its
            edge, so that a fit stays finite.
        """
        from siderea.isochrones.gradient import star_function  # torch: only for those who fit

        return star_function(self.table, log_teff_sun=LOG_TEFF_SUN, logg_sun=LOGG_SUN)

    def _edge(self, age: npt.ArrayLike, fe_h: npt.ArrayLike, phase: int) -> Array:
        ages, metals = np.broadcast_arrays(np.asarray(age, float), np.asarray(fe_h, float))
        nodes, weights, inside = neighbours(self.table, ages.ravel(), metals.ravel())
        edge = self.table.log_mass[..., phase].ravel()
        mass = 10 ** np.sum(weights * edge[nodes], axis=0)
        return np.where(inside, mass, np.nan).reshape(ages.shape)

    def _columns(
        self, grid: Array, mass: npt.ArrayLike, age: npt.ArrayLike, fe_h: npt.ArrayLike
    ) -> tuple[tuple[int, ...], Array, Array]:
        """Return the broadcast shape, and per star the grid's columns (N, C) and the phase."""
        arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (mass, age, fe_h)))
        masses, ages, metals = (np.ravel(x) for x in arrays)
        out, phase = np.empty((masses.size, grid.shape[1])), np.empty(masses.size)
        for start in range(0, masses.size, CHUNK):
            part = slice(start, start + CHUNK)
            at = place(self.table, masses[part], ages[part], metals[part])
            out[part] = _blend(grid, at, self.table.log_mass.shape[2])
            phase[part] = at.below + at.part
            out[part][~at.alive] = np.nan
            phase[part][~at.alive] = np.nan
        return arrays[0].shape, out, phase


def _blend(grid: Array, at: Place, n_phases: int) -> Array:
    """Weigh the rows of a grid (·, C) at four isochrones and two phases: a sparse product."""
    low = at.nodes * n_phases + at.below
    columns = np.concatenate([low, low + 1]).T.astype(np.int32)
    weights = np.concatenate([at.weights * (1 - at.part), at.weights * at.part]).T
    rows = np.arange(0, columns.size + 1, 8, dtype=np.int32)
    shape = (len(columns), len(grid))
    return np.asarray(csr_array((weights.ravel(), columns.ravel(), rows), shape=shape) @ grid)


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
