"""Orbits that a few epochs allow: rejection sampling with K and γ marginalised analytically.

The method of The Joker (Price-Whelan et al. 2017, ApJ 837, 20): orbits are drawn from the prior
in (P, e, ω, phase); the likelihood of each, integrated over the linear elements K and γ, decides
whether it is kept, so that any number of separate periods is found. Where good data leave hardly a
draw, the draws are annealed into the posterior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.binaries.annealing import anneal
from siderea.errors import DataError
from siderea.simulate.orbits import radial_velocity

__all__ = ["OrbitSamples", "marginal_likelihood", "sample_orbits"]

ECCENTRICITY = (0.867, 3.03)
"""Beta distribution of e (Kipping 2013, MNRAS 434, L51)."""

AMPLITUDE_YEAR = 30.0
"""σ of K at P = 1 yr and e = 0, km/s."""

LARGEST_ECCENTRICITY = 0.99
YEAR = 365.25
MOST_CELLS = 2_000_000


@dataclass(frozen=True)
class OrbitSamples:
    """Samples of the posterior of one star's orbit.

    Parameters
    ----------
    period, eccentricity, arg_periastron, phase, amplitude, rv_system : (S,) ndarray
        d, –, rad, turns between periastron and the first epoch, km/s, km/s. A negative amplitude
        is an orbit with ω turned by π.
    log_likelihood : (S,) ndarray
        Marginal, natural logarithm.
    time_0 : float
        First epoch, BMJD.
    n_prior : int
        Draws that were tried.
    """

    period: NDArray[np.float64]
    eccentricity: NDArray[np.float64]
    arg_periastron: NDArray[np.float64]
    phase: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    rv_system: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    time_0: float
    n_prior: int

    def __len__(self) -> int:
        return int(self.period.size)

    def unimodal(self, span: float) -> bool:
        """Tell whether all periods lie within one peak of a periodogram over ``span`` days.

        σ_P of the samples below 4 P²/(2π span) (Price-Whelan et al. 2020, ApJ 895, 2).
        """
        if not len(self):
            return False
        shortest = float(self.period.min())
        return bool(self.period.std() < 4 * shortest**2 / (2 * np.pi * span))


def marginal_likelihood(
    time: ArrayLike,
    rv: ArrayLike,
    rv_err: ArrayLike,
    period: ArrayLike,
    eccentricity: ArrayLike,
    arg_periastron: ArrayLike,
    phase: ArrayLike,
    *,
    rv_spread: float = 100.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Integrate the likelihood of S orbits over K and γ.

    Parameters
    ----------
    time, rv, rv_err : (M,) array-like
        BMJD (d), km/s.
    period, eccentricity, arg_periastron, phase : (S,) array-like
        d, –, rad, turns since periastron at the first epoch.
    rv_spread : float
        σ of the prior of γ about the mean velocity, km/s. That of K is
        `AMPLITUDE_YEAR` (P/yr)^−⅓ (1 − e²)^−½, about 0.

    Returns
    -------
    log_likelihood : (S,) ndarray
    mean : (S, 2) ndarray
        Of K and γ given the rest, km/s.
    covariance : (S, 2, 2) ndarray
    """
    t, v, s = (np.asarray(values, dtype=float) for values in (time, rv, rv_err))
    p, e, omega, turn = (
        np.asarray(one, dtype=float)[:, None]
        for one in (period, eccentricity, arg_periastron, phase)
    )
    centre = np.average(v, weights=s**-2)
    shape = radial_velocity(t - t[0], p, -turn * p, 1.0, e, omega)
    weight, y = s**-2, v - centre
    prior_k = AMPLITUDE_YEAR**2 * (p[:, 0] / YEAR) ** (-2 / 3) / (1 - e[:, 0] ** 2)
    inverse = np.empty((p.size, 2, 2))
    inverse[:, 0, 0] = shape**2 @ weight + 1 / prior_k
    inverse[:, 0, 1] = inverse[:, 1, 0] = shape @ weight
    inverse[:, 1, 1] = weight.sum() + rv_spread**-2
    right = np.stack([shape @ (weight * y), np.full(p.size, weight @ y)], axis=1)
    covariance = np.linalg.inv(inverse)
    mean = np.einsum("sij,sj->si", covariance, right)
    quadratic = (weight * y**2).sum() - (right * mean).sum(axis=1)
    log_det = np.log(np.linalg.det(inverse)) + np.log(prior_k * rv_spread**2)
    norm = np.log(2 * np.pi * s**2).sum()
    mean[:, 1] += centre
    return np.asarray(-0.5 * (quadratic + log_det + norm)), mean, np.asarray(covariance)


