"""What the fits of one star and two say for a second star, in numbers that can be weighed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.binaries.model_flags import ModelFlag

__all__ = [
    "CONTEXT",
    "EVIDENCE",
    "FEATURES",
    "el_badry_accepts",
    "features",
    "robust_gain",
]

Array = NDArray[np.float64]

KNOTS = (0.0, 2.5, 4.0, 5.5, 7.0)
"""Of ln(1 + Δχ²), where its weight may change."""

EVIDENCE = (
    *(f"gain_{k}" for k in range(len(KNOTS))),
    *(f"scaled_gain_{k}" for k in range(len(KNOTS))),
    "f_imp",
)
"""Features that count for a companion: their weights are not negative. A gain is a part of
ln(1 + Δχ²) between two `KNOTS`; a scaled one that of Δχ² at S/N 50, what the model's own errors
leave."""

CONTEXT = ("log_snr", "log_vsini", "teff", "log_chi2")
"""Features of the star: they move the threshold. What two stars do not explain (``log_chi2``) never
counts for a second one: a control set of normal stars would teach that it does."""

FEATURES = (*EVIDENCE, *CONTEXT)

LEAST_REDUCED = 0.25
"""Of χ² per pixel: errors that are said to be larger than twice what the data show are believed no
further."""

UNJUDGED = int(ModelFlag.BEYOND)

EL_BADRY = (
    (300.0, 0.225),
    (450.0, 0.20),
    (600.0, 0.175),
    (750.0, 0.15),
    (1000.0, 0.125),
    (1500.0, 0.10),
    (2000.0, 0.075),
    (2500.0, 0.05),
    (3000.0, 0.0),
)
"""Δχ² and the f_imp that it needs: El-Badry et al. (2018), MNRAS 476, 528, for APOGEE."""


def features(table: pd.DataFrame) -> Array:
    """Return `FEATURES` (N, F) of a table of `siderea.binaries.model_selection.detect_model`.

    NaN where nothing was fitted, or the star is `BEYOND` the model.
    """
    gain = robust_gain(table)
    reduced = _reduced(table)
    at_50 = gain * (50.0 / table["snr"].clip(lower=1.0).to_numpy(dtype=float)) ** 2
    columns: dict[str, Any] = {
        **dict(zip(EVIDENCE, (*_ramps(gain), *_ramps(at_50)), strict=False)),
        "f_imp": table["f_imp"].clip(0.0, 1.0),
        "log_snr": np.log(table["snr"].clip(lower=1.0) / 50.0),
        "log_vsini": np.log1p(table["single_vsini"]) - 2.0,
        "teff": (table["single_teff"] - 5500.0) / 1000.0,
        "log_chi2": np.minimum(np.log(reduced), 2.0),
    }
    out = np.column_stack([np.asarray(columns[name], dtype=float) for name in FEATURES])
    out[(table["flags"].to_numpy(dtype=np.int64) & UNJUDGED) != 0] = np.nan
    return out


def robust_gain(table: pd.DataFrame) -> Array:
    """Return what Δχ² is worth (N,): the least of Δχ²/χ²ᵥ and 4 t².

    χ²ᵥ is what two stars leave per pixel: the scale of the errors, as the data show it (a
    quasi-likelihood). t is the gain in units of its scatter between pieces of the spectrum; with
    noise alone both are the same on average. An emission line, a molecule or a residue of the sky
    makes Δχ² of hundreds, all of it in a few pieces, and no binary.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `siderea.binaries.model_selection.detect_model`, N rows.
    """
    gain = np.maximum(table["delta_chi2"].to_numpy(dtype=float), 0.0) / _reduced(table)
    even = 4.0 * np.maximum(table["gain_significance"].to_numpy(dtype=float), 0.0) ** 2
    return np.asarray(np.minimum(gain, even))


def _reduced(table: pd.DataFrame) -> Array:
    pixels = table["n_pixels"].to_numpy(dtype=float)
    chi2 = table["chi2_binary"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.maximum(chi2 / np.where(pixels > 0, pixels, np.nan), LEAST_REDUCED))


def _ramps(gain: Array) -> list[Array]:
    """Return the parts of ln(1 + Δχ²) between the knots."""
    value = np.log1p(gain)
    widths = np.diff([*KNOTS, np.inf])
    return [np.clip(value - low, 0.0, wide) for low, wide in zip(KNOTS, widths, strict=True)]


def el_badry_accepts(delta_chi2: ArrayLike, f_imp: ArrayLike) -> NDArray[np.bool_]:
    """Tell which evidence the published fixed table accepts (see `EL_BADRY`).

    Parameters
    ----------
    delta_chi2, f_imp : (N,) array-like
    """
    gain, fraction = np.asarray(delta_chi2, dtype=float), np.asarray(f_imp, dtype=float)
    return np.any([(gain >= g) & (fraction >= f) for g, f in EL_BADRY], axis=0)
