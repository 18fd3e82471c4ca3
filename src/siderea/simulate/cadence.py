"""When two satellites look at a star, and how well they measure it.

Approximations, all of them: Kepler's cadences stand on one regular clock with a day lost each month
and a share of them at random; Gaia's nominal scanning law is followed with a uniformly precessing
axis and a circular Earth orbit, dead time is a random share of the transits; noise is white.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["KEPLER_EXPOSURE", "gaia_error", "gaia_times", "kepler_error", "kepler_times"]

Array = NDArray[np.float64]

KEPLER_EXPOSURE = 29.4 / 1440.0
"""Long cadence, d."""

KEPLER_START, KEPLER_DAYS = 54953.0, 1460.0
MONTH, DOWNLINK = 31.0, 1.0
LOST = 0.02

GAIA_START, GAIA_DAYS = 56863.0, 5 * 365.25
SPIN_DAYS = 0.25
"""Six hours for a turn."""
BASIC_ANGLE = 106.5
"""Between the two fields of view, deg."""
SUN_ANGLE = 45.0
"""Between the spin axis and the Sun, deg."""
PRECESSION_DAYS = 63.0
HALF_FIELD = 0.35
"""Half the field across the scan, deg."""
OBLIQUITY = 23.4392911
DEAD_TIME = 0.1


def kepler_times(rng: np.random.Generator) -> Array:
    """Return the times of long cadences over four years, BMJD: about 69,000."""
    time = KEPLER_START + KEPLER_EXPOSURE * np.arange(int(KEPLER_DAYS / KEPLER_EXPOSURE))
    looking = (time - KEPLER_START) % MONTH > DOWNLINK
    return np.asarray(time[looking & (rng.random(time.size) > LOST)], dtype=np.float64)


def kepler_error(mag: ArrayLike) -> Array:
    """Return the relative error of one long cadence: photons, and what grows for faint stars.

    √(c + 9.5e5 (14/Kp)⁵)/c with c = 3.46 × 10^[0.4 (12 − Kp) + 8] electrons per cadence.
    """
    mag = np.asarray(mag, dtype=np.float64)
    electrons = 3.46 * 10.0 ** (0.4 * (12.0 - mag) + 8.0)
    return np.sqrt(electrons + 9.5e5 * (14.0 / mag) ** 5) / electrons


def gaia_error(mag: ArrayLike) -> Array:
    """Return the relative error of one transit of the G band, with a floor of one per mille."""
    z = 10.0 ** (0.4 * (np.maximum(np.asarray(mag, dtype=np.float64), 12.0) - 15.0))
    magnitudes = 1e-3 * np.sqrt(0.04895 * z**2 + 1.8633 * z + 0.0001985)
    return np.hypot(magnitudes * np.log(10.0) / 2.5, 1e-3)


def gaia_times(ra: float, dec: float, rng: np.random.Generator) -> Array:
    """Return when Gaia sees a direction over five years, BMJD.

    Parameters
    ----------
    ra, dec : float
        deg.
    rng : numpy.random.Generator
        Phase of the precession and of the spin, and which transits are lost.

    Notes
    -----
    The axis keeps 45° from the Sun and goes round it in 63 days; the satellite turns in six hours,
    and each of its two fields, 106.5° apart, sees the star in every turn in which the star is
    within 0.35° of the scanned circle.
    """
    star = _ecliptic(ra, dec)
    turn = np.arange(0.0, GAIA_DAYS, SPIN_DAYS)
    phases = rng.uniform(0.0, 2.0 * np.pi, 2)
    # The place on the circle decides when within the turn; the axis drifts by 1° in a turn.
    when = turn
    for _ in range(3):
        axis, along = _frame(when, phases[0])
        angle = np.arctan2((_turned(axis, along) * star).sum(1), (along * star).sum(1))
        when = turn + np.mod((angle + phases[1]) / (2.0 * np.pi), 1.0) * SPIN_DAYS
    seen = []
    for field in (0.0, BASIC_ANGLE / 360.0 * SPIN_DAYS):
        axis, _ = _frame(when + field, phases[0])
        off = np.abs(np.rad2deg(np.arcsin(np.clip(axis @ star, -1.0, 1.0))))
        seen.append((when + field)[off < HALF_FIELD])
    times = np.sort(np.concatenate(seen))
    return GAIA_START + times[rng.random(times.size) > DEAD_TIME]


def _ecliptic(ra: float, dec: float) -> Array:
    a, d, tilt = np.deg2rad([ra, dec, OBLIQUITY])
    x, y, z = np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)
    return np.array([x, np.cos(tilt) * y + np.sin(tilt) * z, np.cos(tilt) * z - np.sin(tilt) * y])


def _frame(time: Array, phase: float) -> tuple[Array, Array]:
    """Return the spin axis (T, 3) and a direction across it, on the side of the Sun."""
    sun = 2.0 * np.pi * time / 365.25
    about = 2.0 * np.pi * time / PRECESSION_DAYS + phase
    toward = np.stack((np.cos(sun), np.sin(sun), 0.0 * sun), axis=1)
    east = np.stack((-np.sin(sun), np.cos(sun), 0.0 * sun), axis=1)
    north = np.array([0.0, 0.0, 1.0])
    across = np.cos(about)[:, None] * east + np.sin(about)[:, None] * north
    tilt = np.deg2rad(SUN_ANGLE)
    return (
        np.cos(tilt) * toward + np.sin(tilt) * across,
        np.sin(tilt) * toward - np.cos(tilt) * across,
    )


def _turned(axis: Array, along: Array) -> Array:
    return np.cross(axis, along)
