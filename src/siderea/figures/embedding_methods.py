"""Several maps of the same spectra side by side, with the members of a group marked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.figures.style import ACCENT, MISSING, style

__all__ = ["embedding_methods"]

_RASTER = 5_000

_SHOWN = 99.5
"""Percentile of either coordinate up to which places are shown: spectral methods throw a few points
far away, and would show nothing else."""


@style()
def embedding_methods(
    cases: Mapping[str, tuple[Mapping[str, ArrayLike], ArrayLike]],
    *,
    marked: str = "members",
    notes: Mapping[tuple[str, str], str] | None = None,
) -> Figure:
    """Draw one row of maps per case, one column per method.

    Parameters
    ----------
    cases : mapping of str to (mapping of str to (N, 2) array-like, (N,) array-like of bool)
        By the name of a case: its maps by the name of the method, and which spectra are marked.
        All cases have the same methods.
    marked : str
        What the marked spectra are called.
    notes : mapping of (case, method) to str, optional
        What is written below the name of the method.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. Places are not in units that mean anything: the axes have no scale, and show the
        central 99 % of either coordinate.

    Raises
    ------
    DataError
        If the cases differ in their methods, or places and marks do not fit together.
    """
    if not cases:
        raise DataError("cases: found none; expected at least one")
    methods = list(next(iter(cases.values()))[0])
    size = (1.75 * len(methods), 2.15 * len(cases))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(cases), len(methods), squeeze=False)
    for row, (case, (maps, marks)) in zip(axes, cases.items(), strict=True):
        if list(maps) != methods:
            raise DataError(f"{case}: found {list(maps)}; expected {methods} as in the first case")
        for ax, (method, places) in zip(row, maps.items(), strict=True):
            _panel(ax, np.asarray(places, float), np.asarray(marks, bool))
            note = (notes or {}).get((case, method), "")
            ax.set_title(f"{method}\n{note}" if note else method, fontsize=8)
        count = int(np.count_nonzero(np.asarray(marks, bool)))
        row[0].set_ylabel(f"{case}\n{count} {marked} of {np.size(marks):,}")
    return figure


def _panel(ax: Axes, places: NDArray, marks: NDArray) -> None:
    if places.shape != (marks.size, 2):
        raise DataError(f"places: found shape {places.shape}; expected ({marks.size}, 2)")
    n = marks.size
    for rows, size, colour in ((~marks, max(0.4, 2500 / n), MISSING), (marks, 5.0, ACCENT)):
        x, y = places[rows].T
        ax.scatter(x, y, s=size, color=colour, linewidths=0, rasterized=n > _RASTER)
    low, high = np.percentile(places, [100 - _SHOWN, _SHOWN], axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    (left, bottom), (right, top) = low - margin, high + margin
    ax.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top))
    for spine in ax.spines.values():
        spine.set_visible(True)
