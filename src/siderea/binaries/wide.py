"""Stars that rotate faster than the profiles of the bank: one more search, for one star.

For a rotation u the height of a template t at velocity v is c/G, c = Σ d (t ∗ K_u)(v) and
G = Σ (t ∗ K_u)², and it explains c²/G of the χ². Each template is tried at each rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from siderea.binaries.correlation import Transformed
from siderea.models.velocity_kernels import rotation

__all__ = ["WIDE", "Wide", "find_wide"]

COARSE = 9.0
"""Largest step of the velocities, km/s: lines so wide have next to nothing at higher frequencies
than it holds."""

WIDE = np.array([60.0, 80.0, 100.0, 125.0, 155.0, 190.0, 235.0, 290.0])
"""v sin i, km/s."""


@dataclass(frozen=True)
class Wide:
    """One star in each of N spectra, on the grid.

    Parameters
    ----------
    template : (N,) ndarray of int
    velocity, rotation : (N,) ndarray
        c ln λ and v sin i, km/s.
    height : (N,) ndarray
        In units of the template.
    """

    template: NDArray[np.intp]
    velocity: NDArray[np.float64]
    rotation: NDArray[np.float64]
    height: NDArray[np.float64]


def find_wide(source: Transformed, *, max_velocity: float) -> Wide:
    """Find the template, rotation and velocity that explain most of each spectrum.

    Parameters
    ----------
    source : Transformed
        N spectra.
    max_velocity : float
        Range on either side of 0, km/s.
    """
    library, n = source.library, len(source.data)
    size = 2 * int(0.5 * library.size * min(1.0, library.pixel / COARSE))
    used, step = size // 2 + 1, library.pixel * library.size / size
    reach = min(int(max_velocity / step), size // 2 - 1)
    frequency = torch.from_numpy(library.frequency[:used])
    kernels = rotation(frequency, torch.from_numpy(WIDE[:, None])).numpy()
    fold = np.full(used, 2.0 / library.size)
    fold[0] /= 2
    data = source.data[..., :used] * source.weight.astype(np.float32)[:, :, None]
    best, out, row = np.zeros(n), np.zeros((4, n)), np.arange(n)
    for one, transform in enumerate(library.transform[..., :used]):
        product = np.einsum("naf,af->nf", data, transform)
        strength = (np.abs(transform) ** 2 / np.maximum(library.slow[:used], 1e-6)) * fold
        power = (source.weight * source.share) @ (strength @ (kernels**2).T)
        full = scipy.fft.irfft(product[:, None] * kernels.astype(np.float32), size)
        ccf = np.concatenate([full[..., size - reach :], full[..., : reach + 1]], axis=2)
        peak = ccf.argmax(axis=2)
        top = np.take_along_axis(ccf, peak[..., None], 2)[..., 0] * (size / library.size)
        gain = np.maximum(top, 0.0) ** 2 / np.maximum(power, 1e-12)
        turn = gain.argmax(axis=1)
        place, top, power = (values[row, turn] for values in (peak, top, power))
        found = np.full(n, float(one)), (place - reach) * step, WIDE[turn], top / power
        better = gain[row, turn] > best
        best = np.where(better, gain[row, turn], best)
        out = np.where(better, found, out)
    return Wide(out[0].astype(np.intp), out[1], out[2], out[3])
