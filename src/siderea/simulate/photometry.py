"""Mock photometric catalogues of the Milky Way: magnitudes with errors and gaps, and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.simulate.population import Survey, SurveySettings, isochrones
from siderea.simulate.selection import Selection

__all__ = [
    "DEEP",
    "ERRORS",
    "TURN_OFF",
    "BandError",
    "observe",
    "simulate_photometry",
]


@dataclass(frozen=True)
class BandError:
    """The error of a band as a function of magnitude.

    Parameters
    ----------
    depth : float
        Magnitude of a source at S/N 5; nothing fainter is in the catalogue.
    floor : float
        Systematic error, mag.
    bright : float
        Nothing brighter is in the catalogue: it saturates.
    sky : float
        γ, which sets how much the sky adds to the source's own photon noise.
    """

    depth: float
    floor: float = 0.01
    bright: float = -np.inf
    sky: float = 0.039

    def sigma(self, magnitude: ArrayLike) -> NDArray[np.float64]:
        """Return the error, √(floor² + (.04 − γ) x + γ x²) with x = 10^(.4 (m − depth)).

        References
        ----------
        Ivezić et al. (2019), ApJ 873, 111, Eqs. 4 and 5.
        """
        x = 10 ** (0.4 * (np.asarray(magnitude, dtype=float) - self.depth))
        return np.asarray(np.sqrt(self.floor**2 + (0.04 - self.sky) * x + self.sky * x**2))


ERRORS: dict[str, BandError] = {
    "sdss_u": BandError(22.15, 0.02, 13.0),
    "sdss_g": BandError(23.13, 0.01, 14.0),
    "sdss_r": BandError(22.70, 0.01, 14.0),
    "sdss_i": BandError(22.20, 0.01, 14.0),
    "sdss_z": BandError(20.71, 0.01, 12.0),
    "ps1_g": BandError(23.3, 0.01, 13.5),
    "ps1_r": BandError(23.2, 0.01, 13.5),
    "ps1_i": BandError(23.1, 0.01, 13.5),
    "ps1_z": BandError(22.3, 0.01, 13.0),
    "ps1_y": BandError(21.3, 0.01, 12.0),
    "gaia_g": BandError(21.0, 0.003, sky=0.0),
    "gaia_bp": BandError(21.1, 0.003),
    "gaia_rp": BandError(20.8, 0.003),
    "twomass_j": BandError(16.55, 0.02),
    "twomass_h": BandError(15.85, 0.02),
    "twomass_ks": BandError(15.05, 0.02),
    "wise_w1": BandError(16.9, 0.02),
    "wise_w2": BandError(16.0, 0.02),
    "cfht_u": BandError(23.6, 0.01, 13.0),
    "cahk": BandError(21.5, 0.02, 13.0),
}
"""Error models of the surveys: depths are the medians that each survey states (SDSS DR17 imaging
scope; Pan-STARRS1 3π stacks, Chambers et al. 2016; 2MASS 10σ limits less .75 mag; AllWISE), Gaia's
reproduce the stated errors at G = 20 within a factor of two, CFHT u and CaHK are round numbers."""

SDSS = ("sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z")

DEEP = SurveySettings(
    selection=Selection(
        band="sdss_r",
        magnitude=(14.5, 20.0),
        least_latitude=20.0,
        declinations=(-10.0, 80.0),
        distance=(0.05, 60.0),
        equal_fields=False,
    ),
    ranges=(),
)
"""Stars of 14.5 < r < 20 over the northern sky away from the plane."""

TURN_OFF = replace(DEEP, selection=replace(DEEP.selection, colour=("sdss_g", "sdss_r", 0.2, 0.4)))
"""The same, 0.2 < (g−r)₀ < 0.4: the sample of the maps of Ivezić et al. (2008)."""


def observe(
    magnitude: ArrayLike,
    bands: Sequence[str],
    *,
    rng: np.random.Generator,
    errors: Mapping[str, BandError] | None = None,
    missing: float | Mapping[str, float] = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add noise to magnitudes and take out what a survey would not have.

    Parameters
    ----------
    magnitude : (N, B) array-like
        True, apparent.
    bands : sequence of str
        B names.
    rng : numpy.random.Generator
    errors : mapping of str to BandError, optional
        `ERRORS`, with those given in their place.
    missing : float or mapping of str to float
        Share of each band missing at random.

    Returns
    -------
    mag, mag_err : (N, B) ndarray
        NaN where missing at random, too faint or too bright. The error is that of the magnitude
        observed, as a catalogue would state it.

    Raises
    ------
    DataError
        If a band has no error model, or a share is not within 0 to 1.
    """
    true = np.asarray(magnitude, dtype=float)
    models = {**ERRORS, **(errors or {})}
    unknown = [name for name in bands if name not in models]
    if unknown:
        raise DataError(f"bands without an error model: {unknown}; give them in errors=")
    mag, sigma = np.empty_like(true), np.empty_like(true)
    for column, name in enumerate(bands):
        share = missing.get(name, 0.0) if isinstance(missing, Mapping) else missing
        if not 0 <= share <= 1:
            raise DataError(f"missing: found {share} for {name}; expected a share from 0 to 1")
        model, m = models[name], true[:, column]
        seen = _noisy(m, model.sigma(m), rng)
        absent = rng.random(m.size) < share
        absent |= ~((seen <= model.depth) & (seen >= model.bright))
        mag[:, column] = np.where(absent, np.nan, seen)
        sigma[:, column] = np.where(absent, np.nan, model.sigma(seen))
    return mag, sigma


