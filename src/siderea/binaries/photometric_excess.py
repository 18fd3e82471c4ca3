"""Photometric binaries: stars brighter than the single stars of their colour and metallicity.

Two unresolved stars of a main sequence lie up to 0.753 mag above it. Where it is, and how wide,
is learnt from the sample: the absolute magnitude as a polynomial of colour and [Fe/H], and a
mixture of the excesses about it: single stars (a Gaussian of the errors and an intrinsic width),
binaries (between `FAINTEST` and `BRIGHTEST`), and what is neither. Polynomial, widths and shares
are fitted together by expectation and maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import pandas as pd
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.special import ndtr

from siderea.errors import DataError
from siderea.photometry.bands import error_column, magnitude_column
from siderea.photometry.extinction import coefficients

__all__ = ["ExcessFlag", "MainSequence", "fit_main_sequence", "photometric_excess"]

FAINTEST, BRIGHTEST = 0.2, 0.78
"""Range of a binary's excess, mag: two equal stars have 0.753; fainter secondaries do not show."""

EQUAL, EQUAL_SHARE = 0.6, 0.5
"""Above this excess, mag, lies this share of the binaries that show: colours redden with a fainter
secondary, and move back towards the sequence."""

DEGREE = 6
OUTLIERS = 1.5
"""σ, mag, of what is neither: evolved stars, wrong parallaxes, triples."""

FEWEST = 200
"""Stars from which a sequence is fitted."""

CELLS = 4
"""Ranges of colour with a width of their own."""


class ExcessFlag(IntFlag):
    """What is known of a photometric excess."""

    NONE = 0
    NO_DATA = 1  #: a magnitude, a colour or a parallax is missing, or the parallax is too poor
    EVOLVED = 2  #: a giant, or near the turn-off, where single stars lie above the sequence too
    OUTSIDE = 4  #: colour beyond those of the stars that the sequence was fitted to
    ABOVE = 8  #: more than two equal stars can explain


@dataclass(frozen=True)
class MainSequence:
    """Where single stars lie, and how the sample departs from it.

    Parameters
    ----------
    coefficients : (DEGREE + 1, 2) ndarray
        Chebyshev coefficients in the colour, of 1 and of [Fe/H].
    colour_range : tuple of float
        Of the stars it was fitted to, mag.
    width : (CELLS,) ndarray
        Intrinsic width of the single stars, mag, at the colours ``centres``.
    centres : (CELLS,) ndarray
    binaries, outliers : float
        Shares of the sample.
    """

    coefficients: NDArray[np.float64]
    colour_range: tuple[float, float]
    width: NDArray[np.float64]
    centres: NDArray[np.float64]
    binaries: float
    outliers: float

    def magnitude(self, colour: NDArray, fe_h: NDArray) -> NDArray[np.float64]:
        """Return the absolute magnitude of single stars."""
        return np.asarray(_design(colour, fe_h, self.colour_range) @ self.coefficients.ravel())

    def slope(self, colour: NDArray, fe_h: NDArray) -> NDArray[np.float64]:
        """Return its change per magnitude of colour."""
        step = 0.01
        change = self.magnitude(colour + step, fe_h) - self.magnitude(colour - step, fe_h)
        return np.asarray(change / (2 * step))

    def width_at(self, colour: NDArray) -> NDArray[np.float64]:
        """Return the intrinsic width of the single stars, mag."""
        return np.asarray(np.interp(colour, self.centres, self.width))

    def probability(self, excess: NDArray, sigma: NDArray) -> NDArray[np.float64]:
        """Return the probability that a star is a binary that shows, given its excess."""
        single, binary, other = _densities(excess, sigma)
        alone = 1 - self.binaries - self.outliers
        total = alone * single + self.binaries * binary + self.outliers * other
        return np.asarray(self.binaries * binary / np.maximum(total, 1e-300))


@dataclass(frozen=True)
class _Stars:
    """Colour, absolute magnitude, [Fe/H] and their errors."""

    colour: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    fe_h: NDArray[np.float64]
    colour_err: NDArray[np.float64]
    magnitude_err: NDArray[np.float64]
    fe_h_err: NDArray[np.float64]
    unevolved: NDArray[np.bool_]
    good: NDArray[np.bool_]

    def error(self, sequence: MainSequence) -> NDArray[np.float64]:
        """Return the error of the excess, and the sequence's own width, mag."""
        steep = sequence.slope(self.colour, self.fe_h)
        per_dex = sequence.magnitude(self.colour, self.fe_h + 0.5)
        per_dex = per_dex - sequence.magnitude(self.colour, self.fe_h - 0.5)
        parts = (
            self.magnitude_err,
            steep * self.colour_err,
            per_dex * self.fe_h_err,
            sequence.width_at(self.colour),
        )
        return np.asarray(np.sqrt(np.sum(np.square(parts), axis=0)))


