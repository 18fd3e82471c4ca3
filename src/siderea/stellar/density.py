"""Where the training stars are in colour space: a star far from all of them is flagged.

The density of magnitudes is a mixture of Gaussians over colours, with the star's brightness free; a
missing band is integrated over, exactly, by leaving out its row and column.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from siderea.stellar.features import average_star

__all__ = ["ColourDensity"]

FREE = 100.0
"""mag²; variance of the brightness that is common to all bands: large, so that it is free."""
FLOOR = 0.01
"""mag; no colour is taken to be tighter than this."""
WILD = 10.0
"""Stars of the training set beyond so many robust widths in a colour do not shape the density."""
TYPICAL = 0.995
"""Share of the training stars that are to pass; what lies half as far again is flagged."""


@dataclass(frozen=True)
class ColourDensity:
    """A mixture of K Gaussians over B magnitudes.

    Parameters
    ----------
    weight : (K,) ndarray
    mean : (K, B) ndarray
    covariance : (K, B, B) ndarray
        With the free brightness in it.
    limit : float
        A larger `distance` is out of the distribution.
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    limit: float

    @classmethod
    def fit(
        cls, mag: NDArray[np.float64], *, n_components: int = 8, seed: int = 0
    ) -> ColourDensity:
        """Fit the density to training magnitudes (N, B) with NaN for missing."""
        shape = mag - _offset(mag)
        centre = np.nanmedian(shape, axis=0)
        width = 1.4826 * np.nanmedian(np.abs(shape - centre), axis=0) + FLOOR
        usual = ~np.any(np.abs(shape - centre) > WILD * width, axis=1)
        filled = shape[usual]
        filled = _filled(filled if len(filled) > 20 else shape, np.random.default_rng(seed))
        n_components = int(np.clip(len(filled) // 100, 1, n_components))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = GaussianMixture(
                n_components, reg_covar=FLOOR**2, max_iter=60, tol=1e-2, random_state=seed
            ).fit(filled)
        covariance = model.covariances_ + FREE
        density = cls(model.weights_, model.means_, covariance, np.inf)
        limit = 1.5 * max(float(np.quantile(density.distance(mag), TYPICAL)), 2.0)
        return cls(model.weights_, model.means_, covariance, limit)

    def distance(self, mag: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far each star is from the training stars, in standard deviations (N,).

        The Mahalanobis distance to the nearest component, brought to the scale of a normal variable
        (Wilson & Hilferty 1931), so that stars with different bands compare.
        """
        out = np.full(len(mag), np.inf)
        known = ~np.isnan(mag)
        code = known @ (1 << np.arange(mag.shape[1], dtype=np.int64))
        for pattern in np.unique(code):
            rows = np.flatnonzero(code == pattern)
            bands = np.flatnonzero(known[rows[0]])
            if bands.size >= 2:
                out[rows] = self._distance_of(mag[np.ix_(rows, bands)], bands)
        return out

    def _distance_of(self, mag: NDArray, bands: NDArray) -> NDArray:
        squared = []
        for mean, covariance in zip(self.mean, self.covariance, strict=True):
            root = np.linalg.cholesky(covariance[np.ix_(bands, bands)])
            scaled = solve_triangular(root, (mag - mean[bands]).T, lower=True)
            squared.append((scaled**2).sum(axis=0))
        freedom = bands.size - 1  # the brightness is free
        spread = 2 / (9 * freedom)
        nearest = np.min(squared, axis=0) / freedom
        return (np.cbrt(nearest) - (1 - spread)) / np.sqrt(spread)

    def outside(self, mag: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which stars (N,) are not like any of the training set."""
        return self.distance(mag) > self.limit


def _offset(mag: NDArray) -> NDArray:
    """Return each star's brightness relative to the average star, (N, 1)."""
    relative = mag - average_star(mag)
    return np.nanmean(relative, axis=1, keepdims=True)


def _filled(values: NDArray, rng: np.random.Generator, *, n_rounds: int = 8) -> NDArray:
    """Replace NaN by draws given the other columns, as a Gibbs sampler of one Gaussian; (N, B)."""
    missing = np.isnan(values)
    filled = np.where(missing, np.nanmedian(values, axis=0), values)
    for _ in range(n_rounds if missing.any() else 0):
        mean = filled.mean(axis=0)
        precision = np.linalg.inv(np.cov(filled.T) + FLOOR**2 * np.eye(filled.shape[1]))
        for b in np.flatnonzero(missing.any(axis=0)):
            pull = (filled - mean) @ precision[b] / precision[b, b]
            scatter = rng.normal(scale=precision[b, b] ** -0.5, size=len(filled))
            filled[:, b] = np.where(missing[:, b], filled[:, b] - pull + scatter, filled[:, b])
    return filled
