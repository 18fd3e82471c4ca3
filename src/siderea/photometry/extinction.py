"""Interstellar extinction: how much each band is dimmed per unit of reddening.

All coefficients are on one scale, magnitudes of extinction per E(B−V) *of the Schlegel, Finkbeiner
& Davis (1998) map as it stands*: the recalibration of Schlafly & Finkbeiner (2011) (their factor of
0.86) is in the coefficients, not in the reddening.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.photometry.bands import band

__all__ = ["COEFFICIENTS", "Coefficient", "DustMap", "coefficient", "coefficients", "deredden"]

DustMap = Callable[[NDArray[np.float64], NDArray[np.float64]], ArrayLike]
"""The hook of a dust map: (ra, dec) in deg, each (N,), to E(B−V) of the SFD scale, (N,)."""

_SF11 = "Schlafly & Finkbeiner (2011), Table 6, R_V = 3.1"
_C21 = "Casagrande et al. (2021), Gaia EDR3, mean of their colour relation, law as in S&F (2011)"
_LEGACY = "Legacy Surveys, the law of Schlafly & Finkbeiner (2011) carried to the WISE bands"
_BETWEEN = "interpolated in 1/wavelength between Strömgren v (3.793) and SDSS u of S&F (2011)"


@dataclass(frozen=True)
class Coefficient:
    """Extinction of a band per unit E(B−V), and where the number comes from."""

    value: float
    source: str


COEFFICIENTS: dict[str, Coefficient] = {
    "sdss_u": Coefficient(4.239, _SF11),
    "sdss_g": Coefficient(3.303, _SF11),
    "sdss_r": Coefficient(2.285, _SF11),
    "sdss_i": Coefficient(1.698, _SF11),
    "sdss_z": Coefficient(1.263, _SF11),
    "ps1_g": Coefficient(3.172, _SF11),
    "ps1_r": Coefficient(2.271, _SF11),
    "ps1_i": Coefficient(1.682, _SF11),
    "ps1_z": Coefficient(1.322, _SF11),
    "ps1_y": Coefficient(1.087, _SF11),
    "twomass_j": Coefficient(0.723, _SF11),
    "twomass_h": Coefficient(0.460, _SF11),
    "twomass_ks": Coefficient(0.310, _SF11),
    "gaia_g": Coefficient(2.312, _C21),
    "gaia_bp": Coefficient(2.884, _C21),
    "gaia_rp": Coefficient(1.633, _C21),
    "wise_w1": Coefficient(0.184, _LEGACY),
    "wise_w2": Coefficient(0.113, _LEGACY),
    "cfht_u": Coefficient(4.187, _BETWEEN),
    "cahk": Coefficient(3.914, _BETWEEN),
}
"""A_band / E(B−V) of every band, with its source."""


def coefficient(name: str) -> float:
    """Return the extinction of a band per unit of reddening, A_band / E(B−V).

    Parameters
    ----------
    name : str
        A name of `siderea.photometry.bands.BANDS`.

    Returns
    -------
    float
        Magnitudes per magnitude of E(B−V) on the scale of the SFD map.

    Raises
    ------
    DataError
        If the band is unknown.

    References
    ----------
    Schlafly & Finkbeiner (2011), ApJ 737, 103; `COEFFICIENTS` names the source of each band.

    Examples
    --------
    >>> round(coefficient("sdss_g") - coefficient("sdss_r"), 3)
    1.018
    """
    return COEFFICIENTS[band(name).name].value


def coefficients(names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return A_band / E(B−V) of several bands, shape (B,)."""
    return np.array([coefficient(name) for name in names], dtype=np.float64)


def deredden(
    photometry: Photometry, ebv: ArrayLike | DustMap, *, ebv_err: ArrayLike = 0.0
) -> Photometry:
    """Remove the extinction: m₀ = m − (A_band / E(B−V)) · E(B−V).

    Parameters
    ----------
    photometry : Photometry
        N stars in B known bands, as observed.
    ebv : (N,) array-like, float, or callable
        Reddening on the SFD scale; or a dust map, called with the table's ``ra`` and ``dec``
        (deg), for instance a wrapper of a query of the ``dustmaps`` package.
    ebv_err : (N,) array-like or float
        1σ error of the reddening; added in quadrature to each band's error, so its correlation
        between bands is lost.

    Returns
    -------
    Photometry
        The same stars without extinction. A star whose reddening is NaN becomes NaN in every band.

    Raises
    ------
    DataError
        If a band is unknown, the reddening does not fit the N stars, or a dust map is given and
        the table has no ``ra`` and ``dec``.
    """
    n = len(photometry)
    if callable(ebv):
        if not {"ra", "dec"} <= set(photometry.table.columns):
            raise DataError("a dust map needs the positions: columns ra and dec (deg) are absent")
        position = photometry.table[["ra", "dec"]].to_numpy(dtype=np.float64)
        ebv = ebv(position[:, 0], position[:, 1])
    reddening, error = (np.asarray(value, dtype=np.float64) for value in (ebv, ebv_err))
    for name, value in (("ebv", reddening), ("ebv_err", error)):
        if value.shape not in ((), (n,)):
            raise DataError(f"{name}: found shape {value.shape}; expected one number or ({n},)")
    ratio = coefficients(photometry.bands)
    mag = photometry.mag - np.broadcast_to(reddening, n)[:, None] * ratio
    mag_err = np.hypot(photometry.mag_err, np.broadcast_to(error, n)[:, None] * ratio)
    return replace(photometry, mag=mag, mag_err=mag_err)
