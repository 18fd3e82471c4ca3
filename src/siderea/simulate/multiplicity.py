"""How many stars a system has, and what orbits: fractions, periods, mass ratios, eccentricities.

Every distribution is a function that draws for arrays of stars, by inverting its own cumulative
distribution, so that the distribution asked for is the one that is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from siderea.simulate.orbits import roche_lobe, semi_major_axis, stable_ratio

__all__ = [
    "Companions",
    "MultiplicityLaw",
    "detached",
    "draw_companions",
    "eccentricities",
    "mass_ratios",
    "multiple_fraction",
    "periods",
    "twin_fraction",
]

FRACTION_LOG_MASS = np.log10([0.1, 0.25, 1.0, 2.7, 10.0])
FRACTION = np.array([0.22, 0.26, 0.44, 0.50, 0.80])
"""Share of systems with companions by primary mass: Duchêne & Kraus (2013), ARA&A 51, 269, Table 1;
.44 at one solar mass is Raghavan et al. (2010), ApJS 190, 1. Linear in log mass between."""

BREAK = 0.3
TWINS = 0.95
ROUNDS = 40


@dataclass(frozen=True)
class MultiplicityLaw:
    """The parameters of the multiplicity that a survey may wish to change.

    Parameters
    ----------
    fraction : float, optional
        Share of systems with companions; by primary mass (`multiple_fraction`) when None.
    triple_share : float
        Share of triples among the multiples: Raghavan et al. (2010) count 33 doubles to 11 systems
        of three and more stars per hundred.
    log_period, log_period_sigma : float
        Log-normal distribution of the period in days (Duquennoy & Mayor 1991).
    log_period_range : (float, float)
        From one day to ten million years.
    circular_period : float
        Orbits shorter than this (d) are circular.
    lowest_mass : float
        Least mass of a companion, solar.
    """

    fraction: float | None = None
    triple_share: float = 0.25
    log_period: float = 4.8
    log_period_sigma: float = 2.3
    log_period_range: tuple[float, float] = (0.0, 9.56)
    circular_period: float = 10.0
    lowest_mass: float = 0.1


@dataclass(frozen=True)
class Companions:
    """Companions of N primaries; NaN where there is none.

    Parameters
    ----------
    n_stars : (N,) ndarray of int
        1, 2 or 3.
    mass_2, mass_3 : (N,) ndarray
        Solar; of a triple, the third circles the pair.
    period, eccentricity : (N,) ndarray
        Inner orbit, d.
    period_outer, eccentricity_outer : (N,) ndarray
    stable : (N,) ndarray of bool
        False where no stable triple was found in `ROUNDS` draws.
    """

    n_stars: NDArray[np.int64]
    mass_2: NDArray[np.float64]
    mass_3: NDArray[np.float64]
    period: NDArray[np.float64]
    eccentricity: NDArray[np.float64]
    period_outer: NDArray[np.float64]
    eccentricity_outer: NDArray[np.float64]
    stable: NDArray[np.bool_]


def multiple_fraction(mass: ArrayLike) -> NDArray[np.float64]:
    """Return the share of systems with companions whose primary has this mass (solar)."""
    return np.interp(np.log10(np.asarray(mass, dtype=float)), FRACTION_LOG_MASS, FRACTION)


def periods(n: int, law: MultiplicityLaw, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw log₁₀ periods (d) of the truncated log-normal."""
    low, high = ndtr((np.asarray(law.log_period_range) - law.log_period) / law.log_period_sigma)
    return np.asarray(
        law.log_period + law.log_period_sigma * ndtri(low + (high - low) * rng.random(n))
    )


def twin_fraction(log_period: ArrayLike, mass: ArrayLike) -> NDArray[np.float64]:
    """Return the share of twins (q > .95) in excess, among companions of q > .3.

    .30 − .15 log₁₀ M₁ at log P < 1, falling linearly to none at log P = 8 − M₁.

    References
    ----------
    Moe & Di Stefano (2017), ApJS 230, 15.
    """
    log_period, mass = np.asarray(log_period, dtype=float), np.asarray(mass, dtype=float)
    short = np.clip(0.30 - 0.15 * np.log10(mass), 0.0, 0.4)
    last = np.maximum(8.0 - mass, 1.5)
    return np.asarray(short * np.clip((last - log_period) / (last - 1.0), 0.0, 1.0))