def _noisy(magnitude: NDArray, sigma: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """Add the noise to the flux, as it is the flux that is measured; NaN where none is left."""
    factor = 1 + np.log(10) / 2.5 * sigma * rng.standard_normal(magnitude.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(magnitude - 2.5 * np.log10(factor))


def simulate_photometry(
    n: int,
    *,
    rng: np.random.Generator,
    bands: Sequence[str] = SDSS,
    errors: Mapping[str, BandError] | None = None,
    missing: float | Mapping[str, float] = 0.02,
    settings: SurveySettings = DEEP,
) -> tuple[Photometry, pd.DataFrame]:
    """Draw a photometric catalogue of the Milky Way.

    Parameters
    ----------
    n : int
        Systems; each is one unresolved source, the light of all its stars.
    rng : numpy.random.Generator
        Gives the survey its seed, and the noise.
    bands : sequence of str
        Names as in `siderea.isochrones`.
    errors : mapping of str to BandError, optional
        Error models in the place of those of `ERRORS`.
    missing : float or mapping of str to float
        Share of each band missing at random, beside what is too faint or too bright.
    settings : SurveySettings
        What is observed: `DEEP`, `TURN_OFF`, the settings of a spectroscopic survey, or others.

    Returns
    -------
    photometry : Photometry
        Table: ``id``, ``ra``, ``dec``, ``ebv``.
    truth : pandas.DataFrame
        See `siderea.simulate.truth`; ``mag_<band>`` are true and apparent, extinction included.

    Raises
    ------
    DataError
        If the isochrones have no such band, or it has no error model.
    """
    unknown = [name for name in bands if name not in isochrones().bands]
    if unknown:
        known = ", ".join(isochrones().bands)
        raise DataError(f"bands: found {unknown}; expected some of {known}")
    seed = int(rng.integers(2**62))
    truth = Survey(n, seed, settings).stars()
    true = truth[[f"mag_{name}" for name in bands]].to_numpy(dtype=float)
    mag, mag_err = observe(true, bands, rng=rng, errors=errors, missing=missing)
    table = truth[["id", "ra", "dec", "ebv"]]
    return Photometry(tuple(bands), mag, mag_err, table), truth
