"""The autoencoder: a hundred numbers per spectrum, learnt from the survey's own spectra.

Its bottleneck is what t-SNE and the classifiers work on. Bad pixels count nothing, good ones by
their inverse variance.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from siderea.data import Spectra
from siderea.embeddings.autoencoder_network import ConvolutionalBlock, DenseBlock, SpectrumNetwork
from siderea.embeddings.autoencoder_training import Heard, Schedule, train
from siderea.embeddings.binning import Bins
from siderea.embeddings.pca import PCA
from siderea.embeddings.training_sample import TrainingSample
from siderea.errors import DataError

__all__ = ["SpectrumAutoencoder"]

Chunk = Spectra | tuple[ArrayLike, ArrayLike | None]

_CLIP = (-0.5, 2.0)
"""Normalised flux is clipped to this range: one wild pixel must not rule the loss."""

_PCA_ROWS = 10_000
"""Spectra from which the starting components are found."""

_ROWS = 1024
"""Spectra that pass through the network at once."""


class SpectrumAutoencoder(TransformerMixin, BaseEstimator):
    """Autoencoder of normalised spectra, with a narrow middle layer.

    Parameters
    ----------
    latent_dim : int
        Neurons K of the bottleneck; lowered, with a warning, for very small samples.
    architecture : {"dense", "convolutional"}
        Dense layers that start as principal components, or one-dimensional convolutions.
    hidden : int
        Width of the dense hidden layers.
    per_arm : bool
        One network per arm, the latent coordinates shared out evenly, instead of one for all.
    max_bins : int
        Neighbouring pixels are averaged, by inverse variance, until no more than this are left; the
        network and what it gives back have that resolution.
    scatter : float
        Relative flux error s added to every pixel's: the weight is 1/(σ² + s²).
    learning_rate : float, optional
        By default found by Lightning's range test.
    batch_size, max_epochs, patience : int
        Spectra per step; at most so many epochs; fewer when the loss of the tenth of the spectra
        that validates has not fallen for ``patience`` of them.
    max_spectra : int
        Trained on no more spectra than this, drawn evenly from all that are given.
    random_state : int
        Seed.

    Attributes
    ----------
    network_ : SpectrumNetwork
    bins_ : Bins
        The bins of pixels that the network sees.
    latent_dim_ : int
        K that was used.
    history_ : list of (float, float)
        Training and validation loss by epoch: Σ w (x̂ − x)² per good bin.
    learning_rate_ : float
        What the training started with.
    n_features_in_, n_samples_ : int
        Pixels P, and spectra trained on.
    training_set_ : str
        Hash of the parameters and of a sample of the spectra.

    Notes
    -----
    Memory: 4 bytes per bin and spectrum trained on (1.6 GB for 100,000 spectra of 4,096 bins),
    whatever the number of pixels and of spectra streamed by `fit_chunks`.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        *,
        architecture: str = "dense",
        hidden: int = 256,
        per_arm: bool = False,
        max_bins: int = 4096,
        scatter: float = 0.01,
        learning_rate: float | None = None,
        batch_size: int = 512,
        max_epochs: int = 20,
        patience: int = 3,
        max_spectra: int = 100_000,
        random_state: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.architecture = architecture
        self.hidden = hidden
        self.per_arm = per_arm
        self.max_bins = max_bins
        self.scatter = scatter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.max_spectra = max_spectra
        self.random_state = random_state

    def fit(
        self,
        X: Spectra | ArrayLike,
        y: Any = None,
        *,
        ivar: ArrayLike | None = None,
        arms: Sequence[slice] = (),
        checkpoint: str | Path | None = None,
        callback: Heard | None = None,
    ) -> Self:
        """Train on spectra held in memory.

        Parameters
        ----------
        X : Spectra, or (N, P) array-like
            Normalised flux.
        y : None
            Ignored; scikit-learn's convention.
        ivar : (N, P) array-like, optional
            Inverse variance of ``X`` where that is an array; 0 is a bad pixel.
        arms : sequence of slice, optional
            The arms of ``X`` where that is an array.
        checkpoint : path-like, optional
            Folder for the state of the training, written after every epoch; a training that was
            stopped goes on from there when `fit` is called again with the same spectra.
        callback : callable, optional
            Called after every epoch with (epochs made, at most, validation loss).

        Returns
        -------
        SpectrumAutoencoder
            Itself.

        Raises
        ------
        DataError
            On shapes or parameters that do not fit, fewer than 2 spectra with a good pixel, or a
            checkpoint of another training.
        """
        chunk: Chunk = X if isinstance(X, Spectra) else (X, ivar)
        return self.fit_chunks([chunk], arms=arms, checkpoint=checkpoint, callback=callback)

    def fit_chunks(
        self,
        chunks: Iterable[Chunk],
        *,
        arms: Sequence[slice] = (),
        checkpoint: str | Path | None = None,
        callback: Heard | None = None,
    ) -> Self:
        """Train on a survey read in chunks of rows, in one pass.

        Parameters
        ----------
        chunks : iterable of Spectra or of (flux (n, P), ivar (n, P) or None)
            The spectra; they are binned as they come, and only the bins are kept.
        arms, checkpoint, callback
            As `fit`.

        Returns
        -------
        SpectrumAutoencoder
            Itself.

        Raises
        ------
        DataError
            As `fit`.
        """
        self._check_parameters()
        absorbed, weight = self._gathered(chunks, arms)
        network = self._new_network(absorbed, weight)
        self.training_set_ = self._fingerprint(absorbed, weight)
        schedule = Schedule(
            self.learning_rate,
            self.batch_size,
            self.max_epochs,
            self.patience,
            self.random_state,
            self.training_set_,
        )
        self.history_, self.learning_rate_ = train(
            network, absorbed, weight, schedule, checkpoint=checkpoint, heard=callback
        )
        self.network_ = network.eval()
        self.n_samples_ = len(absorbed)
        return self

    def transform(
        self, X: Spectra | ArrayLike, *, ivar: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Return the latent coordinates of spectra.

        Parameters
        ----------
        X : Spectra, or (N, P) array-like
            Normalised flux.
        ivar : (N, P) array-like, optional
            Inverse variance of ``X`` where that is an array.

        Returns
        -------
        (N, K) ndarray
            NaN for a spectrum without a good pixel.

        Raises
        ------
        DataError
            On a number of pixels other than that of the fit.
        """
        check_is_fitted(self)
        flux, weight = (X.flux, X.ivar) if isinstance(X, Spectra) else (np.asarray(X), ivar)
        self._check_pixels(flux)
        latent = np.full((len(flux), self.latent_dim_), np.nan, np.float32)
        for rows in _batches(len(flux)):
            part = None if weight is None else np.asarray(weight)[rows]
            values, inverse = self._binned(flux[rows], part)
            good = torch.from_numpy(inverse > 0)
            with torch.inference_mode():
                z = self.network_.encode(torch.from_numpy(values), good.float())
            latent[rows][good.any(dim=1).numpy()] = z[good.any(dim=1)].numpy()
        return latent

    def fit_transform(
        self, X: Spectra | ArrayLike, y: Any = None, *, ivar: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Train, and return the latent coordinates of the same spectra; see `fit`."""
        return self.fit(X, ivar=ivar).transform(X, ivar=ivar)

    def inverse_transform(self, Z: ArrayLike) -> NDArray[np.float32]:
        """Return the spectra (N, P) that latent coordinates ``Z`` (N, K) stand for.

        They have the resolution of the bins, and are linear between these.
        """
        check_is_fitted(self)
        latent = np.asarray(Z, dtype=np.float32)
        if latent.ndim != 2 or latent.shape[1] != self.latent_dim_:
            raise DataError(f"Z: found shape {latent.shape}; expected (N, {self.latent_dim_})")
        flux = np.empty((len(latent), self.n_features_in_), np.float32)
        for rows in _batches(len(latent)):
            with torch.inference_mode():
                flux[rows] = self.bins_.spread(
                    self.network_.decode(torch.from_numpy(latent[rows])).numpy()
                )
        return flux

    def state(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return the arrays and the description that `from_state` makes the same model of."""
        check_is_fitted(self)
        arrays = {name: value.numpy() for name, value in self.network_.state_dict().items()}
        return arrays | {"bin_starts": self.bins_.starts}, {
            "kind": "autoencoder",
            "parameters": self.get_params(),
            "latent_dim": self.latent_dim_,
            "latent_dims": self._latent_dims,
            "arms": [[arm.start, arm.stop] for arm in self.bins_.arms],
            "n_features_in": self.n_features_in_,
            "n_samples": self.n_samples_,
            "training_set": self.training_set_,
            "learning_rate": self.learning_rate_,
            "history": [list(losses) for losses in self.history_],
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray], metadata: Mapping[str, Any]) -> Self:
        """Make the model that `state` described.

        Raises
        ------
        DataError
            If the description is not of an autoencoder.
        """
        if metadata.get("kind") != "autoencoder":
            raise DataError(f"kind: found {metadata.get('kind')!r}; expected 'autoencoder'")
        self = cls(**metadata["parameters"])
        arms = tuple(slice(*arm) for arm in metadata["arms"])
        self.bins_ = Bins(arrays["bin_starts"], metadata["n_features_in"], arms)
        self._latent_dims = list(metadata["latent_dims"])
        self.latent_dim_ = metadata["latent_dim"]
        self.n_features_in_, self.n_samples_ = metadata["n_features_in"], metadata["n_samples"]
        self.learning_rate_ = metadata["learning_rate"]
        self.training_set_ = metadata["training_set"]
        self.history_ = [(a, b) for a, b in metadata["history"]]
        blocks = [
            self._new_block(
                np.zeros(bins.stop - bins.start),
                _shape_of(arrays, number, bins.stop - bins.start),
                1.0,
                k,
            )
            for number, (bins, k) in enumerate(zip(self._slices(), self._latent_dims, strict=True))
        ]
        self.network_ = SpectrumNetwork(blocks, self._slices(), self._latent_dims)
        weights = {k: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("blocks.")}
        self.network_.load_state_dict(weights)
        self.network_.eval()
        return self

    def _gathered(
        self, chunks: Iterable[Chunk], arms: Sequence[slice]
    ) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Return 1 − flux and the weights of the bins of the training spectra (N, B)."""
        sample = TrainingSample(self.max_spectra, np.random.default_rng(self.random_state))
        self._begun = False
        for chunk in chunks:
            flux, ivar = (chunk.flux, chunk.ivar) if isinstance(chunk, Spectra) else chunk
            flux = np.asarray(flux)
            self._begin(flux, chunk.arms if isinstance(chunk, Spectra) else arms)
            for rows in _batches(len(flux)):
                part = None if ivar is None else np.asarray(ivar)[rows]
                values, inverse = self._binned(flux[rows], part)
                weight = inverse / (1.0 + np.float32(self.scatter) ** 2 * inverse)
                lit = (weight > 0).any(axis=1)
                sample.add(1.0 - values[lit], weight[lit])
        if len(sample) < 2:
            raise DataError(
                f"found {len(sample)} spectra with a good pixel; an autoencoder needs at least 2"
            )
        return sample.take()

    def _begin(self, flux: NDArray, arms: Sequence[slice]) -> None:
        """Learn the number of pixels from the first chunk, and hold the others to it."""
        if not self._begun:
            if flux.ndim != 2 or flux.shape[1] == 0:
                raise DataError(f"flux: found shape {flux.shape}; expected (N, P) with P > 0")
            self.n_features_in_ = int(flux.shape[1])
            self.bins_ = Bins.of(self.n_features_in_, self.max_bins, arms)
            self._begun = True
        self._check_pixels(flux)

    def _binned(
        self, flux: NDArray, ivar: ArrayLike | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.bins_.join(np.clip(flux, *_CLIP), ivar)

    def _new_network(self, absorbed: NDArray, weight: NDArray) -> SpectrumNetwork:
        """Return a network that is not trained yet, started from the spectra's components."""
        torch.manual_seed(self.random_state)
        rows = _some(len(absorbed), _PCA_ROWS, self.random_state)
        flux, good = 1.0 - absorbed[rows].astype(np.float32), weight[rows] > 0
        slices = self._slices()
        self._latent_dims = self._shared_out([bins.stop - bins.start for bins in slices], len(rows))
        self.latent_dim_ = sum(self._latent_dims)
        blocks = []
        for bins, k in zip(slices, self._latent_dims, strict=True):
            mean, components, scale = _starting_components(
                flux[:, bins], good[:, bins], max(self.hidden, k), self.random_state
            )
            blocks.append(self._new_block(mean, components, scale, k))
        return SpectrumNetwork(blocks, slices, self._latent_dims)

    def _new_block(
        self, mean: NDArray, components: NDArray, scale: float, k: int
    ) -> DenseBlock | ConvolutionalBlock:
        if self.architecture == "dense":
            return DenseBlock(mean, components, scale, k)
        return ConvolutionalBlock(mean, scale / max(mean.size, 1) ** 0.5, k)

    def _slices(self) -> tuple[slice, ...]:
        return self.bins_.arms if self.per_arm else (slice(0, len(self.bins_)),)

    def _shared_out(self, sizes: Sequence[int], n: int) -> list[int]:
        """Return the latent coordinates of each block: evenly shared, no more than fit."""
        share = [len(part) for part in np.array_split(np.arange(self.latent_dim), len(sizes))]
        fitting = [max(1, min(k, n - 1, size)) for k, size in zip(share, sizes, strict=True)]
        if sum(fitting) != self.latent_dim:
            warnings.warn(
                f"latent_dim lowered from {self.latent_dim} to {sum(fitting)}: {n} spectra of "
                f"{sum(sizes)} bins in {len(sizes)} blocks hold no more",
                stacklevel=4,
            )
        return fitting

    def _fingerprint(self, absorbed: NDArray, weight: NDArray) -> str:
        """Return what a training is recognised by: its parameters and its spectra."""
        free = ("max_epochs", "patience")  # a longer training may go on from a shorter one
        known = {k: v for k, v in self.get_params().items() if k not in free}
        digest = hashlib.sha256(repr(sorted(known.items())).encode())
        digest.update(repr(absorbed.shape).encode())
        digest.update(absorbed[:: max(1, len(absorbed) // 64)].tobytes())
        digest.update(weight[:: max(1, len(weight) // 64)].tobytes())
        return digest.hexdigest()

    def _check_pixels(self, flux: NDArray) -> None:
        if flux.ndim != 2 or flux.shape[1] != self.n_features_in_:
            raise DataError(f"flux: found shape {flux.shape}; expected (N, {self.n_features_in_})")

    def _check_parameters(self) -> None:
        if self.architecture not in ("dense", "convolutional"):
            raise DataError(
                f"architecture: found {self.architecture!r}; expected 'dense' or 'convolutional'"
            )
        counts = ("latent_dim", "hidden", "max_bins", "batch_size", "max_epochs", "max_spectra")
        for name in counts:
            if getattr(self, name) < 1:
                raise DataError(f"{name}: found {getattr(self, name)}; expected at least 1")


def _batches(n: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, n, _ROWS))


def _some(n: int, most: int, seed: int) -> NDArray[np.int64]:
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _shape_of(arrays: Mapping[str, NDArray], number: int, n_bins: int) -> NDArray:
    """Return an array of the shape of the stored components of a dense block."""
    return np.zeros_like(arrays.get(f"blocks.{number}.first.weight", np.zeros((1, n_bins))))


def _starting_components(
    flux: NDArray, good: NDArray, width: int, seed: int
) -> tuple[NDArray, NDArray, float]:
    """Return the mean (B,), up to ``width`` orthonormal rows (H, B), and the leading spread.

    Where the spectra have fewer components, the rows are filled up with directions at random.
    """
    n, n_bins = flux.shape
    width = min(width, n_bins)
    pca = PCA(n_components=max(1, min(width, n - 1)), n_passes=2, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_components lowered")
        pca.fit(flux, ivar=good.astype(np.float32))
    rng = np.random.default_rng(seed)
    found = pca.components_
    extra = rng.normal(size=(width - len(found), n_bins))
    rows = np.linalg.qr(np.vstack([found, extra]).T)[0].T if len(extra) else found
    rows[: len(found)] = found
    spread = float(np.sqrt(pca.explained_variance_[:1].sum()))
    return pca.mean_, rows, spread if spread > 0 else 1.0
