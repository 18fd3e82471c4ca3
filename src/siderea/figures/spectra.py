"""Spectra, arm by arm, with the lines one looks for; and two versions of one spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter

from siderea.data import Medium
from siderea.errors import DataError, MediumError
from siderea.figures.style import ACCENT, CATEGORICAL, INK, MISSING, style

__all__ = ["LINES", "comparison_panels", "lines_in", "spectrum_panels"]

LINES: dict[str, tuple[float, float]] = {
    "Ca II K": (3933.7, 3934.8),
    "Ca II H": (3968.5, 3969.6),
    "Hδ": (4101.7, 4102.9),
    "Hγ": (4340.5, 4341.7),
    "C₂": (4737.1, 4738.4),
    "Hβ": (4861.3, 4862.7),
    "Mg b₄": (5167.3, 5168.8),
    "Mg b₂": (5172.7, 5174.1),
    "Mg b₁": (5183.6, 5185.0),
    "Na I": (5688.2, 5689.8),
    "Ba II": (5853.7, 5855.3),
    "Na D₂": (5890.0, 5891.6),
    "Na D₁": (5895.9, 5897.5),
    "Hα": (6562.8, 6564.6),
    "Li I": (6707.8, 6709.6),
    "K I": (7699.0, 7701.1),
    "O I": (7773.4, 7775.5),
    "Ca II 8498": (8498.0, 8500.4),
    "Ca II 8542": (8542.1, 8544.4),
    "Ca II 8662": (8662.1, 8664.5),
}
"""Marks for the eye: wavelength in air and in vacuum, Å, to a tenth. C₂ is the head of the Swan
band, O I the middle of the triplet. Not for measuring."""

_WIDTH = 9.0
_TALL = 0.35
"""Flux range that a panel shows at least: a noiseless continuum is a line, not a mountain range."""


def lines_in(medium: Medium) -> dict[str, float]:
    """Return the marked lines and their wavelengths (Å) in air or in vacuum.

    Parameters
    ----------
    medium : {"air", "vacuum"}
        Medium of the wavelengths.

    Returns
    -------
    dict
        Wavelength by name.

    Raises
    ------
    MediumError
        If the medium is neither.

    Examples
    --------
    >>> lines_in("air")["Hα"], lines_in("vacuum")["Hα"]
    (6562.8, 6564.6)
    """
    if medium not in ("air", "vacuum"):
        raise MediumError(f"medium: found {medium!r}; expected 'air' or 'vacuum'")
    return {name: pair[medium == "vacuum"] for name, pair in LINES.items()}


@style()
def spectrum_panels(
    wavelength: ArrayLike,
    arms: Sequence[slice],
    flux: ArrayLike,
    *,
    medium: Medium,
    ivar: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    lines: Mapping[str, float] | None = None,
    arm_names: Sequence[str] | None = None,
    offset: float = 0.0,
    title: str = "",
) -> Figure:
    """Draw spectra, one panel per arm, over each other or one above the other.

    Parameters
    ----------
    wavelength : (P,) array-like
        Å, the arms one after another.
    arms : sequence of slice
        Pixels of each arm.
    flux : (N, P) or (P,) array-like
        Normalised flux of a few spectra.
    medium : {"air", "vacuum"}
        Medium of the wavelengths.
    ivar : array-like, optional
        Inverse variance, shaped as ``flux``; where it is 0 nothing is drawn.
    labels : sequence of str, optional
        What the legend calls each spectrum.
    lines : mapping of str to float, optional
        Lines to mark, Å in the same medium; those of `lines_in` by default, none if empty.
    arm_names : sequence of str, optional
        Name of each arm.
    offset : float
        Added to each spectrum above the one before.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        One row of axes per arm.

    Raises
    ------
    DataError, MediumError
        If arrays, labels or medium do not fit together.
    """
    marks = lines_in(medium) if lines is None else lines
    wave, rows = _rows(wavelength, flux, ivar)
    names = _texts(labels, len(rows), "labels")
    titles = _texts(arm_names, len(arms), "arm_names")
    figure = Figure(figsize=(_WIDTH, 0.8 + 1.9 * len(arms)), layout="constrained")
    panels = figure.subplots(len(arms), 1, squeeze=False)[:, 0]
    for ax, arm, arm_name in zip(panels, arms, titles, strict=True):
        shown = rows[:, arm] + offset * np.arange(len(rows))[:, None]
        for number, (row, name) in enumerate(zip(shown, names, strict=True)):
            colour = INK if len(rows) == 1 else CATEGORICAL[number % len(CATEGORICAL)]
            ax.plot(wave[arm], row, color=colour, label=name or None)
        _frame(ax, wave[arm], shown, marks)
        ax.set_ylabel("normalised flux + offset" if offset else "normalised flux")
        _strip(ax, arm_name)
    panels[-1].set_xlabel(_wavelength_label(medium))
    if any(names):
        panels[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.12), ncols=4)
    figure.suptitle(title)
    return figure


@style()
def comparison_panels(
    wavelength: ArrayLike,
    arms: Sequence[slice],
    flux: ArrayLike,
    other: ArrayLike,
    *,
    medium: Medium,
    ivar: ArrayLike | None = None,
    names: tuple[str, str] = ("siderea", "survey"),
    lines: Mapping[str, float] | None = None,
    arm_names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw two versions of one spectrum and, below, their difference.

    Parameters
    ----------
    wavelength : (P,) array-like
        Å, common to both.
    arms : sequence of slice
        Pixels of each arm.
    flux, other : (P,) array-like
        Normalised flux of the two versions; NaN is not drawn.
    medium : {"air", "vacuum"}
        Medium of the wavelengths.
    ivar : (P,) array-like, optional
        Inverse variance; where it is 0 nothing is drawn or counted.
    names : pair of str
        What the legend calls the two.
    lines : mapping of str to float, optional
        As for `spectrum_panels`.
    arm_names : sequence of str, optional
        Name of each arm.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Two axes per arm: the spectra, and the difference with its rms.

    Raises
    ------
    DataError, MediumError
        If arrays or medium do not fit together.
    """
    marks = lines_in(medium) if lines is None else lines
    both = np.stack(np.broadcast_arrays(np.asarray(flux, float), np.asarray(other, float)))
    wave, rows = _rows(wavelength, both, None if ivar is None else np.stack([ivar, ivar]))
    titles = _texts(arm_names, len(arms), "arm_names")
    figure = Figure(figsize=(_WIDTH, 0.8 + 2.6 * len(arms)), layout="constrained")
    panels = figure.subplots(2 * len(arms), 1, squeeze=False, height_ratios=[3.0, 1.2] * len(arms))[
        :, 0
    ]
    for number, (arm, arm_name) in enumerate(zip(arms, titles, strict=True)):
        above, below = panels[2 * number], panels[2 * number + 1]
        # The second lies below and is wider, so that it shows wherever the two differ.
        above.plot(wave[arm], rows[0, arm], color=INK, label=names[0], linewidth=0.6, zorder=3)
        above.plot(wave[arm], rows[1, arm], color=ACCENT, label=names[1], linewidth=1.6)
        _frame(above, wave[arm], rows[:, arm], marks)
        above.set_ylabel("normalised flux")
        _strip(above, arm_name)
        above.tick_params(labelbottom=False)
        _residual(below, wave[arm], rows[0, arm] - rows[1, arm])
    panels[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.12), ncols=2)
    figure.align_ylabels(panels)
    panels[-1].set_xlabel(_wavelength_label(medium))
    figure.suptitle(title)
    return figure


