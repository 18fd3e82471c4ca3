"""Draw systems that pass a survey's limits, as often as the Galaxy holds them.

Rejection over strata: a stratum is a population, a range of ages and a range of x = 1 − m/m_tip,
the distance of the primary's mass from the heaviest star alive; small x are the giants, whom the
initial mass function makes rare and the magnitude limit common. A pilot finds the greatest weight
(mass function × volume within the limits) of each stratum; candidates are drawn by it and kept
with probability weight / greatest. Where the pilot missed the greatest weight, systems are lost:
0.02 % of them under the default settings.

Systems travel as columns, arrays of one length by name: those of
`siderea.simulate.multiplicity.Companions`, and component, age, fe_h, mass, magnitude (absolute, of
all stars together; also ``abs_<band>`` of the selection's bands), radius, weight; then field,
distance, ebv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.photometry.extinction import coefficient
from siderea.simulate.components import Component, imf, systems_per_density
from siderea.simulate.galaxy_model import DustDisc
from siderea.simulate.multiplicity import MultiplicityLaw, detached, draw_companions
from siderea.simulate.selection import Selection
from siderea.simulate.sightlines import Sightlines, along, build

__all__ = ["Columns", "IsochroneSet", "Sampler", "stacked", "star_magnitudes", "taken", "together"]

Array = NDArray[np.float64]
Columns = dict[str, NDArray]
Ranges = Sequence[tuple[str, float, float]]

AGE_BINS = 2
X_EDGES = np.concatenate([[0.0], np.geomspace(1e-4, 0.45, 20), np.linspace(0.5, 0.95, 10)])

PILOT = 200
"""Candidates per stratum in the pilot."""

PILOT_SEED = 20_080_601
"""The pilot belongs to the settings, not to a survey's seed: the same tables for every seed."""

HEADROOM = 1.15
"""The greatest weight of a stratum is taken to be this times the pilot's."""

LARGEST_BATCH = 1 << 15


class Atmospheres(Protocol):
    """Stars of isochrones."""

    @property
    def teff(self) -> Array:
        """Effective temperature, K."""
        ...

    @property
    def logg(self) -> Array:
        """Surface gravity, dex."""
        ...

    @property
    def radius(self) -> Array:
        """Solar."""
        ...

    @property
    def luminosity(self) -> Array:
        """Solar."""
        ...


class IsochroneSet(Protocol):
    """What is asked of isochrones: see `siderea.simulate.clump.RedClump`."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands known."""
        ...

    def stars(self, mass: Array, age: Array, fe_h: Array) -> Atmospheres:
        """Return atmospheres, NaN where no such star lives."""
        ...

    def magnitudes(
        self, mass: Array, age: Array, fe_h: Array, bands: Sequence[str] | None = None
    ) -> Array:
        """Return absolute magnitudes (N, B)."""
        ...

    def heaviest(self, age: Array, fe_h: Array) -> Array:
        """Return the largest initial mass still alive."""
        ...

    def in_clump(self, mass: Array, age: Array, fe_h: Array) -> NDArray[np.bool_]:
        """Tell which stars burn helium."""
        ...


def taken(columns: Mapping[str, NDArray], rows: NDArray) -> Columns:
    """Return the chosen rows of every column."""
    return {name: values[rows] for name, values in columns.items()}


