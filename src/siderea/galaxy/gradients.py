"""Gradients: how a quantity changes along a line of cells, with an error that owns its misfit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["Gradient", "gradient"]


@dataclass(frozen=True)
class Gradient:
    """A straight line through a profile.

    Parameters
    ----------
    slope, slope_err : float
        Per unit of the axis. The error is that of the profile's errors, times the square root of
        the reduced χ² where that is above one: a profile that bends has no one slope.
    value, value_err : float
        At ``pivot``.
    pivot : float
        Weighted mean place, where slope and value are not correlated.
    chi2 : float
    n_cells : int
    """

    slope: float
    slope_err: float
    value: float
    value_err: float
    pivot: float
    chi2: float
    n_cells: int


def gradient(place: ArrayLike, value: ArrayLike, error: ArrayLike) -> Gradient:
    """Fit a line to a profile by weighted least squares.

    Parameters
    ----------
    place, value, error : (C,) array-like
        Centres of the cells, and the quantity there with its 1σ errors; cells with NaN or without
        an error are left out.

    Returns
    -------
    Gradient

    Raises
    ------
    DataError
        If fewer than three cells are left.

    Examples
    --------
    >>> line = gradient([1.0, 2.0, 3.0], [-0.5, -0.8, -1.1], [0.02, 0.02, 0.02])
    >>> round(line.slope, 3), round(line.slope_err, 3)
    (-0.3, 0.014)
    """
    x, y, sigma = (np.asarray(column, dtype=np.float64) for column in (place, value, error))
    good = np.isfinite(x) & np.isfinite(y) & (sigma > 0) & np.isfinite(sigma)
    if good.sum() < 3:
        raise DataError(f"gradient: found {good.sum()} cells with an error; expected 3 or more")
    x, y, weight = x[good], y[good], sigma[good] ** -2
    pivot = float(weight @ x / weight.sum())
    centred = x - pivot
    curvature = float(weight @ centred**2)
    slope, middle = float(weight @ (centred * y)) / curvature, float(weight @ y / weight.sum())
    chi2 = float(weight @ _misfit(centred, y, slope, middle) ** 2)
    stretch = np.sqrt(max(chi2 / (x.size - 2), 1.0))
    return Gradient(
        slope,
        float(stretch * curvature**-0.5),
        middle,
        float(stretch * weight.sum() ** -0.5),
        pivot,
        chi2,
        int(x.size),
    )


def _misfit(x: NDArray, y: NDArray, slope: float, middle: float) -> NDArray[np.float64]:
    return np.asarray(y - middle - slope * x)
