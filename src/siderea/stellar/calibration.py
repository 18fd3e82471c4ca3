"""Coverage, measured on stars that the network did not see, and mended.

A level asked for is replaced by the level that held the stated share of held-out stars: the
quantile recalibration of Kuleshov, Fenner & Ermon (2018), done apart in cells of predicted [Fe/H]
and of colour, where a cell's own stars say as much as their number allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["Calibration", "coverage", "coverage_by"]

KNOTS = np.array(
    [0.0, 0.005, 0.025, 0.05, 0.1, 0.16, 0.25, 0.375, 0.5, 0.625, 0.75, 0.84, 0.9, 0.95, 0.975,
     0.995, 1.0]
)  # fmt: skip
"""Levels at which the recalibration is tabulated."""
PRIOR_STARS = 100.0
"""A cell of so many stars counts as much as all stars together do for it."""


@dataclass(frozen=True)
class Calibration:
    """Which level to ask of the network for a level that is wanted.

    Parameters
    ----------
    fe_h_edges, colour_edges : (.,) ndarray
        Inner edges of the cells, in predicted [Fe/H] and in the colour index of the network.
    levels : (L, cells, knots) ndarray
        The network's level for each wanted level of `KNOTS`; rows of cells: [Fe/H] slowest.
    """

    fe_h_edges: NDArray[np.float64]
    colour_edges: NDArray[np.float64]
    levels: NDArray[np.float64]

    @classmethod
    def none(cls, n_labels: int) -> Calibration:
        """Return the calibration that changes nothing."""
        empty = np.empty(0)
        return cls(empty, empty, np.tile(KNOTS, (n_labels, 1, 1)))

    @classmethod
    def fit(
        cls,
        pit: NDArray[np.float64],
        fe_h: NDArray[np.float64],
        colour: NDArray[np.float64],
        *,
        n_fe_h: int = 5,
        n_colour: int = 3,
    ) -> Calibration:
        """Learn from the network's distribution function at the labels of unseen stars.

        Parameters
        ----------
        pit : (N, L) ndarray
            F(label), the label's error convolved in; NaN where there is no label.
        fe_h, colour : (N,) ndarray
            Predicted [Fe/H] and colour index of the same stars.
        n_fe_h, n_colour : int
            Cells along each, of equal numbers of stars.

        Returns
        -------
        Calibration
        """
        fe_h_edges = _edges(fe_h, n_fe_h)
        colour_edges = _edges(colour, n_colour)
        cell = _cells(fe_h, colour, fe_h_edges, colour_edges)
        n_cells = (fe_h_edges.size + 1) * (colour_edges.size + 1)
        levels = np.stack([_levels(column, cell, n_cells) for column in pit.T])
        return cls(fe_h_edges, colour_edges, levels)

    def network_levels(
        self, wanted: NDArray[np.float64], fe_h: NDArray, colour: NDArray
    ) -> NDArray[np.float64]:
        """Return the levels to ask of the network, (L, N, Q), for wanted levels (Q,)."""
        cell = _cells(fe_h, colour, self.fe_h_edges, self.colour_edges)
        table = np.array(
            [[np.interp(wanted, KNOTS, row) for row in of_label] for of_label in self.levels]
        )
        return table[:, cell]


def _edges(values: NDArray, n: int) -> NDArray[np.float64]:
    known = values[np.isfinite(values)]
    return np.quantile(known, np.arange(1, n) / n) if known.size else np.empty(0)


def _cells(fe_h: NDArray, colour: NDArray, fe_h_edges: NDArray, colour_edges: NDArray) -> NDArray:
    first = np.searchsorted(fe_h_edges, fe_h)
    second = np.searchsorted(colour_edges, colour)
    first, second = (np.minimum(i, e.size) for i, e in
                     ((first, fe_h_edges), (second, colour_edges)))  # fmt: skip
    return first * (colour_edges.size + 1) + second


def _levels(pit: NDArray, cell: NDArray, n_cells: int) -> NDArray[np.float64]:
    """Return the levels (cells, knots) of one label, each cell drawn to the whole."""
    known = np.isfinite(pit)
    whole = np.quantile(pit[known], KNOTS) if known.any() else KNOTS
    out = np.empty((n_cells, KNOTS.size))
    for number in range(n_cells):
        own = pit[known & (cell == number)]
        share = own.size / (own.size + PRIOR_STARS)
        out[number] = share * (np.quantile(own, KNOTS) if own.size else whole)
        out[number] += (1 - share) * whole
    out[:, 0], out[:, -1] = 0.0, 1.0
    return out


def coverage(low: ArrayLike, high: ArrayLike, truth: ArrayLike) -> float:
    """Return the share of truths inside their intervals; NaN truths do not count."""
    low, high, truth = (np.asarray(a, dtype=np.float64) for a in (low, high, truth))
    known = np.isfinite(truth) & np.isfinite(low)
    return float(np.mean(((truth >= low) & (truth <= high))[known])) if known.any() else np.nan


def coverage_by(
    values: ArrayLike, edges: ArrayLike, low: ArrayLike, high: ArrayLike, truth: ArrayLike
) -> pd.DataFrame:
    """Measure coverage in bins of something.

    Parameters
    ----------
    values : (N,) array-like
        What is binned: predicted [Fe/H], a colour.
    edges : (E + 1,) array-like
        Edges of the bins.
    low, high, truth : (N,) array-like
        Intervals and what they should hold.

    Returns
    -------
    pandas.DataFrame
        low_edge, high_edge, n, coverage; one row per bin.
    """
    edges = np.asarray(edges, dtype=np.float64)
    values, low, high, truth = (np.asarray(a) for a in (values, low, high, truth))
    rows = []
    for left, right in pairwise(edges):
        inside = (values >= left) & (values < right)
        share = coverage(low[inside], high[inside], truth[inside])
        rows.append((left, right, int(inside.sum()), share))
    return pd.DataFrame(rows, columns=["low_edge", "high_edge", "n", "coverage"])
