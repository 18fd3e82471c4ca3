"""Lines and bands that an astronomer looks for in a spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siderea.spectra.masks import TELLURIC_BANDS
from siderea.spectra.wavelength import air_to_vacuum

__all__ = ["LINES", "MOLECULES", "bands", "lines"]

LINES: tuple[tuple[str, float], ...] = (
    ("Hβ", 4861.33),
    ("Hα", 6562.80),
    ("Li I", 6707.84),
    ("Na D2", 5889.95),
    ("Na D1", 5895.92),
    ("Mg b", 5183.60),
    ("Ca II", 8542.09),
    ("K I", 7698.96),
    ("[N II]", 6583.45),
    ("Ba II", 5853.67),
)
"""Name, wavelength in air, Å (NIST Atomic Spectra Database; the lithium doublet's mean)."""

MOLECULES: tuple[tuple[str, float, float], ...] = (("C₂ Swan", 4715.0, 4737.5),)
"""Name, first and last wavelength in air, Å; degraded to the blue from the head at 4737 Å."""


def _in(medium: str, air: float) -> float:
    return float(air_to_vacuum(air)) if medium == "vacuum" else air


def lines(wavelength: NDArray, arms: tuple[slice, ...], medium: str) -> list[dict[str, Any]]:
    """Return the lines within the arms: name and wavelength in the medium of the spectra.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å.
    arms : tuple of slice
    medium : {"air", "vacuum"}
    """
    found = []
    for name, air in LINES:
        place = _in(medium, air)
        if any(wavelength[arm][0] <= place <= wavelength[arm][-1] for arm in arms):
            found.append({"name": name, "wavelength": round(place, 3)})
    return found


def bands(wavelength: NDArray, arms: tuple[slice, ...], medium: str) -> list[dict[str, Any]]:
    """Return the bands that the arms cover in part, as `lines` does: telluric ones, and C₂."""
    known = [(f"telluric {name}", *ends) for name, ends in TELLURIC_BANDS.items()]
    found = []
    for name, first, last in (*known, *MOLECULES):
        low, high = _in(medium, first), _in(medium, last)
        if any(np.any((wavelength[arm] >= low) & (wavelength[arm] <= high)) for arm in arms):
            found.append({"name": name, "low": round(low, 3), "high": round(high, 3)})
    return found
