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
    reach = min(int(max_velocity / library.pixel), library.size // 2 - 1)
    kernels = rotation(torch.from_numpy(library.frequency), torch.from_numpy(WIDE[:, None])).numpy()
    fold = np.full(library.frequency.size, 2.0 / library.size)
    fold[0] /= 2
    weight = source.weight.astype(np.float32)
    best, out = np.zeros(n), np.zeros((4, n))
    for one, transform in enumerate(library.transform):
        product = np.einsum("naf,na,af->nf", source.data, weight, transform, optimize=True)
        strength = (np.abs(transform) ** 2 / np.maximum(library.slow, 1e-6)) * fold
        power = (kernels**2) @ strength.T @ (weight * source.share).T
        for turn, kernel in enumerate(kernels):
            full = scipy.fft.irfft(product * kernel.astype(np.float32), library.size)
            ccf = np.concatenate([full[:, library.size - reach :], full[:, : reach + 1]], axis=1)
            peak = ccf.argmax(axis=1)
            top = np.maximum(ccf[np.arange(n), peak], 0.0)
            gain = top**2 / np.maximum(power[turn], 1e-12)
            better = gain > best
            best = np.where(better, gain, best)
            found = np.broadcast_arrays(
                float(one), (peak - reach) * library.pixel, WIDE[turn], top / power[turn]
            )
            out = np.where(better, found, out)
    return Wide(out[0].astype(np.intp), out[1], out[2], out[3])
