"""The companion that isochrones give a star of known atmosphere, at a mass ratio.

For every [Fe/H], isochrones of all ages hold the stars of a given (Teff, log g); their companions
of mass ratio q and equal age, averaged over these stars, are tabulated as differences from the star
itself. At q = 1 the companion is therefore the star, exactly, wherever the star lies; and the ratio
of the radii follows from mass ratio and gravities alone: (R₂/R₁)² = q g₁/g₂.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from siderea.isochrones import Isochrones, load_default

__all__ = ["Companions", "default_companions"]

Array = NDArray[np.float64]

TEFF = np.arange(3900.0, 7501.0, 150.0)
LOGG = np.arange(0.4, 5.11, 0.15)
FE_H = np.arange(-2.5, 0.51, 0.25)
Q = np.array([*np.arange(0.2, 0.901, 0.05), 0.925, 0.95, 0.97, 0.985, 1.0])
AGES = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0])
X = np.concatenate([np.geomspace(1e-4, 0.05, 120), np.linspace(0.055, 0.7, 160)])
"""1 − m / m_tip of the stars: small ones are giants."""

WIDTH = (75.0, 0.08)
"""K and dex within which stars count as being of one (Teff, log g)."""


@dataclass(frozen=True)
class Companions:
    """Companions by mass ratio, interpolated.

    Parameters
    ----------
    axes : tuple of (K,) ndarray
        Teff (K), log g, [Fe/H], q.
    table : (T, G, F, Q, 2) ndarray
        ln(Teff₂/Teff₁) and log g₂ − log g₁.
    """

    axes: tuple[Array, ...]
    table: Array

    @classmethod
    def of(
        cls, isochrones: Isochrones, axes: Sequence[Array] = (TEFF, LOGG, FE_H, Q)
    ) -> Companions:
        """Tabulate the companions of a set of isochrones."""
        teff, logg, fe_h, q = axes
        sheets = [_sheet(isochrones, teff, logg, float(metals), q) for metals in fe_h]
        return cls(tuple(axes), np.stack(sheets, axis=2))

    def __call__(self, teff: Array, logg: Array, fe_h: Array, q: Array) -> tuple[Array, Array]:
        """Return Teff (K) and log g of the companions of stars (N,) at mass ratios (N,).

        Beyond the table the nearest entry counts.
        """
        place, part = zip(
            *(_cell(axis, x) for axis, x in zip(self.axes, (teff, logg, fe_h, q), strict=True)),
            strict=True,
        )
        found = np.zeros((np.size(teff), 2))
        for corner in product((0, 1), repeat=4):
            weight = np.ones(np.size(teff))
            for above, fraction in zip(corner, part, strict=True):
                weight = weight * (fraction if above else 1 - fraction)
            rows = tuple(low + above for low, above in zip(place, corner, strict=True))
            found += weight[:, None] * self.table[rows]
        return teff * np.exp(found[:, 0]), logg + found[:, 1]


def _cell(axis: Array, x: Array) -> tuple[NDArray[np.intp], Array]:
    low = np.clip(np.searchsorted(axis, x, side="right") - 1, 0, axis.size - 2)
    return low, np.clip((x - axis[low]) / (axis[low + 1] - axis[low]), 0.0, 1.0)


def _sheet(isochrones: Isochrones, teff: Array, logg: Array, fe_h: float, q: Array) -> Array:
    """Return the table (T, G, Q, 2) of one [Fe/H]."""
    age = np.repeat(AGES, X.size)
    heaviest = isochrones.heaviest(AGES, fe_h)
    lightest = isochrones.lightest(AGES, fe_h)
    mass = (heaviest[:, None] * (1.0 - X)).ravel()
    floor = np.repeat(lightest, X.size) * 1.001
    born = np.repeat(np.gradient(AGES), X.size) * mass**-2.3
    born *= np.tile(np.gradient(X), AGES.size)  # of a constant rate of births, by Kroupa's law
    keep = mass > floor
    mass, age, floor, born = (values[keep] for values in (mass, age, floor, born))
    star = isochrones.stars(mass, age, fe_h)
    other = isochrones.stars(np.maximum(mass[:, None] * q, floor[:, None]), age[:, None], fe_h)
    change = np.stack(
        [np.log(other.teff / star.teff[:, None]), other.logg - star.logg[:, None]], axis=-1
    )
    known = np.isfinite(change).all(axis=(1, 2))
    change, born = change[known], np.log(born[known])
    out = np.empty((teff.size, logg.size, q.size, 2))
    for i, t in enumerate(teff):
        near = ((star.teff[known] - t) / WIDTH[0]) ** 2
        distance = near + ((star.logg[known] - logg[:, None]) / WIDTH[1]) ** 2
        # where no star lies, the nearest ones decide: the exponent counts from the smallest
        exponent = born - distance / 2
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        out[i] = (weight @ change.reshape(len(change), -1)).reshape(logg.size, q.size, 2)
    return out


@lru_cache(maxsize=1)
def default_companions() -> Companions:
    """Return the companions of the shipped isochrones, tabulated once (2 s)."""
    return Companions.of(load_default())
