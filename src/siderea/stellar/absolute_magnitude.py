"""The absolute magnitude of a star as a distribution, given its colour or Teff and its [Fe/H].

The stars of the isochrones, weighed by mass function, ages and companions, are counted in cells of
(x, [Fe/H], M), where x is a colour or log₁₀ Teff. Folding the counts with Gaussians in x and
[Fe/H] gives n(M | x observed, [Fe/H] observed) for stars measured with such errors: exact, and
afterwards a look-up. As log g hardly varies among the stars of one (x, [Fe/H], M), its mean, folded
likewise, is all that a measured log g needs to be weighed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from siderea.errors import DataError
from siderea.simulate.population import isochrones
from siderea.stellar.coordinates import Coordinate, Offset
from siderea.stellar.isochrone_stars import StellarPrior, WeightedStars, weighted_stars

__all__ = ["GIANT_LOGG", "MODEL_SCATTER", "Folded", "MagnitudeTable", "load_table"]

Array = NDArray[np.float32]

BRIGHTEST, FAINTEST, STEP = -5.0, 13.0, 0.1
"""Range and step of absolute magnitude, mag."""
MODEL_SCATTER = 0.08
"""Scatter of real stars about the isochrones at one x and [Fe/H], mag: what helium, [α/Fe],
rotation and the colours' own faults do. A choice; see docs/distances.md."""
BRANCH_SCATTER = 0.3
"""The same on the giant branch, which is so steep that 60 K, as [α/Fe] shifts it, are as much."""
GIANT_LOGG = 3.5
"""A star of lower log g is a giant; as in `siderea.stellar.network`."""
X_LEVELS = 1.3
FE_H_LEVELS = 1.4
"""Ratios between the errors for which folded tables are kept."""
FINEST_FE_H = 0.08
FINEST_BLUR = 0.08
"""Errors of the magnitude below 0.7 of this are left out."""
LARGEST_FE_H = 0.8
ROWS_PER_SIGMA = 1.25
TEFF_RANGE, TEFF_STEP = (3.45, 4.05), 0.004
"""log₁₀ K, of the colours expected of a temperature."""


@dataclass(frozen=True)
class Folded:
    """Counts folded with one pair of errors.

    Parameters
    ----------
    number, logg : (X·F, K) ndarray
        Relative number per cell of M, and the mean log g there.
    x, fe_h : (float, float, int)
        First value, step and number of rows.
    """

    number: Array
    logg: Array
    x: tuple[float, float, int]
    fe_h: tuple[float, float, int]

    def look_up(self, x: NDArray, fe_h: NDArray) -> tuple[Array, Array]:
        """Return n(M) and log g, (N, K), of stars at (x, [Fe/H]), bilinear between the rows."""
        i, up = _bracket(x, *self.x)
        j, right = _bracket(fe_h, *self.fe_h)
        number = np.zeros((x.size, self.number.shape[1]), dtype=np.float32)
        logg = np.zeros_like(number)
        for above, beside in ((0, 0), (0, 1), (1, 0), (1, 1)):
            row = (i + above) * self.fe_h[2] + j + beside
            weight = (up if above else 1 - up) * (right if beside else 1 - right)
            column = weight.astype(np.float32)[:, None]
            number += column * self.number[row]
            logg += column * self.logg[row]
        return number, logg


