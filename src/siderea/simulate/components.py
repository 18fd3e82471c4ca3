"""The stellar populations of the Milky Way: how many, how old, how metal-rich, how they move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.simulate.galaxy_model import Density, disc_density, halo_density, ring_density
from siderea.simulate.kinematics import ROTATION

__all__ = ["HALO", "MILKY_WAY", "MONOCEROS", "THICK_DISC", "THIN_DISC", "Component", "imf"]

Knots = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Generation:
    """Stars of a component that are younger than ``until`` (and older than the one before).

    Parameters
    ----------
    until : float
        Gyr.
    fe_h, fe_h_sigma : float
        Mean and dispersion, dex.
    sigma : (float, float, float)
        Velocity dispersions inwards, along the rotation, upwards, km/s.
    """

    until: float
    fe_h: float
    fe_h_sigma: float
    sigma: tuple[float, float, float]


@dataclass(frozen=True)
class Component:
    """One population.

    Parameters
    ----------
    name : str
    share : float
        Density at the Sun of stars not yet evolved, relative to the thin disc's.
    density : callable
        (R, Z) in kpc to the density relative to the Sun's place.
    ages : (float, float)
        Born at a constant rate between, Gyr ago.
    generations : tuple of Generation
        By age.
    alpha : tuple of (fe_h, alpha_fe)
        Knots of the mean [α/Fe], held beyond the ends; the scatter is `ALPHA_SCATTER`.
    lag : float, optional
        km/s behind the circular velocity; σ_U²/80 (Dehnen & Binney 1998) when None.
    """

    name: str
    share: float
    density: Density
    ages: tuple[float, float]
    generations: tuple[Generation, ...]
    alpha: Knots
    lag: float | None = None

    def draw_age(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return the ages (Gyr) at cumulative probabilities."""
        young, old = self.ages
        return young + (old - young) * np.asarray(u, dtype=float)

    def draw_fe_h(self, age: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw [Fe/H] at ages (Gyr)."""
        mean, sigma = self._by_age(age, lambda g: (g.fe_h, g.fe_h_sigma)).T
        return np.asarray(mean + sigma * rng.standard_normal(age.size))

    def draw_alpha(self, fe_h: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw [α/Fe] at [Fe/H]."""
        knots = np.array(self.alpha)
        mean = np.interp(fe_h, knots[:, 0], knots[:, 1])
        return np.asarray(mean + ALPHA_SCATTER * rng.standard_normal(fe_h.size))

    def draw_velocity(self, age: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw velocities (N, 3): inwards, along the rotation (full), upwards, km/s."""
        sigma = self._by_age(age, lambda g: g.sigma)
        lag = sigma[:, 0] ** 2 / DRIFT if self.lag is None else self.lag
        velocity = sigma * rng.standard_normal(sigma.shape)
        velocity[:, 1] += ROTATION - lag
        return velocity

    def _by_age(
        self, age: NDArray, of: Callable[[Generation], tuple[float, ...]]
    ) -> NDArray[np.float64]:
        ends = [generation.until for generation in self.generations[:-1]]
        values = np.array([of(generation) for generation in self.generations])
        return values[np.searchsorted(ends, age, side="right")]


ALPHA_SCATTER = 0.03
"""Intrinsic scatter of [α/Fe] at one [Fe/H], dex; schematic."""

DRIFT = 80.0
"""Asymmetric drift: lag = σ_U² / 80 km/s, Dehnen & Binney (1998), MNRAS 298, 387."""

_DISC_GENERATIONS = (
    Generation(2.0, 0.03, 0.10, (27.2, 17.6, 10.0)),
    Generation(3.0, 0.01, 0.11, (30.2, 19.5, 13.2)),
    Generation(5.0, -0.07, 0.18, (36.7, 23.7, 15.8)),
    Generation(7.0, -0.14, 0.17, (43.1, 27.8, 17.4)),
    Generation(10.0, -0.37, 0.20, (43.1, 27.8, 17.5)),
)

THIN_DISC = Component(
    "thin disc",
    1.0,
    partial(disc_density, scale_length=2.6, scale_height=0.3),
    (1.0, 10.0),
    _DISC_GENERATIONS,
    ((-0.9, 0.18), (-0.5, 0.09), (0.0, 0.0), (0.4, -0.02)),
)
"""Thin disc. Density: Jurić et al. (2008), ApJ 673, 864. Born at a constant rate; metallicities and
dispersions by age: Robin et al. (2003), A&A 409, 523, Tables 1 and 4, without their radial
gradient. Stars younger than 1 Gyr, which the isochrones do not reach, are absent."""

THICK_DISC = Component(
    "thick disc",
    0.12,
    partial(disc_density, scale_length=3.6, scale_height=0.9),
    (8.0, 12.0),
    (Generation(13.0, -0.48, 0.32, (67.0, 38.0, 35.0)),),
    ((-1.0, 0.30), (-0.6, 0.27), (-0.1, 0.12), (0.3, 0.04)),
    46.0,
)
"""Thick disc. Density: Jurić et al. (2008); [Fe/H]: Soubiran, Bienaymé & Siebert (2003), A&A 398,
141; kinematics: Bensby, Feltzing & Lundström (2003), A&A 410, 527."""

HALO = Component(
    "halo",
    0.0051,
    halo_density,
    (11.0, 13.0),
    (Generation(14.0, -1.46, 0.30, (160.0, 90.0, 90.0)),),
    ((-2.5, 0.35), (-1.0, 0.28), (-0.5, 0.20)),
    220.0,
)
"""Halo. Density: Jurić et al. (2008); [Fe/H]: Ivezić et al. (2008), ApJ 684, 287; kinematics:
Bensby, Feltzing & Lundström (2003)."""

MONOCEROS = Component(
    "ring",
    0.002,
    ring_density,
    (8.0, 11.0),
    (Generation(13.0, -0.95, 0.15, (30.0, 30.0, 30.0)),),
    ((-1.5, 0.25), (0.0, 0.05)),
    0.0,
)
"""An overdensity like the Monoceros stream, for maps of the outer disc; [Fe/H]: Ivezić et al.
(2008). Its density and motion are schematic."""

MILKY_WAY = (THIN_DISC, THICK_DISC, HALO)

IMF_BREAK = 0.5


def imf(mass: ArrayLike) -> NDArray[np.float64]:
    """Return the initial mass function dN/dm of Kroupa (2001), MNRAS 322, 231, unnormalised.

    m^−1.3 from .08 to .5 solar masses, m^−2.3 above, continuous.
    """
    mass = np.asarray(mass, dtype=float)
    return np.where(mass < IMF_BREAK, mass**-1.3, IMF_BREAK * mass**-2.3)
