"""The neural decoder: labels (or a latent vector) in, the flux of real spectra out.

Learnt from the survey's own spectra, as The Cannon is, but with a network in place of the
polynomial (compare Leung & Bovy 2019, MNRAS 483, 3255, whose network runs the other way, from flux
to labels, and so cannot compose two stars). Masked and noisy pixels and label errors enter the
likelihood, see `siderea.models.decoder_network`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium
from siderea.errors import DataError
from siderea.flags import FitFlag
from siderea.models.bounded_descent import Descent, Local, descend, inverse
from siderea.models.decoder_network import Batch, DecoderNetwork, Training, train
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

__all__ = ["Decoder", "Training"]

Array = NDArray[np.float64]

_ANCHORS = 128
"""Training stars, spread over the labels, where a fit may start."""

_STARS = 256
"""Spectra fitted together: bounds the memory that the Jacobians take."""


class Decoder:
    """Network spectral model for real spectra; a `DifferentiableModel` once fitted.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the layers.
    label_names : sequence of str, optional
        By the names of CONVENTIONS.md; numbered if not given. Any coordinates will do, for
        instance those of an autoencoder's latent space.
    training : Training, optional
        Rate, epochs, patience.
    n_starts : int
        Starts of each fit, the best of the training stars that are spread over the labels.
    random_state : int
        Seed of the first weights, of the validation stars and of the shuffling.

    Attributes
    ----------
    label_names, label_range, wavelength, medium, resolution
        As in `SpectralModel`; inferred labels stay within ``label_range``.
    network_ : DecoderNetwork
        In float64.
    scaling_ : LabelScaling
    scatter_ : (P,) ndarray
        Intrinsic scatter s, learnt.
    history_ : list of (float, float)
        Loss on the training and the validation stars, by epoch.
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
        hidden: tuple[int, ...] = (64, 64),
        *,
        label_names: Sequence[str] | None = None,
        training: Training | None = None,
        n_starts: int = 2,
        random_state: int = 0,
    ) -> None:
        self.hidden = tuple(hidden)
        self.training = training or Training()
        self.n_starts = n_starts
        self.random_state = random_state
        self._names = None if label_names is None else tuple(label_names)

    def fit(
        self,
        flux: ArrayLike,
        ivar: ArrayLike,
        labels: ArrayLike,
        *,
        label_errors: ArrayLike | None = None,
        wavelength: ArrayLike | None = None,
        medium: Medium | None = None,
        resolution: float | Sequence[float] = np.inf,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        flux, ivar : (N, P) array-like
            Training spectra, normalised as those to be fitted will be; ivar 0 marks a bad pixel.
        labels : (N, L) array-like
            A star with a NaN label is left out, with a warning.
        label_errors : (N, L) or (L,) array-like, optional
            1σ errors of the labels; exact labels by default.
        wavelength, medium, resolution
            As in `Cannon.fit`.

        Returns
        -------
        Decoder
            Itself.

        Raises
        ------
        DataError
            On shapes that do not fit, negative ivar or errors, too few stars, a label that
            does not vary, or a pixel that no star has.
        MediumError
            If wavelengths come without their medium.
        """
        flux, ivar = clean_spectra(flux, ivar)
        table, keep = clean_labels(labels, len(flux))
        errors = _label_errors(label_errors, table.shape)
        flux, ivar, table, errors = flux[keep], ivar[keep], table[keep], errors[keep]
        least = len(PolynomialTerms(table.shape[1], 2)) + 2
        if len(flux) < least:
            raise DataError(f"found {len(flux)} training stars; expected at least {least}")
        names = named(self._names, table.shape[1])
        self.training_set_sha256_ = fingerprint(flux, ivar, table, errors)
        grid = Grid.of(flux.shape[1], wavelength, medium, resolution)
        self._grid, self.scaling_ = grid, LabelScaling.of(table, names)
        scaled = self.scaling_.scaled(table)
        self._train(flux, ivar, scaled, errors / self.scaling_.scale)
        self.label_names = names
        self.wavelength, self.medium, self.resolution = grid.wavelength, grid.medium, resolution
        self.label_range = np.stack([table.min(axis=0), table.max(axis=0)], axis=1)
        self._anchors = spread_points(scaled, _ANCHORS)
        return self

    def _train(self, flux: NDArray, ivar: NDArray, scaled: Array, errors: Array) -> None:
        mean, spread, self.trained_ = _level(flux, ivar)
        arrays = (np.where(ivar > 0, flux, mean), ivar, scaled, errors)
        data = Batch(*(torch.as_tensor(one, dtype=torch.float32) for one in arrays))
        level = (torch.as_tensor(one, dtype=torch.float32) for one in (mean, spread))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            terms = PolynomialTerms(scaled.shape[1], 2)
            network = DecoderNetwork(terms, self.hidden, *level)
        network.start_at(data.labels, data.flux)
        generator = torch.Generator().manual_seed(self.random_state)
        self.history_ = train(network, data, self.training, generator)
        self.network_ = network.double().requires_grad_(False)
        self.scatter_ = np.where(self.trained_, np.exp(self.network_.ln_scatter.numpy()), np.nan)

    def predict(self, labels: ArrayLike) -> Array:
        """Return normalised flux (N, P) for labels (N, L).

        A NaN label gives a NaN spectrum; a pixel that no training star had is NaN.

        Raises
        ------
        DataError
            If the model is not fitted, or there are not L columns.
        """
        self._need_fit()
        rows = torch.as_tensor(label_rows(labels, len(self.label_names)))
        return self.normalised(rows).numpy()

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, L), differentiable in the labels.

        Raises
        ------
        DataError
            If the model is not fitted.
        """
        self._need_fit()
        scaled = (labels.double() - torch.as_tensor(self.scaling_.pivot)) / torch.as_tensor(
            self.scaling_.scale
        )
        flux = self.network_(scaled)
        untrained = torch.as_tensor(~self.trained_)
        return torch.where(untrained, torch.nan, flux).to(labels.dtype)

    def flux_density(self, labels: ArrayLike) -> Array:
        """Refuse: the decoder knows normalised flux only.

        Raises
        ------
        DataError
            Always.
        """
        raise DataError("The decoder knows normalised flux only; weigh stars with an emulator")

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Refuse: the decoder knows normalised flux only.

        Raises
        ------
        DataError
            Always.
        """
        raise DataError("The decoder knows normalised flux only; weigh stars with an emulator")

    def infer(
        self,
        flux: ArrayLike,
        ivar: ArrayLike,
        *,
        wavelength: ArrayLike | None = None,
        medium: Medium | None = None,
    ) -> FitResult:
        """Find the labels of spectra by Levenberg–Marquardt with the exact Jacobian.

        Parameters
        ----------
        flux, ivar : (M, P) array-like
            Spectra on the model's grid, normalised as the training set.
        wavelength, medium : optional
            Of the spectra; if given, they are checked against the model's.

        Returns
        -------
        FitResult
            As of `Cannon.infer`.

        Raises
        ------
        DataError
            If the model is not fitted, or the spectra are not on its grid.
        MediumError
            If the spectra are in the other medium.
        """
        self._need_fit()
        self._grid.check(wavelength, medium)
        flux, ivar = clean_spectra(flux, ivar, len(self.scatter_))
        variance = np.where(self.trained_, self.scatter_, 0.0) ** 2
        parts = [
            self._infer(flux[rows].astype(np.float64), self.trained_ * ivar[rows], variance)
            for rows in (slice(i, i + _STARS) for i in range(0, max(len(flux), 1), _STARS))
        ]
        joined = [np.concatenate(one) for one in zip(*parts, strict=True)]
        return FitResult(self.label_names, *joined)

    def _infer(self, flux: Array, ivar: Array, variance: Array) -> tuple[NDArray, ...]:
        """Return the fields of `FitResult` after the names, for a part of the spectra."""
        weights = ivar / (1 + variance * ivar)
        n_pixels = np.count_nonzero(weights, axis=1)
        found = self._best_of_starts(flux, weights)
        covariance, singular = inverse(found.local.curvature)
        covariance *= self.scaling_.scale[:, None] * self.scaling_.scale
        bad = n_pixels < len(self.label_names)
        flags = np.zeros(len(bad), dtype=np.int64)
        flags[found.at_bound.any(axis=1)] |= FitFlag.AT_BOUND
        flags[~found.converged] |= FitFlag.NOT_CONVERGED
        flags[singular] |= FitFlag.SINGULAR
        flags[bad] = FitFlag.BAD_DATA
        labels = np.clip(self.scaling_.unscaled(found.x), *self.label_range.T)
        labels[bad], covariance[bad] = np.nan, np.nan
        return labels, covariance, np.where(bad, np.nan, found.local.chi2), n_pixels, flags

    def _best_of_starts(self, flux: Array, weights: Array) -> Descent:
        n, n_starts = len(flux), min(self.n_starts, len(self._anchors))
        bounds = self.scaling_.scaled(self.label_range.T).T
        models = self.network_(torch.as_tensor(self._anchors)).numpy()
        chi2 = weights @ (models**2).T - 2 * (weights * flux) @ models.T
        chosen = np.argpartition(chi2, np.arange(n_starts), axis=1)[:, :n_starts]
        start = np.clip(self._anchors[chosen.T.reshape(-1)], bounds[:, 0], bounds[:, 1])

        def evaluate(x: Array, rows: NDArray[np.intp]) -> Local:
            return self._local(x, flux[rows % n], weights[rows % n])

        found = descend(evaluate, start, bounds)
        return found.lowest_of(n_starts)

    def _local(self, x: Array, flux: Array, weights: Array) -> Local:
        """Return χ² and its exact derivatives at scaled labels (m, L)."""
        model, jacobian = (one.numpy() for one in self.network_.with_jacobian(torch.as_tensor(x)))
        residual = model - flux
        weighted = weights * residual
        chi2 = np.einsum("mp,mp->m", weighted, residual)
        gradient = (jacobian @ weighted[:, :, None])[:, :, 0]
        curvature = (jacobian * weights[:, None]) @ jacobian.transpose(0, 2, 1)
        return Local(chi2, gradient, curvature)

    def state(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return arrays and metadata that `from_state` makes the same fitted model of.

        Raises
        ------
        DataError
            If the model is not fitted.
        """
        self._need_fit()
        arrays, metadata = describe(self, "decoder", seed=self.random_state)
        arrays["trained"] = self.trained_
        weights = self.network_.state_dict()
        arrays |= {f"network.{name}": value.numpy() for name, value in weights.items()}
        last = np.asarray(self.history_, dtype=float)[-1:].ravel().tolist()
        metadata["metrics"] = dict(zip(("training_loss", "validation_loss"), last, strict=False))
        return arrays, metadata | {"hidden": list(self.hidden), "history": self.history_}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray], metadata: Mapping[str, Any]) -> Self:
        """Make the fitted model from what `state` returned."""
        model = cls(
            tuple(metadata.get("hidden", ())),
            label_names=metadata.get("label_names"),
            n_starts=metadata["n_starts"],
            random_state=metadata["seed"],
        )
        adopt(model, arrays, metadata, "decoder")
        weights = {
            name.removeprefix("network."): torch.from_numpy(np.ascontiguousarray(values))
            for name, values in arrays.items()
            if name.startswith("network.")
        }
        terms = PolynomialTerms(len(model.label_names), 2)
        with torch.random.fork_rng(devices=[]):  # its first weights are drawn, then replaced
            network = DecoderNetwork(terms, model.hidden, weights["mean"], weights["spread"])
        network = network.double()
        network.load_state_dict(weights)
        model.network_ = network.requires_grad_(False)
        model.trained_ = arrays["trained"].astype(bool)
        model.scatter_ = np.where(model.trained_, np.exp(weights["ln_scatter"].numpy()), np.nan)
        model.history_ = [(float(a), float(b)) for a, b in metadata["history"]]
        return model

    def _need_fit(self) -> None:
        if not hasattr(self, "network_"):
            raise DataError("the decoder is not trained: call fit(flux, ivar, labels) first")


def _label_errors(errors: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Return label errors as (N, L).

    Raises
    ------
    DataError
        If they do not fit the labels, or are negative or not finite.
    """
    if errors is None:
        return np.zeros(shape)
    given = np.asarray(errors, dtype=np.float64)
    if given.shape not in (shape, shape[1:]) or not np.all(np.isfinite(given) & (given >= 0)):
        raise DataError(
            f"label_errors: found shape {given.shape}; expected {shape} or {shape[1:]}, all finite "
            "and not negative"
        )
    return np.broadcast_to(given, shape)


def _level(flux: NDArray, ivar: NDArray) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return mean and spread (P,) of the good pixels, and which pixels any star has."""
    good = ivar > 0
    count = good.sum(axis=0)
    mean = np.where(good, flux, 0.0).sum(axis=0) / np.maximum(count, 1)
    squared = np.where(good, flux - mean, 0.0) ** 2
    spread = np.sqrt(squared.sum(axis=0) / np.maximum(count, 1))
    trained = count > 0
    floor = 1e-6 * max(float(np.median(spread[trained])) if trained.any() else 1.0, 1e-12)
    return mean, np.maximum(spread, floor), trained
