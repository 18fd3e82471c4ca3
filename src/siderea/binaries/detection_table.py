"""The table that detections by cross-correlation are written into."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.refine import Refined
from siderea.constants import C_KMS

__all__ = ["MOST", "DetectionFlag", "Table", "confidence", "empty_table", "write_stars"]

MOST = 4
"""Stars that a spectrum is searched for."""

VELOCITY_FLOOR = 0.02
"""What velocities are wrong by at any S/N, km/s: templates are never quite the star."""

BLENDED_FACTOR = 2.4
"""Errors of blended stars' velocities times this: each leans on the other's template being right.
So much larger than the errors without it is the scatter of simulated blends (20 of one seed)."""


class DetectionFlag(IntFlag):
    """What is known of a detection by cross-correlation."""

    NONE = 0
    NO_DATA = 1  #: no arm with enough good pixels: nothing was searched
    LOW_CCF = 2  #: no template matches: the CCF's peak is below what the settings ask for
    ONE_ARM = 4  #: one arm alone shows the companion, though others could: cross-talk
    BLENDED = 8  #: components lie within each other's profiles
    FAST_ROTATOR = 16  #: the single star that fits best rotates faster than 25 km/s
    AT_EDGE = 32  #: a component lies at the end of the range of velocities
    VERY_FAST = 64  #: the single star that fits best rotates faster than 60 km/s


Table = dict[str, NDArray]
"""Columns by name. A DataFrame is made of them once, at the end: writing rows into one is slow."""


def empty_table(ids: NDArray) -> Table:
    """Return the columns of N spectra of which nothing is known yet."""
    n = len(ids)
    numbers = ["significance", "gain", "flux_ratio", "dv", "vsini", "ccf_height"]
    for star in range(1, MOST + 1):
        numbers += [f"rv_{star}", f"rv_{star}_err", f"height_{star}", f"vsini_{star}"]
    table: Table = {"id": ids, "n_components": np.zeros(n, dtype=np.int64)}
    table |= {name: np.full(n, np.nan) for name in numbers}
    table |= {name: np.zeros(n, dtype=np.int64) for name in ("n_extrema", "template", "flags")}
    return table | {"confidence": np.full(n, "", dtype=object)}


def write_stars(out: Table, rows: NDArray, fit: Refined, fwhm: float) -> None:
    """Write the stars of a fit into the table."""
    number = fit.velocity.shape[1]
    out["n_components"][rows] = number
    velocity = C_KMS * np.tanh(fit.velocity / C_KMS)
    factor = np.ones((len(velocity), 1))
    if number == 2:
        apart = np.abs(np.diff(fit.velocity, axis=1))[:, 0]
        factor[apart < fit.rotation.max(axis=1) + fwhm] = BLENDED_FACTOR
    error = np.hypot(factor * fit.velocity_err, VELOCITY_FLOOR)
    for k in range(number):
        out[f"rv_{k + 1}"][rows] = velocity[:, k]
        out[f"rv_{k + 1}_err"][rows] = error[:, k]
        out[f"height_{k + 1}"][rows] = fit.height[:, k]
        out[f"vsini_{k + 1}"][rows] = fit.rotation[:, k]


def confidence(table: Table) -> NDArray[np.object_]:
    """Return A, B or C for detections, and "" for the rest: see `siderea.binaries.detect`."""
    flags, significance, gain = (table[name] for name in ("flags", "significance", "gain"))
    crosstalk = (flags & int(DetectionFlag.ONE_ARM)) > 0
    mixed = (flags & int(DetectionFlag.BLENDED | DetectionFlag.FAST_ROTATOR)) > 0
    out = np.where((significance > 10) & (gain > 0.02) & ~mixed, "A", "B").astype(object)
    out[crosstalk | (significance < 8) | (gain < 0.012)] = "C"
    out[table["n_components"] < 2] = ""
    return out
