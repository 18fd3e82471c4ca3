"""The close binaries of a simulated survey, to be seen as light curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.simulate.binaries import COLUMNS, LOBE_SHARE
from siderea.simulate.roche import lobe_radius

__all__ = ["from_systems"]

Array = NDArray[np.float64]

_NEEDED = (
    "period",
    "eccentricity",
    "inclination",
    "arg_periastron",
    "q",
    "radius",
    "radius_2",
    "semi_major_axis",
    "teff",
    "teff_2",
)


def from_systems(table: pd.DataFrame, *, eclipsing_only: bool = True) -> pd.DataFrame:
    """Turn the binaries of a simulated survey into systems to be seen as light curves.

    Parameters
    ----------
    table : pandas.DataFrame
        Truth of the population: period (d), eccentricity, inclination and arg_periastron (deg), q,
        radius, radius_2 and semi_major_axis (solar radii), teff, teff_2 (K); a magnitude
        ``mag_gaia_g`` or ``v_jk``, ra and dec where there are.
    eclipsing_only : bool
        Leave out pairs that neither eclipse nor fill most of their Roche lobes.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, and ``source``, the row of the table. Singles are left out.

    Raises
    ------
    DataError
        If a column is missing.
    """
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise DataError(f"systems: no column {', '.join(missing)}; expected {', '.join(_NEEDED)}")
    rows = np.flatnonzero(np.isfinite(table["radius_2"]) & np.isfinite(table["period"]))
    pairs = table.iloc[rows].reset_index(drop=True)
    axis = pairs["semi_major_axis"].to_numpy(dtype=np.float64)
    frame = pairs[["period", "q", "teff", "teff_2", "inclination", "eccentricity"]].copy()
    frame["arg_periastron"] = pairs["arg_periastron"]
    frame["mag"] = pairs["mag_gaia_g"] if "mag_gaia_g" in pairs else _known(pairs, "v_jk", 13.0)
    frame["ra"], frame["dec"] = _known(pairs, "ra", 291.0), _known(pairs, "dec", 44.0)
    frame["third_light"] = 0.0
    frame["r_1"], frame["r_2"] = pairs["radius"] / axis, pairs["radius_2"] / axis
    kind, eclipses, fillout = _kinds(frame)
    frame["kind"], frame["fillout"], frame["source"] = kind, fillout, rows
    keep = eclipses | (kind != "detached") if eclipsing_only else np.ones(len(frame), dtype=bool)
    return frame[keep].reset_index(drop=True)[[*COLUMNS, "source"]]


def _known(table: pd.DataFrame, name: str, instead: float) -> Array:
    """Return a column, with a value where it is absent or missing."""
    if name not in table:
        return np.full(len(table), instead)
    return table[name].fillna(instead).to_numpy(dtype=np.float64)


def _kinds(frame: pd.DataFrame) -> tuple[NDArray, NDArray[np.bool_], Array]:
    """Return kind, whether the pair eclipses, and the fill-out of contact binaries."""
    q = frame["q"].to_numpy(dtype=np.float64)
    filled = [frame["r_1"] / lobe_radius(1.0 / q), frame["r_2"] / lobe_radius(q)]
    full = np.array([share.to_numpy() for share in filled]) >= 1.0
    e = frame["eccentricity"].to_numpy(dtype=np.float64)
    k = e * np.sin(np.deg2rad(frame["arg_periastron"].to_numpy(dtype=np.float64)))
    nearest = (1.0 - e**2) / (1.0 + np.abs(k))
    cosine = np.abs(np.cos(np.deg2rad(frame["inclination"].to_numpy(dtype=np.float64))))
    eclipses = cosine * nearest < (frame["r_1"] + frame["r_2"]).to_numpy()
    kind = np.full(len(frame), "detached", dtype=object)
    kind[full.any(axis=0)] = "semi-detached"
    kind[full.all(axis=0)] = "contact"
    tidal = np.maximum(*(share.to_numpy() for share in filled)) > LOBE_SHARE
    kind[~eclipses & tidal] = "ellipsoidal"
    fillout = np.where(full.all(axis=0), 0.2, np.nan)
    return kind, eclipses, fillout
