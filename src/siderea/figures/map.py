"""A map of many spectra, coloured by a column of the catalogue or by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.figures.style import (
    CATEGORICAL,
    CONTINUOUS,
    DIVERGING,
    MARKERS,
    MISSING,
    OTHERS,
    style,
)

__all__ = ["DENSE", "embedding_map"]

DENSE = 200_000
"""Above this many points a map shows cells, not points: points would hide each other."""

_CELLS = 300
"""Hexagonal cells across a dense map."""

_LARGEST = 15
"""Categories that get a colour of their own; the rarer ones share one."""

_RASTER = 5_000
"""Above this many points they are drawn as pixels, so that a PDF stays small."""


@style()
def embedding_map(
    xy: ArrayLike,
    *,
    values: ArrayLike | None = None,
    label: str = "",
    unit: str = "",
    categories: Sequence[object] | NDArray | pd.Series | None = None,
    title: str = "",
    axis_name: str = "t-SNE",
    diverging: bool = False,
) -> Figure:
    """Draw a map, coloured by a column or by class.

    Parameters
    ----------
    xy : (N, 2) array-like
        Places. Rows that are not finite are not drawn, and not counted.
    values : (N,) array-like, optional
        Column that colours the points, between its 1st and 99th percentiles; what has no value
        (NaN) is grey, and counted in the legend. Above 200,000 points each cell shows its median.
    label, unit : str
        Name and unit of the column.
    categories : (N,) sequence of str, optional
        Class of each point, missing where it is None, NaN or empty. The 15 largest classes are
        told apart, rare ones on top; the others are drawn as one.
    title : str
        First line of the title; the number of spectra is always told.
    axis_name : str
        What the two axes are called.
    diverging : bool
        Centre the colours on zero.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    DataError
        If the arrays do not fit together, nothing can be drawn, or both ``values`` and
        ``categories`` are given.
    """
    if values is not None and categories is not None:
        raise DataError("found both values and categories; expected one of them to colour the map")
    places, drawn = _places(xy)
    figure = Figure(figsize=(7.0, 5.6), layout="constrained")
    ax = figure.add_subplot()
    if categories is not None:
        _by_category(ax, places, _column(pd.Series(categories, dtype=object), drawn))
    elif values is not None:
        column = _column(pd.Series(np.asarray(values, dtype=float)), drawn).to_numpy()
        artist = _by_value(ax, places, column, _colours_of(column, diverging))
        name = f"median {label}" if len(places) > DENSE else label
        _colour_bar(figure, ax, artist, column, f"{name} ({unit})" if unit else name)
    elif len(places) > DENSE:
        cells = ax.hexbin(
            places[:, 0], places[:, 1], gridsize=_CELLS, bins="log", cmap=CONTINUOUS, linewidths=0.1
        )
        figure.colorbar(cells, ax=ax, label="spectra per cell", shrink=0.8)
    else:
        _dots(ax, places, len(places), color=CATEGORICAL[0])
    _frame(ax, title, axis_name, len(places))
    return figure


def _places(xy: ArrayLike) -> tuple[NDArray, NDArray[np.bool_]]:
    """Return the finite places, and which rows they are."""
    places = np.asarray(xy, dtype=float)
    if places.ndim != 2 or places.shape[1] != 2:
        raise DataError(f"xy: found shape {places.shape}; expected (N, 2)")
    drawn = np.isfinite(places).all(axis=1)
    if not drawn.any():
        raise DataError(f"xy: none of {len(places)} rows has a finite place; nothing to draw")
    return places[drawn], drawn


def _column(column: pd.Series, drawn: NDArray[np.bool_]) -> pd.Series:
    if len(column) != len(drawn):
        raise DataError(f"found {len(column)} values for {len(drawn)} places; expected as many")
    return column[drawn].reset_index(drop=True)


def _size_and_alpha(n: int) -> tuple[float, float]:
    """Return the area (pt²) and opacity of each of n points: from 61 to hundreds of thousands."""
    size = float(np.clip(500 * n**-0.6, 0.2, 36))
    return size, float(np.clip(1.2 - 0.15 * np.log10(n), 0.35, 0.9))


def _dots(
    ax: Axes,
    places: NDArray,
    among: int,
    *,
    color: str | None = None,
    label: str | None = None,
    marker: str = "o",
) -> None:
    """Draw points of one colour; their look depends on the number of points on the whole map."""
    size, alpha = _size_and_alpha(among)
    ax.scatter(
        places[:, 0],
        places[:, 1],
        s=size,
        alpha=alpha,
        color=color,
        label=label,
        marker=marker,
        linewidths=0,
        rasterized=among > _RASTER,
    )


def _by_value(ax: Axes, places: NDArray, column: NDArray, look: tuple[str, float, float]) -> Any:
    """Draw points or, on a dense map, cells by value; return what the colour bar belongs to."""
    known = np.isfinite(column)
    n, dense = len(places), len(places) > DENSE
    colours, low, high = look
    if not known.all():
        ghosts = f"no value: {np.count_nonzero(~known):,}"
        _dots(ax, places[~known], n, color=MISSING, label=ghosts)
    if dense:
        return ax.hexbin(
            places[known, 0],
            places[known, 1],
            C=column[known],
            reduce_C_function=np.median,
            gridsize=_CELLS,
            cmap=colours,
            vmin=low,
            vmax=high,
            linewidths=0.1,
        )
    size, alpha = _size_and_alpha(n)
    order = np.random.default_rng(0).permutation(np.flatnonzero(known))  # nobody always on top
    return ax.scatter(
        places[order, 0],
        places[order, 1],
        c=column[order],
        s=size,
        alpha=alpha,
        cmap=colours,
        vmin=low,
        vmax=high,
        linewidths=0,
        rasterized=n > _RASTER,
    )


def _colours_of(column: NDArray, diverging: bool) -> tuple[str, float, float]:
    """Return the colour map and its robust limits: 1st to 99th percentile, never of zero width."""
    known = column[np.isfinite(column)]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return DIVERGING if diverging else CONTINUOUS, float(low), float(high)


def _colour_bar(figure: Figure, ax: Axes, artist: Any, column: NDArray, name: str) -> None:
    """Label the colours by name and unit; pointed ends say that values lie beyond."""
    known = column[np.isfinite(column)]
    low, high = artist.get_clim()
    below, above = bool((known < low).any()), bool((known > high).any())
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (below, above), "neither"
    )
    opaque = ScalarMappable(artist.norm, artist.cmap)  # the points themselves are transparent
    bar = figure.colorbar(opaque, ax=ax, label=name, extend=extend, shrink=0.8)
    bar.outline.set_visible(False)


def _by_category(ax: Axes, places: NDArray, categories: pd.Series) -> None:
    """Draw classes, the largest first, so that the rare ones lie on top."""
    named = categories.where(categories.notna() & (categories.astype(str).str.strip() != ""))
    counts = named.dropna().astype(str).value_counts()
    unnamed = named.isna().to_numpy()
    n = len(places)
    if unnamed.any():
        _dots(ax, places[unnamed], n, color=MISSING, label=f"no class: {unnamed.sum():,}")
    kept = list(counts.index[:_LARGEST])
    rest = (named.notna() & ~named.astype(str).isin(kept)).to_numpy()
    if rest.any():
        label = f"{len(counts) - len(kept)} other classes: {rest.sum():,}"
        _dots(ax, places[rest], n, color=OTHERS, label=label, marker="D")
    for number, name in enumerate(kept):
        _dots(
            ax,
            places[(named == name).to_numpy()],
            int(np.sqrt(n * counts[name])),  # a few among many are drawn larger
            color=CATEGORICAL[number % len(CATEGORICAL)],
            label=f"{name}: {counts[name]:,}",
            marker=MARKERS[number // len(CATEGORICAL)],
        )


def _frame(ax: Axes, title: str, axis_name: str, n: int) -> None:
    """Name the axes, keep their scales equal, tell the number of spectra, place the legend."""
    spectra = f"Projection of {n:,} {'spectrum' if n == 1 else 'spectra'}"
    ax.set(xlabel=f"{axis_name} 1", ylabel=f"{axis_name} 2")
    ax.set_title(f"{title}\n{spectra}" if title else spectra, loc="left")
    ax.set_aspect("equal", adjustable="datalim")
    if ax.get_legend_handles_labels()[1]:
        legend = ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.1), ncols=4)
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set(sizes=[24.0], alpha=1.0)