def sample_orbits(
    time: ArrayLike,
    rv: ArrayLike,
    rv_err: ArrayLike,
    *,
    rng: np.random.Generator,
    shortest: float = 1.0,
    longest: float = 10_000.0,
    n_prior: int = 100_000,
    most: int = 256,
    fewest: int = 64,
) -> OrbitSamples:
    """Sample the orbits that the velocities of one star allow.

    Parameters
    ----------
    time, rv, rv_err : (M,) array-like
        BMJD (d), km/s; at least 2 epochs.
    rng : numpy.random.Generator
    shortest, longest : float
        Range of the period, d; uniform in its logarithm.
    n_prior : int
        Draws from the prior.
    most : int
        Samples that are kept at most.
    fewest : int
        With fewer survivors of the draws, they are annealed (`siderea.binaries.annealing`).

    Returns
    -------
    OrbitSamples

    Raises
    ------
    DataError
        If there are fewer than two good epochs, or the range of periods makes no sense.
    """
    t, v, s = (np.asarray(values, dtype=float) for values in (time, rv, rv_err))
    good = np.isfinite(t) & np.isfinite(v) & (s > 0)
    t, v, s = t[good], v[good], s[good]
    if t.size < 2 or not 0 < shortest < longest:
        raise DataError(
            f"found {t.size} epochs, periods {shortest} to {longest} d; expected at least two "
            "epochs and 0 < shortest < longest"
        )
    shape = _prior(rng, n_prior, shortest, longest)
    log_likelihood = _likelihoods(t, v, s, shape)
    kept = np.log(rng.uniform(size=n_prior)) < log_likelihood - log_likelihood.max()
    rows = np.flatnonzero(kept)
    if rows.size >= fewest:
        chosen = shape[rows[:most]]
    else:
        chosen = _annealed(t, v, s, shape, log_likelihood, rng, (shortest, longest))
        chosen = chosen[rng.permutation(len(chosen))[:most]]
    log_likelihood, mean, covariance = marginal_likelihood(t, v, s, *chosen.T)
    root = np.linalg.cholesky(covariance)
    linear = mean + np.einsum("sij,sj->si", root, rng.standard_normal((len(chosen), 2)))
    period, e, omega, phase = chosen.T
    amplitude, system = linear.T
    return OrbitSamples(
        period, e, omega, phase, amplitude, system, log_likelihood, float(t[0]), n_prior
    )


def _prior(
    rng: np.random.Generator, n: int, shortest: float, longest: float
) -> NDArray[np.float64]:
    """Draw P, e, ω and phase (n, 4)."""
    period = np.exp(rng.uniform(np.log(shortest), np.log(longest), n))
    e = np.minimum(rng.beta(*ECCENTRICITY, n), LARGEST_ECCENTRICITY)
    return np.stack([period, e, rng.uniform(0, 2 * np.pi, n), rng.uniform(0, 1, n)], axis=1)


def _likelihoods(t: NDArray, v: NDArray, s: NDArray, shape: NDArray) -> NDArray[np.float64]:
    size = max(1, MOST_CELLS // t.size)
    parts = [
        marginal_likelihood(t, v, s, *shape[start : start + size].T)[0]
        for start in range(0, len(shape), size)
    ]
    return np.concatenate(parts)


def _annealed(
    t: NDArray,
    v: NDArray,
    s: NDArray,
    shape: NDArray,
    log_likelihood: NDArray,
    rng: np.random.Generator,
    periods: tuple[float, float],
) -> NDArray[np.float64]:
    """Anneal draws of the prior into the posterior, (P, e, ω, phase) of each sample.

    Coordinates: turns over the time spanned (peaks are as wide in it at any period), √e cos ω,
    √e sin ω (flat in e and ω), and M + ω at the middle epoch, which a circular orbit also has.
    """
    span, middle = max(float(np.ptp(t)), 1e-3), float(np.mean(t - t[0]))

    def density(x: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        e = x[:, 1] ** 2 + x[:, 2] ** 2
        period = span / np.maximum(x[:, 0], 1e-9)
        allowed = (e < LARGEST_ECCENTRICITY) & (x[:, 0] > span / periods[1])
        allowed &= x[:, 0] < span / periods[0]
        prior, likelihood = np.full((2, len(x)), -np.inf)
        place = _from_turns(x[allowed], span, middle)
        prior[allowed] = np.log(period[allowed])  # ln P is uniform
        prior[allowed] += (ECCENTRICITY[0] - 1) * np.log(np.maximum(e[allowed], 1e-9))
        prior[allowed] += (ECCENTRICITY[1] - 1) * np.log1p(-e[allowed])
        if allowed.any():
            likelihood[allowed] = marginal_likelihood(t, v, s, *place.T)[0]
        return prior, likelihood

    scale = np.array([0.3, 0.5, 0.5, 1.0])
    start = _to_turns(shape, span, middle)
    return _from_turns(anneal(density, start, log_likelihood, scale, rng=rng), span, middle)


def _to_turns(shape: NDArray, span: float, middle: float) -> NDArray[np.float64]:
    period, e, omega, phase = shape.T
    root = np.sqrt(e)
    angle = 2 * np.pi * (phase + middle / period) + omega
    return np.stack([span / period, root * np.cos(omega), root * np.sin(omega), angle], axis=1)


def _from_turns(x: NDArray, span: float, middle: float) -> NDArray[np.float64]:
    period = span / x[:, 0]
    omega = np.mod(np.arctan2(x[:, 2], x[:, 1]), 2 * np.pi)
    phase = np.mod((x[:, 3] - omega) / (2 * np.pi) - middle / period, 1.0)
    return np.stack([period, x[:, 1] ** 2 + x[:, 2] ** 2, omega, phase], axis=1)
