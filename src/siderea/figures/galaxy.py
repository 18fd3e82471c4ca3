"""The Milky Way: maps in R–Z, X–Y and on the sky, every star as a point, and vertical profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.figures.style import CATEGORICAL, CONTINUOUS, INK, MARKERS, style

__all__ = ["plane_figure", "profile_figure", "sky_figure", "star_figure"]

LABELS = {
    "R": "R (kpc)",
    "z": "Z (kpc)",
    "x": "X (kpc)",
    "y": "Y (kpc)",
    "abs_z": "|Z| (kpc)",
    "fe_h": "[Fe/H] (dex)",
}
"""What is written at an axis for a column."""
PIXELS = 900
"""Pixels of the longer side of a figure of single stars."""
FEW = 50_000
"""Stars that are drawn as dots; more are rasterised first."""


@style()
def plane_figure(
    edges: Mapping[str, ArrayLike],
    value: NDArray[np.float64],
    count: NDArray[np.float64],
    *,
    label: str,
    limits: tuple[float, float],
    sun: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw a map of a plane: the quantity, and beside it how many stars it rests on.

    Parameters
    ----------
    edges : mapping of str to (n + 1,) array-like
        Edges of the cells along two axes, in equal steps, by column; the first is drawn to the
        right.
    value, count : (n, m) ndarray
        NaN where there is no cell.
    label : str
        Of the quantity.
    limits : (float, float)
        Ends of its colours.
    sun : (float, float), optional
        Where the Sun is.
    title : str
    """
    (name_x, x), (name_y, y) = edges.items()
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    rows, columns = _window(value, x), _window(value.T, y)
    width, height = x[rows.stop] - x[rows.start], y[columns.stop] - y[columns.start]
    side = 4.4
    figure = Figure(
        figsize=(2 * side + 0.4, float(np.clip(side * height / width, 2.4, 9.0)) + 1.5),
        layout="constrained",
    )
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    panels = ((left, value, label, limits), (right, np.log10(count), "log₁₀ stars per cell", None))
    for axes, image, text, ends in panels:
        low, high = ends or (float(np.nanmin(image)), float(np.nanmax(image)) + 1e-6)
        mesh = axes.imshow(
            image[rows, columns].T,
            extent=(x[rows.start], x[rows.stop], y[columns.start], y[columns.stop]),
            origin="lower",
            interpolation="nearest",
            cmap=CONTINUOUS,
            vmin=low,
            vmax=high,
        )
        # below: an image of equal aspect is narrower or lower than its place, a bar beside is not
        figure.colorbar(mesh, ax=axes, label=text, location="bottom", shrink=0.8, aspect=30)
        axes.set(xlabel=LABELS.get(name_x, name_x), aspect="equal")
        _mark_sun(axes, sun)
    left.set(ylabel=LABELS.get(name_y, name_y), title=title)
    return figure


@style()
def star_figure(
    x: ArrayLike,
    y: ArrayLike,
    value: ArrayLike,
    *,
    names: tuple[str, str],
    label: str,
    limits: tuple[float, float],
    title: str = "",
) -> Figure:
    """Draw every star as a point in the colour of its own value, tens of millions of them.

    Parameters
    ----------
    x, y, value : (N,) array-like
        In random order: where stars fall on one pixel, the last is seen.
    names : (str, str)
        Columns of x and y.
    label : str
        Of the value.
    limits : (float, float)
        Ends of its colours.
    title : str

    Raises
    ------
    DataError
        If there is no star, or the package datashader is absent.
    """
    x, y, value = (np.asarray(column, dtype=np.float64) for column in (x, y, value))
    if not x.size:
        raise DataError("figure of single stars: found no star")
    ends = [_ends(column) for column in (x, y)]
    spans = [high - low for low, high in ends]
    size = 6.4 / max(spans)
    figure = Figure(
        figsize=(max(spans[0] * size, 3.0) + 1.4, max(spans[1] * size, 2.4) + 0.8),
        layout="constrained",
    )
    axes = figure.subplots()
    colours: dict[str, Any] = {"cmap": CONTINUOUS, "vmin": limits[0], "vmax": limits[1]}
    shown: Any
    if x.size <= FEW:
        shown = axes.scatter(x, y, c=value, s=np.clip(2e4 / x.size, 1, 16), linewidths=0, **colours)
        axes.set(xlim=ends[0], ylim=ends[1])
    else:
        image = _rasterised(x, y, value, ends)
        box = (*ends[0], *ends[1])
        shown = axes.imshow(image, extent=box, origin="lower", interpolation="nearest", **colours)
    figure.colorbar(shown, ax=axes, label=label, shrink=0.9)
    axes.set(xlabel=LABELS.get(names[0], names[0]), ylabel=LABELS.get(names[1], names[1]))
    axes.set(title=title, aspect="equal")
    return figure


