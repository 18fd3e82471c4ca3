"""The stellar populations of the Milky Way: how many, how old, how metal-rich, how they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.simulate.galaxy_model import (
    R_SUN,
    Density,
    disc_density,
    halo_density,
    ring_density,
)
from siderea.simulate.kinematics import ROTATION

__all__ = [
    "HALO",
    "MILKY_WAY",
    "MONOCEROS",
    "THICK_DISC",
    "THIN_DISC",
    "Component",
    "imf",
    "systems_per_density",
]


@dataclass(frozen=True)
class Component:
    """One population, of one metallicity and kinematics.

    Parameters
    ----------
    name : str
    share : float
        Density at the Sun of stars not yet evolved, relative to the whole thin disc's.
    density : callable
        (R, Z) in kpc to the density relative to the Sun's place.
    ages : (float, float)
        Born at a constant rate between, Gyr ago.
    fe_h : (float, float)
        Mean and dispersion, dex.
    sigma : (float, float, float)
        Velocity dispersions inwards, along the rotation, upwards, km/s.
    lag : float
        km/s behind the circular velocity.
    alpha : tuple of (fe_h, alpha_fe)
        Knots of the mean [α/Fe], held beyond the ends; the scatter is `ALPHA_SCATTER`.
    """

    name: str
    share: float
    density: Density
    ages: tuple[float, float]
    fe_h: tuple[float, float]
    sigma: tuple[float, float, float]
    lag: float
    alpha: tuple[tuple[float, float], ...]

    def draw_age(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return the ages (Gyr) at cumulative probabilities."""
        young, old = self.ages
        return young + (old - young) * np.asarray(u, dtype=float)

    def draw_fe_h(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw n values of [Fe/H]."""
        return rng.normal(*self.fe_h, n)

    def draw_alpha(self, fe_h: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw [α/Fe] at [Fe/H]."""
        knots = np.array(self.alpha)
        mean = np.interp(fe_h, knots[:, 0], knots[:, 1])
        return np.asarray(mean + ALPHA_SCATTER * rng.standard_normal(fe_h.size))

    def draw_velocity(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw velocities (n, 3): inwards, along the rotation (full), upwards, km/s."""
        return rng.normal([0.0, ROTATION - self.lag, 0.0], self.sigma, (n, 3))


ALPHA_SCATTER = 0.03
"""Intrinsic scatter of [α/Fe] at one [Fe/H], dex; schematic."""

DRIFT = 80.0
"""Asymmetric drift: lag = σ_U² / 80 km/s, Dehnen & Binney (1998), MNRAS 298, 387."""

_GENERATIONS = (
    # ages, axis ratio, [Fe/H] mean and dispersion, σ_U, σ_V, σ_W
    ((1.0, 2.0), 0.0375, (0.03, 0.10), (27.2, 17.6, 10.0)),
    ((2.0, 3.0), 0.0551, (0.01, 0.11), (30.2, 19.5, 13.2)),
    ((3.0, 5.0), 0.0696, (-0.07, 0.18), (36.7, 23.7, 15.8)),
    ((5.0, 7.0), 0.0785, (-0.14, 0.17), (43.1, 27.8, 17.4)),
    ((7.0, 10.0), 0.0791, (-0.37, 0.20), (43.1, 27.8, 17.5)),
)


def _thin_disc(scale_length: float = 2.6, scale_height: float = 0.3) -> tuple[Component, ...]:
    """Return the generations of the thin disc: scale heights in proportion to the axis ratios.

    Their mean over a constant rate of births is ``scale_height``; the share of a generation at the
    Sun is its time over its height.
    """
    times = np.array([old - young for (young, old), *_ in _GENERATIONS])
    ratios = np.array([ratio for _, ratio, *_ in _GENERATIONS])
    heights = scale_height * ratios * times.sum() / (ratios @ times)
    shares = times / heights / (times / heights).sum()
    return tuple(
        Component(
            "thin disc",
            float(share),
            partial(disc_density, scale_length=scale_length, scale_height=float(height)),
            ages,
            fe_h,
            sigma,
            sigma[0] ** 2 / DRIFT,
            ((-0.9, 0.18), (-0.5, 0.09), (0.0, 0.0), (0.4, -0.02)),
        )
        for (ages, _, fe_h, sigma), height, share in zip(_GENERATIONS, heights, shares, strict=True)
    )


THIN_DISC = _thin_disc()
"""Thin disc in five generations. Mean scale height and scale length: Jurić et al. (2008), ApJ 673,
864; axis ratios, metallicities and dispersions by age: Robin et al. (2003), A&A 409, 523, without
their radial gradient of [Fe/H]. Stars younger than 1 Gyr, which the isochrones do not reach, are
absent."""

THICK_DISC = Component(
    "thick disc",
    0.12,
    partial(disc_density, scale_length=3.6, scale_height=0.9),
    (8.0, 12.0),
    (-0.48, 0.32),
    (67.0, 38.0, 35.0),
    46.0,
    ((-1.0, 0.30), (-0.6, 0.27), (-0.1, 0.12), (0.3, 0.04)),
)
"""Thick disc. Density: Jurić et al. (2008); [Fe/H]: Soubiran, Bienaymé & Siebert (2003), A&A 398,
141; kinematics: Bensby, Feltzing & Lundström (2003), A&A 410, 527."""

HALO = Component(
    "halo",
    0.0051,
    halo_density,
    (11.0, 13.0),
    (-1.46, 0.30),
    (160.0, 90.0, 90.0),
    220.0,
    ((-2.5, 0.35), (-1.0, 0.28), (-0.5, 0.20)),
)
"""Halo. Density: Jurić et al. (2008); [Fe/H]: Ivezić et al. (2008), ApJ 684, 287; kinematics:
Bensby, Feltzing & Lundström (2003)."""

MONOCEROS = Component(
    "ring",
    0.002,
    ring_density,
    (8.0, 11.0),
    (-0.95, 0.15),
    (30.0, 30.0, 30.0),
    0.0,
    ((-1.5, 0.25), (0.0, 0.05)),
)
"""An overdensity like the Monoceros stream, for maps of the outer disc; [Fe/H]: Ivezić et al.
(2008). Its density and motion are schematic."""

MILKY_WAY = (*THIN_DISC, THICK_DISC, HALO)

LOCAL_SYSTEMS = 0.065e9
"""Systems per kpc³ at the Sun with a primary of .1 solar mass or more: about the 339 systems within
10 pc of Reylé et al. (2021), A&A 650, A201, less those of white and brown dwarfs (to some 15 %)."""

IMF_BREAK = 0.5


def imf(mass: ArrayLike) -> NDArray[np.float64]:
    """Return the initial mass function dN/dm of Kroupa (2001), MNRAS 322, 231, unnormalised.

    m^−1.3 from .08 to .5 solar masses, m^−2.3 above, continuous.
    """
    mass = np.asarray(mass, dtype=float)
    return np.where(mass < IMF_BREAK, mass**-1.3, IMF_BREAK * mass**-2.3)


def systems_per_density(components: Sequence[Component]) -> float:
    """Return the systems per kpc³ that an `imf` of one and a density of one stand for.

    Parameters
    ----------
    components : sequence of Component
        All populations together make up `LOCAL_SYSTEMS` at the Sun.
    """
    low, upper = 0.1, IMF_BREAK
    total = (low**-0.3 - upper**-0.3) / 0.3 + IMF_BREAK * upper**-1.3 / 1.3
    shares = sum(component.share * float(component.density(R_SUN, 0.0)) for component in components)
    return LOCAL_SYSTEMS / (shares * total)
