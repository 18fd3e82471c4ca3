"""Which channel finds what: overlaps, completeness, false positives.

At the channels' own thresholds, or at equal false positives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["at_false_positives", "completeness_grid", "overlap_table", "share_in_bins", "summary"]

Array = NDArray[np.float64]


def overlap_table(sets: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Count the stars that two channels find, pair by pair.

    Parameters
    ----------
    sets : mapping of str to (N,) array-like of bool
        What each channel finds among the same N stars.

    Returns
    -------
    pandas.DataFrame
        ``channel``, ``found``, ``alone`` (by no other), and ``also_<name>`` for every channel.

    Examples
    --------
    >>> overlap_table({"ccf": [True, False], "model": [True, True]})["alone"].tolist()
    [0, 1]
    """
    calls = {name: np.asarray(values, dtype=bool) for name, values in sets.items()}
    if len({one.size for one in calls.values()}) > 1:
        raise DataError("overlap: channels of different numbers of stars; expected the same stars")
    total = np.sum(list(calls.values()), axis=0)
    rows = []
    for name, mine in calls.items():
        row: dict[str, object] = {"channel": name, "found": int(mine.sum())}
        row["alone"] = int((mine & (total == 1)).sum())
        row |= {f"also_{other}": int((mine & calls[other]).sum()) for other in calls}
        rows.append(row)
    return pd.DataFrame(rows)


def at_false_positives(
    scores: ArrayLike, binary: ArrayLike, share: float = 0.01
) -> NDArray[np.bool_]:
    """Tell which stars (N,) are found where a share of the single ones is let pass.

    Parameters
    ----------
    scores : (N,) array-like
        The higher the more likely a binary; NaN is never found.
    binary : (N,) array-like of bool
        The truth, by which the threshold is set.
    share : float
        Of the single stars with a score above the threshold, at most.
    """
    values = np.nan_to_num(np.asarray(scores, dtype=float), nan=-np.inf)
    singles = np.sort(values[~np.asarray(binary, dtype=bool)])
    if not singles.size:
        raise DataError("false positives: no single star among the truth; expected some")
    allowed = int(np.floor(share * singles.size))
    threshold = singles[singles.size - 1 - allowed]
    return np.asarray(values > threshold)


def share_in_bins(
    x: ArrayLike, found: ArrayLike, edges: ArrayLike
) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Return centres, share found, its binomial error and the number of stars of bins.

    Parameters
    ----------
    x : (N,) array-like
    found : (N,) array-like of bool
    edges : (B + 1,) array-like
        Of half-open bins; the last is closed.
    """
    values, calls = np.asarray(x, dtype=float), np.asarray(found, dtype=float)
    ends = np.asarray(edges, dtype=float)
    number, _ = np.histogram(values, ends)
    hits, _ = np.histogram(values, ends, weights=calls)
    centre = (ends[1:] + ends[:-1]) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / number
        # of the smoothed share: an error of 0 at 0 of few would be wrong
        smooth = (hits + 1) / (number + 2)
        error = np.sqrt(smooth * (1 - smooth) / number)
    return centre, share, error, number


def completeness_grid(
    x: ArrayLike,
    y: ArrayLike,
    found: ArrayLike,
    edges: tuple[ArrayLike, ArrayLike],
    *,
    least: int = 5,
) -> Array:
    """Return the share found (X, Y) in cells of two quantities; NaN in cells of few stars."""
    ends = [np.asarray(one, dtype=float) for one in edges]
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    number, *_ = np.histogram2d(xs, ys, ends)
    hits, *_ = np.histogram2d(xs, ys, ends, weights=np.asarray(found, dtype=float))
    return np.where(number >= least, hits / np.maximum(number, 1), np.nan)


def summary(
    sets: Mapping[str, ArrayLike],
    binary: ArrayLike,
    groups: Sequence[tuple[str, NDArray[np.bool_]]],
) -> pd.DataFrame:
    """Return the share found in groups of stars: of binaries completeness, of singles false ones.

    Parameters
    ----------
    sets : mapping of str to (N,) array-like of bool
    binary : (N,) array-like of bool
        The truth.
    groups : sequence of (str, (N,) ndarray of bool)
        Names and members; a group holds binaries only or single stars only.

    Returns
    -------
    pandas.DataFrame
        ``group``, ``kind``, ``stars``, and a share per channel.
    """
    truth = np.asarray(binary, dtype=bool)
    rows = []
    for name, members in groups:
        kinds = np.unique(truth[members])
        if kinds.size > 1:
            raise DataError(f"group {name!r}: holds binaries and single stars; expected one kind")
        kind = "binaries" if kinds.size and kinds[0] else "singles"
        row: dict[str, object] = {"group": name, "kind": kind, "stars": int(members.sum())}
        for channel, calls in sets.items():
            mine = np.asarray(calls, dtype=bool)[members]
            row[channel] = float(mine.mean()) if mine.size else float("nan")
        rows.append(row)
    return pd.DataFrame(rows)
