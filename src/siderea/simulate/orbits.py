"""Keplerian orbits: Kepler's equation, amplitudes, radial velocities, Roche lobes, stability.

Periods are in days, masses and radii solar, velocities km/s, angles radians. The argument of
periastron is that of the star whose velocity is asked for; its companion's is larger by π.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = [
    "kepler",
    "radial_velocity",
    "roche_lobe",
    "semi_amplitude",
    "semi_major_axis",
    "stable_ratio",
    "true_anomaly",
]

GM_SUN = 1.327_124_4e11
"""Nominal solar mass parameter, km³/s² (IAU 2015 Resolution B3)."""

R_SUN = 695_700.0
"""Nominal solar radius, km (IAU 2015 Resolution B3)."""

DAY = 86_400.0


def kepler(mean_anomaly: ArrayLike, eccentricity: ArrayLike) -> NDArray[np.float64]:
    """Solve Kepler's equation, E − e sin E = M.

    Markley's direct method (the root of a cubic, then one fifth-order correction), followed by one
    Newton step: no iteration that could fail near e = 1, M = 0.

    Parameters
    ----------
    mean_anomaly : array-like
        M, rad, any number of turns.
    eccentricity : array-like
        0 ≤ e < 1; broadcasts against M.

    Returns
    -------
    ndarray
        Eccentric anomaly E, rad, in the same turn as M.

    Raises
    ------
    DataError
        If an eccentricity is outside [0, 1). NaN passes through.

    References
    ----------
    Markley (1995), Celestial Mechanics and Dynamical Astronomy 63, 101.
    """
    full, e = np.broadcast_arrays(
        np.asarray(mean_anomaly, dtype=float), np.asarray(eccentricity, dtype=float)
    )
    if np.any((e < 0) | (e >= 1)):
        raise DataError(f"eccentricity: found {e.min()} to {e.max()}; expected 0 <= e < 1")
    turn = 2 * np.pi * np.round(full / (2 * np.pi))
    m = full - turn
    alpha = (3 * np.pi**2 + 1.6 * np.pi * (np.pi - np.abs(m)) / (1 + e)) / (np.pi**2 - 6)
    d = 3 * (1 - e) + alpha * e
    q = 2 * alpha * d * (1 - e) - m**2
    r = 3 * alpha * d * (d - 1 + e) * m + m**3
    w = np.cbrt(np.abs(r) + np.sqrt(np.maximum(q**3 + r**2, 0.0))) ** 2
    start = (2 * r * w / (w**2 + w * q + q**2) + m) / d
    return _polish(_polish(start, m, e), m, e) + turn


def _polish(anomaly: NDArray, m: NDArray, e: NDArray) -> NDArray[np.float64]:
    """Apply the fifth-order correction of Markley (1995) to an eccentric anomaly."""
    sine, cosine = e * np.sin(anomaly), e * np.cos(anomaly)
    f, f1 = anomaly - sine - m, 1 - cosine
    d3 = -f / (f1 - f * sine / (2 * f1))
    d4 = -f / (f1 + d3 * sine / 2 + d3**2 * cosine / 6)
    d5 = -f / (f1 + d4 * sine / 2 + d4**2 * cosine / 6 - d4**3 * sine / 24)
    return np.asarray(anomaly + d5)


def true_anomaly(eccentric_anomaly: ArrayLike, eccentricity: ArrayLike) -> NDArray[np.float64]:
    """Return the true anomaly (rad, in the same turn) of an eccentric anomaly.

    ν = E + 2 arctan[β sin E / (1 − β cos E)], β = e / (1 + √(1 − e²)): no quadrant to choose.
    """
    anomaly = np.asarray(eccentric_anomaly, dtype=float)
    e = np.asarray(eccentricity, dtype=float)
    beta = e / (1 + np.sqrt(1 - e**2))
    return np.asarray(anomaly + 2 * np.arctan2(beta * np.sin(anomaly), 1 - beta * np.cos(anomaly)))


def semi_major_axis(period: ArrayLike, mass: ArrayLike) -> NDArray[np.float64]:
    """Return the semi-major axis of the relative orbit, a = (G M P² / 4π²)^⅓.

    Parameters
    ----------
    period : array-like
        d.
    mass : array-like
        Total mass, solar.

    Returns
    -------
    ndarray
        Solar radii.
    """
    seconds = np.asarray(period, dtype=float) * DAY
    total = GM_SUN * np.asarray(mass, dtype=float)
    return np.asarray(np.cbrt(total * (seconds / (2 * np.pi)) ** 2) / R_SUN)


def semi_amplitude(
    period: ArrayLike,
    mass: ArrayLike,
    companion_mass: ArrayLike,
    inclination: ArrayLike,
    eccentricity: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Return the radial-velocity amplitude of the star of ``mass``.

    K = (2πG/P)^⅓ m₂ sin i (m₁ + m₂)^−⅔ (1 − e²)^−½.

    Parameters
    ----------
    period : array-like
        d.
    mass, companion_mass : array-like
        The star's own mass and its companion's, solar.
    inclination : array-like
        rad; π/2 is edge-on.
    eccentricity : array-like
        0 ≤ e < 1.

    Returns
    -------
    ndarray
        km/s. Swap the masses for the companion's amplitude.
    """
    period, own, other, tilt, e = (
        np.asarray(value, dtype=float)
        for value in (period, mass, companion_mass, inclination, eccentricity)
    )
    speed = np.cbrt(2 * np.pi * GM_SUN / (period * DAY))
    total = np.cbrt(own + other) ** 2
    return np.asarray(speed * other * np.sin(tilt) / (total * np.sqrt(1 - e**2)))


