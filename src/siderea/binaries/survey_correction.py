"""What a survey's own stars say that the model gets wrong: a correction, and what is left.

Residuals of single-star fits are much alike in stars that are alike: a line that the list has too
strong is too strong in all of them. Per pixel at rest, and robustly,

    f_observed − f_model = Σₖ wₖ(labels) cₖ(λ) ± s,

with w = 1, t, t², m, g (temperature, [Fe/H] and log g about the middle of the range) and a Gaussian
prior on every c that pulls it to zero where the stars do not determine it. The sum is added to the
model as a further component. s² = a²(λ) [floor² + (depth · d)²], d the depth of the line, is what
is left in stars that the terms were not learned from. This is the idea of The Cannon (Ness et al.
2015) applied to what a physical model leaves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from siderea.errors import DataError

__all__ = ["SurveyCorrection", "default_correction", "design", "learn_correction"]

Array = NDArray[np.float64]

CENTRE = np.array([5400.0, 3.7, -0.3])
SCALE = np.array([800.0, 1.0, 1.0])
"""Of Teff, log g and [Fe/H] in the weights."""

LOW = np.array([4400.0, 0.7, -1.8])
HIGH = np.array([7000.0, 5.0, 0.5])
"""Labels beyond count as these: the weights are not to be extrapolated."""

TERMS = 5

PRIOR = 0.02
"""Standard deviation of every term at every pixel: what models of FGK stars are wrong by."""

SOFT = 2.0
"""Residual, in σ, from which a pixel of a star is weighed down: binaries and rays do not decide."""

FIRST_ERROR = (0.005, 0.1)
"""Floor and depth of what is left, before it is known."""

OUTLIER = 6.0
"""Residual, in σ, beyond which a pixel counts as that far off."""

STARS_OF_PRIOR = 5.0
"""What all pixels say of the scatter counts in a pixel's own as that many stars."""

FACTORS = (0.5, 4.0)

SHALLOW = 0.03
"""Depth below which a pixel tells of the noise."""

PASSES = 4
FOLDS = 5
LEAST_STARS = 20

FORMAT = 1


def design(labels: Array) -> Array:
    """Return the weights of the terms (N, K) for labels Teff, log g, [Fe/H], ... (N, >=3)."""
    x = (np.clip(labels[:, :3], LOW, HIGH) - CENTRE) / SCALE
    t, g, m = x.T
    return np.column_stack([np.ones_like(t), t, t**2, m, g])


