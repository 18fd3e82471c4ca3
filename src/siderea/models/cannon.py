"""The Cannon: the flux of every pixel as a polynomial of the labels, learnt from stars with labels.

    f_λ = v(ℓ)·θ_λ + noise,   variance s_λ² + σ_λ²

(Ness et al. 2015, ApJ 808, 16; regularised and censored: Casey et al. 2016, arXiv:1603.03040).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium
from siderea.errors import DataError
from siderea.flags import FitFlag
from siderea.models.bounded_descent import Descent, inverse
from siderea.models.cannon_inference import Moments, best_of_starts, moments
from siderea.models.cannon_training import censor_mask, train
from siderea.models.correlated_scatter import shared_modes
from siderea.models.polynomial import PolynomialTerms
from siderea.models.protocol import FitResult
from siderea.models.trained_state import adopt, describe, fingerprint, named
from siderea.models.training_set import (
    Grid,
    LabelScaling,
    clean_labels,
    clean_spectra,
    label_rows,
    spread_points,
)

__all__ = ["Cannon"]

Array = NDArray[np.float64]

_ANCHORS = 64
"""Training stars, spread over the labels, where a fit may start."""


class Cannon:
    """Polynomial spectral model, trained in closed form; a `DifferentiableModel` once fitted.

    Parameters
    ----------
    order : int
        Degree of the polynomial; 2 is the quadratic Cannon.
    label_names : sequence of str, optional
        By the names of CONVENTIONS.md; numbered if not given.
    regularisation : float or (P,) array-like
        Λ of the L1 term, which is added to χ²: Λ Σ |θ_k| without the constant.
    censors : mapping of str to (P,) bool, optional
        For a label, True at the pixels that it must not act on.
    n_modes : int
        Modes of intrinsic scatter that the pixels share, learnt from the training residuals and
        marginalised when labels are inferred. 0 is the plain Cannon, whose pixels are independent.
    modes_at : {"given", "fitted"}
        Labels at which the residuals are taken for the modes. ``"given"``: the catalogue's, right
        where they are exact. ``"fitted"``: those that the spectra give, where the catalogue's
        errors would dominate the residuals; what shifts labels in all stars alike is then missed.
    clip : float, optional
        Leave out, and train again without, the stars whose spectra give a label that differs from
        the catalogue's by more than this many robust standard deviations (1.4826 MAD) of all.
    n_starts : int
        Starts of each fit, the best of the training stars that are spread over the labels.

    Raises
    ------
    DataError
        If an option is none of these.

    Attributes
    ----------
    label_names : tuple of str
    label_range : (L, 2) ndarray
        Of the training labels; inferred labels stay within.
    wavelength, medium, resolution
        As in `SpectralModel`; without wavelengths the pixels are numbered from 1.
    terms_ : PolynomialTerms
    scaling_ : LabelScaling
    coefficients_ : (P, K) ndarray
        θ of the terms of the scaled labels; NaN where too few good stars determine a pixel.
    scatter_ : (P,) ndarray
        Intrinsic scatter s.
    templates_ : (P, n_modes) ndarray
        Shared modes of the scatter.
    used_ : (N,) bool ndarray
        Training stars that were used.

    Examples
    --------
    >>> labels = np.linspace(-1, 1, 40)[:, None] * [300.0, 1.0] + [5500.0, 4.0]
    >>> labels[::2, 1] += 0.2
    >>> flux = 1 - 0.1 * (labels @ [[1e-3, 2e-3, 0.0], [0.1, 0.0, 0.2]])
    >>> cannon = Cannon(1, label_names=("teff", "logg")).fit(flux, np.full(flux.shape, 1e4), labels)
    >>> cannon.infer(flux[:1], np.full((1, 3), 1e4)).labels.round(2).tolist()
    [[5200.0, 3.2]]
    """

    label_names: tuple[str, ...]
    label_range: Array
    wavelength: Array
    medium: Medium
    resolution: float | Sequence[float]
    scaling_: LabelScaling
    training_set_sha256_: str
    _grid: Grid
    _anchors: Array

    def __init__(
        self,
        order: int = 2,
        *,
        label_names: Sequence[str] | None = None,
        regularisation: float | ArrayLike = 0.0,
        censors: Mapping[str, ArrayLike] | None = None,
        n_modes: int = 0,
        modes_at: Literal["given", "fitted"] = "given",
        clip: float | None = None,
        n_starts: int = 2,
    ) -> None:
        if modes_at not in ("given", "fitted"):
            raise DataError(f"modes_at: found {modes_at!r}; expected 'given' or 'fitted'")
        if n_modes < 0 or n_starts < 1 or (clip is not None and not clip > 0):
            raise DataError(
                f"found n_modes={n_modes}, n_starts={n_starts}, clip={clip}; "
                "expected at least 0, at least 1, and a positive number or None"
            )
        self.order = order
        self.regularisation = regularisation
        self.censors = dict(censors or {})
        self.n_modes = n_modes
        self.modes_at = modes_at
        self.clip = clip
        self.n_starts = n_starts
        self._names = None if label_names is None else tuple(label_names)

    def fit(
        self,
        flux: ArrayLike,
        ivar: ArrayLike,
        labels: ArrayLike,
        *,
        wavelength: ArrayLike | None = None,
        medium: Medium | None = None,
        resolution: float | Sequence[float] = np.inf,
        n_jobs: int | None = None,
    ) -> Self:
        """Learn the coefficients and the scatter of every pixel.

        Parameters
        ----------
        flux, ivar : (N, P) array-like
            Training spectra, normalised as those to be fitted will be; ivar 0 marks a bad pixel.
        labels : (N, L) array-like
            A star with a NaN label is left out, with a warning.
        wavelength : (P,) array-like, optional
            Å, of ``medium``.
        medium : {"air", "vacuum"}, optional
            Needed with ``wavelength``.
        resolution : float or sequence of float
            Resolving power of the spectra.
        n_jobs : int, optional
            Threads; one per core by default.

        Returns
        -------
        Cannon
            Itself.

        Raises
        ------
        DataError
            On shapes that do not fit, negative ivar, fewer stars than terms, or labels that are
            not independent of each other.
        MediumError
            If wavelengths come without their medium.
        """
        flux, ivar = clean_spectra(flux, ivar)
        table, keep = clean_labels(labels, len(flux))
        self.training_set_sha256_ = fingerprint(flux, ivar, table)
        self._set_up(table[keep], Grid.of(flux.shape[1], wavelength, medium, resolution))
        self._learn(flux[keep], ivar[keep], table[keep], n_jobs)
        if self.clip is not None:
            keep[keep] = self._agree(flux[keep], ivar[keep], table[keep], self.clip)
            self._learn(flux[keep], ivar[keep], table[keep], n_jobs)
        self.used_ = keep
        return self

    def _set_up(self, table: Array, grid: Grid) -> None:
        """Fix what does not depend on the spectra: names, grid, terms, scaling."""
        names = named(self._names, table.shape[1])
        self.label_names = names
        self._grid, self.terms_ = grid, PolynomialTerms(len(names), self.order)
        self.scaling_ = LabelScaling.of(table, names)
        self.wavelength, self.medium = grid.wavelength, grid.medium
        self.resolution = grid.resolution

    def _learn(self, flux: NDArray, ivar: NDArray, table: Array, n_jobs: int | None) -> None:
        """Train on stars that all have labels."""
        n_pixels, scaled = flux.shape[1], self.scaling_.scaled(table)
        design = self.terms_.design(scaled)
        _check_design(design, self.label_names, self.order)
        allowed = censor_mask(self.terms_, self.label_names, self._censors(n_pixels), n_pixels)
        penalty = self._penalty(n_pixels)
        trained = train(flux, ivar, design, allowed=allowed, penalty=penalty, n_jobs=n_jobs)
        self.label_range = np.stack([table.min(axis=0), table.max(axis=0)], axis=1)
        self.coefficients_, self.scatter_ = trained.coefficients, trained.scatter
        self._anchors = spread_points(scaled, _ANCHORS)
        self._find_modes(flux, ivar, table)

    def _agree(self, flux: NDArray, ivar: NDArray, table: Array, clip: float) -> NDArray[np.bool_]:
        """Return the stars (N,) whose spectra give about the catalogue's labels."""
        difference = self.infer(flux, ivar).labels - table
        difference -= np.nanmedian(difference, axis=0)
        sigma = 1.4826 * np.nanmedian(np.abs(difference), axis=0)
        return np.asarray((np.abs(difference) <= clip * sigma).all(axis=1))

    def _penalty(self, n_pixels: int) -> Array:
        penalty = np.asarray(self.regularisation, dtype=np.float64)
        if penalty.shape not in ((), (n_pixels,)) or not np.all(penalty >= 0):
            raise DataError(
                f"regularisation: found {self.regularisation!r}; "
                f"expected a number of at least 0, or one for each of {n_pixels} pixels"
            )
        return np.broadcast_to(penalty, (n_pixels,)).copy()

    def _censors(self, n_pixels: int) -> dict[str, NDArray[np.bool_]]:
        masks = {name: np.asarray(mask) for name, mask in self.censors.items()}
        for name, mask in masks.items():
            if name not in self.label_names:
                raise DataError(f"censors: found {name!r}; expected one of {self.label_names}")
            if mask.shape != (n_pixels,) or mask.dtype != bool:
                raise DataError(
                    f"censors: {name!r} is {mask.dtype} {mask.shape}; expected bool ({n_pixels},)"
                )
        return masks

    def _find_modes(self, flux: NDArray, ivar: NDArray, table: Array) -> None:
        """Learn the scatter that pixels share from the training residuals."""
        self.templates_, self._own_scatter = np.zeros((flux.shape[1], 0)), self.scatter_
        if self.n_modes:
            labels = table if self.modes_at == "given" else self.infer(flux, ivar).labels
            self.templates_, self._own_scatter = shared_modes(
                flux - self.predict(labels), ivar, self.scatter_, n_modes=self.n_modes
            )

    def infer(
        self,
        flux: ArrayLike,
        ivar: ArrayLike,
        *,
        wavelength: ArrayLike | None = None,
        medium: Medium | None = None,
    ) -> FitResult:
        """Find the labels of spectra.

        Parameters
        ----------
        flux, ivar : (M, P) array-like
            Spectra on the model's grid, normalised as the training set.
        wavelength, medium : optional
            Of the spectra; if given, they are checked against the model's.

        Returns
        -------
        FitResult
            Errors include the intrinsic scatter. A spectrum with fewer good pixels than labels
            has NaN labels and the flag BAD_DATA.

        Raises
        ------
        DataError
            If the model is not fitted, or the spectra are not on its grid.
        MediumError
            If the spectra are in the other medium.
        """
        self._need_fit()
        self._grid.check(wavelength, medium)
        flux, ivar = clean_spectra(flux, ivar, len(self.coefficients_))
        given = moments(flux, ivar, self.coefficients_, self._own_scatter, self.templates_)
        bounds = self.scaling_.scaled(self.label_range.T).T
        found = best_of_starts(given, self.terms_, self._anchors, bounds, n_starts=self.n_starts)
        return self._result(given, found)

    def _result(self, given: Moments, found: Descent) -> FitResult:
        covariance, singular = inverse(found.local.curvature)
        covariance *= self.scaling_.scale[:, None] * self.scaling_.scale
        bad = given.n_pixels < len(self.label_names)
        flags = np.zeros(len(bad), dtype=np.int64)
        flags[found.at_bound.any(axis=1)] |= FitFlag.AT_BOUND
        flags[~found.converged] |= FitFlag.NOT_CONVERGED
        flags[singular] |= FitFlag.SINGULAR
        flags[bad] = FitFlag.BAD_DATA
        labels = np.clip(self.scaling_.unscaled(found.x), *self.label_range.T)
        return FitResult(
            label_names=self.label_names,
            labels=np.where(bad[:, None], np.nan, labels),
            covariance=np.where(bad[:, None, None], np.nan, covariance),
            chi2=np.where(bad, np.nan, found.local.chi2),
            n_pixels=given.n_pixels,
            flags=flags,
        )

    def predict(self, labels: ArrayLike) -> Array:
        """Return normalised flux (N, P) for labels (N, L).

        Beyond ``label_range`` the polynomial is extrapolated. A NaN label gives a NaN spectrum; a
        pixel that was not trained is NaN.

        Raises
        ------
        DataError
            If the model is not fitted, or there are not L columns.
        """
        self._need_fit()
        rows = label_rows(labels, len(self.label_names))
        return self.terms_.design(self.scaling_.scaled(rows)) @ self.coefficients_.T

    def flux_density(self, labels: ArrayLike) -> Array:
        """Refuse: The Cannon knows normalised flux only.

        Raises
        ------
        DataError
            Always.
        """
        raise DataError("The Cannon knows normalised flux only; weigh stars with an emulator")

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, L), differentiable in the labels.

        Raises
        ------
        DataError
            If the model is not fitted.
        """
        self._need_fit()
        pivot, scale, coefficients = (
            torch.as_tensor(values, dtype=labels.dtype, device=labels.device)
            for values in (self.scaling_.pivot, self.scaling_.scale, self.coefficients_)
        )
        return self.terms_.design_torch((labels - pivot) / scale) @ coefficients.T

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Refuse: The Cannon knows normalised flux only.

        Raises
        ------
        DataError
            Always.
        """
        raise DataError("The Cannon knows normalised flux only; weigh stars with an emulator")

    def state(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return arrays and metadata that `from_state` makes the same fitted model of.

        Raises
        ------
        DataError
            If the model is not fitted.
        """
        self._need_fit()
        arrays, metadata = describe(self, "cannon", seed=0)
        arrays |= {
            "coefficients": self.coefficients_,
            "scatter": self.scatter_,
            "own_scatter": self._own_scatter,
            "templates": self.templates_,
            "used": self.used_,
        }
        return arrays, metadata | {"order": self.order, "n_modes": self.n_modes}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray], metadata: Mapping[str, Any]) -> Self:
        """Make the fitted model from what `state` returned.

        What only the training needs (penalties, censors, clipping) is not kept: the coefficients
        have it in them.
        """
        names, n_modes = metadata.get("label_names"), metadata.get("n_modes", 0)
        options = {"label_names": names, "n_modes": n_modes, "n_starts": metadata["n_starts"]}
        model = cls(metadata.get("order", 2), **options)
        adopt(model, arrays, metadata, "cannon")
        model.terms_ = PolynomialTerms(len(model.label_names), model.order)
        model.coefficients_, model.scatter_ = arrays["coefficients"], arrays["scatter"]
        model._own_scatter, model.templates_ = arrays["own_scatter"], arrays["templates"]
        model.used_ = arrays["used"].astype(bool)
        return model

    def _need_fit(self) -> None:
        if not hasattr(self, "coefficients_"):
            raise DataError("the Cannon is not trained: call fit(flux, ivar, labels) first")


def _check_design(design: Array, names: tuple[str, ...], order: int) -> None:
    """Refuse a training set that cannot tell the terms apart.

    Raises
    ------
    DataError
        If it cannot.
    """
    n_stars, n_terms = design.shape
    if n_stars <= n_terms:
        raise DataError(
            f"labels: found {n_stars} stars; order {order} in {len(names)} labels has {n_terms} "
            "terms: give more stars or a lower order"
        )
    singular = np.linalg.svd(design / np.linalg.norm(design, axis=0), compute_uv=False)
    if singular[-1] < 1e-6 * singular[0]:
        raise DataError(
            f"labels: over these stars the terms of {names} are not independent; "
            "leave out a label that follows from the others"
        )
