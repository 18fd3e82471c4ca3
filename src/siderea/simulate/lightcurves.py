"""Light curves of close binaries with the truth known, as Kepler or Gaia would see them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from siderea.data import LightCurve
from siderea.errors import DataError
from siderea.simulate.binaries import (
    COLUMNS,
    LOBE_SHARE,
    draw_systems,
    limb_darkening,
    roche_stars,
)
from siderea.simulate.cadence import (
    KEPLER_EXPOSURE,
    gaia_error,
    gaia_times,
    kepler_error,
    kepler_times,
)
from siderea.simulate.eclipses import (
    mean_anomaly_of_eclipse,
    separation_of_minima,
    sphere_flux,
)
from siderea.simulate.roche import close_flux, lobe_radius, planck

__all__ = ["Sampling", "phase_curve", "simulate_lightcurves"]

Array = NDArray[np.float64]
Sampling = Literal["kepler", "gaia"]

_SLOW, _FAST = 400, 161
"""Nodes over the orbit, and over each eclipse."""

_CLOSE = 57
"""Nodes over half the orbit of a meshed pair, which is the mirror of the other half."""

_EXPOSURE_STEPS = 7


def simulate_lightcurves(
    n: int,
    *,
    rng: np.random.Generator,
    sampling: Sampling = "kepler",
    population: pd.DataFrame | None = None,
    points: int | None = 1000,
    scatter: float = 0.0,
) -> tuple[list[LightCurve], pd.DataFrame]:
    """Simulate light curves of n close binaries.

    Parameters
    ----------
    n : int
        Light curves.
    rng : numpy.random.Generator
        Everything random comes from it: the same state gives the same curves.
    sampling : {"kepler", "gaia"}
        Cadences of 29.4 min over four years, or some 70 transits over five; with their noise by
        magnitude (`siderea.simulate.cadence`).
    population : pandas.DataFrame, optional
        Systems with the columns of `siderea.simulate.binaries.COLUMNS`, as
        `siderea.simulate.binaries.from_catalogue` and
        `siderea.simulate.binaries_of_survey.from_systems` make them. n rows in order if
        there are n, else drawn with replacement. By default systems are drawn out of hand.
    points : int, optional
        Kepler: the cadences are folded on the period and averaged in this many bins of phase;
        None gives the cadences themselves, in time. Gaia's transits are folded unless it is None.
    scatter : float
        Relative error added to that of the instrument, in quadrature (spots, pulsation, systematics
        taken as white).

    Returns
    -------
    list of LightCurve
        Flux 1 is the brightest of the noiseless curve. Folded curves have the first star's eclipse
        at phase 0.
    pandas.DataFrame
        The system, and ``id``, ``time_0`` (BMJD of that eclipse), ``separation`` (phase from it to
        the second star's), ``depth_1`` and ``depth_2`` (noiseless light lost there, of the
        maximum), ``flux_err`` (of a single measurement), ``n_points``.

    Raises
    ------
    DataError
        On an unknown sampling, or systems without the columns that are needed.
    """
    if sampling not in ("kepler", "gaia"):
        raise DataError(f"sampling: found {sampling!r}; expected 'kepler' or 'gaia'")
    systems = _rows_of(population, n, rng)
    clock = kepler_times(rng) if sampling == "kepler" else np.empty(0)
    curves, rows = [], []
    for number, stream in enumerate(rng.spawn(n)):
        system = systems.iloc[number]
        curve, row = _observe(system, sampling, clock, points, scatter, stream)
        curves.append(curve)
        rows.append({"id": f"{sampling}-{number:06d}", **row})
    return curves, pd.concat([pd.DataFrame(rows), systems], axis=1)


def _rows_of(population: pd.DataFrame | None, n: int, rng: np.random.Generator) -> pd.DataFrame:
    if population is None:
        return draw_systems(n, rng=rng)
    missing = [name for name in COLUMNS if name not in population]
    if missing:
        raise DataError(f"population: no column {', '.join(missing)}; expected those of COLUMNS")
    if len(population) == 0:
        raise DataError("population: found no systems; expected at least one")
    rows = np.arange(n) if len(population) == n else rng.integers(0, len(population), n)
    return population.iloc[rows].reset_index(drop=True)


def _observe(
    system: pd.Series,
    sampling: Sampling,
    clock: Array,
    points: int | None,
    scatter: float,
    rng: np.random.Generator,
) -> tuple[LightCurve, dict[str, Any]]:
    nodes, light = phase_curve(system)
    separation = float(separation_of_minima(system["eccentricity"], system["arg_periastron"]))
    depths = 1.0 - np.interp([0.0, separation], nodes, light)
    period = float(system["period"])
    if sampling == "kepler":
        time, error = clock, float(kepler_error(system["mag"]))
        light = _smeared(nodes, light, KEPLER_EXPOSURE / period)
    else:
        time = gaia_times(float(system["ra"]), float(system["dec"]), rng)
        error = float(gaia_error(system["mag"]))
    error = float(np.hypot(error, scatter))
    start = 53_000.0 if time.size == 0 else float(time[0])
    time_0 = start + period * rng.random()
    phase = np.mod((time - time_0) / period, 1.0)
    flux = np.interp(phase, nodes, light) + error * rng.standard_normal(time.size)
    curve = _curve(time, phase, flux, error, points, binned=sampling == "kepler")
    truth = {
        "time_0": time_0,
        "separation": separation,
        "depth_1": depths[0],
        "depth_2": depths[1],
        "flux_err": error,
        "n_points": len(curve),
    }
    return curve, truth


def _curve(
    time: Array, phase: Array, flux: Array, error: float, points: int | None, *, binned: bool
) -> LightCurve:
    if points is None:
        return LightCurve(time, flux, np.full(time.size, error))
    if not binned:
        order = np.argsort(phase)
        return LightCurve(phase[order], flux[order], np.full(time.size, error), folded=True)
    place = np.minimum((phase * points).astype(np.int64), points - 1)
    count = np.bincount(place, minlength=points)
    held = count > 0
    mean_phase = np.bincount(place, phase, points)[held] / count[held]
    mean_flux = np.bincount(place, flux, points)[held] / count[held]
    return LightCurve(mean_phase, mean_flux, error / np.sqrt(count[held]), folded=True)


def phase_curve(system: Any) -> tuple[Array, Array]:
    """Return the noiseless light of a system over its orbit.

    Parameters
    ----------
    system : mapping
        One row of `siderea.simulate.binaries.COLUMNS`.

    Returns
    -------
    phase : (M,) ndarray
        From 0 to 1, denser in the eclipses; the first star is behind the second at 0.
    flux : (M,) ndarray
        1 at its maximum.
    """
    phase, flux = _meshed_curve(system) if _is_close(system) else _sphere_curve(system)
    third = float(system["third_light"])
    flux = flux / flux.max()
    return phase, (1.0 - third) * flux + third


def _is_close(system: Any) -> bool:
    """Say whether a star fills so much of its lobe that a sphere will not do (circular orbits)."""
    if system["kind"] != "detached":
        return True
    q = float(system["q"])
    filled = max(system["r_1"] / lobe_radius(1.0 / q), system["r_2"] / lobe_radius(q))
    return bool(filled > LOBE_SHARE and system["eccentricity"] == 0.0)


def _meshed_curve(system: Any) -> tuple[Array, Array]:
    half = np.linspace(0.0, 0.5, _CLOSE)
    flux = close_flux(
        half,
        q=float(system["q"]),
        inclination=float(system["inclination"]),
        stars=roche_stars(system),
        contact=bool(np.isfinite(system["fillout"])),
    )
    phase = np.linspace(0.0, 1.0, 2 * _SLOW + 1)
    return phase, PchipInterpolator(half, flux)(np.minimum(phase, 1.0 - phase))


def _sphere_curve(system: Any) -> tuple[Array, Array]:
    e, omega = float(system["eccentricity"]), float(system["arg_periastron"])
    at_primary = mean_anomaly_of_eclipse(e, omega)
    separation = float(separation_of_minima(e, omega))
    total = float(system["r_1"] + system["r_2"])
    # Half an eclipse lasts at most this long: the whole chord at the slowest speed on the sky.
    half = min(0.25, 1.3 * total * (1.0 + e) / (2.0 * np.pi * np.sqrt(1.0 - e**2)) + 1e-4)
    eclipse = np.linspace(-half, half, _FAST)
    nodes = np.concatenate(
        (np.linspace(0.0, 1.0, _SLOW + 1), eclipse % 1.0, (separation + eclipse) % 1)
    )
    phase = np.unique(nodes)
    light = [
        float(planck(system[name]) * system[radius] ** 2)
        for name, radius in (("teff", "r_1"), ("teff_2", "r_2"))
    ]
    limb = [tuple(float(u) for u in limb_darkening(system[name])) for name in ("teff", "teff_2")]
    flux = sphere_flux(
        at_primary + 2.0 * np.pi * phase,
        radius=(float(system["r_1"]), float(system["r_2"])),
        light=(light[0], light[1]),
        limb=(limb[0], limb[1]),  # type: ignore[arg-type]
        inclination=float(system["inclination"]),
        eccentricity=e,
        arg_periastron=omega,
        mass_ratio=float(system["q"]),
    )
    return phase, flux


def _smeared(phase: Array, flux: Array, exposure: float) -> Array:
    """Average over an exposure, in phase."""
    offsets = (np.arange(_EXPOSURE_STEPS) + 0.5) / _EXPOSURE_STEPS - 0.5
    shifted = (phase[:, None] + min(exposure, 1.0) * offsets) % 1.0
    return np.interp(shifted, phase, flux).mean(axis=1)