@dataclass(frozen=True, eq=False)
class SurveyCorrection:
    """A correction of the model's normalised flux on the binned pixels of a survey.

    Parameters
    ----------
    terms : (K, A, Q) ndarray of float32
        At rest; see `design` for what weighs them.
    factor : (A, Q) ndarray of float32
        a of every pixel...
    floor, depth : float
        ... and what it multiplies: see the module.
    n_stars : int
        That it was learned from.
    """

    terms: NDArray[np.float32]
    factor: NDArray[np.float32]
    floor: float
    depth: float
    n_stars: int

    def __post_init__(self) -> None:
        if self.terms.ndim != 3 or self.terms.shape[0] != TERMS:
            raise DataError(
                f"correction: found terms of shape {self.terms.shape}; expected ({TERMS}, A, Q)"
            )
        if self.factor.shape != self.terms.shape[1:]:
            raise DataError(
                f"correction: found factors of shape {self.factor.shape}; expected "
                f"{self.terms.shape[1:]}"
            )

    def variance(self, flux: NDArray) -> Array:
        """Return s² (N, A, Q) where the normalised flux (N, A, Q) is so deep."""
        return self.factor.astype(float) ** 2 * _base(flux, self.floor, self.depth)

    @property
    def digest(self) -> str:
        """Sixteen letters that tell this correction from others."""
        content = b"".join(np.ascontiguousarray(a).tobytes() for a in (self.terms, self.factor))
        content += np.array([self.floor, self.depth]).tobytes()
        return hashlib.sha256(content).hexdigest()[:16]

    def flux(self, labels: Array) -> Array:
        """Return what is added to the model's flux (N, A, Q) at labels (N, 4)."""
        return np.asarray(np.einsum("nk,kaq->naq", design(labels), self.terms))

    def fine(self) -> Array:
        """Return the terms (K, A, 2 Q) on the pixels that were binned by two.

        Means of pairs are those of the terms, and all is smooth between (the spline of the
        integral).
        """
        whole = np.zeros((*self.terms.shape[:2], self.terms.shape[2] + 1))
        np.cumsum(2.0 * self.terms, axis=2, out=whole[:, :, 1:])
        edges = np.arange(0, 2 * self.terms.shape[2] + 1)
        return np.diff(CubicSpline(edges[::2], whole, axis=2)(edges), axis=2)

    def save(self, path: str | Path | IO[bytes]) -> None:
        """Write it as a NumPy archive (half precision: 1e-5 of the flux)."""
        np.savez_compressed(
            path,
            format=FORMAT,
            terms=self.terms.astype(np.float16),
            factor=self.factor.astype(np.float16),
            floor=self.floor,
            depth=self.depth,
            n_stars=self.n_stars,
        )

    @classmethod
    def load(cls, path: str | Path | IO[bytes]) -> SurveyCorrection:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            If it is something else.
        """
        try:
            with np.load(path) as archive:
                if int(archive["format"]) != FORMAT:
                    raise DataError(
                        f"{path}: found format {int(archive['format'])}; expected {FORMAT}"
                    )
                terms, factor = (archive[n].astype(np.float32) for n in ("terms", "factor"))
                floor, depth = float(archive["floor"]), float(archive["depth"])
                return cls(terms, factor, floor, depth, int(archive["n_stars"]))
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{path}: not a correction of this package ({error})") from error


def learn_correction(
    flux: NDArray, root: NDArray, model: NDArray, labels: Array, rv: Array, pixel: float
) -> SurveyCorrection:
    """Learn the correction from N stars and their best single-star fits.

    Parameters
    ----------
    flux, root : (N, A, Q) ndarray
        Data: flux, and 1/σ of the noise alone, 0 where a pixel is bad.
    model : (N, A, Q) ndarray
        The model's flux without correction, at the labels and velocity of the fit, with the
        continuum of the fit.
    labels : (N, >=3) ndarray
        Teff (K), log g, [Fe/H] of the fits.
    rv : (N,) ndarray
        Velocity of the fits, km/s.
    pixel : float
        Width of a binned pixel, km/s.

    Raises
    ------
    DataError
        If there are fewer than 20 stars.
    """
    if len(flux) < LEAST_STARS:
        raise DataError(f"correction: found {len(flux)} stars; expected {LEAST_STARS} or more")
    move = np.rint(rv / pixel).astype(int)
    residual = _at_rest(np.where(root > 0, flux - model, 0.0), move)
    seen, light = _at_rest(root, move), 1.0 - _at_rest(1.0 - np.minimum(flux, model), move)
    weights, rows = design(labels), np.arange(len(flux))
    variance = np.where(seen > 0, 1.0 / np.maximum(seen, 1e-9) ** 2, 0.0)
    error = variance + _base(light, *FIRST_ERROR)
    left = np.zeros_like(residual)
    for fold in range(FOLDS):  # the scatter is that of stars that the terms do not know
        out = rows % FOLDS == fold
        terms = _terms(weights[~out], residual[~out], seen[~out], error[~out])
        left[out] = residual[out] - np.einsum("nk,kaq->naq", weights[out], terms)
    floor, depth, factor = _scatter(left, seen, variance, light)
    error = variance + factor**2 * _base(light, floor, depth)
    terms = _terms(weights, residual, seen, error)
    # as it will be read back
    kept = [a.astype(np.float16).astype(np.float32) for a in (terms, factor)]
    return SurveyCorrection(kept[0], kept[1], floor, depth, len(flux))


def _base(flux: NDArray, floor: float, depth: float) -> Array:
    """Return floor² + (depth · d)² for a normalised flux."""
    return np.asarray(floor**2 + (depth * np.clip(1.0 - flux, 0.0, 1.0)) ** 2, dtype=float)


def _terms(weights: Array, residual: Array, seen: NDArray, error: Array) -> Array:
    """Return the terms of least squares under the prior, outliers weighed down."""
    terms = np.zeros((TERMS, *residual.shape[1:]))
    for _ in range(PASSES):
        left = residual - np.einsum("nk,kaq->naq", weights, terms)
        weight = np.where(seen > 0, 1.0 / np.maximum(error, 1e-12), 0.0)
        weight /= np.sqrt(1.0 + left**2 * weight / SOFT**2)
        normal = np.einsum("nk,naq,nl->aqkl", weights, weight, weights)
        normal += np.eye(TERMS) / PRIOR**2
        right = np.einsum("nk,naq->aqk", weights, weight * residual)
        terms = np.moveaxis(np.linalg.solve(normal, right[..., None])[..., 0], -1, 0)
    return terms


def _scatter(
    left: Array, seen: NDArray, variance: Array, light: Array
) -> tuple[float, float, Array]:
    """Return floor, depth and factors (A, Q) of what is left beyond the noise.

    Noise is what stars show where they have no lines, if that is less than they are said to have.
    """
    good, deep = seen > 0, np.clip(1.0 - light, 0.0, 1.0)
    noise = np.zeros_like(variance)
    for row in range(len(left)):
        flat = good[row] & (deep[row] < SHALLOW)
        z2 = left[row][flat] ** 2 / variance[row][flat]
        scale = float(np.median(z2)) / 0.455 if flat.sum() > 50 else 1.0
        noise[row] = min(scale, 1.0) * variance[row]
    floor, depth = FIRST_ERROR
    for _ in range(PASSES):
        total = noise + _base(light, floor, depth)
        excess = np.minimum(left**2, OUTLIER**2 * total) - noise
        weight = np.where(good, 1.0 / np.maximum(total, 1e-12) ** 2, 0.0)
        basis = np.stack([np.ones_like(deep), deep**2])
        normal = np.einsum("inaq,naq,jnaq->ij", basis, weight, basis)
        right = np.einsum("inaq,naq->i", basis, weight * excess)
        squares = np.maximum(np.linalg.solve(normal, right), (0.001**2, 0.01**2))
        floor, depth = np.sqrt(squares).tolist()
    base = _base(light, floor, depth)
    know = np.where(good, (base / np.maximum(base + noise, 1e-12)) ** 2, 0.0)
    own = np.einsum("naq,naq->aq", know, excess / base)
    factor = np.sqrt(np.maximum((STARS_OF_PRIOR + own) / (STARS_OF_PRIOR + know.sum(axis=0)), 0.0))
    return floor, depth, factor.clip(*FACTORS)


def _at_rest(values: NDArray, move: NDArray[np.intp]) -> Array:
    """Move each star's pixels (N, A, Q) back by whole pixels; what comes from beyond is 0."""
    out = np.zeros(values.shape)
    size = values.shape[-1]
    for row, by in enumerate(move.tolist()):
        low, high = max(0, by), min(size, size + by)
        if high > low:
            out[row, :, low - by : high - by] = values[row, :, low:high]
    return out


@lru_cache(maxsize=1)
def default_correction() -> SurveyCorrection:
    """Return the shipped correction: of the shipped emulator for GALAH DR3's normalised spectra."""
    with files("siderea.binaries").joinpath("data/correction_galah.npz").open("rb") as handle:
        return SurveyCorrection.load(handle)
