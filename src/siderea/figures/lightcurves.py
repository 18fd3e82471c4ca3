"""Light curves: the map with its groups and their mean curves; folded curves with their fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.figures.style import ACCENT, CATEGORICAL, INK, MISSING, OTHERS, style

__all__ = ["class_figure", "fit_figure"]


@style()
def class_figure(
    place: ArrayLike,
    group: ArrayLike,
    phase: ArrayLike,
    mean: ArrayLike,
    spread: ArrayLike,
    *,
    names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw a map of light curves with its groups, and the mean curve ± σ of each group.

    Parameters
    ----------
    place : (N, 2) array-like
        NaN rows are not drawn.
    group : (N,) array-like of int
        From 0; negative for none (grey).
    phase : (P,) array-like
    mean, spread : (G, P) array-like
        Normalised flux.
    names : sequence of str
        What each group is; groups of one name share a hue and stand together.
    title : str

    Raises
    ------
    DataError
        If there is no group, or the arrays do not fit together.
    """
    place, group = np.asarray(place, dtype=float), np.asarray(group)
    phase, mean, spread = (np.asarray(one, dtype=float) for one in (phase, mean, spread))
    count = len(mean)
    if count == 0 or mean.shape != spread.shape or mean.shape[1:] != phase.shape:
        raise DataError(f"found mean {mean.shape}, phase {phase.shape}; expected (G, P) and (P,)")
    called = [names[k] if k < len(names) else "" for k in range(count)]
    order, colours = _ordered(called)
    columns = 1 if count <= 4 else 2 if count <= 10 else 3 if count <= 15 else 4
    rows = int(np.ceil(count / columns))
    width = 6.2 + 1.55 * columns
    figure = Figure(figsize=(width, max(5.2, 1.02 * rows + 0.9)), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(6.2, 1.55 * columns))
    total = int(np.isfinite(place).all(axis=1).sum())
    ax = halves[0].add_subplot()
    _map(ax, place, group, order, colours)
    ax.set_title(f"{title}\n{total:,} light curves".strip(), loc="left")
    _legend(ax, called, order, colours)
    panels = halves[1].subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    _mean_curves(panels, phase, mean, spread, order, colours, np.bincount(group[group >= 0]))
    halves[1].suptitle("Mean curves: number of the group, and how many are in it", fontsize=9)
    halves[1].supxlabel("orbital phase", fontsize=9)
    halves[1].supylabel("normalised flux: mean (line) ± σ (shade)", fontsize=9)
    return figure


def _ordered(called: Sequence[str]) -> tuple[list[int], list[Any]]:
    """Return groups in the order of their panels, and the colour of each group.

    Names stand in alphabetical order, so that a hue means the same in every figure of the same
    names. Of one name the first has the pure hue, the others lighter and darker ones by turns.
    """
    first = sorted(set(called))
    order = sorted(range(len(called)), key=lambda k: (first.index(called[k]), k))
    colours: list[Any] = [INK] * len(called)
    if len(first) == 1:  # no names, or one: every group has a colour of its own
        return order, [CATEGORICAL[k % len(CATEGORICAL)] for k in range(len(called))]
    for name in first:
        mine = [k for k in order if called[k] == name]
        hue = np.array(to_rgb(CATEGORICAL[first.index(name) % len(CATEGORICAL)]))
        hue = np.array(to_rgb(OTHERS)) if name in ("", "mixed") else hue
        for place, k in enumerate(mine):
            step = ((place + 1) // 2) / max(len(mine) // 2, 1)
            share, end = (0.5 * step, np.ones(3)) if place % 2 else (0.4 * step, np.zeros(3))
            colours[k] = tuple((1.0 - share) * hue + share * end)
    return order, colours


def _legend(ax: Axes, called: Sequence[str], order: Sequence[int], colours: Sequence[Any]) -> None:
    """Name the hues, where there are names."""
    named = list(dict.fromkeys(called[k] for k in order))
    if named == [""]:
        return
    for name in named:
        hue = colours[next(k for k in order if called[k] == name)]
        ax.plot([], [], "o", color=hue, markersize=6, label=name or "no name")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=min(len(named), 5))


