"""Columns of a catalogue as points: each by its own spread, what is missing said and filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.errors import DataError

__all__ = ["standardised"]

_FARTHEST = 10.0
"""Outliers are held at so many spreads: one wild value must not rule a distance."""


def standardised(
    table: pd.DataFrame, columns: Sequence[str], *, logarithms: Sequence[str] = ()
) -> NDArray[np.float64]:
    """Return columns of a table as points for a map.

    Each is centred on its median and divided by half the width of its central 68 %; a missing value
    is put at the median, and one more coordinate, 1 where it was missing, says so: that a pipeline
    could not measure a star tells something of the star.

    Parameters
    ----------
    table : pandas.DataFrame
        N rows.
    columns : sequence of str
        Columns to use; values that are not finite are missing.
    logarithms : sequence of str
        Those of them whose decimal logarithm counts; values not above zero are missing.

    Returns
    -------
    (N, D) ndarray
        One coordinate per column, then one for each column with missing values.

    Raises
    ------
    DataError
        If a column is absent, or holds no value.

    Examples
    --------
    >>> table = pd.DataFrame({"teff": [4000.0, 5000.0, 6000.0, np.nan]})
    >>> standardised(table, ["teff"])[:, 1].tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    absent = [name for name in (*columns, *logarithms) if name not in table]
    if absent:
        raise DataError(f"table: no column {absent[0]}; found {', '.join(map(str, table))}")
    values = table[list(columns)].to_numpy(dtype=float, copy=True)
    for name in logarithms:
        place = list(columns).index(name)
        values[:, place] = np.log10(np.where(values[:, place] > 0, values[:, place], np.nan))
    missing = ~np.isfinite(values)
    if missing.all(axis=0).any():
        empty = list(columns)[int(np.argmax(missing.all(axis=0)))]
        raise DataError(f"table: column {empty} holds no value")
    values[missing] = np.nan
    low, middle, high = np.nanpercentile(values, [16, 50, 84], axis=0)
    spread = np.where(high > low, (high - low) / 2, 1.0)
    scaled = np.clip((values - middle) / spread, -_FARTHEST, _FARTHEST)
    return np.hstack([np.where(missing, 0.0, scaled), missing[:, missing.any(axis=0)]])