def radial_velocity(
    time: ArrayLike,
    period: ArrayLike,
    time_periastron: ArrayLike,
    amplitude: ArrayLike,
    eccentricity: ArrayLike = 0.0,
    arg_periastron: ArrayLike = 0.0,
    rv_system: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Return the radial velocity v = γ + K [cos(ν + ω) + e cos ω].

    Parameters
    ----------
    time, time_periastron, period : array-like
        d; all arguments broadcast.
    amplitude : array-like
        K of the star, km/s.
    eccentricity : array-like
    arg_periastron : array-like
        ω of the star itself, rad.
    rv_system : array-like
        γ, km/s.

    Returns
    -------
    ndarray
        km/s, positive when receding.
    """
    e, omega = np.asarray(eccentricity, dtype=float), np.asarray(arg_periastron, dtype=float)
    turns = (np.asarray(time, dtype=float) - time_periastron) / np.asarray(period, dtype=float)
    mean = 2 * np.pi * (turns - np.floor(turns))
    nu = true_anomaly(kepler(mean, e), e)
    return np.asarray(
        np.asarray(rv_system, dtype=float)
        + np.asarray(amplitude, dtype=float) * (np.cos(nu + omega) + e * np.cos(omega))
    )


def roche_lobe(mass: ArrayLike, companion_mass: ArrayLike) -> NDArray[np.float64]:
    """Return the radius of the Roche lobe of the star of ``mass``, in units of the separation.

    References
    ----------
    Eggleton (1983), ApJ 268, 368: accurate to 1 % for every mass ratio.
    """
    root = np.cbrt(np.asarray(mass, dtype=float) / np.asarray(companion_mass, dtype=float))
    return np.asarray(0.49 * root**2 / (0.6 * root**2 + np.log1p(root)))


def stable_ratio(outer_mass_ratio: ArrayLike, outer_eccentricity: ArrayLike) -> NDArray[np.float64]:
    """Return the least ratio of semi-major axes, outer over inner, of a stable triple.

    Parameters
    ----------
    outer_mass_ratio : array-like
        m₃ / (m₁ + m₂).
    outer_eccentricity : array-like

    Returns
    -------
    ndarray
        2.8/(1−e) [(1+q)(1+e)/√(1−e)]^⅖, for coplanar prograde orbits: inclined ones are held to
        the same limit, which is a little too strict for them.

    References
    ----------
    Mardling & Aarseth (2001), MNRAS 321, 398.
    """
    q, e = np.asarray(outer_mass_ratio, dtype=float), np.asarray(outer_eccentricity, dtype=float)
    return np.asarray(2.8 / (1 - e) * ((1 + q) * (1 + e) / np.sqrt(1 - e)) ** 0.4)
