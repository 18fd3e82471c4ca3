"""Weighted stars of the isochrones: every age and mass as often as it is born, alone or in a pair.

What `siderea.stellar.absolute_magnitude` makes its tables of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.isochrones.phase import neighbours
from siderea.isochrones.table import IsochroneTable
from siderea.simulate.clump import RedClump
from siderea.simulate.components import imf
from siderea.simulate.multiplicity import multiple_fraction

__all__ = ["StellarPrior", "WeightedStars", "weighted_stars"]

Array = NDArray[np.float64]

AGE_STEPS = 30
STEPS_PER_PHASE = 3
CLUMP_STEPS = 24
MASS_RATIOS = (0.25, 0.6, 0.8, 0.9, 0.97)
"""Nodes of q, flat, and what each stands for; below 0.25 a companion gives no light."""
RATIO_SHARES = (0.35, 0.25, 0.15, 0.15, 0.1)
OLDEST = 13.0
GOLDEN = 0.618_033_988_749_895


@dataclass(frozen=True)
class StellarPrior:
    """What is believed of stars before they are observed.

    Parameters
    ----------
    binary_fraction : float, optional
        Share of systems with a companion; by the primary's mass
        (`siderea.simulate.multiplicity.multiple_fraction`) when None, and 0 for single stars only.
    youngest : tuple of (fe_h, age)
        Knots of the age, Gyr, since which no stars were born, linear in [Fe/H] between; from then
        back to 13 Gyr ago the rate of births is constant.
    """

    binary_fraction: float | None = None
    youngest: tuple[tuple[float, float], ...] = ((-1.2, 10.0), (-0.8, 8.0), (-0.3, 1.0))


@dataclass(frozen=True)
class WeightedStars:
    """Systems of the isochrones.

    Parameters
    ----------
    fe_h_node : (N,) ndarray of int
        Index of the isochrones' [Fe/H].
    log_teff, logg : (N,) ndarray
        Of the primary.
    mag : (N, B) ndarray
        Absolute, of all light.
    clump : (N,) ndarray of bool
        Whether the primary burns helium in its core.
    weight : (N,) ndarray
    """

    fe_h_node: NDArray[np.int64]
    log_teff: Array
    logg: Array
    mag: Array
    clump: NDArray[np.bool_]
    weight: Array


def weighted_stars(
    isochrones: RedClump, bands: Sequence[str], prior: StellarPrior
) -> WeightedStars:
    """Return systems over all nodes of [Fe/H], each node with the same number of births.

    Parameters
    ----------
    isochrones : RedClump
    bands : sequence of str
        B bands of ``mag``.
    prior : StellarPrior

    Returns
    -------
    WeightedStars
        Ages are stratified, and shifted from mass to mass by a golden-ratio sequence, so that no
        grid of ages shows at the turn-off.
    """
    node, mass, age, weight = _births(isochrones, prior)
    fe_h = isochrones.isochrones.table.fe_h[node]
    stars = isochrones.stars(mass, age, fe_h)
    light = 10 ** (-0.4 * isochrones.magnitudes(mass, age, fe_h, bands))
    good = np.isfinite(light).all(axis=1) & np.isfinite(stars.logg) & (weight > 0)
    node, mass, age, fe_h = node[good], mass[good], age[good], fe_h[good]
    light, weight = light[good], weight[good]
    clump = isochrones.in_clump(mass, age, fe_h)
    log_teff, logg = np.log10(stars.teff[good]), stars.logg[good]
    fraction = multiple_fraction(mass) if prior.binary_fraction is None else prior.binary_fraction
    fraction = np.broadcast_to(fraction, mass.shape)
    lights, weights = [light], [weight * (1 - fraction)]
    for ratio, share in zip(MASS_RATIOS, RATIO_SHARES, strict=True):
        if not fraction.any():
            break
        other = 10 ** (-0.4 * isochrones.magnitudes(ratio * mass, age, fe_h, bands))
        lights.append(light + np.nan_to_num(other))
        weights.append(weight * fraction * share)
    times = len(lights)
    return WeightedStars(
        np.tile(node, times),
        np.tile(log_teff, times),
        np.tile(logg, times),
        -2.5 * np.log10(np.concatenate(lights)),
        np.tile(clump, times),
        np.concatenate(weights),
    )


def _births(
    isochrones: RedClump, prior: StellarPrior
) -> tuple[NDArray[np.int64], Array, Array, Array]:
    """Return [Fe/H] node, mass, age and weight of primaries up to the end of the clump."""
    table = isochrones.isochrones.table
    steps = np.arange(0.5, STEPS_PER_PHASE * (table.log_mass.shape[-1] - 1)) / STEPS_PER_PHASE
    node, strata, place = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(table.fe_h.size),
            np.arange(AGE_STEPS),
            np.arange(steps.size + CLUMP_STEPS),
            indexing="ij",
        )
    )
    age, age_weight = _ages(table.fe_h[node], strata, np.arange(node.size), prior)
    on_branch = place < steps.size
    half = 0.5 / STEPS_PER_PHASE
    at = steps[np.minimum(place, steps.size - 1)]
    low, mass, high = (_mass_at(table, age, table.fe_h[node], at + s) for s in (-half, 0, half))
    tip, last = isochrones.isochrones.heaviest(age, table.fe_h[node]), np.full(age.size, np.nan)
    last[~on_branch] = isochrones.heaviest(age[~on_branch], table.fe_h[node][~on_branch])
    part = (place - steps.size + 0.5) / CLUMP_STEPS
    width = np.where(on_branch, high - low, (last - tip) / CLUMP_STEPS)
    mass = np.where(on_branch, mass, tip + part * (last - tip))
    return node, mass, age, imf(mass) * np.nan_to_num(width) * age_weight


def _ages(
    fe_h: Array, strata: NDArray[np.int64], order: NDArray[np.int64], prior: StellarPrior
) -> tuple[Array, Array]:
    """Return stratified ages, even in log age, and their weights for a constant rate."""
    knots = np.array(prior.youngest)
    young = np.interp(fe_h, knots[:, 0], knots[:, 1])
    fraction = (strata + (order * GOLDEN) % 1.0) / AGE_STEPS
    age = young * (OLDEST / young) ** fraction
    return age, age * np.log(OLDEST / young) / (OLDEST - young)


def _mass_at(table: IsochroneTable, age: Array, fe_h: Array, phase: Array) -> Array:
    """Return the initial mass at a phase (in steps of the table)."""
    nodes, weights, _ = neighbours(table, age, fe_h)
    masses = table.log_mass
    n_phases = masses.shape[-1]
    below = np.clip(np.floor(phase).astype(np.int64), 0, n_phases - 2)
    flat, part = masses.ravel(), phase - below
    low = (weights * flat[nodes * n_phases + below]).sum(0)
    high = (weights * flat[nodes * n_phases + below + 1]).sum(0)
    return np.asarray(10 ** (low + part * (high - low)))