def photometric_excess(
    frame: pd.DataFrame,
    *,
    bands: tuple[str, str, str] = ("gaia_g", "gaia_bp", "gaia_rp"),
    sequence: MainSequence | None = None,
    poorest_parallax: float = 0.1,
    reddest_turn_off: float = 0.85,
) -> pd.DataFrame:
    """Find photometric binaries.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``id``; ``mag_<band>`` of the three bands (and ``_err``); ``parallax``, ``parallax_err``
        (mas); where known ``fe_h``, ``fe_h_err`` (dex), ``logg``, ``ebv`` (mag, SFD scale).
    bands : tuple of str
        Whose absolute magnitude is compared, and the bluer and redder one of the colour.
    sequence : MainSequence, optional
        Of another sample; fitted to this one by default.
    poorest_parallax : float
        Largest relative error.
    reddest_turn_off : float
        Colour, dereddened, up to which stars may have left the main sequence, mag: the default is
        for BP−RP, and 10 Gyr.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``excess`` (mag, positive: brighter than single stars), ``excess_err`` (errors and
        intrinsic width), ``significance`` (their ratio), ``probability`` (of being a binary that
        shows) and ``flags`` (`ExcessFlag`). NaN without data.

    Raises
    ------
    DataError
        If columns are missing, or no sequence can be fitted.
    """
    stars = _stars(frame, bands, poorest_parallax, reddest_turn_off)
    sequence = fit_main_sequence_to(stars) if sequence is None else sequence
    excess = sequence.magnitude(stars.colour, stars.fe_h) - stars.magnitude
    error = stars.error(sequence)
    probability = sequence.probability(excess, error)
    low, high = sequence.colour_range
    outside = (stars.colour < low) | (stars.colour > high)
    flags = np.where(stars.good, 0, int(ExcessFlag.NO_DATA))
    flags |= np.where(stars.good & ~stars.unevolved, int(ExcessFlag.EVOLVED), 0)
    flags |= np.where(stars.good & outside, int(ExcessFlag.OUTSIDE), 0)
    above = stars.good & (excess > BRIGHTEST + 3 * error)
    flags |= np.where(above, int(ExcessFlag.ABOVE), 0)
    known = np.where(stars.good & ~outside, 0.0, np.nan)
    return pd.DataFrame(
        {
            "id": frame["id"].to_numpy(),
            "excess": excess + known,
            "excess_err": error + known,
            "significance": excess / error + known,
            "probability": probability + known,
            "flags": flags,
        }
    )


def fit_main_sequence(
    frame: pd.DataFrame,
    *,
    bands: tuple[str, str, str] = ("gaia_g", "gaia_bp", "gaia_rp"),
    poorest_parallax: float = 0.1,
    reddest_turn_off: float = 0.85,
) -> MainSequence:
    """Fit the main sequence of a sample; parameters as of `photometric_excess`."""
    return fit_main_sequence_to(_stars(frame, bands, poorest_parallax, reddest_turn_off))


def fit_main_sequence_to(stars: _Stars) -> MainSequence:
    """Fit sequence, widths and shares by expectation and maximisation."""
    rows = np.flatnonzero(stars.good & stars.unevolved)
    if rows.size < FEWEST:
        raise DataError(
            f"photometric excess: found {rows.size} unevolved stars with parallax and colours; "
            f"expected at least {FEWEST}, or a sequence= of another sample"
        )
    used = _Stars(*(value[rows] for value in vars(stars).values()))
    low, high = np.quantile(used.colour, [0.002, 0.998])
    centres = np.quantile(used.colour, (np.arange(CELLS) + 0.5) / CELLS)
    cell = np.minimum(
        np.searchsorted(np.quantile(used.colour, np.arange(1, CELLS) / CELLS), used.colour),
        CELLS - 1,
    )
    design = _design(used.colour, used.fe_h, (low, high))
    start = np.linalg.lstsq(design, used.magnitude, rcond=None)[0]
    sequence = MainSequence(
        np.asarray(start.reshape(DEGREE + 1, 2), dtype=float),
        (float(low), float(high)),
        np.full(CELLS, 0.3),
        np.asarray(centres, dtype=float),
        0.2,
        0.05,
    )
    for _ in range(60):
        sequence = _improved(sequence, used, design, cell)
    return sequence


