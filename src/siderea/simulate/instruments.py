"""What an instrument is to the simulator: pixels, a model of single stars on them, sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.models.emulator import load_default
from siderea.models.emulator_survey import SurveyEmulator
from siderea.spectra.instruments import GALAH_GRID, InstrumentGrid

__all__ = ["BROADENING", "STAR_LABELS", "EmulatedStars", "Instrument", "StarModel", "galah"]

STAR_LABELS = ("teff", "logg", "fe_h", "alpha_fe", "vmic")
BROADENING = ("vsini", "vmac", "rv")

GALAH_SNR = (27.0, 32.0, 45.0, 51.0)
"""Median S/N per pixel of the four arms in GALAH DR3 spectra: their ratio is used."""

REFERENCE = (5600.0, 4.2, 0.0, 0.0, 1.1)
"""The star that has the median S/N in every arm: a typical one of a sample with 12 < V < 14."""

BACKGROUND = 0.3
"""Share of sky and read-out in the variance at the continuum: about a third in GALAH files."""

CHUNK = 64


class StarModel(Protocol):
    """Single stars on the pixels of an instrument."""

    @property
    def label_range(self) -> NDArray[np.float64]:
        """Lowest and highest value (8, 2) of `STAR_LABELS` and `BROADENING`."""
        ...

    def lines(self, labels: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return normalised flux (N, P) for labels (N, 8), broadened and shifted."""
        ...

    def continuum(self, labels: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the surface flux density of the continuum (N, P), erg s⁻¹ cm⁻² Å⁻¹."""
        ...


@dataclass(frozen=True)
class EmulatedStars:
    """`StarModel` of the shipped emulator.

    Parameters
    ----------
    model : SurveyEmulator
        With the labels of `BROADENING`.
    """

    model: SurveyEmulator

    @classmethod
    def on(cls, grid: InstrumentGrid) -> EmulatedStars:
        """Bring the emulator to the pixels of an instrument."""
        return cls(
            load_default().at(
                grid.wavelength,
                resolution=grid.resolution,
                medium=grid.medium,
                arms=grid.arms,
                extra_labels=BROADENING,
            )
        )

    @property
    def label_range(self) -> NDArray[np.float64]:
        """See `StarModel`."""
        return self.model.label_range

    def lines(self, labels: NDArray[np.float64]) -> NDArray[np.float32]:
        """See `StarModel`."""
        return in_chunks(self.model.normalised, labels)

    def continuum(self, labels: NDArray[np.float64]) -> NDArray[np.float32]:
        """See `StarModel`."""
        return in_chunks(self.model.continuum_density, labels)


def in_chunks(function: object, labels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Run a PyTorch function over labels in single precision, without gradients."""
    rows = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.float32))
    with torch.no_grad():
        pieces = [function(rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]  # type: ignore[operator]
    return torch.cat(pieces).numpy() if len(pieces) != 1 else pieces[0].numpy()


@dataclass(frozen=True)
class Instrument:
    """An instrument.

    Parameters
    ----------
    name : str
    grid : InstrumentGrid
    stars : StarModel
        On that grid.
    snr : tuple of float
        Median S/N per arm in the survey, of which the ratios are used.
    pivot : str
        Arm that the S/N of a star is given for.
    """

    name: str
    grid: InstrumentGrid
    stars: StarModel
    snr: Sequence[float]
    pivot: str

    @property
    def pivot_pixels(self) -> slice:
        """Pixels of the pivot arm."""
        return self.grid.arms[self.grid.arm_names.index(self.pivot)]

    @cached_property
    def sensitivity(self) -> NDArray[np.float32]:
        """Squared S/N per unit of flux density (P,), in arbitrary units.

        Photons per pixel go as F λ Δλ; the pixels are uniform in ln λ. The factor of each arm makes
        a `REFERENCE` star the survey's median one.
        """
        wavelength = self.grid.wavelength
        labels = np.array([[*REFERENCE, 0.0, 0.0, 0.0]])
        photons = self.stars.continuum(labels)[0] * wavelength**2
        factor = np.empty(wavelength.size)
        for arm, snr in zip(self.grid.arms, self.snr, strict=True):
            factor[arm] = snr**2 / photons[arm].mean()
        return np.asarray(factor * wavelength**2, dtype=np.float32)


def galah(grid: InstrumentGrid = GALAH_GRID) -> Instrument:
    """Return the HERMES spectrograph of GALAH.

    Parameters
    ----------
    grid : InstrumentGrid, optional
        Pixels of the four arms; the common grid of a store by default.
    """
    return Instrument("galah", grid, EmulatedStars.on(grid), GALAH_SNR, "green")