def stacked(parts: Sequence[Columns]) -> Columns:
    """Put columns of several parts one after another."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def star_magnitudes(
    isochrones: IsochroneSet, systems: Mapping[str, NDArray], bands: Sequence[str]
) -> Array:
    """Return absolute magnitudes of the stars of each system.

    Parameters
    ----------
    isochrones : IsochroneSet
    systems : columns
        ``mass``, ``mass_2``, ``mass_3``, ``age``, ``fe_h``.
    bands : sequence of str

    Returns
    -------
    (3, N, B) ndarray
        Infinite (no light) where there is no such star, or one too light for the isochrones.
    """
    age, fe_h = systems["age"], systems["fe_h"]
    out = np.full((3, age.size, len(bands)), np.inf)
    out[0] = isochrones.magnitudes(systems["mass"], age, fe_h, bands)
    for number in (2, 3):
        mass = systems[f"mass_{number}"]
        rows = np.flatnonzero(np.isfinite(mass))
        found = isochrones.magnitudes(mass[rows], age[rows], fe_h[rows], bands)
        out[number - 1, rows] = np.where(np.isnan(found), np.inf, found)
    return out


def together(magnitudes: Array) -> Array:
    """Return the magnitudes (N, B) of the light of all stars, m = −2.5 log₁₀ Σ 10^(−.4 mᵢ)."""
    return np.asarray(-2.5 * np.log10((10 ** (-0.4 * magnitudes)).sum(0)))


class Sampler:
    """Draws systems of a Galaxy under a selection.

    Parameters
    ----------
    isochrones : IsochroneSet
    components : sequence of Component
    law : MultiplicityLaw
    selection : Selection
    dust : DustDisc
    ranges : sequence of (name, low, high)
        Ranges of the primary's ``teff``, ``logg`` or ``fe_h``.

    Attributes
    ----------
    sightlines : Sightlines
    acceptance : float
        Share of candidates kept, as the pilot expects it.
    """

    def __init__(
        self,
        isochrones: IsochroneSet,
        components: Sequence[Component],
        law: MultiplicityLaw,
        selection: Selection,
        dust: DustDisc,
        ranges: Ranges = (),
    ) -> None:
        self.isochrones = isochrones
        self.components = tuple(components)
        self.law = law
        self.selection = selection
        self.ranges = tuple(ranges)
        rng = np.random.default_rng(PILOT_SEED)
        self.sightlines: Sightlines = build(selection, self.components, dust, rng)
        self._dust = dust
        self._strata = _strata(len(self.components))
        self._functions = self._explore(rng)
        if self.selection.limited:
            self.sightlines = self.sightlines.weighed(*self._functions)
        self._find_greatest()

    def towards(self, longitude: Array, latitude: Array) -> Sampler:
        """Return a sampler of the same survey that looks in other directions.

        Parameters
        ----------
        longitude, latitude : (J,) ndarray
            Galactic l and b, deg.

        Raises
        ------
        DataError
            If the Galaxy has no star there within the limits.
        """
        other = copy(self)
        other.sightlines = along(
            longitude, latitude, self.selection, self.components, self._dust
        ).weighed(*self._functions)
        other._find_greatest()
        return other

    def expected(self) -> Array:
        """Return how many systems each field (J,) holds within the limits, as the pilot has it."""
        return self.sightlines.stars(*self._functions)

    def draw(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n systems in their places.

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        Columns
        """
        parts: list[Columns] = []
        missing = n
        while missing > 0:
            batch = min(int(1.3 * missing / self.acceptance) + 64, LARGEST_BATCH)
            parts.append(self._attempt(batch, rng))
            missing -= parts[-1]["mass"].size
        return taken(stacked(parts), np.arange(n))

    def _explore(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the pilot, and return the luminosity functions and their bins."""
        stratum = np.repeat(np.arange(len(self._strata)), PILOT)
        self._pilot, row = self._candidates(stratum, rng, ())
        self._pilot_stratum = stratum[row]
        share = self._strata[self._pilot_stratum, 4] * self._pilot["weight"] / PILOT
        share *= systems_per_density(self.components)
        return _luminosity_functions(self._pilot, share, len(self.components))

    def _find_greatest(self) -> None:
        """Find the greatest weight of each stratum, with what the pilot meets in the fields."""
        pilot, stratum, prior = self._pilot, self._pilot_stratum, self._strata[:, 4]
        weight = pilot["weight"] * self._volume(pilot) * self._in_ranges(pilot, self.ranges)
        greatest = np.zeros(prior.size)
        np.maximum.at(greatest, stratum, HEADROOM * weight)
        chance = prior * greatest
        if not chance.sum() > 0:
            raise DataError("survey: no star of the Galaxy is within its limits; widen them")
        mean = np.bincount(stratum, weight, prior.size) / PILOT
        self.acceptance = float((prior * mean).sum() / chance.sum())
        self._greatest, self._cumulative = greatest, np.cumsum(chance) / chance.sum()

    def _attempt(self, batch: int, rng: np.random.Generator) -> Columns:
        stratum = np.searchsorted(self._cumulative, rng.random(batch), side="right")
        stratum = np.minimum(stratum, self._greatest.size - 1)
        systems, row = self._candidates(stratum, rng, self.ranges)
        chance = systems["weight"] * self._volume(systems) / self._greatest[stratum[row]]
        systems = taken(systems, rng.random(row.size) < chance)
        field, distance, ebv = self.sightlines.place(
            systems["component"], systems["magnitude"], rng
        )
        systems |= {"field": field, "distance": distance, "ebv": ebv}
        return taken(systems, self._in_limits(systems) & self._detached(systems))

    def _volume(self, systems: Columns) -> Array:
        return self.sightlines.volume(systems["component"], systems["magnitude"])

    def _candidates(
        self, stratum: NDArray[np.int64], rng: np.random.Generator, ranges: Ranges
    ) -> tuple[Columns, NDArray[np.int64]]:
        """Draw one system per stratum named; return those that may be seen, and their rows."""
        born = self._born(self._strata[stratum], rng)
        row = np.flatnonzero(self._in_ranges(born, ranges))
        systems = taken(born, row)
        systems |= vars(draw_companions(systems["mass"], self.law, rng))
        bands = self.selection.bands
        light = together(star_magnitudes(self.isochrones, systems, bands))
        mag = dict(zip(bands, light.T, strict=True))
        systems["magnitude"] = self.selection.brightness(mag)
        systems |= {f"abs_{name}": values for name, values in mag.items()}
        seen = self.selection.takes_colour(mag) & systems["stable"]
        seen &= np.isfinite(systems["magnitude"])
        return taken(systems, seen), row[seen]

    def _born(self, strata: Array, rng: np.random.Generator) -> Columns:
        """Draw component, age, [Fe/H] and mass of the primary, with the weight of the mass."""
        n = len(strata)
        component = strata[:, 0].astype(np.int64)
        u = (strata[:, 1] + rng.random(n)) / AGE_BINS
        age, fe_h = np.empty(n), np.empty(n)
        for k, population in enumerate(self.components):
            rows = component == k
            age[rows] = population.draw_age(u[rows])
            fe_h[rows] = population.draw_fe_h(int(rows.sum()), rng)
        tip = self.isochrones.heaviest(age, fe_h)
        mass = tip * (1 - (strata[:, 2] + (strata[:, 3] - strata[:, 2]) * rng.random(n)))
        weight = imf(mass) * tip
        return {"component": component, "age": age, "fe_h": fe_h, "mass": mass, "weight": weight}

    def _in_ranges(self, born: Columns, ranges: Ranges) -> NDArray[np.bool_]:
        """Tell which primaries live and are in the ranges; note their radii."""
        stars = self.isochrones.stars(born["mass"], born["age"], born["fe_h"])
        values = {"teff": stars.teff, "logg": stars.logg, "fe_h": born["fe_h"]}
        born["radius"] = stars.radius
        good = np.isfinite(stars.teff)
        for name, low, high in ranges:
            good &= (values[name] >= low) & (values[name] <= high)
        return good

    def _in_limits(self, systems: Columns) -> NDArray[np.bool_]:
        """Tell which systems are within the limits with the exact reddening of every band."""
        near, far = self.selection.distance
        modulus = 5 * np.log10(systems["distance"]) + 10
        mag = {
            name: systems[f"abs_{name}"] + modulus + coefficient(name) * systems["ebv"]
            for name in self.selection.bands
        }
        seen = self.selection.brightness(mag)
        bright, faint = self.selection.magnitude
        within = (systems["distance"] > near) & (systems["distance"] < far)
        return np.asarray(within & (seen > bright) & (seen < faint))

    def _detached(self, systems: Columns) -> NDArray[np.bool_]:
        rows = np.flatnonzero(systems["n_stars"] > 1)
        pairs = taken(systems, rows)
        stars = self.isochrones.stars(pairs["mass_2"], pairs["age"], pairs["fe_h"])
        pairs["radius_2"] = stars.radius
        good = np.ones(systems["mass"].size, dtype=bool)
        good[rows] = detached(pairs)
        return good


def _strata(components: int) -> Array:
    """Return (component, age bin, x low, x high, prior) of every stratum."""
    return np.array(
        [
            (k, age_bin, low, high, (high - low) / AGE_BINS)
            for k in range(components)
            for age_bin in range(AGE_BINS)
            for low, high in pairwise(X_EDGES)
        ]
    )


def _luminosity_functions(pilot: Columns, share: Array, components: int) -> tuple[Array, Array]:
    """Return systems per bin of absolute magnitude of each population, and the bins' centres."""
    edges = np.arange(-6.0, 16.0, 0.25)
    rows = [pilot["component"] == k for k in range(components)]
    table = [np.histogram(pilot["magnitude"][r], edges, weights=share[r])[0] for r in rows]
    return np.array(table), 0.5 * (edges[1:] + edges[:-1])
