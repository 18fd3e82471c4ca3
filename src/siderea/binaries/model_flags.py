"""Tables of detections by the model: flags, one bit each, and rows that were not fitted."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["ModelFlag", "near_end", "whole_table"]

NEAR_END = 0.02
"""A single star nearer to the ends of the model's temperatures, as a share of their range, may lie
beyond them: the model cannot judge it."""


class ModelFlag(IntFlag):
    """What is known of a detection by the model."""

    NONE = 0
    NO_DATA = 1  #: too few good pixels: nothing was fitted
    NOT_CONVERGED = 2  #: the steps ran out before the fits were at rest
    AT_BOUND = 4  #: the single star is at the edge of the model: another kind of star, perhaps
    POOR_FIT = 8  #: even two stars leave twice the χ² that the errors allow
    FAINT = 16  #: the companion gives less than 2 % of the light: its parameters mean little
    BEYOND = 32  #: as hot or cool as the model goes, or beyond: not judged, no probability


def near_end(teff: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    """Tell which temperatures (N,), K, are so near the ends of a range that they may lie beyond."""
    reach = NEAR_END * (high - low)
    return np.asarray((teff < low + reach) | (teff > high - reach))


def whole_table(
    ids: ArrayLike, rows: NDArray[np.intp], columns: Mapping[str, NDArray]
) -> pd.DataFrame:
    """Return a table of N spectra from the columns of those that were fitted.

    Parameters
    ----------
    ids : (N,) array-like
    rows : (M,) ndarray of int
        Those that were fitted; the others are NaN, 0 or False, with the flag `ModelFlag.NO_DATA`.
    columns : mapping of str to (M,) ndarray
        ``flags`` among them.
    """
    table = pd.DataFrame({"id": ids})
    for name, column in columns.items():
        missing = 0 if column.dtype.kind == "i" else np.nan
        full = np.full(len(table), missing, dtype=column.dtype)
        full[rows] = column
        table[name] = full
    table.loc[~np.isin(np.arange(len(table)), rows), "flags"] = int(ModelFlag.NO_DATA)
    return table
