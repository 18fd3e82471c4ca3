"""Labels of many spectra at once from a trained Cannon.

The model is linear in its terms, m = Θ v(ℓ), so that all that a spectrum says about its labels is
in A = ΘᵀWΘ and b = ΘᵀW f, with W = 1/(σ² + s²). These moments of all spectra are one matrix product
of the weights with the products of the coefficients' columns; after it, χ², its gradient and JᵀWJ
at any labels cost nothing that grows with the number of pixels.

Nuisance templates U (k of them, each with an amplitude of unit normal prior) are marginalised
exactly: Θ is extended by U, and A by the Schur complement, which is Woodbury's identity for the
covariance W⁻¹ + U Uᵀ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.models.bounded_descent import Descent, Local, descend
from siderea.models.polynomial import PolynomialTerms

__all__ = ["Moments", "best_of_starts", "moments"]

Array = NDArray[np.float64]

_BLOCK_VALUES = 2**18
"""Values of the products of coefficients that are held at once."""

_STARS = 512
"""Spectra whose moments are taken together."""


@dataclass(frozen=True)
class Moments:
    """All that M spectra say about the terms: χ²(v) = c − 2 b·v + v·A v.

    Parameters
    ----------
    matrix : (M, K, K) ndarray
        A.
    vector : (M, K) ndarray
        b.
    constant : (M,) ndarray
        c.
    n_pixels : (M,) ndarray of int
        Pixels of positive weight.
    """

    matrix: Array
    vector: Array
    constant: Array
    n_pixels: NDArray[np.int64]

    def local(self, terms: PolynomialTerms, labels: Array, rows: NDArray[np.intp]) -> Local:
        """Return χ² and its exact derivatives at labels (m, L) of the spectra ``rows``."""
        full = terms.design(labels)
        slopes = terms.gradient(labels, full)[:, :, 1:]
        design, matrix, vector = full[:, 1:], self.matrix[rows], self.vector[rows]
        pulled = np.einsum("mij,mj->mi", matrix, design)
        chi2 = self.constant[rows] + np.einsum("mi,mi->m", design, pulled - 2 * vector)
        gradient = np.einsum("mli,mi->ml", slopes, pulled - vector)
        curvature = slopes @ matrix @ slopes.transpose(0, 2, 1)
        return Local(chi2, gradient, curvature)

    def chi2_at(self, design: Array) -> Array:
        """Return χ² (M, S) of every spectrum at each of S designs (S, K)."""
        squared = design.shape[1] ** 2
        products = np.einsum("si,sj->sij", design, design).reshape(len(design), squared)
        quadratic = self.matrix.reshape(len(self.matrix), squared) @ products.T
        return self.constant[:, None] - 2 * self.vector @ design.T + quadratic


def moments(
    flux: NDArray, ivar: NDArray, coefficients: Array, scatter: Array, templates: Array
) -> Moments:
    """Condense M spectra into their moments.

    Parameters
    ----------
    flux, ivar : (M, P) ndarray
        Flux must be finite where ivar is positive.
    coefficients : (P, K) ndarray
        NaN where a pixel was not trained: it is not used.
    scatter : (P,) ndarray
    templates : (P, k) ndarray
        Nuisance templates, marginalised.

    Returns
    -------
    Moments
        Of the K − 1 terms after the constant, which is subtracted from the flux: χ² is then a
        difference of small numbers.
    """
    trained = np.isfinite(coefficients).all(axis=1) & np.isfinite(scatter)
    # Most often every pixel is trained; then no copy of the spectra is made.
    keep = slice(None) if trained.all() else trained
    basis = np.hstack([coefficients[keep, 1:], templates[keep]])
    parts = [
        _moments(
            flux[rows][:, keep],
            ivar[rows][:, keep],
            basis=basis,
            constant=coefficients[keep, 0],
            variance=scatter[keep] ** 2,
        )
        for rows in (slice(i, i + _STARS) for i in range(0, max(len(flux), 1), _STARS))
    ]
    joined = Moments(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    return _marginalise(joined, coefficients.shape[1] - 1)


def _moments(
    flux: NDArray, ivar: NDArray, *, basis: Array, constant: Array, variance: Array
) -> tuple[Array, Array, Array, NDArray]:
    """Return A, b, c and the number of pixels of some spectra."""
    n_terms = basis.shape[1]
    i, j = np.triu_indices(n_terms)
    weights = (ivar / (1 + variance * ivar)).astype(np.float64, copy=False)
    residual = np.where(weights > 0, flux, 0.0) - constant
    weighted = weights * residual
    packed = np.zeros((len(flux), len(i)))
    size = max(_BLOCK_VALUES // len(i), 16)
    for start in range(0, len(basis), size):
        block = slice(start, start + size)
        packed += weights[:, block] @ (basis[block][:, i] * basis[block][:, j])
    matrix = np.empty((len(flux), n_terms, n_terms))
    matrix[:, i, j] = matrix[:, j, i] = packed
    chi2 = np.einsum("np,np->n", weighted, residual)
    return matrix, weighted @ basis, chi2, np.count_nonzero(weights, axis=1)


def _marginalise(joined: Moments, n_terms: int) -> Moments:
    """Take the templates out of the moments by the Schur complement of their block."""
    n_templates = joined.matrix.shape[1] - n_terms
    if not n_templates:
        return joined
    a, b = joined.matrix, joined.vector
    block = a[:, n_terms:, n_terms:] + np.eye(n_templates)
    right = np.concatenate([a[:, n_terms:, :n_terms], b[:, n_terms:, None]], axis=2)
    solved = np.linalg.solve(block, right)
    lost = a[:, :n_terms, n_terms:] @ solved
    return Moments(
        a[:, :n_terms, :n_terms] - lost[:, :, :-1],
        b[:, :n_terms] - lost[:, :, -1],
        joined.constant - np.einsum("mi,mi->m", b[:, n_terms:], solved[:, :, -1]),
        joined.n_pixels,
    )


def best_of_starts(
    given: Moments, terms: PolynomialTerms, anchors: Array, bounds: Array, *, n_starts: int
) -> Descent:
    """Descend from the best few of the anchors, and keep the lowest end of each spectrum.

    Parameters
    ----------
    given : Moments
    terms : PolynomialTerms
    anchors : (S, L) ndarray
        Scaled labels spread over the training set.
    bounds : (L, 2) ndarray
        Of the scaled labels.
    n_starts : int

    Returns
    -------
    Descent
    """
    n_starts = min(n_starts, len(anchors))
    chi2 = given.chi2_at(terms.design(anchors)[:, 1:])
    chosen = np.argpartition(chi2, np.arange(n_starts), axis=1)[:, :n_starts]
    n = len(chi2)
    start = np.clip(anchors[chosen.T.reshape(-1)], bounds[:, 0], bounds[:, 1])
    found = descend(lambda x, rows: given.local(terms, x, rows % n), start, bounds)
    return found.lowest_of(n_starts)
