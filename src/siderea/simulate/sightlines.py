"""How many stars of each population lie in front of each field, out to any distance modulus.

The tables from which positions are drawn: for field j and population k the counts
C_jk(μ) = ∫ ρ_k d² dd out to the apparent distance modulus μ = 5 log₁₀(d / 10 pc) + A(d), which
already holds the extinction. A system of absolute magnitude M is within the limits of a survey for
μ between V_bright − M and V_faint − M.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.simulate.components import Component
from siderea.simulate.galaxy_model import DustDisc, cylindrical
from siderea.simulate.selection import Selection, draw_fields

__all__ = ["Sightlines", "along", "build"]

Array = NDArray[np.float64]

STEP = 0.05
"""Step of the tables in apparent distance modulus, mag."""

FARTHEST = 26.0
MARGIN = 0.15
"""Magnitudes by which positions are drawn beyond the limits, because the reddening of V_JK depends
a little on the colour; the exact magnitude decides afterwards."""


@dataclass(frozen=True)
class Sightlines:
    """Tables of counts, distances and reddening towards J fields.

    Parameters
    ----------
    selection : Selection
    longitude, latitude : (J,) ndarray
        Centres of the fields, deg; a star's density and dust are those of its field's centre.
    modulus : (G,) ndarray
        Grid of apparent distance modulus, mag.
    counts : (K, G, J) ndarray
        C_jk, in kpc³ of stars at the Sun's density of the thin disc.
    rows : (K, J, G) ndarray
        The same, laid out for one field at a time.
    log_distance, ebv : (J, G) ndarray
        log₁₀ kpc, and mag.
    weights : (J,) ndarray
        What the stars of a field count for.
    """

    selection: Selection
    longitude: Array
    latitude: Array
    modulus: Array
    counts: Array
    rows: Array
    log_distance: Array
    ebv: Array
    weights: Array

    def volume(self, component: NDArray[np.int64], magnitude: Array) -> Array:
        """Return the weighed counts within the limits for systems of absolute magnitude (N,)."""
        near, far = self._limits(magnitude)
        out = np.zeros(magnitude.size)
        for k, counts in enumerate(self.counts):
            rows = component == k
            total = counts @ self.weights
            out[rows] = np.interp(far[rows], self.modulus, total)
            out[rows] -= np.interp(near[rows], self.modulus, total)
        return np.maximum(out, 0.0)

    def place(
        self, component: NDArray[np.int64], magnitude: Array, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Array, Array]:
        """Draw a field, a distance (kpc) and a reddening for systems of absolute magnitude (N,)."""
        near, far = self._limits(magnitude)
        field = self._field(component, near, far, rng)
        rows = (component, field)
        low = _interpolate(self.rows, rows, self._index(near))
        high = _interpolate(self.rows, rows, self._index(far))
        wanted = low + rng.random(field.size) * (high - low)
        below = np.clip(_number_below(self.rows, rows, wanted) - 1, 0, self.modulus.size - 2)
        first, second = self.rows[(*rows, below)], self.rows[(*rows, below + 1)]
        part = (wanted - first) / np.where(second > first, second - first, 1.0)
        index = np.asarray(below + np.clip(part, 0.0, 1.0), dtype=np.float64)
        distance = np.asarray(10 ** _interpolate(self.log_distance, (field,), index))
        return field, distance, _interpolate(self.ebv, (field,), index)

    def stars(self, functions: Array, magnitude: Array) -> Array:
        """Return how many systems each field holds within the limits, (J,).

        Parameters
        ----------
        functions : (K, M) ndarray
            Luminosity functions: systems per kpc³, per bin of absolute magnitude, of each
            population where its density is one.
        magnitude : (M,) ndarray
            Centres of the bins.
        """
        near, far = (np.rint(self._index(limit)).astype(int) for limit in self._limits(magnitude))
        counts = self.counts[:, far] - self.counts[:, near]
        steradians = np.pi * np.deg2rad(self.selection.field_radius) ** 2
        return np.asarray(steradians * np.einsum("km,kmj->j", functions, counts))

    def weighed(self, functions: Array, magnitude: Array) -> Sightlines:
        """Return the tables of the fields with enough stars, with the weights asked for.

        Where every field gives as many stars, those of a field weigh one over their number.
        Arguments as of `stars`.
        """
        number = self.stars(functions, magnitude)
        kept = number >= max(self.selection.least_stars, 1e-9)
        if not kept.any():
            raise DataError(
                f"survey: the richest field has {number.max():.3g} systems within the limits; "
                f"expected {self.selection.least_stars} or more: lower least_stars"
            )
        share = 1.0 / number[kept] if self.selection.equal_fields else np.ones(kept.sum())
        return replace(
            self,
            longitude=self.longitude[kept],
            latitude=self.latitude[kept],
            counts=np.ascontiguousarray(self.counts[..., kept]),
            rows=np.ascontiguousarray(self.rows[:, kept]),
            log_distance=self.log_distance[kept],
            ebv=self.ebv[kept],
            weights=share,
        )

    def _limits(self, magnitude: Array) -> tuple[Array, Array]:
        bright, faint = self.selection.magnitude
        ends = self.modulus[[0, -1]]
        near = np.clip(bright - magnitude - MARGIN, *ends)
        return near, np.clip(faint - magnitude + MARGIN, *ends)

    def _index(self, modulus: Array) -> Array:
        return (modulus - self.modulus[0]) / STEP

    def _field(
        self, component: NDArray[np.int64], near: Array, far: Array, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        low, high = (np.rint(self._index(limit)).astype(int) for limit in (near, far))
        chance = (self.counts[component, high] - self.counts[component, low]) * self.weights
        chance = np.cumsum(chance, axis=1)
        u = rng.random(component.size) * chance[:, -1]
        return np.minimum((chance <= u[:, None]).sum(1), self.longitude.size - 1)


def _interpolate(table: Array, rows: tuple[NDArray, ...], index: Array) -> Array:
    """Interpolate rows (N,) of a table (..., G) linearly, each at its own fractional index (N,)."""
    below = np.clip(index.astype(int), 0, table.shape[-1] - 2)
    first = table[(*rows, below)]
    return np.asarray(first + (index - below) * (table[(*rows, below + 1)] - first))


def _number_below(table: Array, rows: tuple[NDArray, ...], wanted: Array) -> NDArray[np.int64]:
    """Return how many values of each row (N,) of a table (..., G) are below those wanted."""
    low = np.zeros(wanted.size, dtype=np.int64)
    high = np.full(wanted.size, table.shape[-1], dtype=np.int64)
    for _ in range(table.shape[-1].bit_length()):
        middle = (low + high) // 2
        beneath = (middle < high) & (
            table[(*rows, np.minimum(middle, table.shape[-1] - 1))] < wanted
        )
        low, high = np.where(beneath, middle + 1, low), np.where(beneath, high, middle)
    return low


def build(
    selection: Selection,
    components: Sequence[Component],
    dust: DustDisc,
    rng: np.random.Generator,
) -> Sightlines:
    """Integrate densities and dust towards the fields of a survey.

    Parameters
    ----------
    selection : Selection
    components : sequence of Component
    dust : DustDisc
    rng : numpy.random.Generator
        Draws the fields.

    Returns
    -------
    Sightlines
    """
    return along(*draw_fields(selection, rng), selection, components, dust)


def along(
    lon: Array,
    lat: Array,
    selection: Selection,
    components: Sequence[Component],
    dust: DustDisc,
) -> Sightlines:
    """Integrate densities and dust along lines of sight.

    Parameters
    ----------
    lon, lat : (J,) ndarray
        Galactic l and b, deg.
    selection, components, dust
        As of `build`.

    Returns
    -------
    Sightlines
    """
    log_d = np.linspace(np.log10(0.001), np.log10(120.0), 800)
    distance = 10**log_d
    ebv = dust.ebv(distance, lon, lat)
    modulus = 5 * log_d + 10 + selection.extinction * ebv
    radius, _, height = cylindrical(distance, lon[:, None], lat[:, None])
    near, far = selection.distance
    inside = (distance > near) & (distance < far)
    grid = np.arange(-5.0, FARTHEST, STEP)
    tables = [_onto(grid, modulus, np.broadcast_to(log_d, ebv.shape)), _onto(grid, modulus, ebv)]
    for component in components:
        shells = component.density(radius, height) * distance**3 * inside
        cells = 0.5 * (shells[:, 1:] + shells[:, :-1]) * np.diff(np.log(distance))
        total = np.concatenate([np.zeros((lon.size, 1)), np.cumsum(cells, axis=1)], axis=1)
        tables.append(component.share * _onto(grid, modulus, total))
    rows = np.stack(tables[2:])
    counts = np.ascontiguousarray(rows.transpose(0, 2, 1))
    return Sightlines(
        selection, lon, lat, grid, counts, rows, tables[0], tables[1], np.ones(lon.size)
    )


def _onto(grid: Array, modulus: ArrayLike, values: ArrayLike) -> Array:
    """Interpolate every row of values, given at its row of moduli, onto one grid."""
    rows = zip(np.asarray(modulus), np.asarray(values), strict=True)
    return np.stack([np.interp(grid, at, row) for at, row in rows])
