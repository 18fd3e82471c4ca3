"""The bands siderea knows: their names, systems and effective wavelengths.

A band is named ``<system>_<band>`` everywhere: in `siderea.data.Photometry`, in isochrones and,
with ``mag_`` before it and ``_err`` after it, as columns of a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from siderea.errors import DataError

__all__ = ["BANDS", "Band", "band", "check_bands", "error_column", "magnitude_column"]


@dataclass(frozen=True)
class Band:
    """One photometric band.

    Parameters
    ----------
    name : str
        ``<system>_<band>``, lower case.
    wavelength : float
        Effective wavelength, Å; rounded, to order the bands and to interpolate extinction.
    zero_point : {"AB", "Vega"}
        What magnitude 0 means.
    """

    name: str
    wavelength: float
    zero_point: Literal["AB", "Vega"]

    @property
    def system(self) -> str:
        """The survey or telescope: what stands before the underscore."""
        return self.name.split("_")[0]


# Rounded: SDSS, PS1 and 2MASS from Schlafly & Finkbeiner (2011), Table 6; Gaia's EDR3 pivots
# (Riello et al. 2021); WISE from Wright et al. (2010); CFHT u is the MegaCam filter of 2015.
BANDS: dict[str, Band] = {
    one.name: one
    for one in (
        Band("cfht_u", 3640, "AB"),
        Band("sdss_u", 3587, "AB"),
        Band("cahk", 3952, "AB"),
        Band("sdss_g", 4717, "AB"),
        Band("ps1_g", 4876, "AB"),
        Band("gaia_bp", 5110, "Vega"),
        Band("sdss_r", 6165, "AB"),
        Band("gaia_g", 6218, "Vega"),
        Band("ps1_r", 6200, "AB"),
        Band("sdss_i", 7476, "AB"),
        Band("ps1_i", 7520, "AB"),
        Band("gaia_rp", 7769, "Vega"),
        Band("ps1_z", 8663, "AB"),
        Band("sdss_z", 8923, "AB"),
        Band("ps1_y", 9620, "AB"),
        Band("twomass_j", 12350, "Vega"),
        Band("twomass_h", 16620, "Vega"),
        Band("twomass_ks", 21590, "Vega"),
        Band("wise_w1", 33530, "Vega"),
        Band("wise_w2", 46030, "Vega"),
    )
}
"""Every band by name, blue to red within a survey."""


def band(name: str) -> Band:
    """Return a band by name.

    Parameters
    ----------
    name : str
        ``<system>_<band>``, for instance ``"sdss_g"``.

    Returns
    -------
    Band
        The band.

    Raises
    ------
    DataError
        If no band has that name.

    Examples
    --------
    >>> band("twomass_ks").zero_point
    'Vega'
    """
    if name not in BANDS:
        raise DataError(f"band: found {name!r}; expected one of {', '.join(BANDS)}")
    return BANDS[name]


def check_bands(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple, each known and none twice.

    Parameters
    ----------
    names : iterable of str
        Band names.

    Returns
    -------
    tuple of str
        The same names.

    Raises
    ------
    DataError
        If a name is unknown or stands twice.
    """
    checked = tuple(band(name).name for name in names)
    twice = sorted({name for name in checked if checked.count(name) > 1})
    if twice:
        raise DataError(f"bands: found {', '.join(twice)} more than once; expected each once")
    return checked


def magnitude_column(name: str) -> str:
    """Return the column of a table that holds a band's apparent magnitude."""
    return f"mag_{band(name).name}"


def error_column(name: str) -> str:
    """Return the column of a table that holds a band's magnitude error."""
    return f"mag_{band(name).name}_err"
