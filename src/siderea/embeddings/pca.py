"""Principal components of a survey that does not fit in memory, with its bad pixels."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from siderea.embeddings.subspace import Chunks, Subspace, centred, leading_subspace, with_gaps
from siderea.errors import DataError

__all__ = ["PCA"]


class PCA(TransformerMixin, BaseEstimator):
    """Principal component analysis, out of core and with bad pixels.

    A bad pixel (ivar 0) is left at the mean spectrum when the components are found: it pulls
    nowhere. The mean is taken over the good pixels, each spectrum counting once.

    Parameters
    ----------
    n_components : int
        Components K to keep; lowered, with a warning, to what N spectra of P pixels can hold.
    n_passes : int
        Passes over the rows, at least 2. The first finds the mean and a rough subspace, each
        further one refines it. Up to 1,000 pixels two passes are exact and no more are made.
    n_oversamples : int
        Directions carried beyond ``n_components``.
    masked : {"solve", "mean"}
        How `transform` treats bad pixels: at their expectation given the good pixels, or at the
        mean spectrum (which draws the scores towards zero).
    random_state : int
        Seed of the first guess.

    Attributes
    ----------
    components_ : (K, P) ndarray
        Orthonormal rows; the largest loading of each is positive.
    mean_ : (P,) ndarray
        Mean spectrum (0 where no spectrum has a good pixel).
    explained_variance_, explained_variance_ratio_ : (K,) ndarray
        Variance along each component, and its share of the total.
    noise_variance_ : float
        Mean of the discarded non-zero eigenvalues.
    n_components_, n_samples_, n_features_in_ : int
        K that was kept, N and P that were seen.

    Examples
    --------
    >>> rows = np.outer([-1.0, 0.0, 1.0], [3.0, 4.0]) + 1.0
    >>> pca = PCA(n_components=1).fit(rows)
    >>> pca.components_.round(3).tolist(), pca.transform(rows).ravel().round(3).tolist()
    ([[0.6, 0.8]], [-5.0, 0.0, 5.0])
    """

    def __init__(
        self,
        n_components: int = 50,
        *,
        n_passes: int = 3,
        n_oversamples: int = 50,
        masked: str = "solve",
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_passes = n_passes
        self.n_oversamples = n_oversamples
        self.masked = masked
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None, *, ivar: ArrayLike | None = None) -> Self:
        """Find the components of spectra held in memory.

        Parameters
        ----------
        X : (N, P) array-like
            Flux.
        y : None
            Ignored; scikit-learn's convention.
        ivar : (N, P) array-like, optional
            Inverse variance; 0 marks a bad pixel. All pixels are good by default.

        Returns
        -------
        PCA
            Itself.

        Raises
        ------
        DataError
            On shapes that do not fit, values that are not finite, or fewer than 2 spectra.
        """
        return self.fit_chunks(lambda: [(X, ivar)])

    def fit_chunks(self, make_chunks: Chunks) -> Self:
        """Find the components of a survey read in chunks of rows.

        Parameters
        ----------
        make_chunks : callable
            Called once per pass; returns an iterable of (flux (n, P), ivar (n, P) or None). Every
            pass must give the same rows in the same order; the size of the chunks is free.

        Returns
        -------
        PCA
            Itself.

        Raises
        ------
        DataError
            As `fit`, or if a later pass does not give as many rows as the first.
        """
        self._check_parameters()
        found = leading_subspace(
            make_chunks,
            self.n_components + self.n_oversamples,
            n_passes=self.n_passes,
            rng=np.random.default_rng(self.random_state),
        )
        self._keep(found)
        return self

    def fit_transform(
        self, X: ArrayLike, y: Any = None, *, ivar: ArrayLike | None = None
    ) -> NDArray:
        """Find the components, and return the scores of the same spectra; see `fit`."""
        return self.fit(X, ivar=ivar).transform(X, ivar=ivar)

    def transform(self, X: ArrayLike, *, ivar: ArrayLike | None = None) -> NDArray:
        """Project spectra on the components.

        With bad pixels b and y = C(x − μ) summed over the good ones, ``masked="solve"`` adds what
        the good pixels lead one to expect in the bad ones under probabilistic PCA (Tipping &
        Bishop 1999, J. R. Stat. Soc. B 61, 611),

            z = y + G (1 − G + σ² (Λ − σ²)⁻¹)⁻¹ y,    G = C_b C_bᵀ,

        which is the least-squares projection for σ² → 0, stays bounded where a whole arm is
        missing, and is the plain projection where nothing is.

        Parameters
        ----------
        X : (N, P) array-like
            Flux.
        ivar : (N, P) array-like, optional
            Inverse variance; 0 marks a bad pixel.

        Returns
        -------
        (N, K) ndarray
            Scores, in the floating type of ``X``.

        Raises
        ------
        DataError
            On a number of pixels other than that of the fit, or values that are not finite.
        """
        check_is_fitted(self)
        flux = with_gaps(X, ivar)
        if flux.shape[1] != self.n_features_in_:
            raise DataError(f"X: found {flux.shape[1]} pixels; fitted on {self.n_features_in_}")
        gaps = np.isnan(flux)
        scores = centred(flux, self.mean_) @ self.components_.T.astype(flux.dtype)
        if self.masked == "solve":
            for row in np.flatnonzero(gaps.any(axis=1)):
                scores[row] += self._expected(gaps[row], scores[row])
        return scores

    def inverse_transform(self, Z: ArrayLike) -> NDArray:
        """Return the spectra (N, P) that the scores ``Z`` (N, K) stand for."""
        check_is_fitted(self)
        scores = np.asarray(Z)
        return scores @ self.components_.astype(scores.dtype) + self.mean_.astype(scores.dtype)

    def _expected(self, gap: NDArray[np.bool_], score: NDArray) -> NDArray:
        """Return the share of the bad pixels in the scores, expected from the good ones (K,)."""
        missing = self.components_[:, gap]
        gram = missing @ missing.T
        signal = np.maximum(self.explained_variance_ - self.noise_variance_, 1e-300)
        system = np.eye(len(gram)) - gram + np.diag(self.noise_variance_ / signal)
        # pinv: without noise a missing arm can leave some components wholly unseen.
        return gram @ (np.linalg.pinv(system, rcond=1e-8, hermitian=True) @ score)

    def _check_parameters(self) -> None:
        if self.n_components < 1 or self.n_passes < 2 or self.n_oversamples < 0:
            raise DataError(
                f"n_components {self.n_components}, n_passes {self.n_passes}, n_oversamples "
                f"{self.n_oversamples}; expected at least 1, 2 and 0"
            )
        if self.masked not in ("solve", "mean"):
            raise DataError(f"masked: found {self.masked!r}; expected 'solve' or 'mean'")

    def _keep(self, found: Subspace) -> None:
        n, mean = found.n, found.mean
        variance, total = found.eigenvalues / (n - 1), found.power / (n - 1)
        kept = min(self.n_components, n - 1, mean.size, len(variance))
        if kept < self.n_components:
            warnings.warn(
                f"n_components lowered from {self.n_components} to {kept}: {n} spectra of "
                f"{mean.size} pixels hold no more",
                stacklevel=4,
            )
        rest = min(n - 1, mean.size) - kept
        left = max(total - variance[:kept].sum(), 0.0)
        self.n_components_, self.n_samples_, self.n_features_in_ = kept, n, mean.size
        self.mean_ = mean
        self.components_ = _signed(found.vectors[:kept])
        self.explained_variance_ = variance[:kept]
        self.explained_variance_ratio_ = variance[:kept] / total if total else variance[:kept]
        self.noise_variance_ = float(left / rest) if rest else 0.0


def _signed(components: NDArray) -> NDArray:
    """Fix the sign of each component: its largest loading is positive."""
    largest = np.argmax(np.abs(components), axis=1)
    sign = np.sign(np.take_along_axis(components, largest[:, None], axis=1))
    return components * np.where(sign == 0, 1.0, sign)
