"""Figures of distances: against parallaxes, as ranks in their posteriors, and over colour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from siderea.figures.style import ACCENT, CATEGORICAL, CONTINUOUS, INK, style

__all__ = ["against_parallax", "pit", "ratio_by_colour"]

Kinds = Mapping[str, NDArray[np.bool_]]

SLICES = 12
"""Slices of the colour, of as many stars each."""
LEAST = 20
"""Stars that a slice needs."""


@style()
def against_parallax(
    found: pd.DataFrame, parallax: ArrayLike, parallax_err: ArrayLike, kinds: Kinds
) -> Figure:
    """Draw 1/d over the parallax measured, a panel per kind of star, as densities.

    Parameters
    ----------
    found : pandas.DataFrame
        ``distance``, as of `siderea.stellar.distances.distances`, without the parallax.
    parallax, parallax_err : (N,) array-like
        mas, zero point removed; drawn are those of more than 3 σ, as the axes are logarithmic.
    kinds : mapping of str to (N,) ndarray of bool
        Panels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(2.7 * len(kinds) + 0.7, 3.0), layout="constrained")
    axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    x, y = np.asarray(parallax, dtype=float), 1 / found["distance"].to_numpy(dtype=float)
    good = np.isfinite(x) & np.isfinite(y) & (x > 3 * np.asarray(parallax_err, dtype=float))
    low, high = np.quantile(np.r_[x[good], y[good]], [0.002, 0.998]) if good.any() else (0.1, 10)
    extent = tuple(np.log10([low, high, low, high]))
    for ax, (kind, rows) in zip(axes, kinds.items(), strict=True):
        use = good & rows
        shown = ax.hexbin(
            x[use], y[use], xscale="log", yscale="log", gridsize=40, bins="log", mincnt=1,
            cmap=CONTINUOUS, extent=extent,
        )  # fmt: skip
        ax.plot([low, high], [low, high], color=ACCENT, linewidth=1.0)
        ax.set(
            title=f"{kind}, {use.sum()}",
            xlabel="parallax measured (mas)",
            xlim=(low, high),
            ylim=(low, high),
        )
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0].set_ylabel("1 / distance found without it (mas)")
    figure.colorbar(shown, ax=list(axes), shrink=0.8, aspect=25).set_label("stars per cell")
    return figure


@style()
def pit(ranks: ArrayLike, kinds: Kinds, *, n_bins: int = 20) -> Figure:
    """Draw how the truth ranks in the posteriors: even where these are calibrated.

    Parameters
    ----------
    ranks : (N,) array-like
        Probability that the posterior gives to less than the truth (or the parallax measured to
        less than its value); NaN is left out.
    kinds : mapping of str to (N,) ndarray of bool
        Curves.
    n_bins : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(4.2, 2.9), layout="constrained")
    ax = figure.subplots()
    values, edges = np.asarray(ranks, dtype=float), np.linspace(0, 1, n_bins + 1)
    for number, (kind, rows) in enumerate(kinds.items()):
        use = rows & np.isfinite(values)
        density = np.histogram(values[use], edges)[0] * n_bins / max(use.sum(), 1)
        colour, line = CATEGORICAL[number], ("-", "--", ":", "-.")[number % 4]
        label = f"{kind}, {use.sum()}"
        ax.stairs(density, edges, color=colour, linestyle=line, linewidth=1.4, label=label)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set(
        xlabel="rank of the truth in its posterior",
        ylabel="density (1 when calibrated)",
        xlim=(0, 1),
    )
    ax.set_ylim(0, 1.15 * max(1.8, ax.get_ylim()[1]))  # room for the legend
    ax.legend(loc="upper center", ncols=len(kinds), columnspacing=1.0, handlelength=1.5)
    return figure


@style()
def ratio_by_colour(colour: ArrayLike, ratio: ArrayLike, kinds: Kinds, *, label: str) -> Figure:
    """Draw the distance over the true one along a colour: median and central 68.3 % in slices.

    Parameters
    ----------
    colour : (N,) array-like
        mag.
    ratio : (N,) array-like
        Distance over the true distance, or ϖ d; NaN is left out.
    kinds : mapping of str to (N,) ndarray of bool
        Curves.
    label : str
        How the colour is written.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(4.6, 3.0), layout="constrained")
    ax = figure.subplots()
    x, y = np.asarray(colour, dtype=float), np.asarray(ratio, dtype=float)
    for number, (kind, rows) in enumerate(kinds.items()):
        use = rows & np.isfinite(x) & np.isfinite(y)
        if use.sum() < LEAST:
            continue
        slices = min(SLICES, int(use.sum() // LEAST))
        parts = np.array_split(np.argsort(x[use]), slices)
        middle = [np.median(x[use][part]) for part in parts]
        low, median, high = np.array(
            [np.quantile(y[use][part], [0.1587, 0.5, 0.8413]) for part in parts]
        ).T
        shade = CATEGORICAL[number]
        ax.fill_between(middle, low, high, color=shade, alpha=0.15, linewidth=0)
        ax.plot(middle, median, color=shade, marker="o^sD"[number % 4], markersize=3.5,
                linewidth=1.2, label=f"{kind}, {use.sum()}")  # fmt: skip
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set(xlabel=f"{label} (mag)", ylabel="distance / true distance", ylim=(0.4, 1.6))
    ax.legend(loc="upper left", ncols=len(kinds), columnspacing=1.0)
    return figure
