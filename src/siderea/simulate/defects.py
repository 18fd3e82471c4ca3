"""Problematic spectra: what goes wrong between the star and the catalogue.

- fringing: interference in the detector leaves an oscillation on the continuum of an arm;
- cosmic rays: hits that nobody masked;
- sky: the lines of the night sky were subtracted too little or too much;
- velocity: the catalogue's radial velocity is wrong, and the spectrum not at rest;
- dead: an arm is missing;
- scattered: light from elsewhere on the detector fills the lines up;
- saturated: the detector clipped an arm, and what it clipped at passes for the continuum;
- gaps: blocks of pixels without a value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.flags import SpectrumFlag
from siderea.simulate.draw import Columns
from siderea.spectra.doppler import add_velocities, shift
from siderea.spectra.instruments import InstrumentGrid
from siderea.spectra.masks import SKY_LINES
from siderea.spectra.wavelength import air_to_vacuum

__all__ = ["KINDS", "cosmic_rays", "sky_velocity", "spoil", "wrong_velocity"]

KINDS = ("fringing", "cosmic", "sky", "velocity", "dead", "scattered", "saturated", "gaps")


def wrong_velocity(kind: str, size: float) -> float:
    """Return what is added to the measured velocity, km/s: 25 to 300, either way."""
    if kind != "velocity":
        return 0.0
    return float(np.sign(size - 0.5) * (25 + 550 * abs(size - 0.5)))


def spoil(
    kind: str,
    flux: NDArray,
    ivar: NDArray,
    grid: InstrumentGrid,
    *,
    arm: int,
    size: float,
    sky_velocity: float,
    rng: np.random.Generator,
) -> SpectrumFlag:
    """Spoil one spectrum in place.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    flux, ivar : (P,) ndarray
        Normalised, with noise.
    grid : InstrumentGrid
    arm : int
        The arm that has the defect (all have cosmic rays, sky and scattered light).
    size : float
        How bad, 0 to 1.
    sky_velocity : float
        Of the observatory in the frame of the spectrum, km/s.
    rng : numpy.random.Generator

    Returns
    -------
    SpectrumFlag
        What a reader of the file would flag.
    """
    pixels = grid.arms[arm % len(grid.arms)]
    if kind == "fringing":
        flux[pixels] *= _fringes(grid.wavelength[pixels], size, rng)
    elif kind == "cosmic":
        _hit(flux, int(10 + 50 * size), rng)
    elif kind == "sky":
        flux += _sky(grid, sky_velocity, size, rng)
    elif kind == "scattered":
        veil = np.float32(0.15 + 0.6 * size)
        flux += veil
        flux /= 1 + veil
    elif kind == "saturated":
        level = np.float32(0.85 - 0.35 * size)  # of the continuum; which is then taken for it
        flux[pixels] = np.minimum(flux[pixels], level) / level
    elif kind == "dead":
        flux[pixels], ivar[pixels] = 0.0, 0.0
        return SpectrumFlag.MISSING_ARM
    elif kind == "gaps":
        _gaps(flux, ivar, int(2 + 6 * size), rng)
        return SpectrumFlag.NON_FINITE
    return SpectrumFlag.NONE


def _fringes(wavelength: NDArray, size: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 + a sin(2π λ/Λ + φ), with an amplitude that changes along the arm."""
    period, phase, tilt = rng.uniform(3, 40), rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5)
    amplitude = (0.05 + 0.2 * size) * (1 + tilt * np.linspace(-1, 1, wavelength.size))
    wave = 1 + amplitude * np.sin(2 * np.pi * wavelength / period + phase)
    return np.asarray(wave, dtype=np.float32)


def _hit(flux: NDArray, n_hits: int, rng: np.random.Generator) -> None:
    """Add spikes of one to three pixels, up to several times the continuum."""
    where = rng.integers(1, flux.size - 1, n_hits)
    height = rng.exponential(1.5, n_hits)
    for offset, share in ((-1, 0.2), (0, 1.0), (1, 0.3)):
        np.add.at(flux, where + offset, (share * height).astype(flux.dtype))


def _sky(
    grid: InstrumentGrid, velocity: float, size: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Residuals of the sky lines, as wide as the instrument makes them."""
    out = np.zeros(grid.wavelength.size, dtype=np.float32)
    scale = rng.choice([-1.0, 1.0]) * (0.2 + 1.0 * size)
    lines = np.array(SKY_LINES)
    lines = air_to_vacuum(lines) if grid.medium == "vacuum" else lines
    for line, strength in zip(shift(lines, velocity), rng.uniform(0.3, 1, lines.size), strict=True):
        for arm, power in zip(grid.arms, grid.resolution, strict=True):
            x = (C_KMS * np.log(grid.wavelength[arm] / line)) * power * GAUSSIAN_FWHM / C_KMS
            out[arm] += (scale * strength * np.exp(-0.5 * x**2)).astype(np.float32)
    return out


def _gaps(flux: NDArray, ivar: NDArray, n_gaps: int, rng: np.random.Generator) -> None:
    for start in rng.integers(0, flux.size - 400, n_gaps).tolist():
        stop = start + int(rng.integers(20, 400))
        flux[start:stop], ivar[start:stop] = 0.0, 0.0


def sky_velocity(table: Columns, frame: str) -> NDArray[np.float64]:
    """Return the velocity (N,) of what is at rest over the observatory, in the spectra's frame.

    In the rest frame of the measured velocity, +v_bary − rv; in the barycentric frame, +v_bary.
    """
    bary = table["barycentric_velocity"]
    if frame == "barycentric":
        return np.asarray(bary)
    return add_velocities(bary, -table["rv_measured"])


def cosmic_rays(ivar: NDArray, mean: float, rng: np.random.Generator) -> SpectrumFlag:
    """Mask the pixels (in place) of cosmic rays that were found: three for each of some hits."""
    n_hits = int(rng.poisson(mean))
    for where in rng.integers(0, ivar.size - 2, n_hits).tolist():
        ivar[where : where + 3] = 0.0
    return SpectrumFlag.COSMIC_RAY if n_hits else SpectrumFlag.NONE