def _rows(
    wavelength: ArrayLike, flux: ArrayLike, ivar: ArrayLike | None
) -> tuple[NDArray, NDArray]:
    """Return wavelengths (P,) and flux (N, P) with NaN, which is not drawn, at bad pixels."""
    wave = np.asarray(wavelength, dtype=float)
    rows = np.atleast_2d(np.asarray(flux, dtype=float))
    if wave.ndim != 1 or rows.ndim != 2 or rows.shape[1] != wave.size or len(rows) == 0:
        raise DataError(f"flux: found shape {rows.shape}; expected (N, {wave.size}) with N > 0")
    if ivar is None:
        return wave, rows
    weight = np.atleast_2d(np.asarray(ivar, dtype=float))
    if weight.shape != rows.shape:
        raise DataError(f"ivar: found shape {weight.shape}; expected {rows.shape}")
    return wave, np.where(weight > 0, rows, np.nan)


def _texts(texts: Sequence[str] | None, n: int, name: str) -> list[str]:
    if texts is not None and len(texts) != n:
        raise DataError(f"{name}: found {len(texts)}; expected {n}")
    return [""] * n if texts is None else [str(text) for text in texts]


def _frame(ax: Axes, wave: NDArray, rows: NDArray, marks: Mapping[str, float]) -> None:
    """Set robust limits, and mark the lines that fall into the panel."""
    ax.set_xlim(wave[0], wave[-1])
    if np.isfinite(rows).any():
        ax.set_ylim(_limits(rows))
    else:
        ax.text(0.5, 0.5, "no good pixels", transform=ax.transAxes, ha="center", va="center")
    for name, place in marks.items():
        if wave[0] < place < wave[-1]:
            ax.axvline(place, color=MISSING, linewidth=0.8, zorder=0)
            ax.annotate(
                name,
                (place, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )


def _limits(rows: NDArray) -> tuple[float, float]:
    """Return flux limits that hold every line, in emission too, but not a cosmic ray.

    A spike stands alone: it is far above the median over five pixels, which a line that the
    spectrograph resolves lifts with it.
    """
    middle = np.median(rows[np.isfinite(rows)])
    steady = median_filter(np.where(np.isfinite(rows), rows, middle), size=(1, 5))
    company = np.abs(rows - steady) < 0.1 + 0.5 * np.abs(steady - middle)  # NaN is never below
    kept = rows[company] if company.any() else steady
    low, high = float(kept.min()), float(kept.max())
    centre, half = (low + high) / 2, max(high - low, _TALL) / 2
    return centre - 1.08 * half, centre + 1.08 * half


def _strip(ax: Axes, name: str) -> None:
    """Name an arm on the right side of its panel, where no line is marked."""
    ax.text(
        1.008, 0.5, name, transform=ax.transAxes, rotation=-90, ha="left", va="center", fontsize=9
    )


def _residual(ax: Axes, wave: NDArray, difference: NDArray) -> None:
    """Draw a difference around zero, and tell its rms over the pixels that both have."""
    good = difference[np.isfinite(difference)]
    ax.axhline(0.0, color=MISSING, zorder=0)
    ax.plot(wave, difference, color=INK, linewidth=0.6)
    ax.set_xlim(wave[0], wave[-1])
    ax.set_ylabel("difference")
    if good.size:
        reach = max(1.3 * float(np.percentile(np.abs(good), 99.5)), 1e-3)
        ax.set_ylim(-reach, reach)
        rms = float(np.sqrt(np.mean(good**2)))
        ax.set_title(f"rms {rms:.4f}", loc="right", fontsize=8, pad=2)


def _wavelength_label(medium: Medium) -> str:
    return f"wavelength in {medium} (Å)"
