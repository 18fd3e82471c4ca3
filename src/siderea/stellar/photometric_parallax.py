"""Photometric parallaxes of the literature: a main-sequence star's M_r from one colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "IVEZIC_COLOUR",
    "IVEZIC_FE_H",
    "JURIC_COLOUR",
    "distance_of",
    "ivezic2008_absolute_magnitude",
    "juric2008_absolute_magnitude",
]

IVEZIC_COLOUR = (0.2, 4.0)
"""Range of g−i of the relation, mag (Ivezić et al. 2008, Eq. A7)."""
IVEZIC_FE_H = (-2.5, 0.2)
"""Range of [Fe/H] of its metallicity term, dex (the clusters that it was fitted to, Eq. A2)."""
JURIC_COLOUR = (0.1, 1.6)
"""Range of r−i of the relations, mag (Jurić et al. 2008, Section 2.2)."""

_IVEZIC = (-5.06, 14.32, -12.97, 6.127, -1.267, 0.0967)
_JURIC = {
    "bright": (3.2, 13.30, -11.50, 5.40, -0.70),
    "faint": (4.0, 11.86, -10.74, 5.99, -1.20),
}


def ivezic2008_absolute_magnitude(
    gi: ArrayLike, fe_h: ArrayLike, *, logg: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return M_r of main-sequence stars, with the metallicity term.

    With x = g−i: M_r = −5.06 + 14.32x − 12.97x² + 6.127x³ − 1.267x⁴ + .0967x⁵
    + 4.50 − 1.11 [Fe/H] − .18 [Fe/H]².

    Parameters
    ----------
    gi : (N,) array-like
        Dereddened SDSS colour, mag.
    fe_h : (N,) array-like
        dex.
    logg : (N,) array-like, optional
        dex; a star below 3.3 is no dwarf, and outside the relation.

    Returns
    -------
    absolute : (N,) ndarray
        M_r, mag: the formula as it stands, also outside its range.
    valid : (N,) ndarray of bool
        Whether the star is within `IVEZIC_COLOUR`, `IVEZIC_FE_H` and, where given, the dwarfs.

    References
    ----------
    Ivezić et al. (2008), ApJ 684, 287, Eqs. A2, A3 and A7.

    Examples
    --------
    >>> absolute, valid = ivezic2008_absolute_magnitude([0.6, 0.6], [0.0, -3.0])
    >>> absolute.round(2).tolist(), valid.tolist()
    ([4.53, 6.24], [True, False])
    """
    x, metal = np.broadcast_arrays(np.asarray(gi, dtype=float), np.asarray(fe_h, dtype=float))
    absolute = np.polyval(_IVEZIC[::-1], x) + 4.50 - 1.11 * metal - 0.18 * metal**2
    valid = _within(x, IVEZIC_COLOUR) & _within(metal, IVEZIC_FE_H)
    if logg is not None:
        valid &= np.asarray(logg, dtype=float) >= 3.3
    return absolute, valid


def juric2008_absolute_magnitude(
    ri: ArrayLike, *, normalisation: str = "bright"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return M_r of main-sequence stars of an average metallicity from r−i alone.

    With x = r−i, "bright": M_r = 3.2 + 13.30x − 11.50x² + 5.40x³ − .70x⁴;
    "faint": M_r = 4.0 + 11.86x − 10.74x² + 5.99x³ − 1.20x⁴.

    Parameters
    ----------
    ri : (N,) array-like
        Dereddened SDSS colour, mag.
    normalisation : {"bright", "faint"}
        Which of the two relations, the brighter or the fainter of red dwarfs.

    Returns
    -------
    absolute : (N,) ndarray
        M_r, mag: the formula as it stands, also outside its range.
    valid : (N,) ndarray of bool
        Whether the colour is within `JURIC_COLOUR`.

    Raises
    ------
    KeyError
        If there is no such normalisation.

    References
    ----------
    Jurić et al. (2008), ApJ 673, 864, Eqs. 1 and 2.
    """
    x = np.asarray(ri, dtype=float)
    return np.polyval(_JURIC[normalisation][::-1], x), _within(x, JURIC_COLOUR)


def distance_of(apparent: ArrayLike, absolute: ArrayLike) -> NDArray[np.float64]:
    """Return the distance, d = 10^(.2 (m − M) − 2) kpc, of an extinction-free magnitude."""
    modulus = np.asarray(apparent, dtype=float) - np.asarray(absolute, dtype=float)
    return np.asarray(10 ** (0.2 * modulus - 2))


def _within(value: NDArray, limits: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((value > limits[0]) & (value < limits[1]))