def mass_ratios(
    log_period: ArrayLike, mass: ArrayLike, rng: np.random.Generator, *, lowest_mass: float = 0.1
) -> NDArray[np.float64]:
    """Draw mass ratios: q^.3 below .3, q^γ above with an excess of twins.

    γ = −.5, steeper by .3 per dex beyond log P = 5 (held beyond log P = 8).

    Parameters
    ----------
    log_period : (N,) array-like
        d.
    mass : (N,) array-like
        Of the primary, solar.
    rng : numpy.random.Generator
    lowest_mass : float
        Companions are heavier than this; q is never below .1.

    Returns
    -------
    (N,) ndarray

    References
    ----------
    Moe & Di Stefano (2017), ApJS 230, 15, for solar-type primaries.
    """
    log_period, mass = np.asarray(log_period, dtype=float), np.asarray(mass, dtype=float)
    lowest = np.clip(lowest_mass / mass, 0.1, 0.9)
    steep = -0.5 - 0.3 * np.clip(log_period - 5.0, 0.0, 3.0)
    middle = np.maximum(lowest, BREAK)
    small = _power_integral(np.minimum(lowest, BREAK), BREAK, 0.3)
    large = _power_integral(middle, 1.0, steep)
    twins = twin_fraction(log_period, mass)
    excess = large * twins / (1 - twins)
    pick = rng.random(log_period.shape) * (small + large + excess)
    u = rng.random(log_period.shape)
    return np.where(
        pick < small,
        _power_draw(u, np.minimum(lowest, BREAK), BREAK, 0.3),
        np.where(pick < small + large, _power_draw(u, middle, 1.0, steep), TWINS + (1 - TWINS) * u),
    )


def _power_integral(low: ArrayLike, high: ArrayLike, slope: ArrayLike) -> NDArray[np.float64]:
    """Integrate (q / BREAK)^slope from low to high (the slope is never −1 exactly here)."""
    index = _index(slope)
    upper, lower = np.asarray(high, dtype=float), np.asarray(low, dtype=float)
    return np.asarray(BREAK * ((upper / BREAK) ** index - (lower / BREAK) ** index) / index)


def _power_draw(
    u: NDArray, low: ArrayLike, high: ArrayLike, slope: ArrayLike
) -> NDArray[np.float64]:
    index = _index(slope)
    bottom, top = np.asarray(low, dtype=float) ** index, np.asarray(high, dtype=float) ** index
    return np.asarray((bottom + u * (top - bottom)) ** (1 / index))


def _index(slope: ArrayLike) -> NDArray[np.float64]:
    """Return slope + 1, kept off zero, where the integral turns into a logarithm."""
    index = np.asarray(slope, dtype=float) + 1.0
    return np.where(np.abs(index) < 1e-6, 1e-6, index)


def eccentricities(
    log_period: ArrayLike, rng: np.random.Generator, *, circular_period: float = 10.0
) -> NDArray[np.float64]:
    """Draw eccentricities: circular when short, else p(e) ∝ e^η up to e_max.

    η = .6 − .7/(log P − .5), e_max = 1 − (P/2 d)^−⅔ (no Roche lobe filled at periastron).

    Parameters
    ----------
    log_period : (N,) array-like
        d.
    rng : numpy.random.Generator
    circular_period : float
        d; must exceed 8.7 d, where η reaches −1.

    Returns
    -------
    (N,) ndarray

    References
    ----------
    Moe & Di Stefano (2017), ApJS 230, 15; circularisation: Raghavan et al. (2010), Fig. 14.
    """
    log_period = np.asarray(log_period, dtype=float)
    u = rng.random(log_period.shape)
    free = log_period > np.log10(circular_period)
    slope = 0.6 - 0.7 / (np.where(free, log_period, 1.0) - 0.5)
    largest = 1 - (10.0**log_period / 2.0) ** (-2.0 / 3.0)
    return np.where(free, largest * u ** (1 / (1 + slope)), 0.0)


