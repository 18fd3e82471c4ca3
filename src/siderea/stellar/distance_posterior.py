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

from siderea.stellar.galactic_prior import DistancePrior

__all__ = ["Evidence", "Posterior", "posterior", "take"]

Array = NDArray[np.float32]

GIANT_LOGG = 3.5
"""A star of lower log g is a giant; as in `siderea.stellar.network`."""
INTRINSIC_LOGG = 0.05
"""Spread of log g among stars of one x, [Fe/H] and M, dex; added to the stated error."""
FLOOR = 1e-5
"""Of the greatest n: what is left where no star of the isochrones lies, so that a parallax can
say that a star is not what its colours say."""
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
        −2 ln of the parallax's likelihood averaged over what colours allow, relative to its
        greatest; NaN without a parallax.
    """

    absolute: NDArray
    probability: NDArray
    giant: NDArray[np.bool_]
    tension: NDArray


def take(evidence: Evidence, rows: NDArray) -> Evidence:
    """Return the evidence of some stars."""
    return Evidence(**{name: values[rows] for name, values in vars(evidence).items()})


def posterior(
    absolute: NDArray, number: Array, logg: Array, evidence: Evidence, prior: DistancePrior
) -> Posterior:
    """Combine what is known.

    Parameters
    ----------
    absolute : (K,) or (n, K) ndarray
        Nodes of absolute magnitude.
    number, logg : (n, K) ndarray
        n(M | x, [Fe/H]) and the log g there.
    evidence : Evidence
    prior : DistancePrior

    Returns
    -------
    Posterior
    """
    distance = _distances(absolute, evidence.magnitude)
    weight = prior.density(distance, evidence.lon, evidence.lat, evidence.fe_h, evidence.fe_h_err)
    weight = weight * distance
    weight *= distance
    weight *= distance
    weight *= number + np.float32(FLOOR) * number.max(axis=1, keepdims=True)
    giant = logg < np.float32(GIANT_LOGG)
    weight = _with_gravity(weight, logg, giant, evidence)
    tension = np.full(len(weight), np.nan)
    rows = np.flatnonzero(np.isfinite(evidence.parallax) & (evidence.parallax_err > 0))
    if rows.size:
        likelihood = _parallax_likelihood(distance[rows], evidence, rows)
        before = weight[rows].sum(axis=1)
        weight[rows] *= likelihood
        with np.errstate(divide="ignore", invalid="ignore"):
            tension[rows] = -2 * np.log(weight[rows].sum(axis=1) / before)
    total = weight.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight /= np.where(total > 0, total, np.nan)
    return Posterior(absolute, weight, giant, tension)


def _distances(absolute: NDArray, magnitude: NDArray) -> Array:
    if absolute.ndim == 1:
        nearest = 10 ** (0.2 * magnitude - 2)
        return np.outer(nearest, 10 ** (-0.2 * absolute)).astype(np.float32)
    return (10 ** (0.2 * (magnitude[:, None] - absolute) - 2)).astype(np.float32)


def _parallax_likelihood(distance: Array, evidence: Evidence, rows: NDArray) -> Array:
    """Return exp(−½ ((1/d − ϖ)/σ)²)."""
    sigma = evidence.parallax_err[rows, None].astype(np.float32)
    z = (1 / distance - evidence.parallax[rows, None].astype(np.float32)) / sigma
    z *= z
    z *= np.float32(-0.5)
    return np.asarray(np.exp(z, out=z))


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