@style()
def sky_figure(
    ra: ArrayLike, dec: ArrayLike, value: ArrayLike, *, label: str, size: float, title: str = ""
) -> Figure:
    """Draw pixels of the sky in an equal-area projection.

    Parameters
    ----------
    ra, dec : (C,) array-like
        Centres, deg.
    value : (C,) array-like
    label : str
    size : float
        Side of a pixel, deg.
    title : str
    """
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    axes: Any = figure.subplots(subplot_kw={"projection": "mollweide"})
    lon = np.deg2rad((180.0 - np.asarray(ra, dtype=float) + 180.0) % 360.0 - 180.0)
    points = axes.scatter(
        lon,
        np.deg2rad(np.asarray(dec, dtype=float)),
        c=value,
        s=(size * 1.45) ** 2,
        marker="s",
        linewidths=0,
        cmap=CONTINUOUS,
        rasterized=True,
    )
    figure.colorbar(points, ax=axes, label=label, shrink=0.8, orientation="horizontal")
    hours = np.arange(-150, 181, 60)
    axes.set_xticks(np.deg2rad(hours), [f"{(180 - hour) % 360}°" for hour in hours])
    axes.grid(color=INK, alpha=0.25, linewidth=0.4)
    axes.set(xlabel="right ascension", ylabel="declination (deg)", title=title)
    return figure


@style()
def profile_figure(
    profiles: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]],
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    name: str,
    label: str,
    title: str = "",
) -> Figure:
    """Draw profiles with their errors, and the straight lines through them.

    Parameters
    ----------
    profiles : mapping of str to (place, value, error)
        By what each is called.
    lines : mapping of str to (place, value)
        Under the same names.
    name : str
        Column along which they are.
    label : str
        Of the value.
    title : str
    """
    figure = Figure(figsize=(6.0, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (which, (place, value, error)) in enumerate(profiles.items()):
        colour = CATEGORICAL[number % len(CATEGORICAL)]
        marker = MARKERS[number % len(MARKERS)]
        axes.errorbar(
            place, value, error, fmt=marker, color=colour, markersize=3.5, label=which, capsize=0
        )
        if which in lines:
            axes.plot(*lines[which], color=colour, linewidth=1.2)
    axes.set(xlabel=LABELS.get(name, name), ylabel=label, title=title)
    axes.legend()
    return figure


def _rasterised(
    x: NDArray, y: NDArray, value: NDArray, ends: list[tuple[float, float]]
) -> NDArray[np.float64]:
    try:
        import datashader
    except ImportError:
        raise DataError(
            "a figure of every star needs datashader; pip install 'siderea[scale]'"
        ) from None
    import pandas as pd

    spans = [high - low for low, high in ends]
    width, height = (max(round(PIXELS * span / max(spans)), 2) for span in spans)
    canvas = datashader.Canvas(width, height, x_range=ends[0], y_range=ends[1])
    frame = pd.DataFrame({"x": x, "y": y, "value": value})
    return np.asarray(canvas.points(frame, "x", "y", agg=datashader.last("value")))


def _ends(values: NDArray) -> tuple[float, float]:
    """Return where nearly all values are, with a margin."""
    low, high = np.quantile(values, (0.0005, 0.9995))
    return float(low) - 0.05, float(high) + 0.05


def _window(value: NDArray, edges: NDArray) -> slice:
    """Return the rows of an image between the first and the last that hold something."""
    rows = np.flatnonzero(np.isfinite(value).any(axis=1))
    if not rows.size:
        raise DataError("map: found no cell with enough stars; expected some to draw")
    return slice(max(int(rows[0]) - 2, 0), min(int(rows[-1]) + 3, edges.size - 1))


def _mark_sun(axes: Axes, sun: tuple[float, float] | None) -> None:
    if sun is not None:
        axes.plot(*sun, marker="o", color="white", markeredgecolor="black", markersize=5)
        axes.annotate("Sun", sun, (6, 0), textcoords="offset points", fontsize=7, va="center")
