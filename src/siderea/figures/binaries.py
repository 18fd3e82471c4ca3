"""Figures of detections: who finds what, what is missed, what is found that is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.figures.style import CATEGORICAL, CONTINUOUS, INK, MARKERS, MISSING, style

__all__ = ["Curve", "completeness_curves", "completeness_maps", "overlap_figure", "who_finds_what"]

Curve = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Centres of bins, share, and its error."""

MOST_SETS = 15
SMALLEST_RATIO = 1e-3
"""Light ratio at which fainter companions are drawn."""


@style()
def overlap_figure(sets: Mapping[str, ArrayLike], *, title: str = "") -> Figure:
    """Draw how many stars each combination of channels finds (an UpSet plot).

    Parameters
    ----------
    sets : mapping of str to (N,) array-like of bool
        Which of the same N stars each channel finds.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = list(sets)
    calls = np.column_stack([np.asarray(sets[name], dtype=bool) for name in names])
    patterns, count = np.unique(calls[calls.any(axis=1)], axis=0, return_counts=True)
    order = np.argsort(-count)[:MOST_SETS]
    patterns, count = patterns[order], count[order]
    width = max(4.6, 0.5 * len(count) + 2.6)
    figure = Figure(figsize=(width, 3.4 + 0.25 * len(names)), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 0.4 * len(names)), width_ratios=(1, 3))
    bars = figure.add_subplot(grid[0, 1])
    x = np.arange(len(count))
    bars.bar(x, count, color=INK, width=0.6)
    for place, number in enumerate(count.tolist()):
        bars.text(place, number, f" {number}", ha="center", va="bottom", fontsize=7)
    bars.set_ylabel("stars found by exactly these")
    bars.set_xticks([])
    bars.set_title(title)
    dots = figure.add_subplot(grid[1, 1], sharex=bars)
    for place, pattern in enumerate(patterns):
        on = np.flatnonzero(pattern)
        dots.scatter(np.full(len(names), place), range(len(names)), s=22, color=MISSING)
        dots.plot(np.full(on.size, place), on, color=INK, marker="o", markersize=5, linewidth=1.5)
    dots.set_yticks(range(len(names)), names)
    dots.set_ylim(len(names) - 0.5, -0.5)
    dots.spines[["left", "bottom"]].set_visible(False)
    dots.tick_params(left=False, bottom=False, labelbottom=False)
    totals = figure.add_subplot(grid[1, 0], sharey=dots)
    totals.barh(range(len(names)), calls.sum(axis=0), color=CATEGORICAL[0], height=0.6)
    totals.invert_xaxis()
    totals.tick_params(labelleft=False, left=False)
    totals.set_xlabel("stars found in all")
    return figure


@style()
def who_finds_what(
    dv: ArrayLike,
    ratio: ArrayLike,
    sets: Mapping[str, ArrayLike],
    *,
    missed: bool = True,
    axis_words: tuple[str, str] = ("|Δv|", "light of the second star over the first's"),
) -> Figure:
    """Draw each channel's finds among binaries in the plane of Δv and light ratio.

    Parameters
    ----------
    dv, ratio : (N,) array-like
        Of binaries, km/s; companions fainter than a thousandth are drawn there.
    sets : mapping of str to (N,) array-like of bool
        What each channel finds.
    missed : bool
        Whether binaries that a channel does not find are drawn, in grey.
    axis_words : (str, str)

    Returns
    -------
    matplotlib.figure.Figure
        One panel per channel.
    """
    x = np.maximum(np.abs(np.asarray(dv, dtype=float)), 0.3)
    y = np.maximum(np.asarray(ratio, dtype=float), SMALLEST_RATIO)
    columns = min(len(sets), 3)
    rows = -(-len(sets) // columns)
    figure = Figure(figsize=(3.1 * columns + 0.4, 2.9 * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for number, (axis, (name, calls)) in enumerate(zip(axes.flat, sets.items(), strict=False)):
        on = np.asarray(calls, dtype=bool)
        if missed:
            axis.scatter(x[~on], y[~on], s=5, color=MISSING, linewidths=0, rasterized=True)
        colour = CATEGORICAL[number % len(CATEGORICAL)]
        marker = MARKERS[number % len(MARKERS)]
        axis.scatter(x[on], y[on], s=7, color=colour, marker=marker, linewidths=0, rasterized=True)
        axis.set_title(f"{name}: {on.sum()} of {on.size}")
        axis.set(xscale="log", yscale="log")
        _plain(axis)
    for axis in axes.flat[len(sets) :]:
        axis.set_visible(False)
    figure.supxlabel(f"{axis_words[0]} / km s$^{{-1}}$", fontsize=9)
    figure.supylabel(axis_words[1], fontsize=9)
    return figure


@style()
def completeness_maps(
    x_edges: ArrayLike,
    y_edges: ArrayLike,
    maps: Mapping[str, ArrayLike],
    *,
    x_word: str,
    y_word: str,
    log: tuple[bool, bool] = (True, False),
) -> Figure:
    """Draw the share of binaries that each channel finds, in cells of two quantities.

    Parameters
    ----------
    x_edges, y_edges : (X + 1,), (Y + 1,) array-like
    maps : mapping of str to (X, Y) array-like
        Shares from 0 to 1; NaN in empty cells.
    x_word, y_word : str
        Names of the axes, with units.
    log : (bool, bool)
        Whether the axes are logarithmic.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per channel, the share written in each cell.
    """
    if not maps:
        raise DataError("maps: found none; expected one or more channels")
    columns = min(len(maps), 2)
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(3.9 * columns + 0.6, 2.9 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    xs, ys = np.asarray(x_edges, dtype=float), np.asarray(y_edges, dtype=float)
    for axis, (name, values) in zip(axes.flat, maps.items(), strict=False):
        shares = np.ma.masked_invalid(np.asarray(values, dtype=float))
        drawn = axis.pcolormesh(xs, ys, shares.T, cmap=CONTINUOUS, vmin=0, vmax=1)
        axis.set_facecolor(MISSING)
        _write_shares(axis, xs, ys, shares, log)
        axis.set_title(name)
        axis.set_xscale("log" if log[0] else "linear")
        axis.set_yscale("log" if log[1] else "linear")
        _plain(axis, log)
    for axis in axes.flat[len(maps) :]:
        axis.set_visible(False)
    figure.colorbar(drawn, ax=axes, label="share of binaries found", shrink=0.8)
    figure.supxlabel(x_word, fontsize=9)
    figure.supylabel(y_word, fontsize=9)
    return figure


def _write_shares(
    axis: Axes, xs: NDArray, ys: NDArray, shares: np.ma.MaskedArray, log: tuple[bool, bool]
) -> None:
    x = np.sqrt(xs[1:] * xs[:-1]) if log[0] else (xs[1:] + xs[:-1]) / 2
    y = np.sqrt(ys[1:] * ys[:-1]) if log[1] else (ys[1:] + ys[:-1]) / 2
    for i, j in np.argwhere(~np.ma.getmaskarray(shares)):
        value = float(shares[i, j])
        ink = "white" if value < 0.6 else "black"
        axis.text(x[i], y[j], f"{100 * value:.0f}", ha="center", va="center", fontsize=6, color=ink)


@style()
def completeness_curves(
    panels: Sequence[tuple[str, bool, Mapping[str, Curve]]], *, y_word: str, percent_top: float = 1
) -> Figure:
    """Draw shares as functions of several quantities, a curve per channel.

    Parameters
    ----------
    panels : sequence of (str, bool, mapping of str to Curve)
        Name of the quantity with its unit, whether its axis is logarithmic, and the curves.
    y_word : str
    percent_top : float
        Upper end of the vertical axis, as a share.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.9 * columns + 0.5, 2.6 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis, (word, log, curves) in zip(axes.flat, panels, strict=False):
        for number, (name, (x, share, error)) in enumerate(curves.items()):
            axis.errorbar(
                x,
                share,
                yerr=error,
                label=name,
                color=CATEGORICAL[number % len(CATEGORICAL)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=3.5,
                elinewidth=0.6,
            )
        axis.set_xlabel(word)
        axis.set_xscale("log" if log else "linear")
        axis.set_ylim(0, percent_top)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
        if log:
            axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    figure.supylabel(y_word, fontsize=9)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _plain(axis: Axes, log: tuple[bool, bool] = (True, True)) -> None:
    """Write the numbers of logarithmic axes out."""
    number = FuncFormatter(lambda v, _: f"{v:g}")
    if log[0]:
        axis.xaxis.set_major_formatter(number)
        axis.xaxis.set_minor_formatter(NullFormatter())
    if log[1]:
        axis.yaxis.set_major_formatter(number)
        axis.yaxis.set_minor_formatter(NullFormatter())
