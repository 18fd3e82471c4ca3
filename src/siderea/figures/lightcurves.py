"""Light curves: the map with its groups and their mean curves; folded curves with their fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.figures.style import ACCENT, CATEGORICAL, INK, MARKERS, MISSING, style

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
        What to call the groups; numbers by default.
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
    columns = 1 if count <= 4 else 2
    rows = int(np.ceil(count / columns))
    figure = Figure(
        figsize=(7.0 + 1.9 * columns, max(4.6, 1.25 * rows + 0.6)), layout="constrained"
    )
    halves: Any = figure.subfigures(1, 2, width_ratios=(5.0, 2.4 * columns))
    left, right = halves
    ax = left.add_subplot()
    _map(ax, place, group, count, names)
    total = int(np.isfinite(place).all(axis=1).sum())
    ax.set_title(f"{title}\n{total:,} light curves".strip(), loc="left")
    panels = right.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    order = np.argsort(np.mod(phase + 0.3, 1.0))  # both eclipses whole: from −0.3 to 0.7
    x = np.mod(phase + 0.3, 1.0)[order] - 0.3
    for number, panel in enumerate(panels.T.ravel()):
        if number >= count:
            panel.set_visible(False)
            continue
        colour = CATEGORICAL[number % len(CATEGORICAL)]
        middle, width = mean[number][order], spread[number][order]
        panel.fill_between(x, middle - width, middle + width, color="#D9D9D9", linewidth=0)
        panel.plot(x, middle, color=colour, linewidth=1.4)
        size = int((group == number).sum())
        label = names[number] if number < len(names) else f"group {number + 1}"
        panel.set_title(f"{label} ({size:,})", loc="left", fontsize=8)
        panel.set_ylim(-0.25, 1.2)
        panel.tick_params(labelbottom=number % rows == rows - 1 or number == count - 1)
    right.supxlabel("orbital phase", fontsize=9)
    right.supylabel("normalised flux, mean ± σ", fontsize=9)
    return figure


def _map(ax: Axes, place: NDArray, group: NDArray, count: int, names: Sequence[str]) -> None:
    size = float(np.clip(600 * len(place) ** -0.6, 0.8, 25))
    for number in range(-1, count):
        mine = group == number
        if not mine.any():
            continue
        colour = MISSING if number < 0 else CATEGORICAL[number % len(CATEGORICAL)]
        marker = MARKERS[number // len(CATEGORICAL) % len(MARKERS)] if number >= 0 else "o"
        options: dict[str, Any] = {
            "s": size,
            "color": colour,
            "marker": marker,
            "linewidths": 0,
            "rasterized": True,
        }
        ax.scatter(place[mine, 0], place[mine, 1], **options)
        if number >= 0:
            middle = np.median(place[mine], axis=0)
            nearest = place[mine][np.argmin(((place[mine] - middle) ** 2).sum(axis=1))]
            label = names[number] if number < len(names) else str(number + 1)
            box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.8, "linewidth": 0}
            ax.text(
                nearest[0],
                nearest[1],
                label,
                fontsize=8,
                ha="center",
                va="center",
                color=INK,
                bbox=box,
            )
    ax.set_xlabel("t-SNE 1")
    ax.set_ylabel("t-SNE 2")


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
