"""Spectra made ready for the fits of one star and more: the pixels, weights and continuum of all.

All fits of a spectrum use the same pixels and weights, and the data are normalised by the routine
that normalises the model: a spectrum that a survey normalised gets a star's shape back, then the
pseudo-continuum is fitted to it with the weights that the fits use.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.model_composites import arms_of
from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.models.composite import Single
from siderea.models.model_error import ModelError
from siderea.models.protocol import DifferentiableModel

__all__ = ["good_pixels", "guarded", "plausible", "renormalised", "weighed"]

BEYOND = 0.1
"""Flux above the continuum, or below 0, that no star without emission has (and 6 σ more)."""

Array = NDArray[np.float64]


def good_pixels(spectra: Spectra) -> Spectra:
    """Return spectra in double precision with ivar 0 and flux 1 wherever nothing is known."""
    flux, ivar = spectra.flux.astype(np.float64), spectra.ivar.astype(np.float64)
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    return spectra.with_flux(np.where(good, flux, 1.0), np.where(good, ivar, 0.0))


def guarded(wavelength: Array, model: DifferentiableModel, velocity: NDArray) -> NDArray[np.bool_]:
    """Tell which pixels (N, P) the model knows of stars of up to ``velocity`` (N,), km/s.

    Within a velocity of the edge of an arm, light comes from beyond it: there the composites go on
    with a straight line, which is no star.
    """
    beta = np.asarray(velocity, dtype=float)[:, None] / C_KMS
    known = np.zeros((beta.size, wavelength.size), dtype=bool)
    for arm in arms_of(model):
        first, last = model.wavelength[arm][[0, -1]]
        known |= (wavelength >= first * (1 + beta)) & (wavelength <= last * (1 - beta))
    return known


def plausible(flux: Array, ivar: Array) -> NDArray[np.bool_]:
    """Tell which pixels (N, P) a star without emission can have: the rest is sky, or a ray."""
    sigma = 1.0 / np.sqrt(np.where(ivar > 0, ivar, 1.0))
    return np.asarray((flux < 1.0 + BEYOND + 6 * sigma) & (flux > -BEYOND - 6 * sigma))


def renormalised(spectra: Spectra, single: Single, labels: Array) -> Spectra:
    """Return spectra normalised as the model is, with weights as they are.

    Parameters
    ----------
    spectra : Spectra
        N, normalised in any way.
    single : Single
    labels : (N, L + 1) ndarray
        A single star of about the right shape: a few hundred K are enough.
    """
    if single.continuum is None or not len(spectra):
        return spectra
    return single.continuum.normalise(spectra, shape=single.shape(labels))


def weighed(spectra: Spectra, model: Array, rv: Array, error: ModelError) -> Spectra:
    """Return spectra with the model's own error in their weights: for all fits the same.

    A pixel counts as what the worst of noise, depth seen and depth of the single star allow, so
    that the single star's failures are not weighed down for being failures.

    Parameters
    ----------
    spectra : Spectra
        N.
    model : (N, P) ndarray
        Single stars.
    rv : (N,) ndarray
        Their velocities, km/s.
    error : ModelError
    """
    deepest = np.minimum(np.minimum(model, spectra.flux), 1.0)
    ivar = replace(error, soft=np.inf).ivar(spectra.ivar, deepest, deepest)
    kept = error.kept(spectra.wavelength, rv[:, None])
    return spectra.with_flux(spectra.flux, np.where(kept, ivar, 0.0))
