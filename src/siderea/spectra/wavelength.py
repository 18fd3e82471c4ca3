"""Air and vacuum wavelengths, and grids that are uniform in velocity."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siderea.constants import C_KMS
from siderea.data import Medium, plain
from siderea.errors import DataError, MediumError

__all__ = ["air_to_vacuum", "convert_medium", "log_grid", "vacuum_to_air", "velocity_step"]

SHORTEST_AIR = 2000.0
"""Vacuum wavelength (Å) below which, by custom, wavelengths are always given in vacuum."""

UNIFORM_TOLERANCE = 0.01
"""Largest departure, in pixels, of a pixel from the uniform ln λ grid that it is taken for. It
leaves room for wavelengths stored in single precision (0.0005 Å)."""


def _refractive_index(vacuum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Index of standard air at a vacuum wavelength (Ciddor 1996, equation 1)."""
    wavenumber2 = (1e4 / vacuum) ** 2  # µm⁻²
    return 1 + 0.05792105 / (238.0185 - wavenumber2) + 0.00167917 / (57.362 - wavenumber2)


def _checked(wavelength: Any) -> NDArray[np.float64]:
    values = plain(wavelength, "Angstrom")
    if not np.all((values > 0) & (values < np.inf)):  # also catches NaN
        raise DataError("wavelength: found values that are not positive and finite; expected Å")
    return values


def vacuum_to_air(wavelength: Any) -> NDArray[np.float64]:
    """Convert vacuum wavelengths to wavelengths in standard air.

    Parameters
    ----------
    wavelength : array-like or Quantity
        Vacuum wavelength, Å; any shape.

    Returns
    -------
    ndarray of float64
        Wavelength in air, Å. Values below 2000 Å are returned unchanged: by custom they are given
        in vacuum always.

    Raises
    ------
    DataError
        If a wavelength is not positive and finite.

    Notes
    -----
    λ_air = λ_vac / n(λ_vac), with the refractive index of dry air at 15 °C, 101325 Pa and 450 ppm
    of CO₂ [1]_: n − 1 = 0.05792105 / (238.0185 − s²) + 0.00167917 / (57.362 − s²), s = 10⁴ Å/λ_vac.
    The dispersion formula was fitted from 0.23 to 1.69 µm; beyond, it is an extrapolation.

    References
    ----------
    .. [1] Ciddor 1996, Applied Optics 35, 1566.

    Examples
    --------
    >>> float(vacuum_to_air(6564.614).round(3))
    6562.801
    """
    vacuum = _checked(wavelength)
    # Below 2000 Å the formula has poles (648 and 1320 Å), and its result is not used.
    index = _refractive_index(np.maximum(vacuum, SHORTEST_AIR))
    return np.where(vacuum < SHORTEST_AIR, vacuum, vacuum / index)


def air_to_vacuum(wavelength: Any) -> NDArray[np.float64]:
    """Convert wavelengths in standard air to vacuum: the exact inverse of `vacuum_to_air`.

    Parameters
    ----------
    wavelength : array-like or Quantity
        Wavelength in air, Å; any shape.

    Returns
    -------
    ndarray of float64
        Vacuum wavelength, Å. Values below the air wavelength of 2000 Å in vacuum (1999.35 Å) are
        returned unchanged, so that air to vacuum to air is the identity at every wavelength.

    Raises
    ------
    DataError
        If a wavelength is not positive and finite.

    Notes
    -----
    λ_vac = λ_air n(λ_vac) is iterated. The index changes so slowly that each turn gains four
    digits, and four turns reach machine precision; no separate fitted inverse is needed.

    Examples
    --------
    >>> float(air_to_vacuum(5000.0).round(4))
    5001.3949
    """
    air = _checked(wavelength)
    shortest = float(vacuum_to_air(SHORTEST_AIR))
    # The iteration must not see the poles below 2000 Å, whose results are discarded anyway.
    start = np.maximum(air, shortest)
    vacuum = start
    for _ in range(4):
        vacuum = start * _refractive_index(vacuum)
    return np.where(air < shortest, air, np.maximum(vacuum, SHORTEST_AIR))


def convert_medium(wavelength: Any, from_medium: Medium, to_medium: Medium) -> NDArray[np.float64]:
    """Bring wavelengths from one medium to another.

    Parameters
    ----------
    wavelength : array-like or Quantity
        Å, in ``from_medium``.
    from_medium, to_medium : {"air", "vacuum"}
        Nothing changes where both are the same.

    Returns
    -------
    ndarray of float64
        Å, in ``to_medium``.

    Raises
    ------
    MediumError
        If a medium is neither ``"air"`` nor ``"vacuum"``.
    DataError
        If a wavelength is not positive and finite.
    """
    for medium in (from_medium, to_medium):
        if medium not in ("air", "vacuum"):
            raise MediumError(f"medium: found {medium!r}; expected 'air' or 'vacuum'")
    if from_medium == to_medium:
        return _checked(wavelength)
    return vacuum_to_air(wavelength) if to_medium == "air" else air_to_vacuum(wavelength)


def log_grid(start: Any, n_pixels: int, dv: Any) -> NDArray[np.float64]:
    """Make a grid uniform in ln λ: λ_i = start · exp(i dv / c), i = 0 ... n_pixels − 1.

    Parameters
    ----------
    start : float or Quantity
        Wavelength of the first pixel, Å.
    n_pixels : int
        Number of pixels.
    dv : float or Quantity
        Step, km/s: c times the step in ln λ.

    Returns
    -------
    (n_pixels,) ndarray of float64
        Wavelengths, Å.

    Raises
    ------
    DataError
        If ``start`` or ``dv`` is not positive and finite, or there is no pixel.
    """
    first, step = float(plain(start, "Angstrom")), float(plain(dv, "km/s"))
    if not (0 < first < np.inf and 0 < step < np.inf and n_pixels > 0):
        raise DataError(
            f"log_grid: found start {first} Å, {n_pixels} pixels, dv {step} km/s; "
            "expected all positive and finite"
        )
    return first * np.exp(np.arange(n_pixels) * (step / C_KMS))


def velocity_step(wavelength: Any) -> float:
    """Measure the step, in km/s, of a grid that is uniform in ln λ.

    Parameters
    ----------
    wavelength : (P,) array-like or Quantity
        Å, increasing.

    Returns
    -------
    float
        c · ln(λ_last / λ_first) / (P − 1), km/s: the ``dv`` of `log_grid`.

    Raises
    ------
    DataError
        If there are fewer than two pixels, they do not increase, or one of them lies more than
        0.01 pixel off the uniform grid.
    """
    log_wavelength = np.log(_checked(wavelength))
    if log_wavelength.ndim != 1 or log_wavelength.size < 2:
        raise DataError(f"wavelength: found shape {log_wavelength.shape}; expected (P,) with P > 1")
    step = (log_wavelength[-1] - log_wavelength[0]) / (log_wavelength.size - 1)
    uniform = log_wavelength[0] + step * np.arange(log_wavelength.size)
    departure = np.abs(log_wavelength - uniform).max()
    if not (step > 0 and departure <= UNIFORM_TOLERANCE * step):
        raise DataError(
            "wavelength: found a grid that is not uniform in ln λ; "
            "resample it to a log_grid first (siderea.spectra.resample)"
        )
    return float(step * C_KMS)
