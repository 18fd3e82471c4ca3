"""Maps: median, mean and scatter of a quantity in every cell with enough stars, with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.galaxy.cells import Cells
from siderea.galaxy.tally import Binning, Tally

__all__ = ["MINIMUM", "CellMap", "Statistics", "cell_map", "image", "points"]

MINIMUM = 5
"""Least stars of a cell that is shown, as in Ivezić et al. (2008), Figure 8."""
MOST_POINTS = 20_000_000
"""Points of a figure of single stars at most."""
CHUNK = 4096
"""Cells that are resampled from one generator, so that errors do not depend on anything else."""


@dataclass(frozen=True)
class Statistics:
    """What is known of C cells.

    Parameters
    ----------
    count, median, mean, scatter : (C,) ndarray
        Stars, and median, mean and standard deviation of the quantity.
    """

    count: NDArray[np.int64]
    median: NDArray[np.float64]
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]


@dataclass(frozen=True)
class CellMap:
    """A map of the cells with enough stars.

    Parameters
    ----------
    cell : (C,) ndarray of int
        Their numbers, increasing.
    count, median, mean, scatter : (C,) ndarray
        Stars, and median, mean and standard deviation of the quantity.
    median_err, mean_err : (C,) ndarray
        By bootstrap.
    """

    cell: NDArray[np.int64]
    count: NDArray[np.int64]
    median: NDArray[np.float64]
    median_err: NDArray[np.float64]
    mean: NDArray[np.float64]
    mean_err: NDArray[np.float64]
    scatter: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.cell.size)


def cell_map(
    tally: Tally,
    binning: Binning,
    *,
    minimum: int = MINIMUM,
    n_bootstrap: int = 50,
    seed: int = 0,
) -> CellMap:
    """Make a map of a tally.

    Parameters
    ----------
    tally : Tally
    binning : Binning
        Of the tally.
    minimum : int
        Least stars of a cell.
    n_bootstrap : int
        Resamplings for the errors; below 2, errors are NaN. Each star is drawn Poisson(1) times.
    seed : int
        Of the resampling.

    Returns
    -------
    CellMap
    """
    number, first, count = np.unique(tally.cell, return_index=True, return_counts=True)
    stars = np.add.reduceat(tally.count, first) if first.size else np.empty(0, dtype=np.int64)
    keep = stars >= max(minimum, 1)
    entries = np.repeat(keep, count)
    row = np.repeat(np.arange(keep.sum()), count[keep])
    value, weight = (tally.code % tally.n_bins)[entries], tally.count[entries]
    found = _statistics(row, value, weight, int(keep.sum()), binning)
    median_err, mean_err = _errors(row, value, weight, found, binning, n_bootstrap, seed)
    return CellMap(
        number[keep], found.count, found.median, median_err, found.mean, mean_err, found.scatter
    )


def _statistics(
    row: NDArray, value: NDArray, weight: NDArray, n: int, binning: Binning
) -> Statistics:
    """Return the statistics of n cells from entries (row, bin, stars) sorted by row and bin."""
    count = np.bincount(row, weight, n).astype(np.int64)
    known = np.maximum(count, 1)
    first = np.bincount(row, weight * value, n) / known
    second = np.bincount(row, weight * (value - first[row]) ** 2, n) / known
    mean = binning.low + binning.step * (first + 0.5)
    scatter = binning.step * np.sqrt(second * count / np.maximum(count - 1, 1))
    empty = count == 0
    for column in (mean, scatter):
        column[empty] = np.nan
    return Statistics(count, _median(row, value, weight, count, binning), mean, scatter)


def _median(
    row: NDArray, value: NDArray, weight: NDArray, count: NDArray, binning: Binning
) -> NDArray[np.float64]:
    """Return the medians, the stars of a bin being taken as spread evenly over it."""
    if not row.size:
        return np.full(count.size, np.nan)
    reached = np.cumsum(weight)
    before = np.cumsum(count) - count
    entry = np.searchsorted(reached, before + 0.5 * count, side="left")
    entry = np.minimum(entry, row.size - 1)
    share = (before + 0.5 * count - (reached - weight)[entry]) / np.maximum(weight[entry], 1)
    median = binning.low + binning.step * (value[entry] + share)
    return np.where(count > 0, median, np.nan)


def _errors(
    row: NDArray,
    value: NDArray,
    weight: NDArray,
    found: Statistics,
    binning: Binning,
    n_bootstrap: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the standard deviations of median and mean over resamplings of the stars."""
    n = found.count.size
    median, mean = np.full(n, np.nan), np.full(n, np.nan)
    if n_bootstrap < 2:
        return median, mean
    for number, start in enumerate(range(0, n, CHUNK)):
        stop = min(start + CHUNK, n)
        low, high = np.searchsorted(row, (start, stop))
        rng = np.random.default_rng([seed, number])
        drawn = rng.poisson(weight[low:high], (n_bootstrap, high - low))
        again = [
            _statistics(row[low:high] - start, value[low:high], times, stop - start, binning)
            for times in drawn
        ]
        for out, name in ((median, "median"), (mean, "mean")):
            out[start:stop] = _spread(np.stack([getattr(one, name) for one in again]))
    return median, mean


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation over the rows that are not NaN."""
    known = np.isfinite(values)
    n = known.sum(0)
    mean = np.where(known, values, 0.0).sum(0) / np.maximum(n, 1)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(0)
    return np.where(n > 1, np.sqrt(squares / np.maximum(n - 1, 1)), np.nan)


def image(cells: Cells, cell: NDArray[np.int64], values: NDArray) -> NDArray[np.float64]:
    """Return a map as an array (first axis, second axis), NaN where there is no cell."""
    first, second = cells.axes
    out = np.full(cells.size, np.nan)
    out[cell] = values
    return out.reshape(first.n, second.n)


def points(
    tally: Tally,
    binning: Binning,
    cells: Cells,
    *,
    rng: np.random.Generator,
    most: int = MOST_POINTS,
) -> dict[str, NDArray[np.float64]]:
    """Return one point per star of a tally, anywhere in its cell and bin.

    Parameters
    ----------
    tally : Tally
    binning : Binning
    cells : Cells
        Those of the tally.
    rng : numpy.random.Generator
    most : int
        Points at most: of more stars, so many are drawn at random.

    Returns
    -------
    dict of str to (N,) ndarray
        By the names of the axes and of the quantity, in random order. A star is known to the size
        of its cell, which for fine cells no figure can show.
    """
    if tally.n_stars > most:
        drawn = rng.integers(0, tally.n_stars, most)
        code = tally.code[np.searchsorted(np.cumsum(tally.count), drawn, side="right")]
    else:
        code = np.repeat(tally.code, tally.count)
        rng.shuffle(code)
    found = cells.centres(code // tally.n_bins)
    for axis in cells.axes:
        found[axis.name] = found[axis.name] + axis.step * rng.uniform(-0.5, 0.5, code.size)
    place = code % tally.n_bins + rng.random(code.size)
    return found | {binning.name: binning.low + binning.step * place}
