"""What a survey takes: its magnitudes, colours, fields, and the signal to noise it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.photometry.extinction import coefficient
from siderea.simulate.galaxy_model import equatorial

__all__ = [
    "ARM_SNR",
    "GALAH_SELECTION",
    "NO_SELECTION",
    "Selection",
    "draw_fields",
    "signal_to_noise",
    "v_jk",
]

ARM_SNR = (27 / 32, 1.0, 45 / 32, 51 / 32)
"""S/N per pixel of the four arms over that of the green one: medians of 61 public spectra."""

SNR_FAINT = 24.0
"""S/N per pixel in the green arm at V = 14. With S/N ∝ √flux it puts the median of the green arm
near V = 13.4 at 32, that of 61 public spectra of GALAH DR3."""

SNR_SCATTER = 0.12
"""Scatter in dex: seeing, fibre positions, clouds."""

REDDENED_COLOUR = 0.5
"""J−K at which the reddening of V_JK, which depends on the colour, is linearised."""


def v_jk(j: ArrayLike, k: ArrayLike) -> NDArray[np.float64]:
    """Return GALAH's V magnitude from 2MASS, V = K + 2 (J−K+.14) + .382 exp[(J−K−.2)/.5].

    References
    ----------
    De Silva et al. (2015), MNRAS 449, 2604.
    """
    j, k = np.asarray(j, dtype=float), np.asarray(k, dtype=float)
    return np.asarray(k + 2 * (j - k + 0.14) + 0.382 * np.exp((j - k - 0.2) / 0.5))


@dataclass(frozen=True)
class Selection:
    """Which systems a survey takes.

    Parameters
    ----------
    band : str
        Apparent magnitude of the system's total light, extinction included: a band's name or
        ``"v_jk"``.
    magnitude : (float, float)
        Limits; infinite ones make the draw limited by ``distance`` alone.
    colour : (str, str, float, float), optional
        Two bands and the limits of their difference, free of reddening.
    distance : (float, float)
        Limits, kpc.
    least_latitude : float
        deg; fields nearer to the plane are not observed.
    declinations : (float, float)
        deg, of the centres of fields.
    n_fields : int
        Fields are spread evenly over the sky that is left.
    field_radius : float
        deg.
    equal_fields : bool
        Whether every field gives as many stars (the spectrograph's fibres), or as many as it has.
    """

    band: str = "v_jk"
    magnitude: tuple[float, float] = (12.0, 14.0)
    colour: tuple[str, str, float, float] | None = None
    distance: tuple[float, float] = (0.005, 100.0)
    least_latitude: float = 10.0
    declinations: tuple[float, float] = (-80.0, 10.0)
    n_fields: int = 300
    field_radius: float = 1.0
    equal_fields: bool = True

    @property
    def limited(self) -> bool:
        """Whether there is a limit of magnitude."""
        return bool(np.isfinite(self.magnitude).any())

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands needed to decide."""
        own = ("twomass_j", "twomass_ks") if self.band == "v_jk" else (self.band,)
        return tuple(dict.fromkeys((*own, *(self.colour[:2] if self.colour else ()))))

    @property
    def extinction(self) -> float:
        """A / E(B−V) of the band; of V_JK, at J−K = `REDDENED_COLOUR`."""
        if self.band != "v_jk":
            return coefficient(self.band)
        slope = 2 + 0.764 * np.exp((REDDENED_COLOUR - 0.2) / 0.5)
        j, k = coefficient("twomass_j"), coefficient("twomass_ks")
        return float(k + slope * (j - k))

    def brightness(self, mag: Mapping[str, NDArray]) -> NDArray[np.float64]:
        """Return the magnitude in ``band`` from those of `bands`."""
        if self.band == "v_jk":
            return v_jk(mag["twomass_j"], mag["twomass_ks"])
        return mag[self.band]

    def takes_colour(self, mag: Mapping[str, NDArray]) -> NDArray[np.bool_]:
        """Tell which colours free of reddening are within the limits."""
        if self.colour is None:
            return np.ones(len(mag[self.bands[0]]), dtype=bool)
        blue, red, low, high = self.colour
        colour = mag[blue] - mag[red]
        return np.asarray((colour > low) & (colour < high))


GALAH_SELECTION = Selection()
"""GALAH: 12 < V_JK < 14, |b| > 10°, δ < +10°, fields of 2° with as many stars each (De Silva et al.
2015)."""

NO_SELECTION = Selection(
    magnitude=(-np.inf, np.inf),
    distance=(0.005, 0.5),
    least_latitude=0.0,
    declinations=(-90.0, 90.0),
    equal_fields=False,
)
"""Every system within 500 pc: what the population is before any survey looks at it."""


def draw_fields(
    selection: Selection, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the centres (l, b) of the fields, deg, evenly over the allowed sky."""
    lon, lat = np.empty(0), np.empty(0)
    low, high = selection.declinations
    while lon.size < selection.n_fields:
        longitude = rng.uniform(0, 360, 4 * selection.n_fields)
        latitude = np.rad2deg(np.arcsin(rng.uniform(-1, 1, longitude.size)))
        _, dec = equatorial(longitude, latitude)
        good = (np.abs(latitude) > selection.least_latitude) & (dec > low) & (dec < high)
        lon, lat = np.append(lon, longitude[good]), np.append(lat, latitude[good])
    return lon[: selection.n_fields], lat[: selection.n_fields]


def signal_to_noise(
    magnitude: ArrayLike, rng: np.random.Generator, *, at_14: float = SNR_FAINT
) -> NDArray[np.float64]:
    """Draw the S/N per pixel of the green arm at V magnitudes: ∝ √flux, log-normal scatter."""
    v = np.asarray(magnitude, dtype=float)
    scatter = SNR_SCATTER * rng.standard_normal(v.shape)
    return np.asarray(at_14 * 10 ** (-0.2 * (v - 14.0) + scatter))
