"""The red clump, which the isochrones, ending at the tip of the giant branch, do not hold.

Low-mass stars burn helium in their cores for about 100 Myr after the tip, all of nearly the same
luminosity: in a magnitude-limited survey they outnumber the giants on the branch. Here a star whose
mass is beyond the tip, but was at it less than `LIFETIME` ago, is a clump star: M_Ks is a Gaussian
about the measured mean, and the temperature lies `HOTTER` above the giant branch of the same
luminosity. Colours are those of the star of that temperature on the giant branch. Schematic beyond
its mean: no horizontal branch, no secondary clump, no mass loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.special import ndtri

from siderea.errors import DataError
from siderea.isochrones import Isochrones

__all__ = ["RedClump"]

Array = NDArray[np.float64]

LIFETIME = 0.1
"""Gyr; Girardi (2016), ARA&A 54, 95."""

MEAN_KS = -1.61
SPREAD_KS = 0.17
"""Mean and spread of the clump's absolute Ks magnitude: Hawkins et al. (2017), MNRAS 471, 722."""

HOTTER = 180.0
"""K above the giant branch at equal luminosity; schematic."""

POOREST = -1.0
"""[Fe/H] below which helium-burning stars spread over the horizontal branch: they are left out."""

DEPTHS = np.geomspace(1e-6, 0.12, 160)
"""1 − m/m_tip at which the giant branch is looked at."""

SUBGIANT_KS = 2.0
"""M_Ks below which a star has not reached the giant branch."""

LOGG_SUN, TEFF_SUN = 4.438, 5772.0


@dataclass(frozen=True)
class Stars:
    """Atmospheres, as `siderea.isochrones.IsochroneStars`."""

    teff: Array
    logg: Array
    radius: Array
    luminosity: Array


