"""Tables of close binaries to be seen as light curves, from a catalogue or out of hand.

One row per system, with the columns `COLUMNS`: what decides its light curve and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.simulate.eclipses import eccentricity_of, hidden_light
from siderea.simulate.roche import (
    Star,
    contact_potential,
    depths_at,
    lobe_radius,
    planck,
    potential_of_radius,
)

__all__ = [
    "COLUMNS",
    "KINDS",
    "draw_systems",
    "from_catalogue",
    "limb_darkening",
    "roche_stars",
]

Array = NDArray[np.float64]

KINDS = ("detached", "semi-detached", "contact", "ellipsoidal")
"""Truth of a system: two free stars that eclipse; the second fills its Roche lobe; one common
surface; no eclipse at all, only stars that are not round."""

COLUMNS = (
    "kind",
    "period",
    "mag",
    "q",
    "teff",
    "teff_2",
    "r_1",
    "r_2",
    "fillout",
    "inclination",
    "eccentricity",
    "arg_periastron",
    "third_light",
    "ra",
    "dec",
)
"""period d; radii r_1, r_2 over the semi-major axis; fillout NaN unless contact; angles deg;
third_light the share of a third star in all the light; ra and dec deg (they decide when Gaia
looks)."""

MORPHOLOGY_EDGES = (0.5, 0.7, 0.8)
"""Morphology below the first is mostly detached, then semi-detached, then contact, then ellipsoidal
(the guideline of the Kepler Eclipsing Binary Catalog, after Matijevič et al. 2012)."""

DEEPEST_TIDE = 0.1
"""Deeper minima than this are not left to stars that never eclipse: taken as contact binaries."""

CONVECTIVE = 7200.0
"""K: cooler envelopes are taken as convective, hotter ones as radiative."""

LOBE_SHARE = 0.7
"""Stars above this share of their lobe are meshed; below they are spheres with tides."""


def limb_darkening(teff: ArrayLike) -> tuple[Array, Array]:
    """Return schematic quadratic coefficients: stronger at the limb for cooler stars.

    Straight lines in Teff through (0.40, 0.26) at 5800 K, held between 0.2 and 0.65, 0.1 and 0.35;
    they stand in for tables of model atmospheres.
    """
    offset = (np.asarray(teff, dtype=np.float64) - 5800.0) / 1000.0
    return np.clip(0.40 - 0.08 * offset, 0.2, 0.65), np.clip(0.26 + 0.02 * offset, 0.1, 0.35)


def draw_systems(n: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Draw systems out of hand: kinds in the shares 55, 15, 15, 15 %, each over its natural range.

    For curves without a catalogue at hand. Nothing of it is fitted to a survey.

    Parameters
    ----------
    n : int
    rng : numpy.random.Generator
    """
    kind = rng.choice(KINDS, n, p=(0.55, 0.15, 0.15, 0.15))
    detached = kind == "detached"
    period = np.where(detached, 10 ** rng.uniform(0.0, 1.8, n), 10 ** rng.uniform(-0.6, 0.5, n))
    depth = 10 ** rng.uniform(-1.7, -0.3, n)
    width = np.clip(0.18 * period**-0.7 * 10 ** rng.normal(0.0, 0.15, n), 0.004, 0.25)
    skew = np.where(period > 4.0, rng.normal(0.0, 0.08, n), 0.0)
    observed = pd.DataFrame(
        {
            "period": period,
            "mag": rng.uniform(11.0, 16.0, n),
            "teff": rng.normal(6000.0, 700.0, n).clip(3800.0, 9000.0),
            "depth": depth,
            "depth_2": depth * rng.uniform(0.1, 1.0, n),
            "width": width,
            "width_2": width * (1.0 + skew),
            "separation": 0.5 + np.where(period > 4.0, rng.normal(0.0, 0.06, n), 0.0),
            "radius_ratio": rng.uniform(0.4, 1.1, n),
            "ra": rng.uniform(280.0, 302.0, n),
            "dec": rng.uniform(37.0, 52.0, n),
        }
    )
    return _systems(observed, kind, rng)


