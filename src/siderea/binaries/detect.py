"""Binaries and higher multiples among spectra, by cross-correlation: one table row per spectrum.

`fit_components` explains each CCF by one, two, three, four rotating stars. A further star is
believed where it is significant above the CCF's own scatter (photon noise, and what the template
does not match), bright enough, and adds more than any rotation of fewer stars can; where it lies
within the profile of another, it must add a greater share. A companion that one arm alone shows,
though the others could, is light of another fibre: cross-talk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.binaries.ccf import Correlation, Correlator
from siderea.binaries.components import Components, fit_components, measured
from siderea.binaries.extrema import find_extrema
from siderea.binaries.model_selection import detect_model
from siderea.binaries.profiles import ROTATIONS, Bank, Stars
from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.errors import DataError

__all__ = ["CCFDetector", "CCFSettings", "DetectionFlag", "detect_ccf", "detect_model"]

MOST = 4
CHUNK = 32
"""Spectra at a time: the bank of one takes 1 MB, and that of a chunk must stay near the cache."""


class DetectionFlag(IntFlag):
    """What is known of a detection by cross-correlation."""

    NONE = 0
    NO_DATA = 1  #: no arm with enough good pixels: nothing was searched
    LOW_CCF = 2  #: no template matches: the CCF's peak is below what the settings ask for
    ONE_ARM = 4  #: one arm alone shows the companion, though others could: cross-talk
    BLENDED = 8  #: components lie within each other's profiles
    FAST_ROTATOR = 16  #: the single star that fits best rotates faster than 25 km/s
    AT_EDGE = 32  #: a component lies at the end of the range of velocities


@dataclass(frozen=True)
class CCFSettings:
    """When a component is believed.

    Parameters
    ----------
    significance : float
        Least √Δχ² of a further star over fewer stars of any rotation, in units of the CCF's own
        scatter.
    ratio : float
        Least height, relative to the primary's.
    gain : float
        Least share of the explained χ² that a further star adds...
    blended_gain : float
        ... and where it lies within the profile of another star.
    separation : float
        Least difference of velocities, in units of the resolution's FWHM, c/R.
    height : float
        Least correlation coefficient of the CCF's peak.
    """

    significance: float = 6.0
    ratio: float = 0.1
    gain: float = 0.01
    blended_gain: float = 0.03
    separation: float = 1.2
    height: float = 0.1

    def __post_init__(self) -> None:
        if not (self.significance > 0 and 0 < self.ratio < 1 and self.separation > 0):
            raise DataError(
                f"significance {self.significance}, ratio {self.ratio}, separation "
                f"{self.separation}; expected positive numbers, and a ratio below 1"
            )


class CCFDetector:
    """Templates and settings made ready for spectra of one grid.

    Parameters
    ----------
    spectra : Spectra
        Any set on the grid (its rows are not used).
    templates : (T, P) array-like, optional
        A dozen of the emulator by default.
    settings : CCFSettings, optional
    max_velocity : float
        Range on either side of 0, km/s.
    """

    def __init__(
        self,
        spectra: Spectra,
        *,
        templates: ArrayLike | None = None,
        settings: CCFSettings | None = None,
        max_velocity: float = 200.0,
    ) -> None:
        self.settings = settings or CCFSettings()
        self.correlator = Correlator(spectra, templates=templates, max_velocity=max_velocity)
        known = [value for value in spectra.resolution if np.isfinite(value)]
        self.fwhm = C_KMS / min(known) if known else 2.5 * self.correlator.step * 3

    def __call__(self, spectra: Spectra) -> pd.DataFrame:
        """Return the table of detections, see `detect_ccf`."""
        parts = [
            self._chunk(spectra[start : start + CHUNK]) for start in range(0, len(spectra), CHUNK)
        ]
        return pd.concat(parts, ignore_index=True) if parts else self._chunk(spectra)

    def _chunk(self, spectra: Spectra) -> pd.DataFrame:
        out = _empty_table(spectra.ids)
        if not len(spectra):
            return out
        correlation = self.correlator(spectra)
        usable = np.isfinite(correlation.error)
        out.loc[~usable, "flags"] = int(DetectionFlag.NO_DATA)
        if usable.any():
            rows = np.flatnonzero(usable)
            self._search(correlation[rows], rows, out)
        return out

    def _search(self, correlation: Correlation, rows: NDArray, out: pd.DataFrame) -> None:
        """Fill the rows of the table: two stars for all, more where two were found."""
        apart = self.settings.separation * self.fwhm
        bank = Bank.of(correlation)
        one, two = fit_components(correlation, bank, 2, separation=apart)
        believed, significance, blended = self._believed(correlation, one, two)
        peaks = find_extrema(
            correlation.ccf,
            np.arange(-correlation.n_lags, correlation.n_lags + 1) * correlation.step,
            error=correlation.error,
        )
        low = correlation.height < self.settings.height
        believed &= ~low
        flags = np.where(low, int(DetectionFlag.LOW_CCF), 0)
        flags |= np.where(one.rotation[:, 0] > 25.0, int(DetectionFlag.FAST_ROTATOR), 0)
        flags |= np.where(believed & blended, int(DetectionFlag.BLENDED), 0)
        out.loc[rows, "significance"] = significance
        out.loc[rows, "n_extrema"] = peaks.n_components
        out.loc[rows, "vsini"] = one.rotation[:, 0]
        out.loc[rows, ["template", "ccf_height"]] = np.c_[correlation.template, correlation.height]
        out.loc[rows, "flux_ratio"] = two.height[:, 1] / two.height[:, 0]
        _write(out, rows[~believed], one, ~believed)
        _write(out, rows[believed], two, believed)
        if believed.any():
            found = np.flatnonzero(believed)
            self._higher(correlation[found], rows[found], out)
            flags[found] |= self._cross_talk(correlation[found], two, found)
        edge = np.abs(out.loc[rows, "rv_1"].to_numpy()) > 0.98 * correlation.velocities[-1]
        flags |= np.where(edge, int(DetectionFlag.AT_EDGE), 0)
        out.loc[rows, "flags"] = flags
        out.loc[rows, "confidence"] = _confidence(
            out.loc[rows, "n_components"].to_numpy(), significance, flags
        )

    def _believed(
        self, correlation: Correlation, fewer: Components, more: Components
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
        """Return whether the last star is real, its significance, and whether it is blended."""
        settings = self.settings
        gained = np.maximum(more.power - fewer.power, 0.0)
        noise = correlation.error * more.excess
        significance = np.sqrt(gained) / noise
        share = gained / np.maximum(fewer.power, 1e-12)
        ratio = more.height.min(axis=1) / np.maximum(more.height[:, 0], 1e-12)
        single = (more.height / more.height_err).min(axis=1)
        distance = np.abs(more.velocity[:, :, None] - more.velocity[:, None, :])
        nearest = np.where(distance > 0, distance, np.inf).min(axis=(1, 2))
        reach = more.rotation.max(axis=1) + self.fwhm
        blended = nearest < reach
        believed = (
            (significance > settings.significance)
            & (single > settings.significance)
            & (ratio > settings.ratio)
            & (more.rotation.max(axis=1) < ROTATIONS[-1])  # as wide as that is not measured
            & (share > np.where(blended, settings.blended_gain, settings.gain))
        )
        return believed, significance, blended

    def _higher(self, correlation: Correlation, rows: NDArray, out: pd.DataFrame) -> None:
        """Search a third and a fourth star where two were found."""
        apart = self.settings.separation * self.fwhm
        fits = fit_components(correlation, Bank.of(correlation), MOST, separation=apart)
        still = np.ones(len(rows), dtype=bool)
        for fewer, more in pairwise(fits[1:]):
            believed, _, blended = self._believed(correlation, fewer, more)
            still &= believed & ~blended
            _write(out, rows[still], more, still)

    def _cross_talk(
        self, correlation: Correlation, fit: Components, found: NDArray
    ) -> NDArray[np.int64]:
        """Return the flag of detections that one arm alone makes."""
        stars = replace(fit.stars, lag=fit.stars.lag[found], rotation=fit.stars.rotation[found])
        overall = fit.height[found, 1] / fit.height[found, 0]
        sees, could = np.zeros(len(found), int), np.zeros(len(found), int)
        for arm in range(correlation.arm_error.shape[1]):
            ratio, error = _ratio_of_arm(correlation, arm, stars)
            able = np.isfinite(error) & (overall > 5.0 * error)
            could += able
            sees += able & (ratio > overall / 3)
        return np.where((could > 1) & (sees <= 1), int(DetectionFlag.ONE_ARM), 0)


def _ratio_of_arm(
    correlation: Correlation, arm: int, stars: Stars
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the height of the second star over the first's in one arm, and its error."""
    error = correlation.arm_error[:, arm]
    alone = replace(
        correlation,
        ccf=correlation.arm_ccf[:, arm],
        error=np.where(np.isfinite(error), error, 1.0),
        acf=correlation.arm_acf[correlation.template, arm],
    )
    fit = measured(alone, Bank.of(alone), stars, ordered=False)
    first = np.where(fit.height[:, 0] > 0, fit.height[:, 0], np.nan)
    missing = np.where(np.isfinite(error), 0.0, np.nan)
    return fit.height[:, 1] / first + missing, fit.height_err[:, 1] / first + missing


