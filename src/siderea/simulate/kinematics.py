"""How stars of each population move, and the radial velocity seen from the Sun."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.simulate.galaxy_model import cylindrical

__all__ = ["ROTATION", "SUN_MOTION", "Kinematics", "line_of_sight"]

ROTATION = 220.0
"""Circular velocity, km/s, the same at every radius (the IAU 1985 value)."""

SUN_MOTION = (11.1, 12.24, 7.25)
"""(U, V, W) of the Sun against the local standard of rest, km/s: Schönrich, Binney & Dehnen (2010),
MNRAS 403, 1829."""


@dataclass(frozen=True)
class Kinematics:
    """A velocity ellipsoid.

    Parameters
    ----------
    sigma : (float, float, float)
        Dispersions towards the centre, along the rotation, to the north, km/s.
    lag : float
        By how much the population rotates slower than the circular velocity, km/s.
    """

    sigma: tuple[float, float, float]
    lag: float

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw (n, 3) velocities: inwards, along the rotation (full, not peculiar), upwards."""
        velocity = rng.normal(0.0, self.sigma, (n, 3))
        velocity[:, 1] += ROTATION - self.lag
        return velocity


def line_of_sight(
    velocity: ArrayLike, distance: ArrayLike, longitude: ArrayLike, latitude: ArrayLike
) -> NDArray[np.float64]:
    """Return the heliocentric radial velocity of stars of known Galactocentric velocity.

    Parameters
    ----------
    velocity : (N, 3) array-like
        Inwards, along the rotation, upwards at the star's own place, km/s.
    distance : (N,) array-like
        kpc.
    longitude, latitude : (N,) array-like
        deg.

    Returns
    -------
    (N,) ndarray
        km/s.
    """
    inward, along, up = np.asarray(velocity, dtype=float).T
    _, azimuth, _ = cylindrical(distance, longitude, latitude)
    # At the Sun x̂ points to the centre and ŷ along the rotation, as l = 0° and 90° do.
    x = inward * np.cos(azimuth) + along * np.sin(azimuth)
    y = -inward * np.sin(azimuth) + along * np.cos(azimuth)
    x, y, z = x - SUN_MOTION[0], y - ROTATION - SUN_MOTION[1], up - SUN_MOTION[2]
    l, b = np.deg2rad(longitude), np.deg2rad(latitude)
    return np.asarray((x * np.cos(l) + y * np.sin(l)) * np.cos(b) + z * np.sin(b))
