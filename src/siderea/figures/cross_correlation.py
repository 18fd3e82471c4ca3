"""Figures of cross-correlations: a CCF with its stars, and how complete a search is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from siderea.errors import DataError
from siderea.figures.style import CATEGORICAL, CONTINUOUS, INK, OTHERS, style

__all__ = ["ccf_with_stars", "completeness_map"]


@style()
def ccf_with_stars(
    velocity: ArrayLike,
    ccf: ArrayLike,
    stars: Sequence[ArrayLike],
    places: Sequence[ArrayLike],
    *,
    titles: Sequence[str],
    error: ArrayLike | None = None,
) -> Figure:
    """Draw CCFs, each with the profiles of its stars and their sum, one panel each.

    Parameters
    ----------
    velocity : (V,) array-like
        km/s.
    ccf : (N, V) array-like
    stars : sequence of (K, V) array-like
        Contribution of each star to a CCF.
    places : sequence of (K, 2) array-like
        Velocity of each star and its error, km/s.
    titles : sequence of str
    error : (N,) array-like, optional
        1σ of the CCFs.

    Returns
    -------
    Figure
    """
    values, v = np.atleast_2d(np.asarray(ccf, dtype=float)), np.asarray(velocity, dtype=float)
    if not len(values) == len(stars) == len(places) == len(titles):
        raise DataError(
            f"{len(values)} CCFs, {len(stars)} sets of stars, {len(places)} of places, "
            f"{len(titles)} titles; expected as many of each"
        )
    figure = Figure(figsize=(3.1 * len(values) + 0.4, 3.0), layout="constrained")
    axes = figure.subplots(1, len(values), squeeze=False, sharey=True)[0]
    sigma = np.zeros(len(values)) if error is None else np.asarray(error, dtype=float)
    for ax, one, parts, where, title, e in zip(
        axes, values, stars, places, titles, sigma, strict=True
    ):
        profiles, spots = np.atleast_2d(parts), np.atleast_2d(where)
        ax.fill_between(v, one - e, one + e, color=OTHERS, linewidth=0)
        ax.plot(v, one, color=INK, linewidth=1.2, label="CCF")
        ax.plot(v, profiles.sum(axis=0), color=CATEGORICAL[1], linestyle="--", label="all stars")
        for number, (profile, (place, width)) in enumerate(zip(profiles, spots, strict=True)):
            colour = CATEGORICAL[(0, 2, 3, 4)[number % 4]]
            label = f"{place:+.2f} ± {width:.2f} km/s"
            ax.plot(v, profile, color=colour, linewidth=1.0, label=label)
            ax.axvline(place, color=colour, linewidth=0.6, linestyle=":")
        ax.set_title(title)
        ax.set_xlabel("radial velocity (km/s)")
        ax.legend(fontsize=6.5, loc="upper right")
        ax.set_xlim(v[0], v[-1])
    axes[0].set_ylabel("CCF (1: the template)")
    return figure


@style()
def completeness_map(
    separation_edges: ArrayLike,
    ratio_edges: ArrayLike,
    found: Sequence[ArrayLike],
    number: Sequence[ArrayLike],
    *,
    titles: Sequence[str],
) -> Figure:
    """Draw shares found over velocity difference and light ratio, one panel per method.

    Parameters
    ----------
    separation_edges, ratio_edges : (S + 1,), (R + 1,) array-like
        Of the cells, km/s and ratio of light.
    found, number : sequence of (R, S) array-like
        Binaries found, and binaries, in each cell.
    titles : sequence of str

    Returns
    -------
    Figure
    """
    if not len(found) == len(number) == len(titles):
        raise DataError(
            f"{len(found)} maps found, {len(number)} of numbers, {len(titles)} titles; expected as "
            "many of each"
        )
    dv, ratio = np.asarray(separation_edges, dtype=float), np.asarray(ratio_edges, dtype=float)
    figure = Figure(figsize=(3.4 * len(titles) + 0.9, 3.1), layout="constrained")
    axes = figure.subplots(1, len(titles), squeeze=False, sharey=True)[0]
    x, y = np.arange(dv.size), np.arange(ratio.size)
    mesh = None
    for ax, hits, all_, title in zip(axes, found, number, titles, strict=True):
        n = np.asarray(all_, dtype=float)
        share = np.divide(
            np.asarray(hits, dtype=float), n, out=np.full(n.shape, np.nan), where=n > 0
        )
        mesh = ax.pcolormesh(x, y, share, cmap=CONTINUOUS, vmin=0, vmax=1)
        for row, column in zip(*np.nonzero(n), strict=True):
            value = share[row, column]
            ax.text(
                column + 0.5,
                row + 0.5,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if value > 0.6 else "white",
            )
        ax.set_xticks(x, [f"{value:g}" for value in dv])
        ax.set_yticks(y, [f"{value:g}" for value in ratio])
        ax.set_title(title)
        ax.set_xlabel("difference of velocities (km/s)")
    axes[0].set_ylabel("ratio of light")
    if mesh is not None:
        figure.colorbar(mesh, ax=list(axes), label="share found")
    return figure
