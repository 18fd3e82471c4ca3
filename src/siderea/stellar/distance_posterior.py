"""Posteriors of distance on a grid of absolute magnitude, a row per star.

With m the magnitude free of extinction, every M of the grid is a distance d = 10^(.2 (m−M) − 2)
kpc, and the posterior of a star is

    p(M) ∝ n(M | x, [Fe/H]) · p(log g | M) · ρ(d) d³ · p(ϖ | d),

n from `siderea.stellar.absolute_magnitude`, ρ d³ the stars per unit of distance modulus.
A probability p_giant of the classification is the weight of the giants before the parallax: within
each class the other factors decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from siderea.stellar.absolute_magnitude import GIANT_LOGG
from siderea.stellar.galactic_prior import DistancePrior

__all__ = ["PRECISE", "Evidence", "Posterior", "photometric", "with_parallax"]

Array = NDArray[np.float32]

INTRINSIC_LOGG = 0.1
"""Spread of log g among stars of one x, [Fe/H] and M, and by what scales of log g differ, dex;
added to the stated error."""
FLOOR = 1e-5
"""Of the greatest n: what is left where no star of the isochrones lies, so that a parallax can
say that a star is not what its colours say."""
PRECISE, FINE, REACH = 8.0, 96, 6.0
"""Parallaxes of more than `PRECISE` σ get a grid of `FINE` nodes, `REACH` σ to either side."""
SMALLEST = np.float32(1e-30)


@dataclass(frozen=True)
class Evidence:
    """What is known of n stars beside their colours and metallicity.

    Parameters
    ----------
    magnitude : (n,) ndarray
        Free of extinction.
    logg, logg_err, p_giant : (n,) ndarray
        NaN where not known.
    parallax, parallax_err : (n,) ndarray
        mas, zero point removed; NaN where not known.
    lon, lat : (n,) ndarray
        Galactic, deg; NaN where not known.
    fe_h, fe_h_err : (n,) ndarray
        dex, for the Galactic prior.
    """

    magnitude: NDArray
    logg: NDArray
    logg_err: NDArray
    p_giant: NDArray
    parallax: NDArray
    parallax_err: NDArray
    lon: NDArray
    lat: NDArray
    fe_h: NDArray
    fe_h_err: NDArray


@dataclass(frozen=True)
class Posterior:
    """Posteriors of n stars on K nodes.

    Parameters
    ----------
    absolute : (n, K) or (K,) ndarray
        Nodes in absolute magnitude, even within a row.
    probability : (n, K) ndarray
        Per node; rows add up to 1, or are NaN where nothing is possible.
    giant : (n, K) ndarray of bool
        Which nodes are giants.
    tension : (n,) ndarray
        How much the parallax and the rest disagree, −2 ln max p(M) L(M) with p and the parallax's
        likelihood L relative to their greatest values; NaN without a parallax.
    """

    absolute: NDArray
    probability: NDArray
    giant: NDArray[np.bool_]
    tension: NDArray


def photometric(
    absolute: NDArray, number: Array, logg: Array, evidence: Evidence, prior: DistancePrior
) -> Posterior:
    """Combine all that is known but the parallax.

    Parameters
    ----------
    absolute : (K,) ndarray
        Nodes of absolute magnitude.
    number, logg : (n, K) ndarray
        n(M | x, [Fe/H]) and the log g there.
    evidence : Evidence
    prior : DistancePrior

    Returns
    -------
    Posterior
    """
    nearest = 10 ** (0.2 * evidence.magnitude - 2)
    distance = np.outer(nearest, 10 ** (-0.2 * absolute)).astype(np.float32)
    weight = prior.density(distance, evidence.lon, evidence.lat, evidence.fe_h, evidence.fe_h_err)
    weight *= distance
    weight *= distance
    weight *= distance
    weight *= number + np.float32(FLOOR) * number.max(axis=1, keepdims=True)
    giant = logg < np.float32(GIANT_LOGG)
    weight = _with_gravity(weight, logg, giant, evidence)
    return Posterior(absolute, _normalised(weight), giant, np.full(len(weight), np.nan))


def with_parallax(before: Posterior, evidence: Evidence) -> Posterior:
    """Add parallaxes, which every star must have.

    Parameters
    ----------
    before : Posterior
        On nodes (K,).
    evidence : Evidence

    Returns
    -------
    Posterior
        On `FINE` nodes (n, FINE) about the parallax where that is more than `PRECISE` σ in all
        rows, else on the nodes given.
    """
    absolute, weight, giant = before.absolute, before.probability, before.giant
    if np.all(evidence.parallax > PRECISE * evidence.parallax_err):
        nodes = _fine_nodes(evidence)
        weight, giant = _interpolated(absolute, weight, nodes), _nearest(absolute, giant, nodes)
        absolute = nodes
    inverse = 10 ** (0.2 * (absolute - evidence.magnitude[:, None]) + 2)
    z = (inverse - evidence.parallax[:, None]) / evidence.parallax_err[:, None]
    weight = weight * np.exp(np.float32(-0.5) * np.square(z, dtype=np.float32))
    with np.errstate(divide="ignore", invalid="ignore"):
        tension = -2 * np.log(weight.max(axis=1) / before.probability.max(axis=1))
    return Posterior(absolute, _normalised(weight), giant, tension)


def _normalised(weight: Array) -> Array:
    total = weight.sum(axis=1, keepdims=True)
    weight /= np.where(total > 0, total, np.nan)
    return weight


def _fine_nodes(evidence: Evidence) -> NDArray[np.float64]:
    """Return nodes (n, FINE) in absolute magnitude about what the parallax says."""
    reach = REACH * evidence.parallax_err
    near = 10 - 5 * np.log10(evidence.parallax + reach)
    far = 10 - 5 * np.log10(evidence.parallax - reach)
    share = np.linspace(1, 0, FINE)
    modulus = near[:, None] + (far - near)[:, None] * share
    return np.asarray(evidence.magnitude[:, None] - modulus)


def _interpolated(grid: NDArray, values: Array, wanted: NDArray) -> Array:
    """Read rows (n, K) on the grid at other places (n, W); 0 beyond the grid."""
    place = (wanted - grid[0]) / (grid[1] - grid[0])
    inside = (place >= 0) & (place <= grid.size - 1)
    below = np.clip(place.astype(np.int64), 0, grid.size - 2)
    part = np.clip(place - below, 0, 1).astype(np.float32)
    low, high = (np.take_along_axis(values, below + one, 1) for one in (0, 1))
    return np.asarray(np.where(inside, low + part * (high - low), 0), dtype=np.float32)


def _nearest(grid: NDArray, values: NDArray, wanted: NDArray) -> NDArray:
    place = np.rint((wanted - grid[0]) / (grid[1] - grid[0])).astype(np.int64)
    return np.take_along_axis(values, np.clip(place, 0, grid.size - 1), 1)


def _with_gravity(
    weight: Array, logg: Array, giant: NDArray[np.bool_], evidence: Evidence
) -> Array:
    """Weigh the nodes by log g, and the classes by p_giant.

    A log g that is a median with a symmetric error cannot say that a star is a giant with p = 0.1
    and a dwarf with 0.9. So of each class only as much as the Gaussian itself holds there follows
    it; what p_giant adds is spread over the class as if log g were not known.
    """
    has_logg = np.isfinite(evidence.logg) & np.isfinite(evidence.logg_err)
    has_class = np.isfinite(evidence.p_giant)
    gaussian = np.ones_like(weight)
    if has_logg.any():
        centre = np.where(has_logg, evidence.logg, 0.0).astype(np.float32)[:, None]
        sigma = np.hypot(np.where(has_logg, evidence.logg_err, np.inf), INTRINSIC_LOGG)
        z = logg - centre
        z *= (1 / sigma).astype(np.float32)[:, None]
        z *= z
        z *= np.float32(-0.5)
        gaussian = np.exp(z, out=z)
    if not has_class.any():
        weight *= gaussian
        return weight
    followed = weight * gaussian
    factors = _class_factors(weight, followed, giant, evidence, has_logg)
    out = np.where(giant, factors[0][:, None], factors[1][:, None]) * followed
    out += np.where(giant, factors[2][:, None], factors[3][:, None]) * weight
    out[~has_class] = followed[~has_class]
    return out


def _class_factors(
    weight: Array,
    followed: Array,
    giant: NDArray[np.bool_],
    evidence: Evidence,
    has_logg: NDArray[np.bool_],
) -> list[Array]:
    """Return what multiplies the nodes that follow log g (giants, dwarfs), and the others."""
    p = np.clip(np.nan_to_num(evidence.p_giant, nan=0.5), 0.0, 1.0)
    sigma = np.where(has_logg, np.hypot(evidence.logg_err, INTRINSIC_LOGG), 1.0)
    q = np.where(has_logg, ndtr((GIANT_LOGG - evidence.logg) / sigma), p)
    flat_giant = np.where(giant, weight, 0).sum(axis=1)
    flat_dwarf = weight.sum(axis=1) - flat_giant
    near_giant = np.where(giant, followed, 0).sum(axis=1)
    near_dwarf = followed.sum(axis=1) - near_giant
    follow, spread = [], []
    for mine, held, near, flat in (
        (p, q, near_giant, flat_giant),
        (1 - p, 1 - q, near_dwarf, flat_dwarf),
    ):
        share = np.where(near > 1e-6 * flat, np.minimum(mine, held), 0.0)
        follow.append((share / np.maximum(near, SMALLEST)).astype(np.float32))
        spread.append(((mine - share) / np.maximum(flat, SMALLEST)).astype(np.float32))
    return [*follow, *spread]
