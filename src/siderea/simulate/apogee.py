"""APOGEE-like spectra from El-Badry's networks (`siderea.models.binspec`): dwarfs, in vacuum.

The networks give a spectrum at the resolution of APOGEE with macroturbulence as a label; rotation
and velocity are applied in Fourier space on the survey's grid, which is uniform in ln λ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from siderea.constants import C_KMS
from siderea.models.binspec import BinspecModel
from siderea.models.velocity_kernels import MAX_VELOCITY, doppler_phase, rotation
from siderea.simulate.instruments import CHUNK, STAR_LABELS, Instrument
from siderea.spectra.instruments import InstrumentGrid

__all__ = ["BinspecStars", "apogee"]

ARM_NAMES = ("blue", "green", "red")

EVEN_SNR = (1.0, 1.0, 1.0)
"""The three detectors reach about the same S/N."""


@dataclass(frozen=True)
class BinspecStars:
    """`siderea.simulate.instruments.StarModel` of El-Badry's networks.

    Parameters
    ----------
    model : BinspecModel
        From `siderea.models.binspec.load`.
    """

    model: BinspecModel

    @property
    def label_range(self) -> NDArray[np.float64]:
        """Range (8, 2); microturbulence is the networks' own, whatever is asked for."""
        stars = self.model.label_range
        extra = [
            [0.0, 50.0],  # vmic: not a label
            [0.0, MAX_VELOCITY["vsini"]],
            stars[4].tolist(),
            [-MAX_VELOCITY["rv"], MAX_VELOCITY["rv"]],
        ]
        return np.concatenate([stars[:4], extra])

    def lines(self, labels: NDArray[np.float64]) -> NDArray[np.float32]:
        """See `StarModel`; beyond the end of a detector the end pixel is held."""
        out = np.empty((len(labels), self.model.wavelength.size), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, len(labels), CHUNK):
                rows = torch.from_numpy(labels[start : start + CHUNK])
                own = rows[:, [0, 1, 2, 3, len(STAR_LABELS) + 1]]
                flux = self.model.normalised(own)
                for arm in self.model.arms:
                    moved = self._moved(flux[:, arm], arm, rows[:, 5:6], rows[:, 7:8])
                    out[start : start + CHUNK, arm] = moved.numpy()
        return out

    def continuum(self, labels: NDArray[np.float64]) -> NDArray[np.float32]:
        """See `StarModel`."""
        rows = torch.from_numpy(labels[:, [0, 1, 2, 3, len(STAR_LABELS) + 1]])
        with torch.no_grad():
            pieces = [self.model.continuum(rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]
        return torch.cat(pieces).numpy().astype(np.float32)

    def _moved(
        self, flux: torch.Tensor, arm: slice, vsini: torch.Tensor, rv: torch.Tensor
    ) -> torch.Tensor:
        wavelength = self.model.wavelength[arm]
        step = C_KMS * np.log(wavelength[-1] / wavelength[0]) / (wavelength.size - 1)
        margin = int((MAX_VELOCITY["vsini"] + MAX_VELOCITY["rv"]) / step) + 2
        n = next_fast_len(wavelength.size + 2 * margin, real=True)
        right = n - wavelength.size - margin
        padded = torch.cat(
            [flux[:, :1].expand(-1, margin), flux, flux[:, -1:].expand(-1, right)], dim=1
        )
        frequency = torch.fft.rfftfreq(n, step, dtype=flux.dtype)
        waves = torch.fft.rfft(1 - padded)
        waves = waves * rotation(frequency, vsini) * doppler_phase(frequency, rv)
        return 1 - torch.fft.irfft(waves, n=n)[:, margin : margin + wavelength.size]


def apogee(model: BinspecModel) -> Instrument:
    """Return an APOGEE-like instrument on the networks' grid.

    Parameters
    ----------
    model : BinspecModel
        Its labels hold for dwarfs of 4,200 to 7,000 K; other stars are moved to its edges, and the
        truth says so.
    """
    grid = InstrumentGrid(
        ARM_NAMES, model.wavelength, model.arms, model.medium, (model.resolution,) * len(ARM_NAMES)
    )
    return Instrument("apogee", grid, BinspecStars(model), EVEN_SNR, "green")
