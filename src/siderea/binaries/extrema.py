"""Detection of extrema: the components of a CCF from its derivatives.

A component of a blend need not be a maximum of the CCF f, but it is a minimum of f″. Smoothing and
differentiation are one convolution with a derivative of a Gaussian, whose width is given in km/s.
(Merle et al. 2017, A&A 608, A95.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from siderea.errors import DataError

__all__ = ["Extrema", "find_extrema"]


@dataclass(frozen=True)
class Extrema:
    """Components of N CCFs, the strongest (in f″) first.

    Parameters
    ----------
    n_components : (N,) ndarray of int
    velocity : (N, M) ndarray
        km/s; NaN beyond the components found.
    height : (N, M) ndarray
        The smoothed CCF there.
    width : (N, M) ndarray
        Distance, km/s, of the zero crossings of f″ on either side.
    """

    n_components: NDArray[np.intp]
    velocity: NDArray[np.float64]
    height: NDArray[np.float64]
    width: NDArray[np.float64]


def find_extrema(
    ccf: ArrayLike,
    velocity: ArrayLike,
    *,
    error: ArrayLike = 0.0,
    kernel: float = 5.0,
    most: int = 4,
    threshold: float = 0.1,
    sigma: float = 5.0,
) -> Extrema:
    """Find the components of CCFs.

    Parameters
    ----------
    ccf : (N, V) or (V,) array-like
    velocity : (V,) array-like
        km/s, uniform.
    error : float or (N,) array-like
        1σ of the CCF at a point. Errors of neighbouring points are taken to be fully correlated
        within the kernel, which asks for more signal rather than less.
    kernel : float
        Standard deviation of the smoothing Gaussian, km/s.
    most : int
        Components that are kept.
    threshold : float
        A component's f″ is below −threshold times the range of f″.
    sigma : float
        A component stands this many errors above 0.

    Returns
    -------
    Extrema

    Raises
    ------
    DataError
        If shapes do not fit, or the velocities are not uniform.
    """
    values = np.atleast_2d(np.asarray(ccf, dtype=float))
    grid = np.asarray(velocity, dtype=float)
    step = np.diff(grid)
    if values.shape[1] != grid.size or grid.size < 8 or np.ptp(step) > 0.01 * step.mean():
        raise DataError(
            f"ccf {values.shape}, velocity {grid.shape}; expected (N, V) on V uniform velocities"
        )
    f0, f2, f3 = (_derivative(values, kernel / step.mean(), order) for order in (0, 2, 3))
    rising = (f3[:, :-1] < 0) & (f3[:, 1:] >= 0)
    part = np.divide(
        -f3[:, :-1], f3[:, 1:] - f3[:, :-1], out=np.zeros_like(f3[:, 1:]), where=rising
    )
    deep = _between(f2, part)
    level = threshold * np.ptp(f2, axis=1, keepdims=True)
    noise = sigma * np.broadcast_to(np.asarray(error, dtype=float), len(values))[:, None]
    height = _between(f0, part)
    found = rising & (deep < -level) & (height > noise)
    order = np.argsort(np.where(found, deep, np.inf), axis=1)[:, :most]
    kept = np.take_along_axis(found, order, 1)
    place = grid[order] + np.take_along_axis(part, order, 1) * step.mean()
    width = _widths(f2, order) * step.mean()
    nothing = np.where(kept, 0.0, np.nan)
    return Extrema(
        kept.sum(axis=1),
        place + nothing,
        np.take_along_axis(height, order, 1) + nothing,
        width + nothing,
    )


def _derivative(values: NDArray, kernel: float, order: int) -> NDArray[np.float64]:
    return np.asarray(gaussian_filter1d(values, kernel, axis=1, order=order, mode="nearest"))


def _between(values: NDArray, part: NDArray) -> NDArray[np.float64]:
    return np.asarray(values[:, :-1] + part * (values[:, 1:] - values[:, :-1]))


def _widths(f2: NDArray, place: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the distance, in points, of the zero crossings of f″ about each place (N, M)."""
    points = np.arange(f2.shape[1])
    positive = f2 >= 0
    before = np.maximum.accumulate(np.where(positive, points, 0), axis=1)
    after = np.minimum.accumulate(np.where(positive, points, points[-1])[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(
        np.take_along_axis(after, place, 1) - np.take_along_axis(before, place, 1), dtype=float
    )
