"""Single stars and binaries put into a survey, to learn which are found and which are not.

Primaries and single stars are those that a magnitude-limited survey of the Galaxy holds; what a
detection depends on is then drawn evenly, not as nature has it: mass ratio, velocity difference,
rotation and signal to noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.model_error import ModelError
from siderea.simulate.draw import star_magnitudes, together
from siderea.simulate.population import Survey, SurveySettings, isochrones
from siderea.simulate.rotation import macroturbulence, microturbulence

__all__ = ["InjectionSettings", "Injections", "light_ratio", "mistaken"]

BANDS = ("gaia_g", "gaia_bp", "gaia_rp", "twomass_j", "twomass_h", "twomass_ks")

LINE_WIDTH = 2.0
"""Pixels (σ) over which the error of a line is the same."""

STREAM = 7
"""Word of the generators of this module, after the seed."""


@dataclass(frozen=True)
class InjectionSettings:
    """What is injected.

    Parameters
    ----------
    binary_fraction : float
        Share of spectra with two stars.
    q : (float, float)
        Mass ratios, even between.
    dv : (float, float)
        |Δv| of the two stars, km/s, even in the logarithm between.
    snr : (float, float)
        S/N per pixel in the green arm, even in the logarithm between.
    fast : float
        Share of dwarfs whose rotation is even between 0 and ``max_vsini``; the others turn as the
        survey's stars do.
    max_vsini : float
        km/s.
    """

    binary_fraction: float = 0.1
    q: tuple[float, float] = (0.2, 1.0)
    dv: tuple[float, float] = (1.0, 150.0)
    snr: tuple[float, float] = (20.0, 200.0)
    fast: float = 0.3
    max_vsini: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.binary_fraction <= 1 or not 0 <= self.fast <= 1:
            raise DataError(
                f"binary_fraction {self.binary_fraction}, fast {self.fast}; expected 0 to 1"
            )
        for name in ("q", "dv", "snr"):
            low, high = getattr(self, name)
            if not 0 < low < high:
                raise DataError(f"{name}: found {low} to {high}; expected a range above 0")


@dataclass(frozen=True)
class Injections:
    """A population for `siderea.simulate.spectra.SpectralSurvey`: n spectra to be searched.

    Parameters
    ----------
    n : int
    seed : int
    settings : InjectionSettings

    Examples
    --------
    >>> injected = Injections(1024, seed=1).stars(0, 1024)
    >>> bool(60 < (injected["n_stars"] == 2).sum() < 140)
    True
    """

    n: int
    seed: int = 0
    settings: InjectionSettings = InjectionSettings()

    def stars(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """Return the truth of spectra start to stop: the columns of the population table.

        A spectrum's star is the same whatever range is asked for.
        """
        alone = SurveySettings(binary_fraction=0.0, peculiar=(), bands=BANDS)
        survey = Survey(self.n, self.seed, alone)
        table = survey.stars(start, self.n if stop is None else stop).copy()
        numbers = table["id"].astype(int).to_numpy()
        draws = np.array([np.random.default_rng([self.seed, STREAM, i]).random(8) for i in numbers])
        return _injected(table, draws.reshape(-1, 8), self.settings)

    def with_settings(self, **changes: object) -> Injections:
        """Return injections with other settings."""
        return replace(self, settings=replace(self.settings, **changes))  # type: ignore[arg-type]


def _injected(table: pd.DataFrame, u: NDArray, settings: InjectionSettings) -> pd.DataFrame:
    """Turn single stars and eight even draws each into what is injected."""
    low, high = np.log(settings.snr)
    table["snr"] = np.exp(low + (high - low) * u[:, 0])
    dwarf = table["logg"].to_numpy() > 3.8
    turned = dwarf & (u[:, 1] < settings.fast)
    table["vsini"] = np.where(turned, settings.max_vsini * u[:, 2], table["vsini"])
    binary = u[:, 3] < settings.binary_fraction
    q = np.where(binary, settings.q[0] + np.ptp(settings.q) * u[:, 4], np.nan)
    low, high = np.log(settings.dv)
    dv = np.exp(low + (high - low) * u[:, 5]) * np.where(u[:, 6] < 0.5, -1.0, 1.0)
    table["n_stars"] = np.where(binary, 2, 1)
    table["class"] = np.where(binary, "BIN", "NOR").astype(object)
    table["q"], table["mass_2"] = q, q * table["mass"]
    _second_star(table, u[:, 7], settings)
    centre = table["rv_system"].to_numpy()
    table["dv"] = np.where(binary, dv, np.nan)
    table["rv_1"] = np.where(binary, centre - dv * q / (1 + q), centre)
    table["rv_2"] = np.where(binary, table["rv_1"] + dv, np.nan)
    table["rv"] = table["rv_1"]
    _light(table)
    return table


def _second_star(table: pd.DataFrame, u: NDArray, settings: InjectionSettings) -> None:
    """Fill in the companions: stars of the primaries' age and [Fe/H]."""
    star = isochrones().stars(*(table[n].to_numpy() for n in ("mass_2", "age", "fe_h")))
    table["teff_2"], table["logg_2"], table["radius_2"] = star.teff, star.logg, star.radius
    fast = u < settings.fast
    slow = 1.0 + 5.0 * (u - settings.fast) / max(1e-9, 1.0 - settings.fast)
    vsini = np.where(fast, settings.max_vsini * u / max(settings.fast, 1e-9), slow)
    known = np.isfinite(star.teff)
    table["vsini_2"] = np.where(known, vsini, np.nan)
    cool = table["teff_2"].to_numpy(), table["logg_2"].to_numpy()
    table["vmac_2"] = macroturbulence(*cool, table["fe_h"].to_numpy())
    table["vmic_2"] = microturbulence(*cool)


