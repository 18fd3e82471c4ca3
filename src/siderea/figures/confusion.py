"""A confusion matrix: what the spectra of each class were taken for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.figures.style import INK, style

__all__ = ["confusion_counts", "confusion_matrix"]

_COLOURS = "Blues"
_DARK = 0.55


def confusion_counts(
    truth: Sequence[str] | NDArray, found: Sequence[str] | NDArray, classes: Sequence[str]
) -> NDArray[np.int64]:
    """Count pairs of true and found class.

    Parameters
    ----------
    truth, found : (N,) sequence of str
        Classes.
    classes : (C,) sequence of str
        Order of rows and columns; pairs with any other class are an error.

    Returns
    -------
    (C, C) ndarray of int
        Rows are true classes.

    Examples
    --------
    >>> confusion_counts(["a", "a", "b"], ["a", "b", "b"], ["a", "b"]).tolist()
    [[1, 1], [0, 1]]
    """
    names = [str(one) for one in classes]
    place = {name: number for number, name in enumerate(names)}
    a, b = [str(one) for one in truth], [str(one) for one in found]
    strangers = sorted((set(a) | set(b)) - set(names))
    if strangers or len(a) != len(b):
        raise DataError(
            f"confusion: {len(a)} and {len(b)} classes, not listed: {strangers}; expected as "
            f"many, of {names}"
        )
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, ([place[one] for one in a], [place[one] for one in b]), 1)
    return counts


@style()
def confusion_matrix(
    counts: ArrayLike,
    classes: Sequence[str],
    *,
    title: str = "",
    found_name: str = "found",
    truth_name: str = "true class",
) -> Figure:
    """Draw a confusion matrix: colour by share of the row, counts in the cells.

    Parameters
    ----------
    counts : (C, C) array-like of int
        Rows are true classes, columns found ones.
    classes : (C,) sequence of str
        Names of both.
    title : str
        First line of the title; accuracy and number of spectra are always told.
    found_name, truth_name : str
        What the axes are called.

    Returns
    -------
    matplotlib.figure.Figure
        To the right of each row its recall, below each column its precision.

    Raises
    ------
    DataError
        If the table is not square, does not fit the names, or is empty.
    """
    table = np.asarray(counts)
    n = len(classes)
    if table.shape != (n, n) or n == 0 or table.sum() == 0 or (table < 0).any():
        raise DataError(
            f"counts: found shape {table.shape}, sum {table.sum()}; expected ({n}, {n}) with "
            "at least one spectrum"
        )
    rows = table.sum(axis=1, keepdims=True)
    share = np.divide(table, rows, out=np.zeros(table.shape), where=rows > 0)
    side = 2.6 + 0.62 * n
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    ax = figure.add_subplot()
    image = ax.imshow(share, cmap=_COLOURS, vmin=0.0, vmax=1.0)
    _cells(ax, table, share)
    _margins(ax, table, [str(one) for one in classes])
    ax.set(xlabel=f"{found_name} (below: precision)", ylabel=f"{truth_name} (right: recall)")
    accuracy = np.trace(table) / table.sum()
    facts = f"{table.sum():,} spectra, accuracy {accuracy:.3f}"
    ax.set_title(f"{title}\n{facts}" if title else facts, loc="left")
    bar = figure.colorbar(image, ax=ax, label="share of the true class", shrink=0.7)
    bar.outline.set_visible(False)
    return figure


def _cells(ax: Axes, table: NDArray, share: NDArray) -> None:
    for row, column in np.ndindex(table.shape):
        if table[row, column]:
            colour = "white" if share[row, column] > _DARK else INK
            weight = "bold" if row == column else "normal"
            ax.text(
                column,
                row,
                f"{table[row, column]:,}",
                ha="center",
                va="center",
                color=colour,
                fontweight=weight,
                fontsize=8,
            )


def _margins(ax: Axes, table: NDArray, names: list[str]) -> None:
    """Name the classes, with precision below and recall to the right."""
    right = np.diag(table).astype(float)
    recall = np.divide(
        right, table.sum(axis=1), out=np.full(len(names), np.nan), where=table.sum(axis=1) > 0
    )
    precision = np.divide(
        right, table.sum(axis=0), out=np.full(len(names), np.nan), where=table.sum(axis=0) > 0
    )
    places = range(len(names))
    ax.set_xticks(places, [f"{a}\n{_short(b)}" for a, b in zip(names, precision, strict=True)])
    ax.set_yticks(places, names)
    for row, value in enumerate(recall):
        ax.text(len(names) - 0.4, row, _short(value), ha="left", va="center", fontsize=8)
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    if max(map(len, names)) > 4 and len(names) > 4:
        ax.tick_params(axis="x", rotation=90)


def _short(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"
