"""Spectra that are broken: waves in the continuum, spikes, arms without light, too much noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter

from siderea.classify.detection import Detection
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.flags import SpectrumFlag
from siderea.spectra.clipped_fit import masked_quantile

__all__ = ["MIN_SPIKES", "count_spikes", "dead_arms", "noise_ratio", "oscillation"]

MIN_SPIKES = 6
"""Spikes that make a spectrum problematic: a narrow emission line can look like one or two."""

_MIN_GOOD = 0.3
_CYCLES = (3, 100)
_AROUND = 15
_RAYLEIGH_MEDIAN = 1.1774  # √(2 ln 2): of the amplitude of noise, in units of its error
_SPIKE_SIGMA = 6.0
_SPIKE_HEIGHT = 0.15
_SPIKE_REACH = 3


def dead_arms(spectra: Spectra) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Find arms without data or without light.

    Parameters
    ----------
    spectra : Spectra
        N spectra.

    Returns
    -------
    dead : (N, A) ndarray of bool
        Less than a tenth of the arm's pixels are good, or their median flux is not above 0.1 of
        the continuum.
    flags : (N,) ndarray of int
        `SpectrumFlag.MISSING_ARM`, `SpectrumFlag.ZERO_SNR`.
    """
    dead = np.zeros((len(spectra), len(spectra.arms)), dtype=bool)
    flags = np.zeros(len(spectra), dtype=np.int64)
    for number, (_, arm, _) in enumerate(spectra.iter_arms()):
        good = (spectra.ivar[:, arm] > 0) & np.isfinite(spectra.flux[:, arm])
        empty = good.mean(axis=1) < 0.1
        dark = ~empty & (np.nan_to_num(masked_quantile(spectra.flux[:, arm], good, 0.5)) < 0.1)
        flags[empty] |= int(SpectrumFlag.MISSING_ARM)
        flags[dark] |= int(SpectrumFlag.ZERO_SNR)
        dead[:, number] = empty | dark
    return dead, flags


def oscillation(spectra: Spectra, reference: ArrayLike) -> Detection:
    """Measure the strongest wave in the continuum: fringes, or a reduction gone wrong.

    The weighted periodogram of flux minus reference, arm by arm, over whole numbers of cycles per
    arm from 3 (fewer belong to the normalisation) to 100 (more are lines).

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra; averaging pixels in groups first loses nothing and saves time.
    reference : (N, P) array-like
        Expected flux.

    Returns
    -------
    Detection
        Amplitude of the strongest wave of all arms, as a share of the continuum. The error is what
        photons give one amplitude, or what the median of the amplitudes at similar
        frequencies implies, if that is more: lines and bands that the reference lacks raise them
        all, a wave stands out. It is the largest of many: its false alarms need a null sample.
    """
    residual = _residual(spectra, reference)
    best = np.full(len(spectra), np.nan)
    error = np.full(len(spectra), np.nan)
    for _, arm, _ in spectra.iter_arms():
        amplitude, sigma = _strongest(residual[:, arm], np.asarray(spectra.ivar[:, arm], float))
        ratio = np.divide(amplitude, sigma, out=np.full(len(best), np.nan), where=sigma > 0)
        before = np.divide(best, error, out=np.full(len(best), -np.inf), where=error > 0)
        wins = np.nan_to_num(ratio, nan=-np.inf) > np.nan_to_num(before, nan=-np.inf)
        best, error = np.where(wins, amplitude, best), np.where(wins, sigma, error)
    return Detection("oscillation", best, error)


def noise_ratio(spectra: Spectra, reference: ArrayLike) -> NDArray[np.float64]:
    """Return how much more the residual scatters than its errors say, arm by arm.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    reference : (N, P) array-like
        Expected flux.

    Returns
    -------
    (N, A) ndarray
        1.4826 median |f − f_ref| √ivar: 1 for honest errors and a perfect reference, NaN for an arm
        without good pixels.
    """
    scaled = np.abs(_residual(spectra, reference)) * np.sqrt(spectra.ivar)
    good = spectra.ivar > 0
    columns = [1.4826 * masked_quantile(scaled[:, arm], good[:, arm], 0.5) for arm in spectra.arms]
    return np.stack(columns, axis=1)


def count_spikes(spectra: Spectra) -> NDArray[np.int64]:
    """Count spikes that are too narrow for the spectrograph: what is left of cosmic rays.

    A spike stands 6σ and 0.15 of the continuum above 1, and as much above both pixels three steps
    away.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra, on pixels that sample the resolution (two or three to a FWHM).

    Returns
    -------
    (N,) ndarray of int
        Spikes per spectrum, each counted once.
    """
    count = np.zeros(len(spectra), dtype=np.int64)
    for _, arm, _ in spectra.iter_arms():
        ivar = spectra.ivar[:, arm]
        flux = np.where(ivar > 0, spectra.flux[:, arm], -np.inf)
        if flux.shape[1] <= 2 * _SPIKE_REACH:
            continue
        middle = flux[:, _SPIKE_REACH:-_SPIKE_REACH]
        sides = np.maximum(flux[:, : -2 * _SPIKE_REACH], flux[:, 2 * _SPIKE_REACH :])
        high = (middle > np.maximum(sides, 1.0) + _SPIKE_HEIGHT) & np.isfinite(sides)
        row, column = np.nonzero(high)  # few: only there the errors matter
        above = middle[row, column] - np.maximum(sides[row, column], 1.0)
        error = 1.0 / np.sqrt(ivar[row, column + _SPIKE_REACH])
        high[row, column] = above > _SPIKE_SIGMA * error
        starts = high & ~np.pad(high, ((0, 0), (1, 0)))[:, :-1]
        count += starts.sum(axis=1)
    return count


def _residual(spectra: Spectra, reference: ArrayLike) -> NDArray[np.float64]:
    expected = np.asarray(reference, dtype=float)
    if expected.shape != spectra.flux.shape:
        raise DataError(f"reference: found {expected.shape}; expected {spectra.flux.shape}")
    return np.where(spectra.ivar > 0, spectra.flux - expected, 0.0)


def _strongest(residual: NDArray, ivar: NDArray) -> tuple[NDArray, NDArray]:
    """Return amplitude and error (N,) of the strongest wave of one arm.

    The arm is tapered (Hann), lest a wave leak into the frequencies that it is compared with.
    """
    n = residual.shape[1]
    taper = np.hanning(n + 2)[1:-1]
    weight = ivar * taper
    total = weight.sum(axis=1)
    usable = (total > 0) & ((ivar > 0).mean(axis=1) >= _MIN_GOOD)
    amplitude, error = np.full(len(total), np.nan), np.full(len(total), np.nan)
    first, last = _CYCLES[0], min(_CYCLES[1], n // 4)
    if last <= first or not usable.any():
        return amplitude, error
    weight, total = weight[usable], total[usable, None]
    mean = (weight * residual[usable]).sum(axis=1, keepdims=True) / total
    power = np.abs(np.fft.rfft(weight * (residual[usable] - mean), axis=1))
    waves = 2.0 * power[:, 1 : last + 1] / total  # the slowest serve for comparison only
    photons = np.sqrt(2.0 * (weight * taper).sum(axis=1, keepdims=True)) / total
    floor = median_filter(waves, size=(1, _AROUND), mode="nearest") / _RAYLEIGH_MEDIAN
    sigma = np.maximum(photons, floor)
    strongest = first - 1 + (waves / sigma)[:, first - 1 :].argmax(axis=1)
    best = (np.arange(len(waves)), strongest)
    amplitude[usable], error[usable] = waves[best], sigma[best]
    return amplitude, error
