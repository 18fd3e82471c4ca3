"""Scatter that pixels share: other abundances, a poor continuum, reddening.

What a spectral model misses is rarely independent from pixel to pixel. A few modes of it, learnt
from the training residuals, are marginalised when labels are inferred.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["shared_modes"]

Array = NDArray[np.float64]


def shared_modes(
    residual: NDArray, ivar: NDArray, scatter: Array, *, n_modes: int
) -> tuple[Array, Array]:
    """Split the scatter of pixels into modes that they share and what is each pixel's own.

    The residuals are whitened by σ² + s²; the leading eigenvectors of their covariance, less the
    mean of the eigenvalues that remain, are the modes (probabilistic principal components, Tipping
    & Bishop 1999, J. R. Stat. Soc. B 61, 611).

    Parameters
    ----------
    residual, ivar : (N, P) ndarray
        Of the training stars; a star that could not be fitted is NaN, and left out.
    scatter : (P,) ndarray
        Total intrinsic scatter s; NaN where a pixel is not trained.
    n_modes : int

    Returns
    -------
    templates : (P, n_modes) ndarray
        U: the shared covariance is U Uᵀ. 0 where a pixel is not trained.
    own : (P,) ndarray
        The intrinsic scatter that is left to each pixel.
    """
    trained = np.isfinite(scatter)
    fitted = np.isfinite(residual[:, trained]).all(axis=1)
    residual, ivar = residual[fitted], ivar[fitted]
    variance = np.where(trained, scatter, 0.0) ** 2
    weights = np.where(trained, ivar / (1 + variance * ivar), 0.0)
    white = np.where(weights > 0, residual, 0.0) * np.sqrt(weights)
    _left, singular, right = np.linalg.svd(white, full_matrices=False)
    values = singular**2 / len(white)
    n_modes = min(n_modes, len(values) - 1)
    rest = values[n_modes:].sum() / max(trained.sum() - n_modes, 1)
    excess = np.sqrt(np.maximum(values[:n_modes] - rest, 0.0))
    count = np.maximum((weights > 0).sum(axis=0), 1)
    typical = np.sqrt(count / np.maximum(weights.sum(axis=0), 1e-300)) * trained
    templates = typical[:, None] * right[:n_modes].T * excess
    own = np.sqrt(np.maximum(variance - (templates**2).sum(axis=1), 0.0))
    return templates, np.where(trained, own, np.nan)