class RedClump:
    """Isochrones with clump stars beyond the tip of the giant branch.

    Parameters
    ----------
    isochrones : Isochrones
    """

    def __init__(self, isochrones: Isochrones) -> None:
        self.isochrones = isochrones
        self._narrow: dict[tuple[str, ...], Isochrones] = {isochrones.bands: isochrones}
        self._twin = _twin_on_the_branch(isochrones)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return self.isochrones.bands

    def heaviest(self, age: ArrayLike, fe_h: ArrayLike) -> Array:
        """Return the largest initial mass still alive, that of the end of the clump."""
        age, fe_h = np.asarray(age, dtype=float), np.asarray(fe_h, dtype=float)
        youngest = float(self.isochrones.table.age[0])
        before = np.where(age >= youngest, np.maximum(age - LIFETIME, youngest), np.nan)
        return self.isochrones.heaviest(np.where(fe_h > POOREST, before, age), fe_h)

    def in_clump(self, mass: ArrayLike, age: ArrayLike, fe_h: ArrayLike) -> NDArray[np.bool_]:
        """Tell which stars burn helium."""
        mass = np.asarray(mass, dtype=float)
        beyond = mass > self.isochrones.heaviest(age, fe_h)
        return np.asarray(beyond & (mass <= self.heaviest(age, fe_h)))

    def stars(self, mass: ArrayLike, age: ArrayLike, fe_h: ArrayLike) -> Stars:
        """Return atmospheres of (N,) stars; NaN where no such star lives."""
        mass, age, fe_h = _same_shape(mass, age, fe_h)
        plain = self.isochrones.stars(mass, age, fe_h)
        out = [np.array(v) for v in (plain.teff, plain.logg, plain.radius, plain.luminosity)]
        rows = self._clump_rows(plain.teff, mass, age, fe_h)
        if rows.size:
            twin, brighter = self._clump(mass[rows], age[rows], fe_h[rows])
            branch = self.isochrones.stars(twin, age[rows], fe_h[rows])
            luminosity = branch.luminosity * 10 ** (0.4 * brighter)
            ratio = branch.teff / TEFF_SUN
            radius = np.sqrt(luminosity) / ratio**2
            logg = LOGG_SUN + np.log10(mass[rows] / radius**2)
            for values, value in zip(out, (branch.teff, logg, radius, luminosity), strict=True):
                values[rows] = value
        return Stars(*out)

    def magnitudes(
        self,
        mass: ArrayLike,
        age: ArrayLike,
        fe_h: ArrayLike,
        bands: Sequence[str] | None = None,
    ) -> Array:
        """Return absolute magnitudes (N, B); NaN where no such star lives."""
        mass, age, fe_h = _same_shape(mass, age, fe_h)
        narrow = self._with(self.bands if bands is None else tuple(bands))
        out = np.array(narrow.magnitudes(mass, age, fe_h))
        rows = self._clump_rows(out[:, 0], mass, age, fe_h)
        if rows.size:
            twin, brighter = self._clump(mass[rows], age[rows], fe_h[rows])
            branch = narrow.magnitudes(twin, age[rows], fe_h[rows])
            out[rows] = branch - brighter[:, None]
        return out

    def _with(self, bands: tuple[str, ...]) -> Isochrones:
        """Return isochrones of these bands alone, cut once: small draws ask for few bands often."""
        if bands not in self._narrow:
            table, known = self.isochrones.table, self.bands
            unknown = [band for band in bands if band not in known]
            if unknown:
                raise DataError(f"bands: found {unknown}; expected some of {', '.join(known)}")
            columns = [0, 1, *(2 + known.index(band) for band in bands)]
            cut = replace(table, columns=table.columns[..., columns], bands=bands)
            self._narrow[bands] = Isochrones(cut)
        return self._narrow[bands]

    def _clump_rows(self, plain: Array, mass: Array, age: Array, fe_h: Array) -> NDArray[np.intp]:
        """Return the rows of clump stars among those that the isochrones do not hold (NaN)."""
        absent = np.flatnonzero(np.isnan(plain))
        return absent[self.in_clump(mass[absent], age[absent], fe_h[absent])]

    def _clump(self, mass: Array, age: Array, fe_h: Array) -> tuple[Array, Array]:
        """Return the star of the branch as hot as each clump star, and the mag it lacks.

        The place within the clump's masses, which are left at an even rate, is the quantile of the
        Gaussian in M_Ks.
        """
        tip, last = self.isochrones.heaviest(age, fe_h), self.heaviest(age, fe_h)
        quantile = np.clip((mass - tip) / np.maximum(last - tip, 1e-12), 0.005, 0.995)
        twin = tip * (1 - 10 ** self._twin(np.stack([age, fe_h], axis=-1)))
        ks = self._with(("twomass_ks",)).magnitudes(twin, age, fe_h)[:, 0]
        return twin, ks - (MEAN_KS + SPREAD_KS * ndtri(quantile))


def _same_shape(*values: ArrayLike) -> list[Array]:
    return [np.ravel(v) for v in np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in values))]


def _twin_on_the_branch(isochrones: Isochrones) -> RegularGridInterpolator:
    """Tabulate log₁₀(1 − m/m_tip) of the giant as hot as the clump, by age and [Fe/H].

    It is `HOTTER` than the star of the branch whose M_Ks is the clump's.
    """
    ages = isochrones.table.age
    metals = np.linspace(POOREST, float(isochrones.table.fe_h[-1]), 16)
    node = np.meshgrid(ages, metals, DEPTHS, indexing="ij")
    masses = isochrones.heaviest(node[0], node[1]) * (1 - node[2])
    ks = isochrones.magnitudes(masses, node[0], node[1], ["twomass_ks"])[..., 0]
    teff = isochrones.stars(masses, node[0], node[1]).teff
    depth = np.empty((ages.size, metals.size))
    for place in np.ndindex(depth.shape):
        branch = slice(0, int(np.argmax(ks[place] > SUBGIANT_KS)) or None)
        here = np.interp(MEAN_KS, ks[place][branch], teff[place][branch])
        rising = np.maximum.accumulate(teff[place][branch])
        depth[place] = np.interp(here + HOTTER, rising, np.log10(DEPTHS[branch]))
    return RegularGridInterpolator((ages, metals), depth)
