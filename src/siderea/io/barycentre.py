"""Times of observation, brought to the barycentre of the solar system."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from astropy import units
from astropy.coordinates import get_body_barycentric
from astropy.time import Time
from erfa import ErfaWarning  # type: ignore[import-untyped]
from numpy.typing import ArrayLike, NDArray

__all__ = ["bmjd"]

LIGHT_DAY_AU = 173.144_632_674
"""Distance that light travels in a day, au (IAU 2012 au and the SI speed of light)."""


def bmjd(
    mjd: ArrayLike, ra: float, dec: float, *, scale: Literal["utc", "tai"] = "utc"
) -> NDArray[np.float64]:
    """Turn times at the telescope into barycentric modified Julian dates (TDB).

    t_bary = t_TDB + r_Earth · n / c, with r_Earth the barycentric position of the geocentre
    (ERFA ``epv00``); the place on the Earth is neglected, 21 ms at most.

    Parameters
    ----------
    mjd : float or (V,) array-like
        Modified Julian dates at mid-exposure. NaN, or a date outside 1950-2100, gives NaN.
    ra, dec : float
        ICRS position, deg.
    scale : {"utc", "tai"}
        Time scale of ``mjd``.

    Returns
    -------
    ndarray
        BMJD in TDB, d, of the shape of ``mjd``.
    """
    dates = np.asarray(mjd, dtype=np.float64)
    known = (dates > 33282) & (dates < 88069) & np.isfinite(ra + dec)
    result = np.full(dates.shape, np.nan)
    if not known.any():
        return result
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)  # leap seconds of years to come
        time = Time(dates[known], format="mjd", scale=scale).tdb
        earth = get_body_barycentric("earth", time, ephemeris="builtin").xyz.to_value(units.au)
    a, d = np.radians(ra), np.radians(dec)
    towards = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    result[known] = time.mjd + towards @ earth / LIGHT_DAY_AU
    return result