def draw_companions(mass: ArrayLike, law: MultiplicityLaw, rng: np.random.Generator) -> Companions:
    """Draw the companions of N primaries.

    Parameters
    ----------
    mass : (N,) array-like
        Initial masses of the primaries, solar.
    law : MultiplicityLaw
    rng : numpy.random.Generator

    Returns
    -------
    Companions
        The two periods of a triple are drawn from the same distribution, sorted, and drawn again
        until the system is stable (`siderea.simulate.orbits.stable_ratio`).
    """
    mass = np.asarray(mass, dtype=float)
    share = multiple_fraction(mass) if law.fraction is None else law.fraction
    n_stars = 1 + (rng.random(mass.size) < share).astype(int)
    n_stars += (n_stars == 2) & (rng.random(mass.size) < law.triple_share)
    columns = np.full((6, mass.size), np.nan)
    double = np.flatnonzero(n_stars == 2)
    columns[:3, double] = _orbit(periods(double.size, law, rng), mass[double], law, rng)
    triple = np.flatnonzero(n_stars == 3)
    stable = np.ones(mass.size, dtype=bool)
    stable[triple] = False
    for _ in range(ROUNDS):
        if triple.size == 0:
            break
        columns[:, triple] = _two_orbits(mass[triple], law, rng)
        done = _is_stable(mass[triple], columns[:, triple])
        stable[triple[done]] = True
        triple = triple[~done]
    log_p, q, e, log_p_outer, q_outer, e_outer = columns
    return Companions(
        n_stars,
        q * mass,
        q_outer * mass,
        10.0**log_p,
        e,
        10.0**log_p_outer,
        e_outer,
        stable,
    )


def _orbit(
    log_period: NDArray, mass: NDArray, law: MultiplicityLaw, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return log period, mass ratio to the primary, eccentricity (3, N)."""
    q = mass_ratios(log_period, mass, rng, lowest_mass=law.lowest_mass)
    e = eccentricities(log_period, rng, circular_period=law.circular_period)
    return np.stack([log_period, q, e])


def _two_orbits(
    mass: NDArray, law: MultiplicityLaw, rng: np.random.Generator
) -> NDArray[np.float64]:
    pair = np.sort(np.stack([periods(mass.size, law, rng) for _ in range(2)]), axis=0)
    return np.concatenate([_orbit(log_period, mass, law, rng) for log_period in pair])


def _is_stable(mass: NDArray, columns: NDArray) -> NDArray[np.bool_]:
    log_p, q, _, log_p_outer, q_outer, e_outer = columns
    pair = mass * (1 + q)
    ratio = semi_major_axis(10.0**log_p_outer, pair + mass * q_outer) / semi_major_axis(
        10.0**log_p, pair
    )
    return np.asarray(ratio > stable_ratio(mass * q_outer / pair, e_outer))


def detached(pairs: Mapping[str, NDArray]) -> NDArray[np.bool_]:
    """Tell which orbits keep both stars within their Roche lobes at periastron.

    Systems that do not are left out of a survey: their stars no longer follow isochrones of single
    stars.

    Parameters
    ----------
    pairs : columns
        ``mass``, ``mass_2``, ``radius``, ``radius_2`` (solar), ``period`` (d), ``eccentricity``.

    Returns
    -------
    (N,) ndarray of bool
        A companion of unknown radius (NaN) counts as a point.
    """
    mass, mass_2 = pairs["mass"], pairs["mass_2"]
    nearest = semi_major_axis(pairs["period"], mass + mass_2) * (1 - pairs["eccentricity"])
    filled = pairs["radius"] > nearest * roche_lobe(mass, mass_2)
    filled |= pairs["radius_2"] > nearest * roche_lobe(mass_2, mass)
    return np.asarray(~filled)
