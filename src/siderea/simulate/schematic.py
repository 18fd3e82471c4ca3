"""Schematic spectra: a few dozen real lines with simple physics, for the demo and for tests.

These are not synthetic spectra. Line positions are real (air) and their strengths follow
temperature, gravity and metallicity in the right sense, so that a map of them has the structure
of a map of stars: a dwarf and a giant sequence, a metallicity gradient, binaries with doubled
lines, Hα emission. No number read off them says anything about real stars; the generative
models of `siderea.models` are for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.constants import GAUSSIAN_FWHM

__all__ = ["SchematicSurvey", "draw_stars", "line_spectrum"]

K_EV = 8.617_333e-5
"""Boltzmann constant, eV/K (CODATA 2018)."""

# wavelength in air (Å), excitation potential (eV), strength (dex), of strong lines in the GALAH
# bands, metals only. Wavelengths: NIST Atomic Spectra Database; strengths are schematic.
_METALS = np.array(
    [
        (4730.03, 4.35, 0.2),  # Mg I
        (4736.77, 3.21, 0.5),  # Fe I
        (4741.53, 2.83, 0.1),  # Fe I
        (4754.04, 2.28, 0.5),  # Mn I
        (4783.43, 2.30, 0.5),  # Mn I
        (4786.81, 3.02, 0.3),  # Fe I
        (4823.52, 2.32, 0.5),  # Mn I
        (4871.32, 2.87, 0.9),  # Fe I
        (4890.76, 2.88, 0.8),  # Fe I
        (4891.49, 2.85, 0.9),  # Fe I
        (5658.82, 3.40, 0.3),  # Fe I
        (5682.63, 2.10, 0.3),  # Na I
        (5688.20, 2.10, 0.4),  # Na I
        (5711.09, 4.35, 0.5),  # Mg I
        (5762.99, 4.21, 0.4),  # Fe I
        (5782.13, 1.64, 0.0),  # Cu I
        (5853.67, 0.60, 0.2),  # Ba II
        (5857.45, 2.93, 0.5),  # Ca I
        (5862.36, 4.55, 0.3),  # Fe I
        (6494.98, 2.40, 0.8),  # Fe I
        (6496.90, 0.60, 0.4),  # Ba II
        (6499.65, 2.52, 0.2),  # Ca I
        (6546.24, 2.76, 0.5),  # Fe I
        (6592.91, 2.73, 0.5),  # Fe I
        (6643.63, 1.68, 0.4),  # Ni I
        (6677.99, 2.69, 0.6),  # Fe I
        (6717.68, 2.71, 0.5),  # Ca I
        (7696.73, 5.11, 0.3),  # Si I (schematic strength)
        (7698.96, 0.00, 0.9),  # K I
        (7748.27, 2.95, 0.5),  # Fe I
        (7771.94, 9.15, 0.6),  # O I
        (7774.17, 9.15, 0.5),  # O I
        (7775.39, 9.15, 0.4),  # O I
        (7780.56, 4.47, 0.5),  # Fe I
        (7832.20, 4.43, 0.5),  # Fe I
    ]
)
_BALMER = (4861.33, 6562.80)


def line_spectrum(
    wavelength: ArrayLike,
    teff: float,
    logg: float,
    fe_h: float,
    *,
    resolution: float = 28_000.0,
    vsini: float = 3.0,
) -> NDArray[np.float64]:
    """Return a schematic normalised spectrum.

    Each metal line has depth 1 − exp(−τ), log₁₀ τ = strength + 0.8 [Fe/H] − 0.06 (log g − 4.4)
    − (θ − θ☉)(5 − χ)-like excitation with θ = 5040 K/Teff, and a Gaussian profile of the
    instrument and ``vsini``; Hα and Hβ are Lorentzians that grow with temperature.

    Parameters
    ----------
    wavelength : (P,) array-like
        Å, air, rest frame.
    teff, logg, fe_h : float
        K, dex, dex.
    resolution : float
        λ/FWHM of the instrument.
    vsini : float
        Extra broadening, km/s, taken as a Gaussian.

    Returns
    -------
    (P,) ndarray
    """
    wavelength = np.asarray(wavelength, dtype=float)
    centre, excitation, strength = _METALS.T
    boltzmann = -excitation / (np.log(10) * K_EV) * (1.0 / teff - 1.0 / 5772.0)
    ionised = 7.0 * (5772.0 - teff) / 5772.0  # neutral metals fade as the star gets hotter
    tau = 10.0 ** (strength + 0.8 * fe_h + boltzmann + ionised - 0.06 * (logg - 4.4) - 0.3)
    sigma = centre * np.hypot(1.0 / resolution / GAUSSIAN_FWHM, vsini / 2.998e5)
    shape = np.exp(-0.5 * ((wavelength[:, None] - centre) / sigma) ** 2)
    flux = np.exp(-(shape @ tau) / (1.0 + 0.3 * tau.max()))
    growth = float(np.clip((teff - 3500.0) / 2300.0, 0.1, 3.0))
    for balmer in _BALMER:
        width = 0.9 * growth * 10.0 ** (0.05 * (logg - 4.4)) + vsini * balmer / 2.998e5
        flux = flux * (
            1.0 - 0.7 * min(1.0, 0.6 + 0.3 * growth) / _lorentz(wavelength, balmer, width)
        )
    return flux


def _lorentz(wavelength: NDArray, centre: float, width: float) -> NDArray:
    return 1.0 + ((wavelength - centre) / width) ** 2


def draw_stars(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw labels of schematic stars.

    Parameters
    ----------
    n : int
        Number of stars.
    rng : numpy.random.Generator

    Returns
    -------
    pandas.DataFrame
        ``teff``, ``logg``, ``fe_h``, ``vsini``, ``rv``, ``snr``, ``kind`` (dwarf, giant, binary,
        emission, fast rotator), and ``dv``, ``light`` of the second star of a binary.
    """
    kind = rng.choice(
        ["dwarf", "giant", "binary", "emission", "fast rotator"], n, p=[0.5, 0.3, 0.12, 0.03, 0.05]
    )
    giant = kind == "giant"
    teff = np.where(giant, rng.normal(4750, 250, n), rng.normal(5700, 500, n)).clip(4000, 7200)
    logg = np.where(
        giant, 2.4 + (teff - 4750) / 500 + rng.normal(0, 0.2, n), rng.normal(4.3, 0.15, n)
    )
    binary = kind == "binary"
    return pd.DataFrame(
        {
            "kind": kind,
            "teff": teff,
            "logg": logg,
            "fe_h": rng.normal(-0.15, 0.25, n).clip(-2, 0.5),
            "vsini": np.where(kind == "fast rotator", rng.uniform(25, 60, n), rng.uniform(2, 6, n)),
            "rv": rng.normal(0, 40, n),
            "snr": 10.0 ** rng.normal(1.65, 0.2, n),
            "dv": np.where(binary, rng.uniform(30, 120, n) * rng.choice([-1, 1], n), 0.0),
            "light": np.where(binary, rng.uniform(0.25, 1.0, n), 0.0),
        }
    )


