"""How the stars lie along a line of sight: thin disc, thick disc and halo, by metallicity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["R_SUN", "Z_SUN", "DistancePrior", "GalacticPrior", "UniformPrior"]

Array = NDArray[np.float32]

R_SUN = 8.122
"""Distance of the Sun from the Galactic centre, kpc: GRAVITY Collaboration (2018), A&A 615, L15."""
Z_SUN = 0.0208
"""Height of the Sun above the plane, kpc: Bennett & Bovy (2019), MNRAS 482, 1417."""


class DistancePrior(Protocol):
    """A density of stars in space."""

    def density(self, distance: Array, lon: Array, lat: Array, fe_h: Array, err: Array) -> Array:
        """Return the density (N, K) at distances (N, K), kpc, in directions (N,), deg.

        ``fe_h`` and ``err`` (N,) are the metallicity and its error, dex. Only the shape along each
        row counts. A direction that is not known is NaN.
        """
        ...


@dataclass(frozen=True)
class UniformPrior:
    """As many stars in every volume: the prior is d² alone."""

    def density(self, distance: Array, lon: Array, lat: Array, fe_h: Array, err: Array) -> Array:
        """Return ones; see `DistancePrior`."""
        return np.ones_like(distance)


@dataclass(frozen=True)
class Disc:
    """A double exponential of density ``share`` in the plane at the Sun; [Fe/H] is a Gaussian."""

    share: float
    scale_length: float
    scale_height: float
    fe_h: tuple[float, float]


@dataclass(frozen=True)
class GalacticPrior:
    """Two exponential discs and an oblate power-law halo.

    ρ = Σ_c f_c p(F | c) ρ_c(R, Z), with discs exp(−(R − R☉)/L − |Z|/H) and the halo
    (R☉/√(R² + (Z/q)²))ⁿ, held within ``core`` of the centre; F is the star's [Fe/H], whose error
    widens each component's Gaussian p(F | c).

    Parameters
    ----------
    thin, thick : Disc
    halo_share, flattening, slope : float
        f, q and n of the halo.
    halo_fe_h : (float, float)
        Mean and dispersion, dex.
    core : float
        kpc.
    unknown_length : float
        kpc; a star without a position gets exp(−d / length).

    References
    ----------
    Densities: Jurić et al. (2008), ApJ 673, 864, corrected for binaries: L, H = 2.6, 0.3 and
    3.6, 0.9 kpc, f = 0.12, halo f = 0.0051, q = 0.64, n = 2.77. Metallicities, schematic: the thin
    disc's after Robin et al. (2003), the thick disc's Soubiran et al. (2003), the halo's
    Ivezić et al. (2008), each widened. Length: Bailer-Jones (2015), PASP 127, 994, in the form of
    Astraatmadja & Bailer-Jones (2016), ApJ 833, 119.
    """

    thin: Disc = Disc(1.0, 2.6, 0.3, (-0.15, 0.25))
    thick: Disc = Disc(0.12, 3.6, 0.9, (-0.55, 0.35))
    halo_share: float = 0.0051
    flattening: float = 0.64
    slope: float = 2.77
    halo_fe_h: tuple[float, float] = (-1.5, 0.4)
    core: float = 1.0
    unknown_length: float = 1.35

    def density(self, distance: Array, lon: Array, lat: Array, fe_h: Array, err: Array) -> Array:
        """Return the density; see `DistancePrior`."""
        known = np.isfinite(lon) & np.isfinite(lat)
        lon, lat = np.deg2rad(np.where(known, lon, 0)), np.deg2rad(np.where(known, lat, 0))
        flat = (distance * np.cos(lat)[:, None]).astype(np.float32)
        height = distance * np.sin(lat).astype(np.float32)[:, None] + np.float32(Z_SUN)
        radius2 = flat * (flat - np.float32(2 * R_SUN) * np.cos(lon).astype(np.float32)[:, None])
        radius2 += np.float32(R_SUN**2)
        np.maximum(radius2, 0, out=radius2)
        np.abs(height, out=height)
        radius = np.sqrt(radius2)
        out = self._halo(radius2, height) * _share(self.halo_share, self.halo_fe_h, fe_h, err)
        for disc in (self.thin, self.thick):
            out += _disc(disc, radius, height) * _share(disc.share, disc.fe_h, fe_h, err)
        if not known.all():
            out[~known] = np.exp(-distance[~known] / np.float32(self.unknown_length))
        return np.asarray(out, dtype=np.float32)

    def _halo(self, radius2: Array, height: Array) -> Array:
        r2 = height * np.float32(1 / self.flattening)
        r2 *= r2
        r2 += radius2
        np.maximum(r2, np.float32(self.core**2), out=r2)
        np.log(r2, out=r2)
        r2 *= np.float32(-0.5 * self.slope)
        r2 += np.float32(self.slope * np.log(R_SUN))
        return np.exp(r2, out=r2)


def _disc(disc: Disc, radius: Array, height: Array) -> Array:
    out = radius * np.float32(-1 / disc.scale_length)
    out -= height * np.float32(1 / disc.scale_height)
    out += np.float32(R_SUN / disc.scale_length)
    return np.exp(out, out=out)


def _share(share: float, fe_h: tuple[float, float], value: ArrayLike, err: ArrayLike) -> Array:
    """Return f p(F | component) as a column (N, 1); p is flat for a star of unknown F."""
    value, width = np.asarray(value), np.hypot(fe_h[1], np.asarray(err))
    known = np.isfinite(value) & np.isfinite(width)
    z = np.where(known, (value - fe_h[0]) / np.where(known, width, 1), 0.0)
    likely = np.where(known, np.exp(-0.5 * z**2) / np.where(known, width, 1), 1.0)
    return np.asarray(share * likely, dtype=np.float32)[:, None]
