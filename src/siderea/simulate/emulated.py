"""A small mock survey from the shipped emulator: the demo's sample, with its truth.

Single dwarfs and giants, fast rotators, binaries whose stars are weighed with their physical flux
and radius, and stars with an emission line added to Hα. A population with ages, distances and
selection is a later work; here labels are drawn from simple distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.models.emulator import load_default
from siderea.models.protocol import SpectralModel
from siderea.spectra.doppler import shift

__all__ = ["KINDS", "EmulatedSurvey", "draw_stars"]

KINDS = {"dwarf": 0.52, "giant": 0.28, "binary": 0.12, "emission": 0.03, "fast rotator": 0.05}
"""Kinds of stars, and the share of each."""
LABELS = ("teff", "logg", "fe_h", "alpha_fe", "vmic")
HALPHA = 6562.80


def draw_stars(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw labels within the emulator's range.

    Parameters
    ----------
    n : int
        Number of stars.
    rng : numpy.random.Generator

    Returns
    -------
    pandas.DataFrame
        `LABELS`, ``vbroad`` and ``rv`` (km/s), ``snr`` per pixel, ``kind``; of a binary's second
        star ``teff_2``, ``logg_2``, the velocity difference ``dv`` (km/s) and ``radius_ratio``.
    """
    kind = rng.choice(list(KINDS), n, p=list(KINDS.values()))
    giant, binary = kind == "giant", kind == "binary"
    teff = np.where(giant, rng.normal(4850, 200, n), rng.normal(5750, 450, n)).clip(4500, 6800)
    slope = 2.5 + (teff - 4850) / 450  # the giant branch: hotter is denser
    logg = np.where(giant, slope + rng.normal(0, 0.15, n), rng.normal(4.3, 0.12, n))
    ratio = rng.uniform(0.65, 1.0, n)
    fast = kind == "fast rotator"
    return pd.DataFrame(
        {
            "kind": kind,
            "teff": teff,
            "logg": logg.clip(1.2, 4.7),
            "fe_h": rng.normal(-0.15, 0.22, n).clip(-1.5, 0.35),
            "alpha_fe": rng.normal(0.05, 0.05, n).clip(0.0, 0.3),
            "vmic": rng.normal(1.2, 0.1, n).clip(0.9, 1.6),
            "vbroad": np.where(fast, rng.uniform(25, 60, n), rng.uniform(3, 8, n)),
            "rv": rng.normal(0, 40, n).clip(-120, 120),
            "snr": 10.0 ** rng.normal(1.65, 0.2, n),
            "teff_2": np.where(binary, np.maximum(4500.0, teff * ratio**0.6), np.nan),
            "logg_2": np.where(binary, np.minimum(4.7, logg + 0.3 * (1 - ratio)), np.nan),
            "radius_ratio": np.where(binary, ratio, 0.0),
            "dv": np.where(binary, rng.uniform(30, 100, n) * rng.choice([-1, 1], n), 0.0),
        }
    )


@dataclass(frozen=True)
class EmulatedSurvey:
    """Stars with known labels and their spectra.

    Parameters
    ----------
    stars : pandas.DataFrame
        As `draw_stars` returns them.
    seed : int
        Seed of the noise: that of star i depends on the seed and i alone.
    """

    stars: pd.DataFrame
    seed: int

    @classmethod
    def draw(cls, n: int, seed: int) -> EmulatedSurvey:
        """Draw a survey of n stars."""
        return cls(draw_stars(n, np.random.default_rng(seed)), seed)

    def spectra(
        self, rows: Sequence[int], wavelength: ArrayLike, *, resolution: float = 28_000.0
    ) -> NDArray[np.float64]:
        """Return normalised spectra without noise, as the detector sees them.

        Parameters
        ----------
        rows : sequence of int
            N stars.
        wavelength : (P,) array-like
            One arm, Å, air, barycentric frame.
        resolution : float
            λ/FWHM.

        Returns
        -------
        (N, P) ndarray
            Of a binary, (f₁F₁ + r²f₂F₂)/(F₁ + r²F₂) with F the continuum flux densities, r the
            ratio of the radii, each star at its own velocity.
        """
        stars = self.stars.iloc[list(rows)]
        wavelength = np.asarray(wavelength, dtype=float)
        model = load_default().at(
            wavelength, resolution=resolution, medium="air", extra_labels=("vbroad", "rv")
        )
        flux = np.asarray(model.predict(_labels(stars)), dtype=float)
        double = (stars["radius_ratio"] > 0).to_numpy()
        if double.any():
            flux[double] = _blend(model, stars[double], flux[double])
        emitting = (stars["kind"] == "emission").to_numpy()
        centre = shift(HALPHA, stars["rv"].to_numpy(dtype=float)[emitting])
        flux[emitting] += 0.8 * np.exp(-0.5 * ((wavelength - centre[:, None]) / 0.9) ** 2)
        return flux

    def noise(self, star: int) -> np.random.Generator:
        """Return the star's own random generator."""
        return np.random.default_rng([self.seed, star])


def _labels(stars: pd.DataFrame) -> NDArray[np.float64]:
    return stars[[*LABELS, "vbroad", "rv"]].to_numpy(dtype=float)


def _blend(model: SpectralModel, stars: pd.DataFrame, first: NDArray) -> NDArray[np.float64]:
    """Add the second star's light, and divide by the sum of the two continua."""
    second = stars.assign(
        teff=stars["teff_2"], logg=stars["logg_2"], rv=stars["rv"] + stars["dv"], vbroad=5.0
    )
    labels = _labels(second)
    other = np.asarray(model.predict(labels), dtype=float)
    own = np.asarray(model.flux_density(_labels(stars)), dtype=float) / first
    theirs = np.asarray(model.flux_density(labels), dtype=float) / other
    theirs *= stars["radius_ratio"].to_numpy()[:, None] ** 2
    return (first * own + other * theirs) / (own + theirs)