def _confidence(n: NDArray, significance: NDArray, flags: NDArray) -> NDArray[np.object_]:
    """Return A, B or C for detections, and "" for the rest."""
    doubtful = (flags & int(DetectionFlag.ONE_ARM)) > 0
    mixed = (flags & int(DetectionFlag.BLENDED | DetectionFlag.FAST_ROTATOR)) > 0
    out = np.where((significance > 10) & ~mixed, "A", "B").astype(object)
    out[doubtful] = "C"
    out[n < 2] = ""
    return out


def _empty_table(ids: NDArray) -> pd.DataFrame:
    n = len(ids)
    numbers = ["significance", "flux_ratio", "vsini", "ccf_height"]
    for star in range(1, MOST + 1):
        numbers += [f"rv_{star}", f"rv_{star}_err", f"height_{star}", f"vsini_{star}"]
    table: dict[str, NDArray] = {"id": ids, "n_components": np.zeros(n, dtype=np.int64)}
    table |= {name: np.full(n, np.nan) for name in numbers}
    table |= {name: np.zeros(n, dtype=np.int64) for name in ("n_extrema", "template", "flags")}
    return pd.DataFrame(table | {"confidence": np.full(n, "", dtype=object)})


def _write(out: pd.DataFrame, rows: NDArray, fit: Components, chosen: NDArray) -> None:
    """Write the stars of a fit into the table."""
    out.loc[rows, "n_components"] = fit.stars.number
    for k in range(fit.stars.number):
        out.loc[rows, f"rv_{k + 1}"] = fit.velocity[chosen, k]
        out.loc[rows, f"rv_{k + 1}_err"] = fit.velocity_err[chosen, k]
        out.loc[rows, f"height_{k + 1}"] = fit.height[chosen, k]
        out.loc[rows, f"vsini_{k + 1}"] = fit.rotation[chosen, k]