def _mean_curves(
    panels: NDArray,
    phase: NDArray,
    mean: NDArray,
    spread: NDArray,
    order: Sequence[int],
    colours: Sequence[Any],
    sizes: NDArray,
) -> None:
    rows = panels.shape[0]
    turn = np.argsort(np.mod(phase + 0.3, 1.0))  # both eclipses whole: from −0.3 to 0.7
    x = np.mod(phase + 0.3, 1.0)[turn] - 0.3
    for number, panel in enumerate(panels.T.ravel()):
        if number >= len(order):
            panel.set_visible(False)
            continue
        k = order[number]
        middle, width = mean[k][turn], spread[k][turn]
        panel.fill_between(x, middle - width, middle + width, color="#D4D4D4", linewidth=0)
        panel.plot(x, middle, color=colours[k], linewidth=1.6)
        panel.set_title(f"{number + 1}", loc="left", fontsize=8, fontweight="bold", pad=2)
        panel.set_title(f"{int(sizes[k]):,}", loc="right", fontsize=7, pad=2)
        panel.set_ylim(-0.18, 1.18)
        panel.set_xlim(-0.3, 0.7)
        panel.set_xticks([0.0, 0.5])
        panel.set_yticks([0.0, 1.0])
        panel.tick_params(labelbottom=number % rows == rows - 1 or number == len(order) - 1)


def _map(
    ax: Axes, place: NDArray, group: NDArray, order: Sequence[int], colours: Sequence[Any]
) -> None:
    """Draw the map; a group bears the number of its panel at its densest island."""
    size = float(np.clip(900 * len(place) ** -0.6, 1.2, 25))
    shown = np.isfinite(place).all(axis=1)
    colour = np.array([to_rgb(MISSING), *(to_rgb(one) for one in colours)])
    rows = np.flatnonzero(shown)[np.random.default_rng(0).permutation(int(shown.sum()))]
    ax.scatter(
        place[rows, 0],
        place[rows, 1],
        s=size,
        c=colour[np.maximum(group[rows], -1) + 1],
        linewidths=0,
        rasterized=True,
    )
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for number, k in enumerate(order):
        mine = place[(group == k) & shown]
        if len(mine) == 0:
            continue
        x, y = mine[_densest(mine)]
        ax.text(
            x,
            y,
            str(number + 1),
            fontsize=9,
            fontweight="bold",
            ha="center",
            va="center",
            color=INK,
            path_effects=halo,
        )
    ax.set_xlabel("t-SNE 1")
    ax.set_ylabel("t-SNE 2")


def _densest(spots: NDArray) -> int:
    """Return the point with most others about it (of 500 at most)."""
    some = np.linspace(0, len(spots) - 1, min(len(spots), 500)).astype(int)
    apart = ((spots[some, None] - spots[None, some]) ** 2).sum(axis=2)
    scale = 0.01 * float(np.ptp(spots, axis=0).max()) ** 2 + 1e-12
    return int(some[np.exp(-apart / scale).sum(axis=1).argmax()])


@style()
def fit_figure(
    curves: Sequence[tuple[ArrayLike, ArrayLike]],
    grid: ArrayLike,
    fits: ArrayLike,
    *,
    labels: Sequence[str] = (),
) -> Figure:
    """Draw folded light curves with their fits, one panel each.

    Parameters
    ----------
    curves : sequence of (phase, flux)
        Points.
    grid : (P,) array-like
        Phases of the fits.
    fits : (N, P) array-like
    labels : sequence of str

    Raises
    ------
    DataError
        If there is nothing to draw.
    """
    if len(curves) == 0:
        raise DataError("found no light curve to draw; expected at least one")
    columns = min(3, len(curves))
    rows = int(np.ceil(len(curves) / columns))
    figure = Figure(figsize=(3.0 * columns, 1.9 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    fits, grid = np.asarray(fits, dtype=float), np.asarray(grid, dtype=float)
    for number, panel in enumerate(panels):
        if number >= len(curves):
            panel.set_visible(False)
            continue
        phase, flux = (np.asarray(one, dtype=float) for one in curves[number])
        around = np.mod(phase + 0.3, 1.0) - 0.3
        panel.plot(around, flux, ".", color=CATEGORICAL[0], markersize=2, rasterized=True)
        order = np.argsort(np.mod(grid + 0.3, 1.0))
        panel.plot(np.mod(grid + 0.3, 1.0)[order] - 0.3, fits[number][order], color=ACCENT, lw=1.0)
        if number < len(labels):
            panel.set_title(labels[number], loc="left", fontsize=8)
    figure.supxlabel("orbital phase", fontsize=9)
    figure.supylabel("relative flux", fontsize=9)
    return figure
