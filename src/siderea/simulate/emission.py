"""Balmer emission: single, double and asymmetric peaks, P Cygni and inverted P Cygni profiles.

Hα and Hβ have one profile in velocity. The light in Hβ is that in Hα divided by the Balmer
decrement D, so its equivalent width is W(Hβ) = W(Hα) C(Hα) / (D C(Hβ)), with C the continuum.

- single: gas about the star at rest, a Gaussian;
- double: a disc seen from the side, peaks at ± v sin i (R_d/R)^(−1/2), Keplerian [1]_;
- asymmetric: the same with peaks of unequal strength (V/R variations of Be stars);
- P Cygni: emission at rest, and a wind that absorbs on the blue side;
- inverted P Cygni: infall that absorbs on the red side.

References
----------
.. [1] Huang 1972, ApJ 171, 549.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.spectra.instruments import InstrumentGrid
from siderea.spectra.lines import BALMER
from siderea.spectra.wavelength import air_to_vacuum

__all__ = ["KINDS", "Emission", "EmissionPainter"]

KINDS = ("single", "double", "asymmetric", "pcygni", "inverted")
REACH = 1500.0
"""km/s on either side of a line that a profile may cover."""


@dataclass(frozen=True)
class Emission:
    """Balmer emission of one star.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    ew : float
        Light added to Hα, Å of the star's continuum (positive).
    width : float
        Standard deviation of a peak, km/s.
    velocity : float
        Of the peaks of a disc, ±, or of the wind or infall, km/s.
    violet : float
        Share of the light in the violet peak; 0.5 is symmetric.
    depth : float
        Of the absorption by a wind or infall, before the instrument broadens it.
    decrement : float
        Flux of Hα over that of Hβ.
    """

    kind: str
    ew: float
    width: float
    velocity: float
    violet: float
    depth: float
    decrement: float

    def peaks(self) -> list[tuple[float, float]]:
        """Velocity (km/s) and share of each peak."""
        if self.kind in ("double", "asymmetric"):
            return [(-self.velocity, self.violet), (self.velocity, 1.0 - self.violet)]
        return [(0.0, 1.0)]

    def trough(self) -> tuple[float, float]:
        """Velocity (km/s) and depth of the absorption."""
        if self.kind == "pcygni":
            return -self.velocity, self.depth
        return (self.velocity, self.depth) if self.kind == "inverted" else (0.0, 0.0)


class EmissionPainter:
    """Puts Balmer emission on spectra of an instrument.

    Parameters
    ----------
    grid : InstrumentGrid
        Lines that it does not cover are left out.
    """

    def __init__(self, grid: InstrumentGrid) -> None:
        self.lines: dict[str, tuple[slice, NDArray[np.float64], float, float]] = {}
        for name, air in BALMER.items():
            line = float(air_to_vacuum(air)) if grid.medium == "vacuum" else air
            for arm, power in zip(grid.arms, grid.resolution, strict=True):
                velocity = C_KMS * np.log(grid.wavelength[arm] / line)
                near = np.flatnonzero(np.abs(velocity) < REACH)
                if near.size:
                    pixels = slice(arm.start + int(near[0]), arm.start + int(near[-1]) + 1)
                    sigma = C_KMS / GAUSSIAN_FWHM / power
                    self.lines[name] = (pixels, velocity[near], sigma, line)

    def paint(self, flux: NDArray, continuum: NDArray, rv: float, emission: Emission) -> float:
        """Change one normalised spectrum in place.

        Parameters
        ----------
        flux, continuum : (P,) ndarray
            Normalised flux and the flux density of the star's continuum.
        rv : float
            Of the star in the frame of the spectrum, km/s.
        emission : Emission

        Returns
        -------
        float
            Light added to Hβ, Å of its continuum; NaN where a line is not covered.
        """
        ew_hbeta = np.nan
        level = {name: float(continuum[line[0]].mean()) for name, line in self.lines.items()}
        for name, (pixels, velocity, sigma, line) in self.lines.items():
            ew = emission.ew
            if name == "hbeta":
                if "halpha" not in level:
                    continue
                ew = ew_hbeta = emission.ew / emission.decrement * level["halpha"] / level["hbeta"]
            width = float(np.hypot(emission.width, sigma))
            area = ew * C_KMS / line
            where, depth = emission.trough()
            trough = _gaussian(velocity - rv - where, width) * np.sqrt(2 * np.pi) * emission.width
            flux[pixels] *= (1 - depth * trough).astype(flux.dtype)
            for centre, share in emission.peaks():
                light = area * share * _gaussian(velocity - rv - centre, width)
                flux[pixels] += light.astype(flux.dtype)
        return float(ew_hbeta)


def _gaussian(x: NDArray, sigma: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * (x / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma))
