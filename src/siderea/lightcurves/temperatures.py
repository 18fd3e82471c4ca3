"""The temperature of the fainter star from the depths of the two eclipses.

On a circular orbit either star hides the same area of the other, so that the depths are as the
surface brightnesses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.simulate.roche import WAVELENGTH_NM, planck

__all__ = ["companion_temperature"]

HC_K = 1.438_776_877e7
"""h c/k, nm K (CODATA 2018)."""


def companion_temperature(teff: ArrayLike, depth_1: ArrayLike, depth_2: ArrayLike) -> NDArray:
    """Return the temperature of the star that is hidden in the shallower eclipse.

    Parameters
    ----------
    teff : (...) array-like
        Of the star that is hidden in the deeper eclipse, K.
    depth_1, depth_2 : (...) array-like
        Light lost in the deeper and the shallower eclipse, in one unit.

    Returns
    -------
    (...) ndarray
        K; NaN unless all three are positive.

    Notes
    -----
    B(T₂) = B(T₁) depth₂/depth₁ with black bodies at 600 nm. Limb darkening, reflection, tides and
    eccentric orbits are left out; a third light takes from both depths alike.

    Examples
    --------
    >>> float(companion_temperature(6000.0, 0.3, 0.3).round())
    6000.0
    >>> float(companion_temperature(6000.0, 0.3, 0.1).round())
    4718.0
    """
    hot, deep, shallow = (np.asarray(x, dtype=np.float64) for x in (teff, depth_1, depth_2))
    with np.errstate(invalid="ignore", divide="ignore"):
        known = (hot > 0) & (deep > 0) & (shallow > 0)
        ratio = np.where(known, shallow / deep, np.nan)
        brightness = planck(np.where(known, hot, 5772.0)) * ratio
        return np.asarray(HC_K / (WAVELENGTH_NM * np.log1p(1.0 / brightness)))
