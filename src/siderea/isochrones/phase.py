"""Where a star stands in the grid: its four neighbouring isochrones, and the phase of its mass.

Between nodes of age and [Fe/H] the isochrone is, at every phase, the mean of its neighbours'
log mass weighed bilinearly in (log age, [Fe/H]). As every neighbour's mass ascends along the
phase, so does the mean: (mass, age, [Fe/H]) has one phase and inverts exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siderea.isochrones.table import IsochroneTable

__all__ = ["Place", "neighbours", "place"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

ROUNDING = 1e-12  # in log10 mass: lets the mass that `Isochrones.heaviest` returns be alive


@dataclass(frozen=True)
class Place:
    """Where N stars stand in the grid.

    Parameters
    ----------
    nodes : array (4, N)
        Neighbouring isochrones, as indices into the table's (F·A) isochrones.
    weights : array (4, N)
        Their weights, of sum 1.
    below : array (N,)
        Index of the phase below the star's.
    part : array (N,)
        Fraction of the way to the next phase.
    alive : boolean array (N,)
        Whether such a star is on the grid; the other arrays mean nothing where it is not.
    """

    nodes: Indices
    weights: Array
    below: Indices
    part: Array
    alive: npt.NDArray[np.bool_]


def _bracket(axis: Array, value: Array) -> tuple[Indices, Array]:
    below = np.clip(np.searchsorted(axis, value, side="right") - 1, 0, axis.size - 2)
    return below, (value - axis[below]) / (axis[below + 1] - axis[below])


def neighbours(
    table: IsochroneTable, age: Array, fe_h: Array
) -> tuple[Indices, Array, npt.NDArray]:
    """Return the four isochrones around each (age, [Fe/H]), their weights, and who is on the grid.

    Parameters
    ----------
    table : IsochroneTable
        The grid.
    age, fe_h : arrays (N,)
        Gyr and dex.

    Returns
    -------
    nodes, weights : arrays (4, N)
        As in `Place`.
    inside : boolean array (N,)
        False below or above the grid, and for NaN.
    """
    inside = (age >= table.age[0]) & (age <= table.age[-1])
    inside &= (fe_h >= table.fe_h[0]) & (fe_h <= table.fe_h[-1])
    row, up = _bracket(table.fe_h, np.where(inside, fe_h, table.fe_h[0]))
    log_age = np.log10(np.where(inside, age, table.age[0]))
    column, later = _bracket(np.log10(table.age), log_age)
    corner = row * table.age.size + column
    nodes = np.stack([corner, corner + 1, corner + table.age.size, corner + table.age.size + 1])
    down, sooner = 1 - up, 1 - later
    return nodes, np.stack([down * sooner, down * later, up * sooner, up * later]), inside


def _mean(masses: Array, first: Indices, weights: Array, phase: Indices) -> Array:
    """Return the weighed mean of four isochrones' log masses at a phase each."""
    total = weights[0] * masses.take(first[0] + phase)
    for start, weight in zip(first[1:], weights[1:], strict=True):
        total += weight * masses.take(start + phase)
    return total


def place(
    table: IsochroneTable, mass: Array, age: Array, fe_h: Array, *, clip: bool = False
) -> Place:
    """Find the phase of every star by bisection.

    Parameters
    ----------
    table : IsochroneTable
        The grid.
    mass, age, fe_h : arrays (N,)
        Initial mass (solar), Gyr, dex.
    clip : bool
        Whether a mass off the grid counts as the nearest on it.

    Returns
    -------
    Place
        Neighbours and phase.
    """
    nodes, weights, alive = neighbours(table, age, fe_h)
    alive &= (mass > 0) | clip
    n_phases = table.log_mass.shape[-1]
    masses, first = table.log_mass.ravel(), nodes * n_phases
    wanted = np.log10(np.where(mass > 0, mass, 1e-9))
    below = np.zeros(mass.size, dtype=np.int64)
    above = np.full(mass.size, n_phases - 1)
    low, high = _mean(masses, first, weights, below), _mean(masses, first, weights, above)
    alive &= ((wanted >= low - ROUNDING) & (wanted <= high + ROUNDING)) | clip
    wanted = np.clip(wanted, low, high)
    for _ in range(int(np.ceil(np.log2(n_phases)))):
        middle = (below + above) // 2
        here = _mean(masses, first, weights, middle)
        right = here <= wanted
        np.copyto(below, middle, where=right)
        np.copyto(low, here, where=right)
        np.copyto(above, middle, where=~right)
        np.copyto(high, here, where=~right)
    return Place(nodes, weights, below, (wanted - low) / (high - low), alive)
