"""From the motion of a star in the Galaxy to the radial velocity seen from the Sun."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.simulate.galaxy_model import cylindrical

__all__ = ["ROTATION", "SUN_MOTION", "line_of_sight"]

ROTATION = 220.0
"""Circular velocity, km/s, the same at every radius (the IAU 1985 value)."""

SUN_MOTION = (11.1, 12.24, 7.25)
"""(U, V, W) of the Sun against the local standard of rest, km/s: Schönrich, Binney & Dehnen (2010),
MNRAS 403, 1829."""


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
        Galactic, deg.

    Returns
    -------
    (N,) ndarray
        km/s.
    """
    inward, along, up = np.asarray(velocity, dtype=float).T
    _, azimuth, _ = cylindrical(distance, longitude, latitude)
    # The Sun's axes: x to the centre (l = 0°), y along the rotation (l = 90°).
    x = inward * np.cos(azimuth) + along * np.sin(azimuth)
    y = -inward * np.sin(azimuth) + along * np.cos(azimuth)
    x, y, z = x - SUN_MOTION[0], y - ROTATION - SUN_MOTION[1], up - SUN_MOTION[2]
    lon, lat = np.deg2rad(longitude), np.deg2rad(latitude)
    return np.asarray((x * np.cos(lon) + y * np.sin(lon)) * np.cos(lat) + z * np.sin(lat))