class MagnitudeTable:
    """Distributions of absolute magnitude for one coordinate.

    Parameters
    ----------
    coordinate : Coordinate
    prior : StellarPrior
    scatter : float
        mag; folded in along M.
    """

    def __init__(
        self, coordinate: Coordinate, prior: StellarPrior, *, scatter: float = MODEL_SCATTER
    ) -> None:
        known = isochrones().bands
        unknown = [name for name in coordinate.bands() if name not in known]
        if unknown:
            raise DataError(f"bands: found {unknown}; expected some of {', '.join(known)}")
        self.coordinate = coordinate
        self.magnitude = np.arange(BRIGHTEST, FAINTEST + STEP / 2, STEP)
        self._fe_h = isochrones().isochrones.table.fe_h
        self._x = np.arange(coordinate.low, coordinate.high, coordinate.floor / 2)
        stars = weighted_stars(isochrones(), coordinate.bands(), prior)
        self._number, self._logg = self._counts(stars, scatter)
        self._expected = _expected_coordinate(stars, _coordinate_of(stars, coordinate), self._fe_h)
        self._folded: dict[tuple[int, int], Folded] = {}

    @property
    def fe_h_range(self) -> tuple[float, float]:
        """Metallicities of the isochrones, dex."""
        return float(self._fe_h[0]), float(self._fe_h[-1])

    def outside(self, x: NDArray, fe_h: NDArray) -> NDArray[np.bool_]:
        """Tell which (N,) stars are beyond the coordinate's range or the isochrones' [Fe/H]."""
        low, high = self.fe_h_range
        out = (x < self.coordinate.low) | (x > self.coordinate.high)
        return np.asarray(out | (fe_h < low) | (fe_h > high))

    def levels(
        self, x_err: NDArray, fe_h_err: NDArray, magnitude_err: NDArray
    ) -> NDArray[np.int64]:
        """Return the levels (3, N) nearest to each star's errors.

        Two are for `folded`, the third for `blurred`.
        """
        floor = self.coordinate.floor
        total = np.hypot(np.nan_to_num(x_err), floor)
        most = 0.25 * (self.coordinate.high - self.coordinate.low)
        x_level = np.log(np.minimum(total, most) / floor) / np.log(X_LEVELS)
        sigma = np.minimum(np.hypot(np.nan_to_num(fe_h_err), FINEST_FE_H), LARGEST_FE_H)
        fe_h_level = np.log(sigma / FINEST_FE_H) / np.log(FE_H_LEVELS)
        blur = np.log2(np.clip(np.nan_to_num(magnitude_err) / FINEST_BLUR, 0.5, 32)) + 1
        return np.rint(np.stack([x_level, fe_h_level, blur])).astype(np.int64)

    def expected(
        self, log_teff: NDArray, log_teff_err: NDArray, fe_h: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Return the coordinate of (N,) stars of such temperatures, and its error.

        The mean of the stars of the isochrones; that it differs between dwarfs and giants is part
        of the error.
        """
        at = np.stack([log_teff, np.clip(fe_h, *self.fe_h_range)], axis=-1)
        mean, spread, slope = self._expected(at).T
        return mean, np.hypot(spread, slope * log_teff_err)

    def folded(self, x_level: int, fe_h_level: int) -> Folded:
        """Return the counts folded with a level's errors; made when first asked for."""
        key = (int(x_level), int(fe_h_level))
        if key not in self._folded:
            self._folded[key] = self._fold(*key)
        return self._folded[key]

    def blurred(self, number: Array, logg: Array, level: int) -> tuple[Array, Array]:
        """Return n(M) and log g (n, K) as they are for stars with an error of the magnitude."""
        if level < 1:
            return number, logg
        kernel = _gaussian(self.magnitude[:, None] - self.magnitude, FINEST_BLUR * 2 ** (level - 1))
        kernel = kernel.astype(np.float32)
        spread = number @ kernel
        gravity = (number * logg) @ kernel / np.maximum(spread, np.float32(1e-30))
        return spread, np.where(spread > 0, gravity, logg)

    def _fold(self, x_level: int, fe_h_level: int) -> Folded:
        sigma_x = self.coordinate.floor * X_LEVELS**x_level
        sigma_f = FINEST_FE_H * FE_H_LEVELS**fe_h_level
        x, x_axis = _nodes(self._x[0], self._x[-1], sigma_x)
        fe_h, fe_h_axis = _nodes(self._fe_h[0], self._fe_h[-1], sigma_f)
        over_x = _gaussian(x[:, None] - self._x, sigma_x)
        over_f = _gaussian(fe_h[:, None] - self._fe_h, sigma_f)
        number, logg = (
            np.einsum("fg,xgk->xfk", over_f, np.tensordot(over_x, a, 1), optimize=True)
            for a in (self._number, self._logg)
        )
        number = number.reshape(-1, self.magnitude.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            logg = np.where(number > 0, logg.reshape(number.shape) / number, np.nan)
        return Folded(
            number.astype(np.float32), _filled(logg).astype(np.float32), x_axis, fe_h_axis
        )

    def _counts(self, stars: WeightedStars, scatter: float) -> tuple[NDArray, NDArray]:
        """Count the stars in cells (X, F, K), and sum their log g."""
        x = _coordinate_of(stars, self.coordinate)
        i = np.rint((x - self._x[0]) / (self._x[1] - self._x[0])).astype(np.int64)
        magnitude = stars.mag[:, 0] + _offset(x, stars.logg, self.coordinate.offset)
        k = np.rint((magnitude - BRIGHTEST) / STEP).astype(np.int64)
        shape = (self._x.size, self._fe_h.size, self.magnitude.size)
        inside = (i >= 0) & (i < shape[0]) & (k >= 0) & (k < shape[2])
        cell = np.ravel_multi_index((i[inside], stars.fe_h_node[inside], k[inside]), shape)
        branch = ((stars.logg < GIANT_LOGG) & ~stars.clump)[inside]
        number, logg = np.zeros(shape), np.zeros(shape)
        for rows, sigma in ((~branch, scatter), (branch, max(scatter, BRANCH_SCATTER))):
            smooth = _gaussian(self.magnitude[:, None] - self.magnitude, np.hypot(sigma, STEP / 4))
            smooth /= smooth.sum(axis=0)
            weight = stars.weight[inside][rows]
            for total, values in ((number, weight), (logg, weight * stars.logg[inside][rows])):
                counts = np.bincount(cell[rows], values, number.size).reshape(shape)
                total += counts @ smooth.T
        return number, logg


def _offset(x: NDArray, logg: NDArray, knots: Offset) -> NDArray:
    """Return how much fainter real stars are than those of the isochrones, mag."""
    if not knots:
        return np.zeros(x.size)
    place, dwarf, giant = np.array(knots).T
    share = np.clip((4.0 - logg) / 1.0, 0, 1)
    return (1 - share) * np.interp(x, place, dwarf) + share * np.interp(x, place, giant)


def _expected_coordinate(
    stars: WeightedStars, x: NDArray, fe_h: NDArray
) -> RegularGridInterpolator:
    """Tabulate mean, spread and slope of x by (log Teff, [Fe/H])."""
    grid = np.arange(TEFF_RANGE[0], TEFF_RANGE[1], TEFF_STEP)
    i = np.rint((stars.log_teff - grid[0]) / TEFF_STEP).astype(np.int64)
    inside = (i >= 0) & (i < grid.size)
    cell = i[inside] * fe_h.size + stars.fe_h_node[inside]
    sums = [
        np.bincount(cell, stars.weight[inside] * x[inside] ** power, grid.size * fe_h.size)
        for power in (0, 1, 2)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, square = (
            s.reshape(grid.size, fe_h.size) / sums[0].reshape(grid.size, -1) for s in sums[1:]
        )
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    slope = np.abs(np.gradient(mean, TEFF_STEP, axis=0))
    values = np.stack([mean, spread, slope], axis=-1)
    return RegularGridInterpolator((grid, fe_h), values, bounds_error=False)


def _coordinate_of(stars: WeightedStars, coordinate: Coordinate) -> NDArray:
    if coordinate.colour is None:
        return stars.log_teff
    blue, red = (coordinate.bands().index(name) for name in coordinate.colour)
    return np.asarray(stars.mag[:, blue] - stars.mag[:, red])


def _bracket(
    value: NDArray, first: float, step: float, number: int
) -> tuple[NDArray[np.int64], NDArray]:
    place = np.clip((value - first) / step, 0.0, number - 1.000001)
    below = np.minimum(place.astype(np.int64), max(number - 2, 0))
    return below, place - below


def _nodes(low: float, high: float, sigma: float) -> tuple[NDArray, tuple[float, float, int]]:
    """Return rows that lie within a share of σ of each other, at least two."""
    number = max(int(np.ceil((high - low) / sigma * ROWS_PER_SIGMA)) + 1, 2)
    nodes = np.linspace(low, high, number)
    return nodes, (float(low), float(nodes[1] - nodes[0]), number)


def _gaussian(offset: NDArray, sigma: float) -> NDArray:
    return np.asarray(np.exp(-0.5 * (offset / sigma) ** 2))


def _filled(logg: NDArray) -> NDArray:
    """Carry log g along M over cells without stars."""
    rows = np.isnan(logg).any(axis=1)
    grid = np.arange(logg.shape[1])
    out = logg.copy()
    for i in np.flatnonzero(rows):
        known = np.isfinite(logg[i])
        out[i] = np.interp(grid, grid[known], logg[i, known]) if known.any() else 0.0
    return out


@lru_cache(maxsize=8)
def load_table(coordinate: Coordinate, prior: StellarPrior, scatter: float) -> MagnitudeTable:
    """Return a table, made once per process: it takes seconds."""
    return MagnitudeTable(coordinate, prior, scatter=scatter)
