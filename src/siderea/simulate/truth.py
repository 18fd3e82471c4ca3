"""The truth table of systems drawn: atmospheres, orbits, velocities, magnitudes, classes.

Columns, one row per system (unit in brackets; NaN where a star or orbit is absent):

- ``population``, ``age`` [Gyr], ``fe_h``, ``alpha_fe``, ``distance`` [kpc], ``l``, ``b``, ``ra``,
  ``dec`` [deg], ``ebv``, ``n_stars``, ``class``
- per star, with suffix "", ``_2``, ``_3``: ``mass``, ``teff``, ``logg``, ``radius``,
  ``luminosity``, ``vsini``, ``vmac``, ``vmic``; ``clump``: whether the first burns helium
- ``q``, and per orbit, with suffix "" and ``_outer`` (the third star about the pair): ``period``
  [d], ``eccentricity``, ``inclination``, ``arg_periastron`` [deg, of the first star or the pair],
  ``phase`` (mean anomaly / 2π at `TIME_0`), ``k_1``, ``k_2`` [km/s], ``semi_major_axis`` [R☉]
- ``rv_system``, ``time`` [BMJD], ``rv_1``, ``rv_2``, ``rv_3``, ``rv`` (of the first), ``dv``
  (second less first)
- ``v_jk``, ``mag_<band>`` (apparent, all stars), ``flux_ratio`` (V, second over first), ``snr``
- ``id``, ``star_id``
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.photometry.extinction import coefficients
from siderea.simulate.classes import classes
from siderea.simulate.draw import Columns, Sampler, star_magnitudes, together
from siderea.simulate.galaxy_model import equatorial
from siderea.simulate.kinematics import line_of_sight
from siderea.simulate.orbits import semi_amplitude, semi_major_axis
from siderea.simulate.rotation import (
    equatorial_velocity,
    macroturbulence,
    microturbulence,
    synchronous_velocity,
)
from siderea.simulate.selection import GALAH_SELECTION, signal_to_noise
from siderea.simulate.velocities import TIME_0, velocities_at

__all__ = ["TIME_0", "truth"]

STARS = ("", "_2", "_3")


def truth(
    systems: Columns,
    source: Sampler,
    rng: np.random.Generator,
    *,
    bands: Sequence[str] | None = None,
    snr_at_14: float,
    dates: tuple[float, float],
    peculiar: Sequence[tuple[str, float]] = (),
) -> pd.DataFrame:
    """Return the truth table of systems in their places.

    Parameters
    ----------
    systems : columns
        As `siderea.simulate.draw.Sampler.draw` returns them.
    source : Sampler
        What drew them.
    rng : numpy.random.Generator
    bands : sequence of str, optional
        Bands of ``mag_<band>``; all that the isochrones know by default.
    snr_at_14 : float
        S/N per pixel at V = 14.
    dates : (float, float)
        BMJD between which the epochs lie.
    peculiar : sequence of (code, share)
        See `siderea.simulate.classes`.

    Returns
    -------
    pandas.DataFrame
        The columns listed above, less ``id`` and ``star_id``.
    """
    n = systems["mass"].size
    table = _places(systems, source, rng)
    table |= _orbit(systems, rng)
    table |= _orbit(systems, rng, outer=True)
    table |= _stars(table, source, rng)
    table["clump"] = source.isochrones.in_clump(table["mass"], table["age"], table["fe_h"])
    table["time"] = rng.uniform(*dates, n)
    table |= _velocities(table)
    table |= _light(table, source, bands)
    table["snr"] = signal_to_noise(table["v_jk"], rng, at_14=snr_at_14)
    table["class"] = classes(table, peculiar, rng)
    return pd.DataFrame(table)


def _places(systems: Columns, source: Sampler, rng: np.random.Generator) -> Columns:
    """Return what a system has as a whole: origin, place, motion."""
    sight, field = source.sightlines, systems["field"]
    lon, lat = _within_field(
        sight.longitude[field], sight.latitude[field], source.selection.field_radius, rng
    )
    ra, dec = equatorial(lon, lat)
    n = field.size
    population = np.empty(n, dtype=object)
    alpha, velocity = np.empty(n), np.empty((n, 3))
    for k, component in enumerate(source.components):
        rows = systems["component"] == k
        population[rows] = component.name
        alpha[rows] = component.draw_alpha(systems["fe_h"][rows], rng)
        velocity[rows] = component.draw_velocity(systems["age"][rows], rng)
    return {
        "population": population,
        "age": systems["age"],
        "fe_h": systems["fe_h"],
        "alpha_fe": alpha,
        "distance": systems["distance"],
        "l": lon,
        "b": lat,
        "ra": ra,
        "dec": dec,
        "ebv": systems["ebv"],
        "n_stars": systems["n_stars"],
        "mass": systems["mass"],
        "mass_2": systems["mass_2"],
        "mass_3": systems["mass_3"],
        "q": systems["mass_2"] / systems["mass"],
        "rv_system": line_of_sight(velocity, systems["distance"], lon, lat),
    }


def _within_field(
    longitude: NDArray, latitude: NDArray, radius: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spread stars evenly over a round field (flat over its small radius)."""
    r = radius * np.sqrt(rng.random(longitude.size))
    angle = 2 * np.pi * rng.random(longitude.size)
    lat = np.clip(latitude + r * np.sin(angle), -90.0, 90.0)
    return (longitude + r * np.cos(angle) / np.cos(np.deg2rad(latitude))) % 360.0, lat