@dataclass(frozen=True)
class SchematicSurvey:
    """Stars with known labels, drawn one by one: star i depends on the seed and i alone.

    Parameters
    ----------
    stars : pandas.DataFrame
        As `draw_stars` returns them.
    seed : int
        Seed of the noise.
    """

    stars: pd.DataFrame
    seed: int

    @classmethod
    def draw(cls, n: int, seed: int) -> SchematicSurvey:
        """Draw a survey of n stars."""
        return cls(draw_stars(n, np.random.default_rng(seed)), seed)

    def normalised(self, star: int, wavelength: ArrayLike) -> NDArray[np.float64]:
        """Return the noise-free normalised spectrum of a star at rest wavelengths (air, Å)."""
        row = self.stars.iloc[star]
        wavelength = np.asarray(wavelength, dtype=float)
        flux = line_spectrum(wavelength, row.teff, row.logg, row.fe_h, vsini=row.vsini)
        if row.light > 0:
            shifted = wavelength / (1.0 + row.dv / 2.998e5)
            second = line_spectrum(shifted, row.teff * 0.93, row.logg + 0.1, row.fe_h)
            flux = (flux + row.light * second) / (1.0 + row.light)
        if row.kind == "emission":
            flux = flux + 0.8 * np.exp(-0.5 * ((wavelength - 6562.8) / 0.9) ** 2)
        return flux

    def noise(self, star: int) -> np.random.Generator:
        """Return the star's own random generator."""
        return np.random.default_rng([self.seed, star])
