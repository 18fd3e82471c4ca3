"""How fast stars turn and how their photospheres churn: v sin i, macro- and microturbulence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "colour_of",
    "equatorial_velocity",
    "macroturbulence",
    "microturbulence",
    "rotation_period",
    "synchronous_velocity",
]

EQUATOR = 50.593
"""2π R☉ / day in km/s, with the nominal solar radius."""

KRAFT = 6250.0
"""Temperature (K) of the Kraft break: hotter dwarfs have no convective envelope to brake them."""

KRAFT_WIDTH = 80.0
BREAKUP = 436.7
"""√(G M☉ / R☉), km/s."""


def colour_of(teff: ArrayLike) -> NDArray[np.float64]:
    """Return B−V of a dwarf of this temperature, the inverse of Ballesteros (2012), EPL 97, 34008.

    Teff = 4600 K [1/(.92 (B−V) + 1.7) + 1/(.92 (B−V) + .62)].
    """
    t = np.asarray(teff, dtype=float) / 4600.0
    half = (2.32 * t - 2.0) / (2 * t)
    return np.asarray((-half + np.sqrt(half**2 - (1.054 * t - 2.32) / t)) / 0.92)


def rotation_period(teff: ArrayLike, age: ArrayLike) -> NDArray[np.float64]:
    """Return the rotation period (d) of a cool dwarf by its age (Gyr).

    P = .407 (B−V − .495)^.325 (age/Myr)^.566; B−V is held at .515 at the blue end.

    References
    ----------
    Mamajek & Hillenbrand (2008), ApJ 687, 1264.
    """
    excess = np.maximum(colour_of(teff) - 0.495, 0.02)
    return np.asarray(0.407 * excess**0.325 * (1000.0 * np.asarray(age, dtype=float)) ** 0.566)


def equatorial_velocity(
    teff: ArrayLike,
    logg: ArrayLike,
    radius: ArrayLike,
    mass: ArrayLike,
    age: ArrayLike,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw equatorial velocities of stars that turn freely.

    Cool dwarfs follow gyrochronology; above the Kraft break a Maxwellian whose mean grows with the
    temperature is added; giants turn slowly, one in fifty fast (Carlberg et al. 2011). The two
    latter are schematic. Nothing exceeds .7 of the break-up velocity.

    Parameters
    ----------
    teff, logg, radius, mass, age : (N,) array-like
        K, dex, solar, solar, Gyr.
    rng : numpy.random.Generator

    Returns
    -------
    (N,) ndarray
        km/s.
    """
    teff, logg, radius, mass = (
        np.asarray(value, dtype=float) for value in (teff, logg, radius, mass)
    )
    shape = teff.shape
    braked = EQUATOR * radius / rotation_period(teff, age)
    mean = 15.0 + 0.09 * np.maximum(teff - KRAFT, 0.0)
    maxwell = mean * np.linalg.norm(rng.standard_normal((3, *shape)), axis=0) / 1.5958
    hot = 1 / (1 + np.exp(-np.clip((teff - KRAFT) / KRAFT_WIDTH, -30, 30)))
    fast = rng.random(shape) < 0.02
    giant = np.where(fast, rng.uniform(10, 30, shape), 2.5 * np.exp(0.35 * rng.normal(size=shape)))
    evolved = np.clip((3.8 - logg) / 0.5, 0.0, 1.0)
    dwarf = braked + hot * maxwell
    velocity = evolved * giant + (1 - evolved) * dwarf
    return np.minimum(velocity, 0.7 * BREAKUP * np.sqrt(mass / radius))


def synchronous_velocity(radius: ArrayLike, period: ArrayLike) -> NDArray[np.float64]:
    """Return the equatorial velocity (km/s) of a star that keeps one face to its companion."""
    return np.asarray(EQUATOR * np.asarray(radius, dtype=float) / np.asarray(period, dtype=float))


def macroturbulence(teff: ArrayLike, logg: ArrayLike, fe_h: ArrayLike) -> NDArray[np.float64]:
    """Return the macroturbulent velocity, km/s.

    Dwarfs (log g ≥ 4): 3.21 + 2.33e-3 ΔT + 2.00e-6 ΔT² − 2.00 (log g − 4.44), ΔT = Teff − 5777 K,
    Doyle et al. (2014), MNRAS 444, 3592, held at the ends of its range (5200 to 6400 K, log g 4.0
    to 4.6). Giants (log g ≤ 3.5): log v = .741 − .0998 log g − .225 [Fe/H], Holtzman et al. (2018),
    AJ 156, 125. Linear in log g between.
    """
    teff, logg = np.asarray(teff, dtype=float), np.asarray(logg, dtype=float)
    warm = np.clip(teff, 5200.0, 6400.0) - 5777.0
    dwarf = 3.21 + 2.33e-3 * warm + 2.00e-6 * warm**2 - 2.00 * (np.clip(logg, 4.0, 4.6) - 4.44)
    giant = 10 ** (0.741 - 0.0998 * logg - 0.225 * np.asarray(fe_h, dtype=float))
    part = np.clip((4.0 - logg) / 0.5, 0.0, 1.0)
    return np.asarray(part * np.minimum(giant, 15.0) + (1 - part) * dwarf)


def microturbulence(teff: ArrayLike, logg: ArrayLike) -> NDArray[np.float64]:
    """Return the microturbulent velocity, km/s, by the relation of the GALAH survey.

    1.1 + 1.6e-4 ΔT for cool dwarfs (Teff ≤ 5500 K, log g > 4.2), else 1.1 + 1e-4 ΔT + 4e-7 ΔT²,
    ΔT = Teff − 5500 K; Buder et al. (2018), MNRAS 478, 4513.
    """
    teff = np.asarray(teff, dtype=float)
    warm = teff - 5500.0
    dwarf = (teff <= 5500.0) & (np.asarray(logg, dtype=float) > 4.2)
    return np.where(dwarf, 1.1 + 1.6e-4 * warm, 1.1 + 1e-4 * warm + 4e-7 * warm**2)
