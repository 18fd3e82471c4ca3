"""Figures of labels from photometry: how well they were found, and how the training went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit

from siderea.errors import DataError
from siderea.figures.style import ACCENT, CATEGORICAL, CONTINUOUS, INK, OTHERS, style

__all__ = [
    "confusion_matrix",
    "loss_history",
    "metallicity_over_colour_and_gravity",
    "predicted_against_true",
    "rate_finder",
    "residual_histograms",
]

NAMES = {"teff": ("Teff", "K"), "fe_h": ("[Fe/H]", "dex"), "logg": ("log g", "dex")}
"""How a label is written, and its unit."""
MAX_COLUMNS = 3


def _panels(names: list[str], height: float) -> tuple[Figure, list[Axes]]:
    if not names:
        raise DataError(f"labels: found none of {', '.join(NAMES)}; nothing to draw")
    figure = Figure(figsize=(2.8 * len(names) + 0.6, height), layout="constrained")
    return figure, list(figure.subplots(1, len(names), squeeze=False)[0])


def _shared(truth: Mapping[str, ArrayLike], found: Mapping[str, ArrayLike]) -> list[str]:
    return [name for name in NAMES if name in truth and name in found]


def _both(truth: ArrayLike, found: ArrayLike) -> tuple[NDArray, NDArray]:
    x, y = np.asarray(truth, dtype=float), np.asarray(found, dtype=float)
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known]


@style()
def predicted_against_true(
    truth: Mapping[str, ArrayLike] | pd.DataFrame, found: Mapping[str, ArrayLike] | pd.DataFrame
) -> Figure:
    """Draw predicted labels over true ones, one panel each, as densities.

    Parameters
    ----------
    truth, found : mapping of str to (N,) array-like
        ``teff``, ``fe_h``, ``logg``: those that both have.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = _shared(truth, found)
    figure, axes = _panels(names, 3.0)
    for ax, name in zip(axes, names, strict=True):
        x, y = _both(truth[name], found[name])
        low, high = np.quantile(np.r_[x, y], [0.001, 0.999]) if x.size else (0.0, 1.0)
        extent = (low, high, low, high)
        shown = ax.hexbin(x, y, gridsize=45, bins="log", mincnt=1, cmap=CONTINUOUS, extent=extent)
        ax.plot([low, high], [low, high], color=ACCENT, linewidth=1.0)
        label, unit = NAMES[name]
        ax.set(
            xlabel=f"true {label} ({unit})",
            ylabel=f"predicted {label} ({unit})",
            xlim=(low, high),
            ylim=(low, high),
            aspect="equal",
        )
    bar = figure.colorbar(shown, ax=axes, shrink=0.8, aspect=25)
    bar.set_label("stars per cell")
    return figure


def _gaussian(x: NDArray, amplitude: float, mean: float, sigma: float) -> NDArray:
    return amplitude * np.exp(-0.5 * ((x - mean) / sigma) ** 2)


@style()
def residual_histograms(
    truth: Mapping[str, ArrayLike] | pd.DataFrame, found: Mapping[str, ArrayLike] | pd.DataFrame
) -> Figure:
    """Draw histograms of predicted minus true with the Gaussian that fits them best.

    Parameters
    ----------
    truth, found : mapping of str to (N,) array-like
        ``teff``, ``fe_h``, ``logg``: those that both have.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = _shared(truth, found)
    figure, axes = _panels(names, 2.6)
    for ax, name in zip(axes, names, strict=True):
        x, y = _both(truth[name], found[name])
        residual = y - x
        label, unit = NAMES[name]
        ax.set(xlabel=f"predicted − true {label} ({unit})", ylabel="stars")
        if residual.size < 10:
            continue
        width = 1.4826 * np.median(np.abs(residual - np.median(residual))) or 1.0
        edges = np.median(residual) + width * np.linspace(-5, 5, 61)
        counts, edges = np.histogram(residual, edges)
        centres = (edges[1:] + edges[:-1]) / 2
        ax.stairs(counts, edges, fill=True, color=CATEGORICAL[5], alpha=0.7)
        start = (counts.max(), np.median(residual), width)
        (amplitude, mean, sigma), _ = curve_fit(
            _gaussian, centres, counts, p0=start, sigma=np.sqrt(counts + 1.0)
        )
        ax.plot(centres, _gaussian(centres, amplitude, mean, sigma), color=ACCENT, linewidth=1.2)
        digits = 0 if unit == "K" else 3
        ax.set_title(f"Gaussian fit: mean {mean:.{digits}f},\nσ {abs(sigma):.{digits}f} {unit}")
    return figure


@style()
def confusion_matrix(truth: ArrayLike, found: ArrayLike) -> Figure:
    """Draw how many dwarfs and giants were taken for what.

    Parameters
    ----------
    truth, found : (N,) array-like of bool
        Whether a star is a giant, and was taken for one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    truth, found = np.asarray(truth, dtype=int), np.asarray(found, dtype=int)
    counts = np.bincount(2 * truth + found, minlength=4).reshape(2, 2)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(3.0, 2.7), layout="constrained")
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            ink = "white" if share[row, column] > 0.6 else INK
            text = f"{counts[row, column]}\n{100 * share[row, column]:.1f} %"
            ax.text(column, row, text, ha="center", va="center", color=ink)
    names = ["dwarf", "giant"]
    ax.set_xticks([0, 1], names)
    ax.set_yticks([0, 1], names, rotation=90, va="center")
    ax.set(xlabel="predicted", ylabel="true")
    return figure


