"""Counts of a quantity in cells, exact and mergeable: the sum of two tallies is the tally of both.

A star falls in a cell and, by its value, in a bin of fixed width; only whole numbers are kept. So
the tally of a catalogue is the same however it was cut in partitions, and in whatever order those
came back; its size is bounded by the cells and bins that are occupied, not by the stars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.galaxy.cells import NOWHERE

__all__ = ["FE_H", "Binning", "Tally"]


@dataclass(frozen=True)
class Binning:
    """Bins of a quantity.

    Parameters
    ----------
    name : str
        The column.
    low, high, step : float
        Bins; a value beyond is counted in the last bin on its side.
    """

    name: str
    low: float
    high: float
    step: float

    @property
    def n(self) -> int:
        """Number of bins."""
        return int(np.ceil((self.high - self.low) / self.step - 1e-9))

    def index(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the bin of each finite value."""
        place = np.floor((values - self.low) / self.step)
        return np.clip(place, 0, self.n - 1).astype(np.int64)


FE_H = Binning("fe_h", -4.0, 1.0, 0.01)
"""Bins of [Fe/H]: 0.01 dex, to which medians and means of a cell are resolved and better."""


@dataclass(frozen=True)
class Tally:
    """Stars per cell and bin.

    Parameters
    ----------
    n_bins : int
        Bins per cell.
    code : (M,) ndarray of int
        cell · n_bins + bin, increasing; only those that hold stars.
    count : (M,) ndarray of int
        Stars.
    """

    n_bins: int
    code: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def empty(cls, n_bins: int) -> Tally:
        """Return the tally of no star."""
        return cls(n_bins, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, cell: NDArray[np.int64], values: ArrayLike, binning: Binning) -> Tally:
        """Count stars.

        Parameters
        ----------
        cell : (N,) ndarray of int
            `NOWHERE` is left out.
        values : (N,) array-like
            NaN is left out.
        binning : Binning
        """
        values = np.asarray(values, dtype=np.float64)
        if cell.shape != values.shape:
            raise DataError(f"tally: found {cell.shape} cells, {values.shape} values")
        used = (cell != NOWHERE) & np.isfinite(values)
        code = cell[used] * binning.n + binning.index(values[used])
        return cls(binning.n, *np.unique(code, return_counts=True))

    @classmethod
    def total(cls, tallies: Iterable[Tally], n_bins: int) -> Tally:
        """Add up any number of tallies, a few in memory at a time."""
        whole, waiting, size = cls.empty(n_bins), [], 0
        for tally in tallies:
            waiting.append(tally)
            size += tally.code.size
            if size > max(4_000_000, 2 * whole.code.size):
                whole, waiting, size = _joined([whole, *waiting]), [], 0
        return _joined([whole, *waiting])

    def __add__(self, other: Tally) -> Tally:
        return _joined([self, other])

    @property
    def n_stars(self) -> int:
        """Stars counted."""
        return int(self.count.sum())

    @property
    def cell(self) -> NDArray[np.int64]:
        """Cell of each entry (M,)."""
        return self.code // self.n_bins

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Return the arrays that hold it, for a file."""
        return {"n_bins": np.array(self.n_bins), "code": self.code, "count": self.count}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Tally:
        """Return the tally that `arrays` held."""
        return cls(int(arrays["n_bins"]), arrays["code"], arrays["count"])


def _joined(tallies: list[Tally]) -> Tally:
    n_bins = {tally.n_bins for tally in tallies}
    if len(n_bins) != 1:
        raise DataError(f"tallies: found {sorted(n_bins)} bins; expected the same in all")
    code = np.concatenate([tally.code for tally in tallies])
    order = np.argsort(code, kind="stable")
    code, first = np.unique(code[order], return_index=True)
    count = np.concatenate([tally.count for tally in tallies])[order]
    total = np.add.reduceat(count, first) if first.size else count
    return Tally(n_bins.pop(), code, total)
