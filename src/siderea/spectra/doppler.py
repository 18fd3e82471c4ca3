"""Doppler shifts of wavelengths, relativistic along the line of sight; receding is positive."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siderea.constants import C_KMS
from siderea.data import plain
from siderea.errors import DataError

__all__ = ["add_velocities", "doppler_factor", "shift", "to_rest", "velocity_from_factor"]


def _beta(rv: Any) -> NDArray[np.float64]:
    beta = plain(rv, "km/s") / C_KMS
    if np.any(np.abs(beta) >= 1):  # False for NaN, which is a velocity that is not known
        worst = float(np.nanmax(np.abs(beta))) * C_KMS
        raise DataError(
            f"rv: found |rv| = {worst:.6g} km/s; expected km/s below the speed of light"
        )
    return beta


def doppler_factor(rv: Any) -> NDArray[np.float64]:
    """Give λ_observed / λ_rest = √((1 + β) / (1 − β)), β = rv / c.

    Parameters
    ----------
    rv : (N,) array-like or Quantity, or a scalar
        Radial velocity, km/s. NaN gives NaN.

    Returns
    -------
    ndarray of float64
        The factor, of the shape of ``rv``.

    Raises
    ------
    DataError
        If |rv| reaches the speed of light.

    Examples
    --------
    >>> float(doppler_factor(299.792458).round(9))
    1.001000501
    """
    beta = _beta(rv)
    return np.sqrt((1 + beta) / (1 - beta))


def velocity_from_factor(factor: Any) -> NDArray[np.float64]:
    """Give the radial velocity of λ_observed / λ_rest: the inverse of `doppler_factor`.

    Parameters
    ----------
    factor : array-like
        λ_observed / λ_rest. NaN gives NaN.

    Returns
    -------
    ndarray of float64
        c (f² − 1) / (f² + 1), km/s.

    Raises
    ------
    DataError
        If a factor is not positive.
    """
    f = plain(factor, "")
    if np.any((f <= 0) | (f == np.inf)):
        raise DataError("factor: found values that are not positive and finite; expected λ/λ_rest")
    # (f − 1)(f + 1) keeps the digits of a small velocity that f² − 1 would lose.
    return C_KMS * (f - 1) * (f + 1) / (f * f + 1)


def add_velocities(v1: Any, v2: Any) -> NDArray[np.float64]:
    """Add velocities relativistically: (v₁ + v₂) / (1 + v₁ v₂ / c²).

    The shift by the sum is the shift by one after the other, in either order.

    Parameters
    ----------
    v1, v2 : array-like or Quantity
        km/s, of shapes that broadcast. NaN gives NaN.

    Returns
    -------
    ndarray of float64
        km/s.

    Raises
    ------
    DataError
        If |v| reaches the speed of light.
    """
    beta1, beta2 = _beta(v1), _beta(v2)
    return C_KMS * (beta1 + beta2) / (1 + beta1 * beta2)


def _scale(wavelength: Any, factor: NDArray[np.float64]) -> NDArray[np.float64]:
    values = plain(wavelength, "Angstrom")
    if values.ndim and factor.ndim:
        factor = factor[..., None]
        if values.ndim > 1 and values.shape[:-1] != factor.shape[:-1]:
            raise DataError(
                f"wavelength {values.shape}, rv {factor.shape[:-1]}; expected (P,) or (N, P) "
                "with rv (N,) or a scalar"
            )
    return values * factor


def shift(wavelength: Any, rv: Any) -> NDArray[np.float64]:
    """Move rest wavelengths to where a source of velocity ``rv`` shows them.

    Parameters
    ----------
    wavelength : (P,) or (N, P) array-like or Quantity
        Rest wavelengths, Å.
    rv : (N,) array-like or Quantity, or a scalar
        Radial velocities, km/s. NaN gives NaN.

    Returns
    -------
    (N, P) ndarray of float64
        Observed wavelengths, Å; of the shape of ``wavelength`` when ``rv`` is a scalar.

    Raises
    ------
    DataError
        If |rv| reaches the speed of light, or the shapes do not fit.

    Notes
    -----
    The relation holds for vacuum wavelengths. Used in air it neglects the change of the index of
    air over the shift: for 500 km/s at 5000 Å that is 7 m/s.
    """
    return _scale(wavelength, doppler_factor(rv))


def to_rest(wavelength: Any, rv: Any) -> NDArray[np.float64]:
    """Move observed wavelengths to the rest frame of a source of velocity ``rv``.

    The inverse of `shift`, with the same shapes, units and errors.

    Parameters
    ----------
    wavelength : (P,) or (N, P) array-like or Quantity
        Observed wavelengths, Å.
    rv : (N,) array-like or Quantity, or a scalar
        Radial velocities, km/s. NaN gives NaN.

    Returns
    -------
    (N, P) ndarray of float64
        Rest wavelengths, Å; of the shape of ``wavelength`` when ``rv`` is a scalar.

    Raises
    ------
    DataError
        If |rv| reaches the speed of light, or the shapes do not fit.
    """
    # The factor of −v is the reciprocal of the factor of v.
    return _scale(wavelength, doppler_factor(-plain(rv, "km/s")))
