"""Masks of lines: where the stars of a kind have lines, and how deep, without their shapes.

A mask of a star is the minima of its spectrum, weighed by their depths. Where the emulator does not
reach, lines come from a list (`siderea.binaries.templates.mask_template`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.templates import emulator_templates, mask_template
from siderea.data import Spectra
from siderea.errors import DataError

__all__ = ["KINDS", "lines_of", "star_masks"]

KINDS = {
    # teff, logg, fe_h, alpha_fe, vmic
    "F dwarf": (6500.0, 4.2, -0.1, 0.0, 1.5),
    "G dwarf": (5800.0, 4.4, 0.0, 0.0, 1.1),
    "K dwarf": (4900.0, 4.6, 0.0, 0.0, 0.9),
    "K giant": (4600.0, 2.4, 0.0, 0.0, 1.5),
    "metal-poor dwarf": (6100.0, 4.0, -2.0, 0.4, 1.4),
    "metal-poor giant": (4700.0, 1.4, -2.0, 0.4, 1.8),
}
"""Stars of the masks and their labels."""

SHALLOWEST = 0.03
"""Minima that are less deep are left out: those of noise in the emulator, and of blends' wings."""


def lines_of(
    wavelength: NDArray, flux: NDArray, *, shallowest: float = SHALLOWEST
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the lines of a normalised spectrum without noise.

    Parameters
    ----------
    wavelength, flux : (P,) ndarray
        Å, increasing.
    shallowest : float
        Least depth.

    Returns
    -------
    centre, depth : (M,) ndarray
        Of the minima, by the parabola through three pixels.
    """
    depth = 1.0 - np.asarray(flux, dtype=float)
    left, top, right = depth[:-2], depth[1:-1], depth[2:]
    peak = np.flatnonzero((top > left) & (top >= right) & (top > shallowest))
    bend = left[peak] - 2 * top[peak] + right[peak]
    offset = 0.5 * (left[peak] - right[peak]) / bend
    step = 0.5 * (wavelength[peak + 2] - wavelength[peak])
    height = top[peak] - 0.25 * (left[peak] - right[peak]) * offset
    return wavelength[peak + 1] + offset * step, np.minimum(height, 1.0)


def star_masks(spectra: Spectra) -> NDArray[np.float32]:
    """Return masks of the stars of `KINDS` on the grid of a set of spectra.

    Parameters
    ----------
    spectra : Spectra
        Its wavelengths, medium, arms and resolution are used.

    Returns
    -------
    (K, P) ndarray
        Lines as wide as the resolution.

    Raises
    ------
    DataError
        If the emulator does not cover the wavelengths, a resolution is not known, or a kind has
        no line there.
    """
    stars = emulator_templates(spectra, list(KINDS.values()))
    masks = []
    for kind, flux in zip(KINDS, stars, strict=True):
        parts = [lines_of(spectra.wavelength[arm], flux[arm]) for arm in spectra.arms]
        centre, depth = (np.concatenate(one) for one in zip(*parts, strict=True))
        if not centre.size:
            raise DataError(f"masks: found no line of a {kind} deeper than {SHALLOWEST}")
        masks.append(mask_template(spectra, centre, depth))
    return np.concatenate(masks)