def from_catalogue(
    catalogue: pd.DataFrame, n: int | None = None, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Turn rows of an eclipsing-binary catalogue into systems that would look like them.

    Parameters
    ----------
    catalogue : pandas.DataFrame
        Columns of the Kepler Eclipsing Binary Catalog: period, pdepth, sdepth, pwidth, swidth, sep,
        morph, and where there are kmag, Teff, RA, DEC, T1, T2/T1, R2/R1. −1 is missing.
    n : int, optional
        Systems to make: rows are drawn with replacement. Every usable row once by default.
    rng : numpy.random.Generator

    Returns
    -------
    pandas.DataFrame
        n rows of `COLUMNS`, and ``source``, the row of the catalogue.

    Raises
    ------
    DataError
        If a column or every row is missing.

    Notes
    -----
    The kind follows the morphology (`MORPHOLOGY_EDGES`). Separation and widths give e and ω; the
    depth ratio gives the ratio of surface brightnesses; widths give r₁ + r₂ and the primary depth
    the inclination, in turn. Where stars are meshed, q, r₁ and the fill-out are drawn and the
    inclination follows from the depth. What the catalogue's light curve does not fix is drawn.
    """
    needed = ("period", "pdepth", "sdepth", "pwidth", "swidth", "sep", "morph")
    missing = [name for name in needed if name not in catalogue]
    if missing:
        raise DataError(f"catalogue: no column {', '.join(missing)}; expected {', '.join(needed)}")
    usable = np.flatnonzero(
        (catalogue["period"] > 0)
        & (catalogue["pdepth"] > 0)
        & (catalogue["pwidth"] > 0)
        & (catalogue["morph"] >= 0)
    )
    if usable.size == 0:
        raise DataError(
            "catalogue: found no row with positive period, pdepth and pwidth; use others"
        )
    rows = usable if n is None else rng.choice(usable, n)
    table = catalogue.iloc[rows].reset_index(drop=True)
    edges = np.digitize(table["morph"], MORPHOLOGY_EDGES)
    observed = _observed(table, rng)
    kind = np.array(KINDS)[edges]
    kind[(kind == "ellipsoidal") & (observed["depth"] > DEEPEST_TIDE).to_numpy()] = "contact"
    return _systems(observed, kind, rng).assign(source=rows)


def _column(table: pd.DataFrame, name: str, instead: Any) -> Array:
    """Return a column, with other values where it is absent or not positive."""
    if name not in table:
        return np.broadcast_to(instead, len(table)).astype(np.float64)
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    return np.where(values > 0, values, instead)


def _observed(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    n = len(table)
    depth = table["pdepth"].to_numpy(dtype=np.float64)
    width = table["pwidth"].to_numpy(dtype=np.float64)
    two = ((table["sdepth"] > 0) & (table["swidth"] > 0)).to_numpy()
    return pd.DataFrame(
        {
            "period": table["period"].to_numpy(dtype=np.float64),
            "mag": _column(table, "kmag", 14.0),
            "teff": _column(table, "T1", _column(table, "Teff", 5700.0)),
            "depth": depth,
            # No secondary was seen: a companion that gives next to no light.
            "depth_2": np.where(two, table["sdepth"], 1e-3 * depth),
            "width": width,
            "width_2": np.where(two, table["swidth"], width),
            "separation": np.where(two, table["sep"], 0.5),
            "radius_ratio": _column(table, "R2/R1", rng.uniform(0.4, 1.1, n)),
            "ra": _column(table, "RA", 291.0),
            "dec": _column(table, "DEC", 44.0),
        }
    )


def _systems(observed: pd.DataFrame, kind: NDArray, rng: np.random.Generator) -> pd.DataFrame:
    n = len(observed)
    third = np.where(rng.random(n) < 0.2, rng.uniform(0.0, 0.4, n), 0.0)
    # The deeper an eclipse, the less room for a third star.
    third = np.minimum(third, 0.9 - observed["depth"].to_numpy())
    depth = observed["depth"].to_numpy() / (1.0 - np.clip(third, 0.0, None))
    system = _free_systems(observed, depth)
    system["third_light"] = np.clip(third, 0.0, None)
    system["kind"] = kind
    for row in np.flatnonzero(kind != "detached"):
        close = _close_system(str(kind[row]), system.iloc[row], observed.iloc[row], depth[row], rng)
        for name, value in close.items():
            system.loc[row, name] = value
    return system[list(COLUMNS)]


def _free_systems(observed: pd.DataFrame, depth: Array) -> pd.DataFrame:
    """Return spheres whose eclipses have about the wanted depths, widths and separation."""
    n = len(observed)
    teff = observed["teff"].to_numpy().clip(3000.0, 30000.0)
    bright = np.clip(observed["depth_2"] / observed["depth"], 1e-3, 1.5).to_numpy()
    teff_2 = _teff_of_brightness(planck(teff) * bright)
    k = np.clip(observed["radius_ratio"].to_numpy(), 0.05, 3.0)
    # A total eclipse loses at most what the covered disc shines with: the second must be large
    # enough for the depth.
    k = np.maximum(k, np.sqrt(np.clip(depth / np.clip(1.0 - depth * bright, 0.05, None), 0, 2.0)))
    width = np.clip(0.5 * (observed["width"] + observed["width_2"]), 1e-3, 0.22).to_numpy()
    e, omega = eccentricity_of(observed["separation"], (observed["width"], observed["width_2"]))
    e = np.where(e < 0.01, 0.0, e)
    sine = np.ones(n)
    for _ in range(4):
        total = np.clip(np.sqrt(1.0 - sine**2 * np.cos(np.pi * width) ** 2), 0.002, 0.72)
        total = np.minimum(total, 0.8 * (1.0 - e))  # the stars must not touch at periastron
        r_1 = total / (1.0 + k)
        sine = np.sqrt(1.0 - _impact(depth, k, bright, teff, total, r_1) ** 2)
    return pd.DataFrame(
        {
            "period": observed["period"],
            "mag": observed["mag"],
            "q": np.clip((teff_2 / teff) ** 1.5, 0.1, 1.0),
            "teff": teff,
            "teff_2": teff_2,
            "r_1": r_1,
            "r_2": k * r_1,
            "fillout": np.nan,
            "inclination": np.rad2deg(np.arcsin(np.clip(sine, 0.0, 1.0))),
            "eccentricity": e,
            "arg_periastron": omega,
            "ra": observed["ra"],
            "dec": observed["dec"],
        }
    )


def _impact(depth: Array, k: Array, bright: Array, teff: Array, total: Array, r_1: Array) -> Array:
    """Return the distance on the sky, in semi-major axes, that makes an eclipse of a depth."""
    u1, u2 = limb_darkening(teff)
    share = 1.0 / (1.0 + k**2 * bright)
    low, high = np.zeros_like(depth), total.copy()
    for _ in range(30):
        middle = 0.5 * (low + high)
        deeper = share * hidden_light(middle / r_1, k, u1, u2) > depth
        low, high = np.where(deeper, middle, low), np.where(deeper, high, middle)
    return 0.5 * (low + high)


def _teff_of_brightness(brightness: Array) -> Array:
    """Invert `planck`."""
    return 1.438_776_877e7 / (600.0 * np.log1p(1.0 / brightness))


def _close_system(
    kind: str, system: pd.Series, observed: pd.Series, depth: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw the masses and sizes of a close pair, and find its inclination by the depth."""
    q = float(rng.uniform(0.15, 0.7) if kind == "semi-detached" else rng.uniform(0.15, 1.0))
    lobes = float(lobe_radius(1.0 / q)), float(lobe_radius(q))
    share = rng.uniform(0.5, 0.95, 2)
    close: dict[str, Any] = {
        "kind": kind,
        "q": q,
        "eccentricity": 0.0,
        "arg_periastron": 90.0,
        "fillout": float(rng.uniform(0.05, 0.9)) if kind == "contact" else np.nan,
        "r_1": lobes[0] * (share[0] if kind != "contact" else 1.0),
        "r_2": lobes[1] * (share[1] if kind == "ellipsoidal" else 1.0),
        "teff": float(system["teff"]),
    }
    ratio = float(np.clip(observed["depth_2"] / observed["depth"], 0.02, 1.0))
    teff_2 = float(_teff_of_brightness(planck(system["teff"]) * np.array(ratio)))
    # Stars that share a surface share its temperature to a few per cent.
    close["teff_2"] = max(teff_2, 0.93 * float(system["teff"])) if kind == "contact" else teff_2
    edge = np.rad2deg(np.arccos(min(close["r_1"] + close["r_2"], 0.95)))
    trial = np.linspace(20.0, edge - 1.0, 9) if kind == "ellipsoidal" else np.linspace(edge, 90, 9)
    deep = np.maximum(*depths_at(trial, q=q, stars=roche_stars(close), contact=kind == "contact"))
    close["inclination"] = float(np.interp(depth, np.maximum.accumulate(deep), trial))
    if kind != "ellipsoidal" and depth < deep[0]:
        # Shallower than a graze, and yet of this morphology: a third star's light hides the depth.
        seen = int(rng.integers(0, trial.size))
        close["inclination"] = float(trial[seen])
        close["third_light"] = float(np.clip(1.0 - depth / deep[seen], 0.0, 0.98))
    return close


def roche_stars(system: Any) -> tuple[Star, Star]:
    """Return the two stars of a row of systems, as the mesh wants them."""
    q = float(system["q"])
    if np.isfinite(system["fillout"]):
        surfaces = contact_potential(q, float(system["fillout"]))
    else:
        surfaces = (
            potential_of_radius(q, float(system["r_1"])),
            potential_of_radius(1.0 / q, float(system["r_2"])),
        )
    return _star(surfaces[0], float(system["teff"])), _star(surfaces[1], float(system["teff_2"]))


def _star(surface: float, teff: float) -> Star:
    u1, u2 = limb_darkening(teff)
    radiative = teff > CONVECTIVE
    return Star(
        surface, teff, (float(u1), float(u2)), 1.0 if radiative else 0.32, 1.0 if radiative else 0.5
    )
