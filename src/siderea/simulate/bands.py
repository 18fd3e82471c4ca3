"""Molecular bands and lithium, put on the normalised spectra of single stars.

Opacities are made on the GALAH pixels with a margin, turned into depths, and then broadened and
shifted as the star's lines are: by rotation, macroturbulence, velocity and the instrument.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.errors import DataError
from siderea.models.emulator_projection import cubic
from siderea.models.velocity_kernels import KERNELS
from siderea.simulate.instruments import BROADENING
from siderea.simulate.molecules import (
    Composition,
    lithium_opacity,
    load_bands,
    molecular_opacity,
)
from siderea.simulate.one_layer import Layer, absorbed
from siderea.spectra.instruments import InstrumentGrid

__all__ = ["MOLECULES", "BandPainter"]

Array = NDArray[np.float32]

MOLECULES = ("C2", "CN", "MgH", "CaH", "TiO")


class BandPainter:
    """Puts molecular bands and lithium on spectra of an instrument in the GALAH arms.

    Parameters
    ----------
    grid : InstrumentGrid
        In air, arms as GALAH's.

    Raises
    ------
    DataError
        If an arm is not within one of GALAH's.
    """

    def __init__(self, grid: InstrumentGrid) -> None:
        self.grid = grid
        bands = load_bands()
        steps = np.log(bands.wavelength[:, 1] / bands.wavelength[:, 0])
        self.reading: list[tuple[int, NDArray, NDArray]] = []
        for arm in grid.arms:
            pixels = grid.wavelength[arm]
            covers = [w[4] < pixels[0] and pixels[-1] < w[-5] for w in bands.wavelength]
            if grid.medium != "air" or not any(covers):
                raise DataError(
                    f"grid: found an arm from {pixels[0]:.1f} to {pixels[-1]:.1f} Å "
                    f"({grid.medium}); molecular bands are for the GALAH arms in air"
                )
            number = covers.index(True)
            position = np.log(pixels / bands.wavelength[number, 0]) / steps[number]
            self.reading.append((number, *cubic(position)))
        self.step = float(C_KMS * steps.mean())

    def transmission(
        self,
        stars: NDArray[np.float64],
        broadening: NDArray[np.float64],
        *,
        c_fe: NDArray[np.float64],
        a_li: NDArray[np.float64],
    ) -> Array:
        """Return what N stars let through (N, P).

        Parameters
        ----------
        stars : (N, 4) ndarray
            teff, logg, fe_h, alpha_fe.
        broadening : (N, 3) ndarray
            vsini, vmac, rv, km/s.
        c_fe : (N,) ndarray
            [C/Fe]; NaN for a star without molecular bands.
        a_li : (N,) ndarray
            A(Li); NaN for a star without lithium beyond the emulator's.
        """
        teff, logg, fe_h, alpha_fe = stars.T
        composition = Composition.of(fe_h, alpha_fe, c_fe=c_fe, a_li=a_li)
        bands = molecular_opacity(MOLECULES, Layer.of("bands", teff, logg, fe_h), composition)
        lithium = lithium_opacity(Layer.of("lines", teff, logg, fe_h), composition)
        depth = 1 - absorbed(np.nan_to_num(bands) + np.nan_to_num(lithium))
        return self._read(self._broadened(depth, broadening))

    def _broadened(self, depth: NDArray, broadening: NDArray) -> Array:
        n = depth.shape[-1]
        waves = torch.fft.rfft(torch.from_numpy(depth))
        frequency = torch.fft.rfftfreq(n, self.step, dtype=torch.float64)
        sigma = C_KMS / GAUSSIAN_FWHM / self.grid.resolution[0]
        waves = waves * torch.exp(-2 * (np.pi * sigma * frequency) ** 2)
        for name, value in zip(BROADENING, torch.from_numpy(broadening.T), strict=True):
            waves = waves * KERNELS[name](frequency, value[:, None])[:, None]
        return torch.fft.irfft(waves, n=n).numpy()

    def _read(self, depth: NDArray) -> Array:
        out = np.empty((len(depth), self.grid.wavelength.size), dtype=np.float32)
        for arm, (number, index, weight) in zip(self.grid.arms, self.reading, strict=True):
            out[:, arm] = 1 - (depth[:, number][:, index] * weight).sum(axis=-1)
        return out
