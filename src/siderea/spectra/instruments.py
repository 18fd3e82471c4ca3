"""The common pixels of an instrument, on which spectra are read, stored and simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.data import Medium, Spectra
from siderea.spectra.wavelength import log_grid

__all__ = ["GALAH_GRID", "InstrumentGrid"]


@dataclass(frozen=True)
class InstrumentGrid:
    """The common pixels of an instrument.

    Parameters
    ----------
    arm_names : tuple of str
        A name per arm, in the order of ``arms``.
    wavelength : (P,) ndarray
        Å, increasing within each arm.
    arms : tuple of slice
        Consecutive slices that tile the P pixels.
    medium : {"air", "vacuum"}
        What the wavelengths are measured in.
    resolution : tuple of float
        Resolving power per arm.
    """

    arm_names: tuple[str, ...]
    wavelength: NDArray[np.float64]
    arms: tuple[slice, ...]
    medium: Medium
    resolution: tuple[float, ...]

    @classmethod
    def from_arms(
        cls,
        arms: Mapping[str, NDArray[np.float64]],
        *,
        medium: Medium,
        resolution: Sequence[float],
    ) -> InstrumentGrid:
        """Set arms, each a name and its wavelengths, one after another."""
        stops = np.cumsum([len(wavelength) for wavelength in arms.values()]).tolist()
        slices = tuple(slice(a, b) for a, b in zip([0, *stops[:-1]], stops, strict=True))
        joined = np.concatenate(list(arms.values()))
        return cls(tuple(arms), joined, slices, medium, tuple(resolution))

    def empty(self) -> Spectra:
        """Return a set without rows on these pixels, in single precision."""
        nothing = np.empty((0, self.wavelength.size), dtype=np.float32)
        return Spectra(
            self.wavelength,
            nothing,
            nothing,
            self.medium,
            arms=self.arms,
            arm_names=self.arm_names,
            resolution=self.resolution,
        )


GALAH_RESOLUTION = 28_000.0
GALAH_PIXEL = 2.85
"""Pixel of the common grid, km/s: that of the detectors at mid-arm (2.85 to 2.87 in all four)."""
GALAH_PIXELS = 4096
GALAH_START = {"blue": 4714.0, "green": 5649.0, "red": 6478.5, "ir": 7586.0}
"""First pixel of each arm, Å: puts 4,096 pixels over what the detectors cover."""

GALAH_GRID = InstrumentGrid.from_arms(
    {name: log_grid(first, GALAH_PIXELS, GALAH_PIXEL) for name, first in GALAH_START.items()},
    medium="air",
    resolution=(GALAH_RESOLUTION,) * len(GALAH_START),
)
"""Common grid of GALAH: 4 x 4,096 pixels, uniform in ln λ with one velocity step, air."""