@style()
def loss_history(epochs: pd.DataFrame) -> Figure:
    """Draw the losses and the learning rate over the epochs; the best epoch is marked.

    Parameters
    ----------
    epochs : pandas.DataFrame
        epoch, train_loss, val_loss, learning_rate: `siderea.stellar.training.History.epochs`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot(epochs["epoch"], epochs["train_loss"], color=CATEGORICAL[0], label="training")
    upper.plot(epochs["epoch"], epochs["val_loss"], color=CATEGORICAL[4], label="validation")
    if len(epochs):
        best = epochs.loc[epochs["val_loss"].idxmin()]
        upper.plot(best["epoch"], best["val_loss"], "o", color=ACCENT, label="best")
        shown = np.r_[epochs["train_loss"], epochs["val_loss"]]
        low, high = np.nanmin(shown), np.nanquantile(shown, 0.97)
        upper.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    upper.set(ylabel="loss: −ln p per label")
    upper.legend()
    lower.plot(epochs["epoch"], 1e3 * epochs["learning_rate"], color=OTHERS)
    lower.set(xlabel="epoch", ylabel="learning rate\n(10⁻³)")
    return figure


@style()
def rate_finder(finder: pd.DataFrame, chosen: float) -> Figure:
    """Draw the learning-rate finder: the loss while the rate is raised, and the rate chosen.

    Parameters
    ----------
    finder : pandas.DataFrame
        learning_rate, loss: `siderea.stellar.training.History.finder`.
    chosen : float
        The rate that was taken.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(4.2, 2.8), layout="constrained")
    ax = figure.subplots()
    ax.semilogx(finder["learning_rate"], finder["loss"], color=CATEGORICAL[0])
    ax.axvline(chosen, color=ACCENT, linestyle="--", label=f"taken: {chosen:.2g}")
    ax.set(xlabel="learning rate", ylabel="loss, smoothed")
    ax.legend()
    return figure


@style()
def metallicity_over_colour_and_gravity(
    gr: ArrayLike,
    panels: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    gr_range: tuple[float, float] = (0.1, 0.9),
    min_stars: int = 3,
) -> Figure:
    """Draw the median [Fe/H] in cells of g−r and log g, as Ivezić et al. (2008) do in Fig. 1.

    Parameters
    ----------
    gr : (N,) array-like
        Dereddened g−r, mag.
    panels : mapping of str to (logg, fe_h)
        A panel each, by title: for instance spectroscopic and predicted.
    gr_range : (float, float)
        Ivezić's cut is 0.1 to 0.9.
    min_stars : int
        Cells with fewer stars are left white.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Ivezić et al. (2008), ApJ 684, 287, Fig. 1.
    """
    figure = Figure(figsize=(3.2 * len(panels) + 0.8, 3.4), layout="constrained")
    axes = list(figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0])
    colour = np.asarray(gr, dtype=float)
    for ax, (title, (logg, fe_h)) in zip(axes, panels.items(), strict=True):
        x, y, z = colour, np.asarray(logg, dtype=float), np.asarray(fe_h, dtype=float)
        known = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
        shown = ax.hexbin(
            x[known],
            y[known],
            C=z[known],
            reduce_C_function=np.median,
            gridsize=(40, 30),
            extent=(*gr_range, 0.5, 5.2),
            mincnt=min_stars,
            cmap=CONTINUOUS,
            vmin=-2.2,
            vmax=0.2,
        )
        ax.set(xlim=gr_range, ylim=(5.2, 0.5), xlabel="g − r (mag)", title=title)
    axes[0].set_ylabel("log g (dex)")
    bar = figure.colorbar(shown, ax=axes, aspect=30)
    bar.set_label("median [Fe/H] (dex)")
    return figure
