"""One, two, three or four stars in a CCF: where the fits start, and how they descend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.correlation import Correlation
from siderea.binaries.extrema import find_extrema
from siderea.binaries.profiles import ROTATIONS, Bank, Stars, improve, power

__all__ = ["Components", "fit_components", "measured", "one_more"]

_RIDGE = 1e-6

TURNS = 4
"""Rounds in which each star is placed anew beside the others; hardly any fit moves in a fifth."""


@dataclass(frozen=True)
class Components:
    """K stars fitted to each of N CCFs, the brightest first.

    Parameters
    ----------
    velocity, velocity_err : (N, K) ndarray
        km/s; errors from photon noise and from what the templates do not match, heights and
        velocities of all stars free at once.
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

    def __getitem__(self, rows: NDArray) -> Components:
        """Return chosen rows."""
        values = {name: value[rows] for name, value in vars(self).items() if name != "stars"}
        return Components(**values, stars=Stars(self.stars.lag[rows], self.stars.rotation[rows]))


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
    fits = [measured(correlation, bank, Stars(lag[:, None], turn[:, None]))]
    for _ in range(2, most + 1):
        fits.append(one_more(correlation, bank, fits[-1], separation=separation))
    return fits


def one_more(
    correlation: Correlation, bank: Bank, fewer: Components, *, separation: float
) -> Components:
    """Fit one star more than ``fewer`` has, from several starts; parameters as above."""
    apart = int(np.ceil(separation / correlation.step))
    stars = fewer.stars
    lag, turn, _ = improve(bank, stars, separation=apart)
    starts = [stars.joined(lag, turn)]
    if stars.number == 1:
        starts += [_from_extrema(correlation, stars, apart), *_split(bank, stars, apart)]
    tried = [_descend(bank, start, apart, turns=1) for start in starts]
    best = _descend(bank, _best(bank, tried), apart, turns=TURNS - 1)
    return measured(correlation, bank, best)


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
    height = stars.amplitudes(bank)
    typical, slope, scatter = _left_over(correlation, bank, stars, height)
    excess = np.maximum(1.0, typical / correlation.error)
    information = _information(bank, stars, height)
    number = stars.number
    score = np.concatenate([np.zeros_like(height), height * slope], axis=1)
    covariance = np.linalg.inv(information)
    offset = np.einsum("nij,nj->ni", covariance, score)[:, number:]
    spread = np.sqrt(np.maximum(np.einsum("nii->ni", covariance), 0.0))
    mismatch = np.maximum(scatter, correlation.error[:, None])
    lag = stars.lag - correlation.n_lags + np.clip(offset, -1, 1)
    return Components(
        correlation.velocity(lag),
        mismatch * spread[:, number:] * correlation.step,
        ROTATIONS[stars.rotation],
        height,
        (correlation.error * excess)[:, None] * spread[:, :number],
        power(bank, stars),
        excess,
        stars,
    )


def _information(bank: Bank, stars: Stars, height: NDArray) -> NDArray[np.float64]:
    """Return the Fisher matrix (N, 2K, 2K) of heights and lags, times σ².

    With G of the profiles of two stars at the difference of their lags: G, −hⱼ G′, −hᵢ hⱼ G″.
    """
    row = np.arange(len(height))[:, None, None]
    between = stars.lag[:, :, None] - stars.lag[:, None, :] + 2 * bank.n_lags
    between = np.clip(between, 1, 4 * bank.n_lags - 1)
    one, other = stars.rotation[:, :, None], stars.rotation[:, None, :]
    before, here, after = (
        bank.gram[row, bank.pair[one, other], between + k].astype(float) for k in (-1, 0, 1)
    )
    first, second = 0.5 * (after - before), after - 2 * here + before
    mixed = -height[:, None, :] * first
    lags = -height[:, :, None] * height[:, None, :] * second
    whole = np.block([[here, mixed], [np.swapaxes(mixed, 1, 2), lags]])
    diagonal = np.einsum("nii->ni", whole)
    diagonal *= 1 + _RIDGE
    diagonal += 1e-12
    return np.asarray(whole)


def _left_over(
    correlation: Correlation, bank: Bank, stars: Stars, height: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what the stars leave of the CCF.

    Returns
    -------
    typical : (N,) ndarray
        Scatter of the unbroadened CCF, from the median: a star that is yet to be found is no noise.
    slope : (N, K) ndarray
        Slope of the CCF, broadened as each star, at its place: 0 at the best velocity.
    scatter : (N, K) ndarray
        rms of that slope over all lags in units of what an error 1 of the CCF gives: photon noise
        together with all that the template does not match.
    """
    row, n_lags = np.arange(len(correlation)), bank.n_lags
    points = np.arange(2 * n_lags + 1)
    between = points - stars.lag[:, :, None] + 2 * n_lags
    index = row[:, None, None]
    profile = bank.gram[index, bank.pair[0, stars.rotation[:, :, None]], between]
    left = correlation.ccf - np.einsum("nk,nkv->nv", height, profile)
    slope, scatter = np.empty_like(height), np.empty_like(height)
    for k in range(stars.number):
        turn = stars.rotation[:, k]
        pair = bank.pair[turn[:, None], stars.rotation]
        profile = bank.gram[index, pair[..., None], between]
        own = bank.ccf[row, turn] - np.einsum("nk,nkv->nv", height, profile)
        steep = 0.5 * (own[:, 2:] - own[:, :-2])
        at = np.clip(stars.lag[:, k] - 1, 0, 2 * n_lags - 2)
        slope[:, k] = steep[row, at]
        g = bank.gram[row, bank.pair[turn, turn]]
        curvature = 2.0 * (g[:, 2 * n_lags] - g[:, 2 * n_lags + 1])
        inside = bank.inside[turn][:, 1:-1]
        square = (steep**2 * inside).sum(axis=1) / inside.sum(axis=1)
        scatter[:, k] = np.sqrt(square / np.maximum(curvature, 1e-12))
    typical = 1.4826 * np.median(np.abs(left), axis=1)
    return np.asarray(typical), slope, scatter