def _light(table: pd.DataFrame) -> None:
    """Write magnitudes of both stars together, and the light of the second over the first's (G)."""
    columns = {name: table[name].to_numpy() for name in ("mass", "mass_2", "age", "fe_h")}
    columns["mass_3"] = np.full(len(table), np.nan)
    stars = star_magnitudes(isochrones(), columns, BANDS)
    before = together(stars[:1])
    for k, band in enumerate(BANDS):
        table[f"mag_{band}"] += together(stars)[:, k] - before[:, k]
    ratio = 10 ** (-0.4 * (stars[1, :, 0] - stars[0, :, 0]))
    table["flux_ratio"] = np.where(table["n_stars"] > 1, ratio, np.nan)


def mistaken(
    spectra: Spectra, teff: NDArray, error: ModelError, *, seed: int = 0, own: float = 0.0
) -> Spectra:
    """Give spectra the errors that a model is said to make, the other way round.

    Each line is deeper or shallower by ``error.depth`` (rms), and lines that no list holds lie
    everywhere at ``error.floor``; both are the same for all stars of one temperature, and change
    with it. What a model gets wrong of nature, these spectra have against the model: control stars
    for a fit that weighs such errors.

    Parameters
    ----------
    spectra : Spectra
        N spectra at rest.
    teff : (N,) array-like
        K.
    error : ModelError
    seed : int
        Of the errors' pattern.
    own : float
        Share (of the rms) that is each spectrum's own, drawn by its id: abundances, say.
    """
    rng = np.random.default_rng([seed, STREAM])
    pattern = rng.normal(size=(4, spectra.n_pixels))
    for arm in spectra.arms:
        pattern[:, arm] = gaussian_filter1d(pattern[:, arm], LINE_WIDTH, axis=1)
    pattern /= pattern.std(axis=1, keepdims=True)
    warm = ((np.asarray(teff, dtype=float) - 5500.0) / 800.0).clip(-1.5, 1.5)[:, None]
    mix = np.sqrt(1.0 + warm**2)
    depth = error.depth * (pattern[0] + warm * pattern[1]) / mix
    hidden = error.floor * (pattern[2] + warm * pattern[3]) / mix
    if own > 0:
        for row, name in enumerate(spectra.ids):
            mine = np.random.default_rng([seed, STREAM, *str(name).encode()])
            more = mine.normal(size=(2, spectra.n_pixels))
            for arm in spectra.arms:
                more[:, arm] = gaussian_filter1d(more[:, arm], LINE_WIDTH, axis=1)
            more *= own / more.std(axis=1, keepdims=True)
            rest = np.sqrt(1.0 - own**2)
            depth[row] = rest * depth[row] + error.depth * more[0]
            hidden[row] = rest * hidden[row] + error.floor * more[1]
    flux = 1.0 - (1.0 - spectra.flux) * (1.0 + depth) - hidden
    return replace(spectra, flux=flux.astype(spectra.flux.dtype))


def light_ratio(truth: pd.DataFrame) -> NDArray[np.float64]:
    """Return the second star's light over the first's (N,) of a truth table; 0 for one star."""
    return np.asarray(truth["flux_ratio"].fillna(0.0).to_numpy(), dtype=float)
