"""Photometric binaries: stars brighter than the single stars of their colour and metallicity.

Two unresolved stars of a main sequence lie up to 0.753 mag above it. Where it is, and how wide,
is learnt from the sample (`siderea.binaries.main_sequence`).
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.main_sequence import (
    BRIGHTEST,
    MainSequence,
    SequenceStars,
    fit_sequence,
)
from siderea.errors import DataError
from siderea.photometry.bands import error_column, magnitude_column
from siderea.photometry.extinction import coefficients

__all__ = ["ExcessFlag", "MainSequence", "fit_main_sequence", "photometric_excess"]


class ExcessFlag(IntFlag):
    """What is known of a photometric excess."""

    NONE = 0
    NO_DATA = 1  #: a magnitude, a colour or a parallax is missing, or the parallax is too poor
    EVOLVED = 2  #: a giant, or near the turn-off, where single stars lie above the sequence too
    OUTSIDE = 4  #: colour beyond those of the stars that the sequence was fitted to
    ABOVE = 8  #: more than two equal stars can explain


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
    sequence = fit_sequence(stars) if sequence is None else sequence
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
    return fit_sequence(_stars(frame, bands, poorest_parallax, reddest_turn_off))


def _stars(
    frame: pd.DataFrame, bands: tuple[str, str, str], poorest: float, turn_off: float
) -> SequenceStars:
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
    return SequenceStars(
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