def _orbit(systems: Columns, rng: np.random.Generator, *, outer: bool = False) -> Columns:
    """Orient an orbit at random, and give its amplitudes."""
    end = "_outer" if outer else ""
    mass, other = systems["mass"], systems["mass_2"]
    if outer:
        mass, other = mass + other, systems["mass_3"]
    period, e = systems["period" + end], systems["eccentricity" + end]
    n = period.size
    absent = np.where(np.isfinite(period), 0.0, np.nan)
    tilt = np.arccos(rng.uniform(-1, 1, n)) + absent
    orbit = {
        "period": period,
        "eccentricity": e,
        "inclination": np.rad2deg(tilt),
        "arg_periastron": 360.0 * rng.random(n) + absent,
        "phase": rng.random(n) + absent,
        "k_1": semi_amplitude(period, mass, other, tilt, e),
        "k_2": semi_amplitude(period, other, mass, tilt, e),
        "semi_major_axis": semi_major_axis(period, mass + other),
    }
    return {name + end: values for name, values in orbit.items()}


def _stars(table: Columns, source: Sampler, rng: np.random.Generator) -> Columns:
    """Return the atmosphere, rotation and turbulence of every star."""
    out: Columns = {}
    for end in STARS:
        rows = np.flatnonzero(np.isfinite(table["mass" + end]))
        values = _one_star(
            {name: table[name][rows] for name in ("age", "fe_h", "inclination", "period")},
            table["mass" + end][rows],
            source,
            rng,
            bound=end != "_3",
        )
        for name, value in values.items():
            out[name + end] = np.full(table["age"].size, np.nan)
            out[name + end][rows] = value
    return out


def _one_star(
    system: Columns, mass: NDArray, source: Sampler, rng: np.random.Generator, *, bound: bool
) -> Columns:
    age, fe_h, period = system["age"], system["fe_h"], system["period"]
    star = source.isochrones.stars(mass, age, fe_h)
    teff, logg, radius = star.teff, star.logg, star.radius
    velocity = equatorial_velocity(teff, logg, radius, mass, age, rng)
    sine = np.sqrt(1 - rng.uniform(-1, 1, mass.size) ** 2)
    if bound:  # tides lock and align the stars of the orbits that they made circular
        locked = period < source.law.circular_period
        velocity = np.where(locked, synchronous_velocity(radius, period), velocity)
        sine = np.where(locked, np.sin(np.deg2rad(system["inclination"])), sine)
    return {
        "teff": teff,
        "logg": logg,
        "radius": radius,
        "luminosity": star.luminosity,
        "vsini": velocity * sine,
        "vmac": macroturbulence(teff, logg, fe_h),
        "vmic": microturbulence(teff, logg),
    }


def _velocities(table: Columns) -> Columns:
    rv = velocities_at(table, table["time"])
    first, second, third = rv.T
    return {"rv_1": first, "rv_2": second, "rv_3": third, "rv": first, "dv": second - first}


def _light(table: Columns, source: Sampler, bands: Sequence[str] | None) -> Columns:
    """Return apparent magnitudes of the systems, and the second star's light over the first's."""
    wanted = tuple(source.isochrones.bands if bands is None else bands)
    known = tuple(dict.fromkeys((*wanted, *GALAH_SELECTION.bands)))
    stars = star_magnitudes(source.isochrones, table, known)
    mag = together(stars) + (5 * np.log10(table["distance"]) + 10)[:, None]
    mag += table["ebv"][:, None] * coefficients(known)
    named = dict(zip(known, mag.T, strict=True))
    light = {"v_jk": GALAH_SELECTION.brightness(named)}
    light |= {f"mag_{name}": named[name] for name in wanted}
    return light | {"flux_ratio": _flux_ratio(table, stars, known)}


def _flux_ratio(table: Columns, stars: NDArray, bands: Sequence[str]) -> NDArray[np.float64]:
    """Return F₂/F₁ in V: NaN for a single star, 0 for a companion without light."""
    ratio = np.full(table["age"].size, np.nan)
    ratio[table["n_stars"] > 1] = 0.0
    rows = np.isfinite(stars[1, :, 0])
    first, second = (
        GALAH_SELECTION.brightness(dict(zip(bands, star[rows].T, strict=True)))
        for star in stars[:2]
    )
    ratio[rows] = 10 ** (-0.4 * (second - first))
    return ratio