def detect_ccf(
    spectra: Spectra,
    *,
    templates: ArrayLike | None = None,
    settings: CCFSettings | None = None,
    max_velocity: float = 200.0,
) -> pd.DataFrame:
    """Find spectra of several stars by cross-correlation.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra; arms uniform in ln λ with one step.
    templates : (T, P) array-like, optional
        Normalised spectra on the grid; a dozen of the shipped emulator by default.
    settings : CCFSettings, optional
        When a component is believed.
    max_velocity : float
        Velocities are searched within this of 0, km/s, in the frame of the spectra.

    Returns
    -------
    pandas.DataFrame
        N rows: ``id``, ``n_components`` (0 where nothing could be searched), ``significance`` (of
        a second star over any single one, in σ of the CCF's own scatter), ``flux_ratio`` (height
        of the second peak of the two-star fit over the first's), ``rv_1`` ... ``rv_4`` with
        ``rv_1_err`` ... (km/s, the brightest first), ``height_k``, ``vsini_k`` (km/s, widths
        included), ``vsini`` of the best single star, ``n_extrema`` (components by the method of
        derivatives alone), ``template``, ``ccf_height``, ``flags`` (`DetectionFlag`) and
        ``confidence``: A beyond 10 σ with profiles apart, B other detections, C seen by one arm
        alone.

    Raises
    ------
    DataError
        If the grid is not uniform in ln λ, or templates do not fit.

    References
    ----------
    Merle et al. (2017), A&A 608, A95 (extrema); Zucker & Mazeh (1994), ApJ 420, 806 (two stars);
    Zucker (2003), MNRAS 342, 1291 (choice of template).
    """
    detector = CCFDetector(
        spectra, templates=templates, settings=settings, max_velocity=max_velocity
    )
    return detector(spectra)
