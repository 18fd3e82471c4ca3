"""A model of the Milky Way to draw stars from: where they are, and the dust in front of them.

Densities are relative to that of the thin disc at the Sun, for stars that have not evolved yet
(the same low masses in every population). Lengths are kpc; Galactocentric x points from the centre
to the Sun, y against l = 90°'s direction of rotation being +y, z to the north Galactic pole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "R_SUN",
    "Z_SUN",
    "DustDisc",
    "cylindrical",
    "disc_density",
    "equatorial",
    "galactic",
    "halo_density",
    "ring_density",
]

Density = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

R_SUN = 8.0
Z_SUN = 0.025
"""The Sun's place, kpc, with which Jurić et al. (2008) fitted their densities."""

_NGP_RA, _NGP_DEC, _NCP_L = np.deg2rad([192.85948, 27.12825, 122.93192])
"""North Galactic pole (J2000) and the longitude of the celestial pole; Hipparcos vol. 1, 1.5.3."""


def disc_density(
    radius: ArrayLike, height: ArrayLike, *, scale_length: float, scale_height: float
) -> NDArray[np.float64]:
    """Return exp(−(R − R☉)/L − (|Z| − Z☉)/H), the double exponential of Jurić et al. (2008).

    Parameters
    ----------
    radius, height : array-like
        R and Z, kpc (Z above the plane, not above the Sun).
    scale_length, scale_height : float
        L and H, kpc.

    Returns
    -------
    ndarray
        1 at the plane below the Sun (the tiny offset of the Sun is left in Z).
    """
    distance = (np.asarray(radius, dtype=float) - R_SUN) / scale_length
    return np.asarray(np.exp(-distance - np.abs(np.asarray(height, dtype=float)) / scale_height))


def halo_density(
    radius: ArrayLike, height: ArrayLike, *, flattening: float = 0.64, slope: float = 2.77
) -> NDArray[np.float64]:
    """Return (R☉ / √(R² + (Z/q)²))ⁿ, the oblate power law of Jurić et al. (2008).

    Within 1 kpc of the centre the density is held, as the law is not meant there.
    """
    r = np.hypot(np.asarray(radius, dtype=float), np.asarray(height, dtype=float) / flattening)
    return np.asarray((R_SUN / np.maximum(r, 1.0)) ** slope)


def ring_density(
    radius: ArrayLike,
    height: ArrayLike,
    *,
    centre: tuple[float, float] = (16.0, 3.5),
    widths: tuple[float, float] = (1.5, 1.0),
) -> NDArray[np.float64]:
    """Return a Gaussian ring on both sides of the plane, 1 at its crest: Monoceros-like.

    Parameters
    ----------
    radius, height : array-like
        R and Z, kpc.
    centre, widths : (float, float)
        R and |Z| of the crest, and the standard deviations, kpc: about where Jurić et al. (2008)
        and Ivezić et al. (2008) see the Monoceros stream; a schematic shape, not a fit.

    Returns
    -------
    ndarray
    """
    u = (np.asarray(radius, dtype=float) - centre[0]) / widths[0]
    w = (np.abs(np.asarray(height, dtype=float)) - centre[1]) / widths[1]
    return np.asarray(np.exp(-0.5 * (u**2 + w**2)))


def cylindrical(
    distance: ArrayLike, longitude: ArrayLike, latitude: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return Galactocentric (R, φ, Z) of heliocentric positions.

    Parameters
    ----------
    distance : array-like
        kpc.
    longitude, latitude : array-like
        Galactic l and b, deg.

    Returns
    -------
    radius, azimuth, height : ndarray
        kpc, rad, kpc; φ = 0 at the Sun and grows along the Galactic rotation (towards l = 90°).
    """
    lon, lat = np.deg2rad(longitude), np.deg2rad(latitude)
    d = np.asarray(distance, dtype=float)
    x, y = R_SUN - d * np.cos(lat) * np.cos(lon), d * np.cos(lat) * np.sin(lon)
    return np.hypot(x, y), np.arctan2(y, x), d * np.sin(lat) + Z_SUN


def equatorial(
    longitude: ArrayLike, latitude: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (ra, dec) in deg (ICRS) of Galactic coordinates in deg."""
    lon, lat = np.deg2rad(longitude), np.deg2rad(latitude)
    sin_dec = np.sin(_NGP_DEC) * np.sin(lat) + np.cos(_NGP_DEC) * np.cos(lat) * np.cos(_NCP_L - lon)
    y = np.cos(lat) * np.sin(_NCP_L - lon)
    x = np.cos(_NGP_DEC) * np.sin(lat) - np.sin(_NGP_DEC) * np.cos(lat) * np.cos(_NCP_L - lon)
    ra = np.rad2deg(np.arctan2(y, x) + _NGP_RA) % 360.0
    return ra, np.rad2deg(np.arcsin(np.clip(sin_dec, -1, 1)))


def galactic(ra: ArrayLike, dec: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Galactic (l, b) in deg of (ra, dec) in deg (ICRS)."""
    alpha, delta = np.deg2rad(ra) - _NGP_RA, np.deg2rad(dec)
    sin_b = np.sin(_NGP_DEC) * np.sin(delta) + np.cos(_NGP_DEC) * np.cos(delta) * np.cos(alpha)
    y = np.cos(delta) * np.sin(alpha)
    x = np.cos(_NGP_DEC) * np.sin(delta) - np.sin(_NGP_DEC) * np.cos(delta) * np.cos(alpha)
    return (
        np.rad2deg(_NCP_L - np.arctan2(y, x)) % 360.0,
        np.rad2deg(np.arcsin(np.clip(sin_b, -1, 1))),
    )


@dataclass(frozen=True)
class DustDisc:
    """A smooth disc of dust, exponential in R and |Z|.

    Parameters
    ----------
    local : float
        Reddening per length in the plane at the Sun, mag/kpc of E(B−V).
    scale_length, scale_height : float
        kpc.

    Notes
    -----
    Schematic: the true dust is clumpy. The heights and lengths are those of Sharma et al. (2011),
    ApJ 730, 3; towards the poles the model reddens by local × scale_height = 0.02 mag.
    """

    local: float = 0.23
    scale_length: float = 4.2
    scale_height: float = 0.088

    def ebv(
        self, distance: NDArray, longitude: ArrayLike, latitude: ArrayLike
    ) -> NDArray[np.float64]:
        """Return E(B−V) out to each of an increasing row of distances.

        Parameters
        ----------
        distance : (D,) ndarray
            kpc, increasing, fine against the scale height near the Sun.
        longitude, latitude : (J,) array-like
            deg.

        Returns
        -------
        (J, D) ndarray
        """
        lon, lat = np.asarray(longitude, dtype=float), np.asarray(latitude, dtype=float)
        grid = np.concatenate([[0.0], distance])
        radius, _, height = cylindrical(grid, lon[:, None], lat[:, None])
        dust = self.local * disc_density(
            radius, height, scale_length=self.scale_length, scale_height=self.scale_height
        )
        return np.cumsum(0.5 * (dust[:, 1:] + dust[:, :-1]) * np.diff(grid), axis=1)
