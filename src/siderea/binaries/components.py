"""One, two, three or four stars in a CCF: where the fits start, and how they descend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.ccf import Correlation
from siderea.binaries.extrema import find_extrema
from siderea.binaries.profiles import ROTATIONS, Bank, Stars, improve, power

__all__ = ["Components", "fit_components", "measured"]

TURNS = 4
"""Rounds in which each star is placed anew beside the others; hardly any fit moves in a fifth."""


@dataclass(frozen=True)
class Components:
    """K stars fitted to each of N CCFs, the brightest first.

    Parameters
    ----------
    velocity, velocity_err : (N, K) ndarray
        km/s; the error from photon noise times the rms over it of what the fit leaves.
    rotation : (N, K) ndarray
        v sin i of the profile, km/s.
    height, height_err : (N, K) ndarray
        In units of the template: proportional to the star's share of the light.
    power : (N,) ndarray
        χ² that is explained, times σ².
    excess : (N,) ndarray
        Scatter of the CCF about the fit over that expected of photon noise, at least 1: the
        template is never quite the star.
    stars : Stars
    """

    velocity: NDArray[np.float64]
    velocity_err: NDArray[np.float64]
    rotation: NDArray[np.float64]
    height: NDArray[np.float64]
    height_err: NDArray[np.float64]
    power: NDArray[np.float64]
    excess: NDArray[np.float64]
    stars: Stars


def fit_components(
    correlation: Correlation, bank: Bank, most: int, *, separation: float
) -> list[Components]:
    """Fit 1 to ``most`` stars.

    Parameters
    ----------
    correlation : Correlation
        N spectra.
    bank : Bank
        Of the same.
    most : int
    separation : float
        Least difference of velocity of any two stars, km/s.

    Returns
    -------
    list of Components
        With 1, 2, ... stars.
    """
    n = len(correlation)
    apart = int(np.ceil(separation / correlation.step))
    empty = np.zeros((n, 0), dtype=np.intp)
    lag, turn, _ = improve(bank, Stars(empty, empty), separation=apart)
    stars = Stars(lag[:, None], turn[:, None])
    fits = [measured(correlation, bank, stars)]
    for number in range(2, most + 1):
        lag, turn, _ = improve(bank, stars, separation=apart)
        starts = [stars.joined(lag, turn)]
        if number == 2:
            starts += [_from_extrema(correlation, stars, apart), *_split(bank, stars, apart)]
        tried = [_descend(bank, start, apart, turns=1) for start in starts]
        stars = _descend(bank, _best(bank, tried), apart, turns=TURNS - 1)
        fits.append(measured(correlation, bank, stars))
    return fits


def _from_extrema(correlation: Correlation, single: Stars, apart: int) -> Stars:
    """Start from the two strongest extrema; where there are not two, beside the single star."""
    found = find_extrema(
        correlation.ccf,
        np.arange(-correlation.n_lags, correlation.n_lags + 1) * correlation.step,
        error=np.nan_to_num(correlation.error),
        most=2,
    )
    place = np.full((len(correlation), 2), np.nan)
    place[:, : found.velocity.shape[1]] = found.velocity / correlation.step + correlation.n_lags
    beside = single.lag + np.array([0, apart])
    lag = np.where(np.isfinite(place).all(axis=1, keepdims=True), np.nan_to_num(place), beside)
    lag = np.clip(np.rint(lag), 0, 2 * correlation.n_lags).astype(np.intp)
    return Stars(lag, np.ones_like(lag))


def _split(bank: Bank, single: Stars, apart: int) -> list[Stars]:
    """Start from two narrow stars on both sides of the single, wide one: an even blend."""
    last = 2 * bank.n_lags
    starts = []
    for half in (apart / 2, apart, 2 * apart):
        lag = np.rint(single.lag + half * np.array([-1, 1])).astype(np.intp)
        starts.append(Stars(np.clip(lag, 0, last), np.ones_like(lag)))
    return starts


def _descend(bank: Bank, stars: Stars, apart: int, *, turns: int) -> Stars:
    for _ in range(turns):
        before = stars
        for k in range(stars.number):
            others = stars.without(k)
            lag, turn, gain = improve(bank, others, separation=apart)
            lag = np.where(gain > 0, lag, stars.lag[:, k])
            stars = others.joined(lag, turn, k)
        if np.array_equal(before.lag, stars.lag) and np.array_equal(
            before.rotation, stars.rotation
        ):
            break
    return stars


def _best(bank: Bank, fits: list[Stars]) -> Stars:
    chosen = np.argmax([_positive_power(bank, one) for one in fits], axis=0)
    row = np.arange(chosen.size)
    lag = np.stack([one.lag for one in fits])[chosen, row]
    return Stars(lag, np.stack([one.rotation for one in fits])[chosen, row])


def _positive_power(bank: Bank, stars: Stars) -> NDArray[np.float64]:
    """Return `power`, 0 where a star gives negative light."""
    return np.where((stars.amplitudes(bank) > 0).all(axis=1), power(bank, stars), 0.0)


def measured(
    correlation: Correlation, bank: Bank, stars: Stars, *, ordered: bool = True
) -> Components:
    """Measure stars at given places: velocities between the points, heights, errors.

    Parameters
    ----------
    correlation, bank
        N spectra.
    stars : Stars
        K in each.
    ordered : bool
        Put the brightest first.
    """
    row = np.arange(len(correlation))[:, None]
    if ordered:
        order = np.argsort(-stars.amplitudes(bank), axis=1, kind="stable")
        stars = Stars(stars.lag[row, order], stars.rotation[row, order])
    m, _ = stars.matrix(bank)
    height = stars.amplitudes(bank)
    typical, largest = _scatter(correlation, bank, stars, height)
    excess = np.maximum(1.0, typical / correlation.error)
    mismatch = np.maximum(1.0, largest / correlation.error)
    error = (correlation.error * excess)[:, None]
    spread = np.sqrt(np.abs(np.einsum("nkk->nk", np.linalg.inv(m))))
    offset, curvature = _vertex(bank, stars, height)
    lag = stars.lag - correlation.n_lags + offset
    sharp = np.sqrt(np.maximum(curvature, 1e-12)) / correlation.step
    size = np.maximum(np.abs(height), 1e-6)
    independent = spread * np.sqrt(np.einsum("nkk->nk", m))
    return Components(
        correlation.velocity(lag),
        (correlation.error * mismatch)[:, None] * independent / (size * sharp),
        ROTATIONS[stars.rotation],
        height,
        error * spread,
        power(bank, stars),
        excess,
        stars,
    )


def _scatter(
    correlation: Correlation, bank: Bank, stars: Stars, height: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scatter (N,) of the CCF that the stars leave: from the median, and the rms.

    A star that is yet to be found is not noise, and the median does not see it. What the template
    leaves close to the stars, where it moves their velocities, is in the rms.
    """
    points = np.arange(2 * bank.n_lags + 1)
    between = points - stars.lag[:, :, None] + 2 * bank.n_lags
    row = np.arange(len(correlation))[:, None, None]
    profile = bank.gram[row, 0, stars.rotation[:, :, None], between]
    left = correlation.ccf - (height[:, :, None] * profile).sum(axis=1)
    typical = 1.4826 * np.median(np.abs(left), axis=1)
    return np.asarray(typical), np.asarray(np.sqrt(np.mean(left**2, axis=1)))


def _vertex(
    bank: Bank, stars: Stars, height: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return offsets (N, K), in lags, of the peaks from their points, and −G″ there."""
    row = np.arange(len(stars.lag))[:, None]
    centre = 2 * bank.n_lags
    own = bank.gram[row, stars.rotation, stars.rotation]
    curvature = 2.0 * (own[..., centre] - own[..., centre + 1])
    slope = np.zeros_like(height)
    for side in (-1, 1):
        lag = np.clip(stars.lag + side, 0, 2 * bank.n_lags)
        value = bank.ccf[row, stars.rotation, lag].astype(float)
        for k in range(stars.number):
            between = lag - stars.lag[:, k : k + 1] + centre
            turn = stars.rotation[:, k : k + 1]
            value = value - height[:, k : k + 1] * bank.gram[row, turn, stars.rotation, between]
        slope += 0.5 * side * value
    offset = slope / np.maximum(np.abs(height) * curvature, 1e-12)
    return np.clip(offset, -1, 1), np.asarray(curvature, dtype=float)