def _improved(
    sequence: MainSequence, stars: _Stars, design: NDArray, cell: NDArray
) -> MainSequence:
    """Take one step of expectation and maximisation."""
    excess = sequence.magnitude(stars.colour, stars.fe_h) - stars.magnitude
    error = stars.error(sequence)
    shares = np.array(
        [1 - sequence.binaries - sequence.outliers, sequence.binaries, sequence.outliers]
    )
    parts = shares[:, None] * np.array(_densities(excess, error))
    parts /= np.maximum(parts.sum(axis=0), 1e-300)
    weight = parts[0] / error**2
    normal = design.T @ (weight[:, None] * design) + 1e-6 * weight.sum() * np.eye(design.shape[1])
    moved = np.linalg.solve(normal, design.T @ (weight * stars.magnitude))
    width = np.empty(CELLS)
    measured = error**2 - sequence.width_at(stars.colour) ** 2
    for number in range(CELLS):
        own = parts[0] * (cell == number)
        total = np.maximum(own.sum(), 1e-9)
        variance = (own * (excess**2 - measured)).sum() / total
        width[number] = np.sqrt(max(variance, 0.01**2))
    binaries, outliers = parts[1:].mean(axis=1)
    return MainSequence(
        np.asarray(moved.reshape(DEGREE + 1, 2), dtype=float),
        sequence.colour_range,
        width,
        sequence.centres,
        float(np.clip(binaries, 1e-3, 0.6)),
        float(np.clip(outliers, 1e-3, 0.3)),
    )


def _densities(excess: NDArray, sigma: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the densities of single stars, binaries and the rest, per mag."""
    norm = 1 / np.sqrt(2 * np.pi)
    single = norm / sigma * np.exp(-0.5 * (excess / sigma) ** 2)
    binary = (1 - EQUAL_SHARE) * _box(excess, sigma, FAINTEST, EQUAL)
    binary = binary + EQUAL_SHARE * _box(excess, sigma, EQUAL, BRIGHTEST)
    broad = np.hypot(sigma, OUTLIERS)
    return single, binary, norm / broad * np.exp(-0.5 * (excess / broad) ** 2)


def _box(excess: NDArray, sigma: NDArray, low: float, high: float) -> NDArray[np.float64]:
    return np.asarray((ndtr((excess - low) / sigma) - ndtr((excess - high) / sigma)) / (high - low))


def _design(colour: NDArray, fe_h: NDArray, limits: tuple[float, float]) -> NDArray[np.float64]:
    low, high = limits
    scaled = np.clip(2 * (colour - low) / (high - low) - 1, -1.2, 1.2)
    powers = chebyshev.chebvander(scaled, DEGREE)
    return np.asarray(
        (powers[:, :, None] * np.stack([np.ones_like(fe_h), fe_h], 1)[:, None]).reshape(
            len(colour), -1
        )
    )


def _stars(
    frame: pd.DataFrame, bands: tuple[str, str, str], poorest: float, turn_off: float
) -> _Stars:
    """Return what the table says, dereddened, at the distance of the parallax."""
    needed = ["id", "parallax", "parallax_err", *(magnitude_column(one) for one in bands)]
    missing = [name for name in needed if name not in frame]
    if missing:
        raise DataError(f"photometric excess: found no column {', '.join(missing)}")
    ebv = _column(frame, "ebv", 0.0)
    dimmed = ebv[:, None] * coefficients(bands)
    mag = np.stack([_column(frame, magnitude_column(one), np.nan) for one in bands], 1) - dimmed
    err = np.stack([_column(frame, error_column(one), 0.01) for one in bands], 1)
    parallax, parallax_err = (
        _column(frame, "parallax", np.nan),
        _column(frame, "parallax_err", np.nan),
    )
    relative = np.where(parallax > 0, parallax_err / np.where(parallax > 0, parallax, 1.0), np.inf)
    absolute = mag[:, 0] + 5 * np.log10(np.where(parallax > 0, parallax, 1.0)) - 10
    colour = mag[:, 1] - mag[:, 2]
    logg = _column(frame, "logg", np.nan)
    good = np.isfinite(mag).all(axis=1) & (relative < poorest)
    fe_h = _column(frame, "fe_h", 0.0)
    giant = np.where(np.isfinite(logg), logg < 3.9, absolute < 4.0)
    safe = np.where(good, 1.0, np.nan)
    return _Stars(
        np.nan_to_num(colour * safe),
        np.nan_to_num(absolute * safe),
        fe_h,
        np.nan_to_num(np.hypot(err[:, 1], err[:, 2])),
        np.hypot(np.nan_to_num(err[:, 0]), np.where(good, 5 / np.log(10) * relative, 0.0)),
        _column(frame, "fe_h_err", 0.05),
        ~giant & (colour > turn_off),
        good,
    )


def _column(frame: pd.DataFrame, name: str, missing: float) -> NDArray[np.float64]:
    if name not in frame:
        return np.full(len(frame), missing)
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)
    return np.where(np.isfinite(values), values, missing)
