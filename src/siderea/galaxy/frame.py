"""The Galactocentric frame: where stars are, from the directions and distances of the Sun's view.

The frame is astropy's `Galactocentric`, a rotation and a shift, so one product with a matrix does
it for millions of stars; `with_astropy` is the slow reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import plain
from siderea.errors import DataError

__all__ = ["R_SUN", "Z_SUN", "Frame", "Places", "galactocentric", "with_astropy"]

R_SUN = 8.122
"""Distance of the Sun from the Galactic centre, kpc: GRAVITY Collaboration (2018), A&A 615, L15."""
Z_SUN = 0.0208
"""Height of the Sun above the plane, kpc: Bennett & Bovy (2019), MNRAS 482, 1417."""

_CENTRE = (266.4051, -28.936175)
"""ICRS direction of the Galactic centre, deg: Sgr A* (Reid & Brunthaler 2004), as in astropy."""
_ROLL = 58.5986320306
"""Turn about the line to the centre that brings z to the north Galactic pole, deg (astropy)."""


@dataclass(frozen=True)
class Frame:
    """Where the Sun is.

    Parameters
    ----------
    r_sun, z_sun : float
        Distance from the centre and height above the plane, kpc.
    """

    r_sun: float = R_SUN
    z_sun: float = Z_SUN

    def __post_init__(self) -> None:
        if not (self.r_sun > 0 and abs(self.z_sun) < self.r_sun):
            raise DataError(f"frame: found R☉ {self.r_sun}, Z☉ {self.z_sun}; expected |Z☉| < R☉")


@dataclass(frozen=True)
class Places:
    """Galactocentric places of N stars.

    Parameters
    ----------
    x, y, z : (N,) ndarray
        kpc; right-handed, the Sun at (−R☉, 0, Z☉) but for the tilt of some arc minutes, y along
        the rotation, z to the north Galactic pole.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]

    @property
    def radius(self) -> NDArray[np.float64]:
        """Cylindrical R, kpc."""
        return np.hypot(self.x, self.y)

    @property
    def azimuth(self) -> NDArray[np.float64]:
        """Angle φ from the Sun along the rotation, deg, −180 to 180."""
        return np.rad2deg(np.arctan2(self.y, -self.x))

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Return the columns by which maps are made: x, y, z, R, phi and the height abs_z."""
        named = {"x": self.x, "y": self.y, "z": self.z, "R": self.radius, "phi": self.azimuth}
        return named | {"abs_z": np.abs(self.z)}


def galactocentric(
    ra: ArrayLike, dec: ArrayLike, distance: ArrayLike, *, frame: Frame | None = None
) -> Places:
    """Return the Galactocentric places of stars.

    Parameters
    ----------
    ra, dec : (N,) array-like
        ICRS, deg.
    distance : (N,) array-like
        Heliocentric, kpc.
    frame : Frame, optional
        Where the Sun is; R☉ = 8.122, Z☉ = 0.0208 kpc by default.

    Returns
    -------
    Places
        Equal to astropy's to rounding.
    """
    alpha = np.deg2rad(np.asarray(plain(ra, "deg"), dtype=np.float64))
    delta = np.deg2rad(np.asarray(plain(dec, "deg"), dtype=np.float64))
    length = np.asarray(plain(distance, "kpc"), dtype=np.float64)
    across = length * np.cos(delta)
    icrs = np.stack([across * np.cos(alpha), across * np.sin(alpha), length * np.sin(delta)])
    turn, shift = _transformation(frame or Frame())
    # three sums in one order for each star: a matrix product may sum otherwise in other blocks
    x, y, z = (row[0] * icrs[0] + row[1] * icrs[1] + row[2] * icrs[2] for row in turn)
    return Places(x + shift[0], y + shift[1], z + shift[2])


def with_astropy(
    ra: ArrayLike, dec: ArrayLike, distance: ArrayLike, *, frame: Frame | None = None
) -> Places:
    """Return the same by astropy, some thirty times slower: the reference of `galactocentric`."""
    from astropy import units as u
    from astropy.coordinates import Galactocentric, SkyCoord

    frame = frame or Frame()
    ours = Galactocentric(galcen_distance=frame.r_sun * u.kpc, z_sun=frame.z_sun * u.kpc)
    there = SkyCoord(
        np.asarray(ra) * u.deg, np.asarray(dec) * u.deg, distance=np.asarray(distance) * u.kpc
    )
    found = there.transform_to(ours).cartesian
    return Places(*(np.asarray(value.to_value(u.kpc)) for value in (found.x, found.y, found.z)))


@lru_cache(maxsize=8)
def _transformation(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rotation (3, 3) from ICRS and the shift (3,)."""
    tilt = np.rad2deg(np.arcsin(frame.z_sun / frame.r_sun))
    ra, dec = _CENTRE
    level = _about(1, -tilt)
    turn = level @ _about(0, _ROLL) @ _about(1, -dec) @ _about(2, ra)
    return turn, level @ np.array([-frame.r_sun, 0.0, 0.0])


def _about(axis: int, angle: float) -> NDArray[np.float64]:
    """Return the rotation of the axes about one of them by an angle (deg)."""
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    first, second = [k for k in range(3) if k != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    sign = -1.0 if axis == 1 else 1.0
    matrix[first, second], matrix[second, first] = sign * sine, -sign * sine
    return matrix
