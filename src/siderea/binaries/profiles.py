"""A CCF as a sum of rotating stars: broadened profiles, fitted by weighted least squares.

A star of velocity v and rotation u is the template convolved with the rotation profile K_u. In
terms of the CCF C and the autocorrelation G of the template the χ² of the *spectra* is, for K
stars, χ² = χ²₀ − cᵀ M⁻¹ c / σ², with cᵢ = (C ∗ K_uᵢ)(vᵢ) and Mᵢⱼ = (G ∗ K_uᵢ ∗ K_uⱼ)(vᵢ − vⱼ):
TODCOR (Zucker & Mazeh 1994, ApJ 420, 806) for any number of stars, with rotation. Neither the
side lobes of the template nor the correlation of the CCF's noise have to be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from siderea.binaries.correlation import Correlation
from siderea.models.velocity_kernels import rotation

__all__ = ["ROTATIONS", "Bank", "Stars", "improve", "power"]

ROTATIONS = np.array([0.0, 7.0, 12.0, 18.0, 25.0, 34.0, 47.0, 65.0])
"""v sin i of the profiles, km/s: where the descent of `siderea.binaries.refine` starts from."""

_RIDGE = 1e-6


@dataclass(frozen=True)
class Bank:
    """Broadened CCFs and autocorrelations of N spectra, for U rotations.

    Parameters
    ----------
    ccf : (N, U, 2V + 1) ndarray
        C ∗ K_u.
    gram : (N, U(U + 1)/2, 4V + 1) ndarray
        G ∗ K_u ∗ K_w, each pair of rotations once, see `pair`.
    inside : (U, 2V + 1) ndarray of bool
        Velocities whose broadened CCF does not reach beyond the ends: a star is placed there only.
    """

    ccf: NDArray[np.float32]
    gram: NDArray[np.float32]
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, correlation: Correlation, rotations: NDArray = ROTATIONS) -> Bank:
        """Broaden the CCFs and autocorrelations of a set."""
        c = _filtered(correlation.ccf, _transfer(correlation, rotations, 2 * correlation.n_lags))
        transfer = _transfer(correlation, rotations, 4 * correlation.n_lags)
        both = transfer[:, None] * transfer[None, :]
        gram = _filtered(correlation.acf, both[np.triu_indices(len(rotations))])
        lags = np.arange(-correlation.n_lags, correlation.n_lags + 1)
        margin = np.minimum(rotations[:, None], 0.5 * correlation.n_lags * correlation.step)
        inside = np.abs(lags) * correlation.step <= correlation.n_lags * correlation.step - margin
        return cls(c, gram, inside)

    def __getitem__(self, rows: NDArray) -> Bank:
        """Return chosen rows."""
        return Bank(self.ccf[rows], self.gram[rows], self.inside)

    def replaced(self, rows: NDArray, other: Bank) -> Bank:
        """Return this with some rows from another."""
        ccf, gram = self.ccf.copy(), self.gram.copy()
        ccf[rows], gram[rows] = other.ccf, other.gram
        return Bank(ccf, gram, self.inside)

    @property
    def pair(self) -> NDArray[np.intp]:
        """Place (U, U) of each pair of rotations in ``gram``."""
        return _pairs(self.ccf.shape[1])

    @property
    def n_lags(self) -> int:
        """Lags V on each side of 0."""
        return (self.ccf.shape[-1] - 1) // 2


@dataclass(frozen=True)
class Stars:
    """K stars in each of N spectra.

    Parameters
    ----------
    lag : (N, K) ndarray of int
        Index into the 2V + 1 velocities.
    rotation : (N, K) ndarray of int
        Index into the rotations of the bank.
    """

    lag: NDArray[np.intp]
    rotation: NDArray[np.intp]

    @property
    def number(self) -> int:
        """Number K of stars."""
        return int(self.lag.shape[1])

    def without(self, k: int) -> Stars:
        """Return the others."""
        return Stars(np.delete(self.lag, k, 1), np.delete(self.rotation, k, 1))

    def joined(self, lag: NDArray, turn: NDArray, k: int | None = None) -> Stars:
        """Return these with one more, at place ``k`` (the end by default)."""
        place = self.number if k is None else k
        return Stars(np.insert(self.lag, place, lag, 1), np.insert(self.rotation, place, turn, 1))

    def matrix(self, bank: Bank) -> tuple[NDArray, NDArray]:
        """Return M (N, K, K) and c (N, K)."""
        row = np.arange(len(self.lag))
        between = self.lag[:, :, None] - self.lag[:, None, :] + 2 * bank.n_lags
        one, other = self.rotation[:, :, None], self.rotation[:, None, :]
        m = bank.gram[row[:, None, None], bank.pair[one, other], between].astype(float)
        m[:, np.arange(self.number), np.arange(self.number)] *= 1 + _RIDGE
        return m, bank.ccf[row[:, None], self.rotation, self.lag].astype(float)

    def amplitudes(self, bank: Bank) -> NDArray[np.float64]:
        """Return the heights (N, K), in units of the template."""
        m, c = self.matrix(bank)
        return np.asarray(np.linalg.solve(m, c[..., None])[..., 0])


def power(bank: Bank, stars: Stars) -> NDArray[np.float64]:
    """Return cᵀ M⁻¹ c (N,): the χ² that the stars explain, times σ²."""
    m, c = stars.matrix(bank)
    return np.asarray((c * np.linalg.solve(m, c[..., None])[..., 0]).sum(axis=1))


def improve(bank: Bank, others: Stars, *, separation: int) -> tuple[NDArray, NDArray, NDArray]:
    """Find the best further star beside others, their heights refitted.

    Parameters
    ----------
    bank : Bank
    others : Stars
        None (K = 0) or more.
    separation : int
        The star stands at least so many lags from each of the others.

    Returns
    -------
    lag, rotation : (N,) ndarray of int
    gain : (N,) ndarray
        What it adds to `power`; 0 where no star of positive light helps.
    """
    n, _, n_points = bank.ccf.shape
    own = bank.gram[:, bank.pair.diagonal(), 2 * bank.n_lags, None]
    if not others.number:
        rest, left = np.maximum(bank.ccf, 0.0), np.broadcast_to(own, bank.ccf.shape)
    else:
        g = _beside(bank, others)
        m, c = others.matrix(bank)
        inverse = np.linalg.inv(m)
        height = (inverse @ c[..., None])[..., 0].astype(np.float32)
        rest = bank.ccf - np.einsum("nk,nkp->np", height, g).reshape(bank.ccf.shape)
        np.maximum(rest, 0.0, out=rest)
        mixed = np.einsum("nkj,njp->nkp", inverse.astype(np.float32), g)
        left = own - np.einsum("nkp,nkp->np", mixed, g).reshape(bank.ccf.shape)
    gain = np.square(rest, out=rest)
    gain /= np.maximum(left, 0.02)
    gain *= bank.inside
    for row, lags in enumerate(others.lag):
        for lag in lags:
            gain[row, :, max(lag - separation + 1, 0) : lag + separation] = 0.0
    gain = gain.reshape(n, -1)
    best = gain.argmax(axis=1)
    return best % n_points, best // n_points, gain[np.arange(n), best]


def _beside(bank: Bank, others: Stars) -> NDArray[np.float32]:
    """Return what a star at any lag and rotation shares with each of the others, (N, K, U (2V+1)).

    Windows of the autocorrelations are copied one by one: much faster than an index of them all.
    """
    n, n_turns, n_points = bank.ccf.shape
    g, pair = np.empty((n, others.number, n_turns, n_points), np.float32), bank.pair
    for row, (lags, turns) in enumerate(zip(others.lag, others.rotation, strict=True)):
        for k, (lag, turn) in enumerate(zip(lags, turns, strict=True)):
            first = 2 * bank.n_lags - lag
            g[row, k] = bank.gram[row][pair[turn], first : first + n_points]
    return g.reshape(n, others.number, -1)


def _transfer(correlation: Correlation, rotations: NDArray, points: int) -> NDArray[np.float32]:
    """Return the transforms (U, F) of the rotation profiles for arrays of ``points`` + 1."""
    return _stored_transfer(correlation.step, tuple(rotations.tolist()), points)


@lru_cache(maxsize=8)
def _stored_transfer(step: float, rotations: tuple[float, ...], points: int) -> NDArray[np.float32]:
    size = _padded(points + 1)
    frequency = np.arange(size // 2 + 1) / (size * step)
    turns = torch.tensor(rotations, dtype=torch.float64)[:, None]
    return rotation(torch.from_numpy(frequency), turns).numpy().astype(np.float32)


@lru_cache(maxsize=8)
def _pairs(number: int) -> NDArray[np.intp]:
    place = np.zeros((number, number), np.intp)
    upper = np.triu_indices(number)
    place[upper] = place[upper[::-1]] = np.arange(len(upper[0]))
    return place


def _padded(points: int) -> int:
    return int(scipy.fft.next_fast_len(points + points // 4, real=True))


def _filtered(values: NDArray, transfer: NDArray) -> NDArray[np.float32]:
    """Convolve arrays (N, V) with kernels given by transforms (U, F): (N, U, V)."""
    size = _padded(values.shape[1])
    transform = scipy.fft.rfft(values.astype(np.float32), size)
    back = scipy.fft.irfft(transform[:, None, :] * transfer, size)
    return np.ascontiguousarray(back[..., : values.shape[1]])
