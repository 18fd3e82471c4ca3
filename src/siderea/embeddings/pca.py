"""Principal components of a survey that does not fit in memory, with its bad pixels.

The components are found by randomised subspace iteration over row blocks (Halko, Martinsson & Tropp
2011, SIAM Review 53, 217): with A the centred (N, P) matrix and Ω a (P, l) orthonormal guess, one
pass over the rows gives W = AᵀAΩ, the next guess. The last pass ends with the Nyström form of their
Section 5.5, AᵀA ≈ W (ΩᵀW)⁻¹ Wᵀ, which is exact where the rank of A does not exceed l.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from siderea.errors import DataError

__all__ = ["PCA", "Chunks"]

Chunks = Callable[[], Iterable[tuple[ArrayLike, ArrayLike | None]]]
"""Starts one pass over the rows: yields flux (n, P) and ivar (n, P), or None where all are good."""

_EXACT_PIXELS = 1000
"""Up to this many pixels the whole (P, P) covariance is accumulated instead of a sketch of it."""

_BLOCK_VALUES = 2**23
"""Values per internal row block. Blocks are cut here, whatever chunks arrive, so that the result
does not depend on how the caller reads the file."""


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
        rng = np.random.default_rng(self.random_state)
        width = self.n_components + self.n_oversamples
        n, mean, basis = _first_pass(_blocks(make_chunks()), width, rng)
        image, power, eps = _next_pass(_blocks(make_chunks()), mean, basis, n)
        exact = basis.shape[1] == mean.size
        for _ in range(0 if exact else self.n_passes - 2):
            basis = _ritz_basis(basis, image)
            image, power, eps = _next_pass(_blocks(make_chunks()), mean, basis, n)
        eigenvalues, components = _nystrom(basis, image, eps)
        self._keep(n, mean, eigenvalues / (n - 1), components, power / (n - 1))
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
        flux = _with_gaps(X, ivar)
        if flux.shape[1] != self.n_features_in_:
            raise DataError(f"X: found {flux.shape[1]} pixels; fitted on {self.n_features_in_}")
        gaps = np.isnan(flux)
        scores = _centred(flux, self.mean_) @ self.components_.T.astype(flux.dtype)
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

    def _keep(
        self, n: int, mean: NDArray, variance: NDArray, components: NDArray, total: float
    ) -> None:
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
        self.components_ = _signed(components[:kept])
        self.explained_variance_ = variance[:kept]
        self.explained_variance_ratio_ = variance[:kept] / total if total else variance[:kept]
        self.noise_variance_ = float(left / rest) if rest else 0.0


def _with_gaps(flux: ArrayLike, ivar: ArrayLike | None) -> NDArray:
    """Return the flux (n, P) with NaN in place of its bad pixels, and nowhere else."""
    values = np.asarray(flux)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    if values.ndim != 2:
        raise DataError(f"flux: found shape {values.shape}; expected (N, P)")
    if ivar is not None:
        weight = np.asarray(ivar)
        if weight.shape != values.shape:
            raise DataError(f"ivar: found shape {weight.shape}; expected that of flux")
        good = weight > 0
        broken = np.count_nonzero((good & ~np.isfinite(values)).any(axis=1))
        values = np.where(good, values, np.nan)
    else:
        broken = np.count_nonzero(~np.isfinite(values).all(axis=1))
    if broken:
        raise DataError(
            f"flux: {broken} of {len(values)} rows hold NaN or infinite pixels that are not "
            "masked; set their ivar to 0"
        )
    return values


def _blocks(chunks: Iterable[tuple[ArrayLike, ArrayLike | None]]) -> Iterator[NDArray]:
    """Cut the rows into blocks of one size, NaN at the bad pixels, however the chunks are cut."""
    pieces: list[NDArray] = []
    held = 0
    for flux, ivar in chunks:
        piece = _with_gaps(flux, ivar)
        if pieces and piece.shape[1] != pieces[0].shape[1]:
            raise DataError(f"flux: found {piece.shape[1]} pixels after {pieces[0].shape[1]}")
        pieces.append(piece)
        held += len(piece)
        rows = max(64, _BLOCK_VALUES // max(piece.shape[1], 1))
        if held >= rows:
            joined = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
            full = held - held % rows
            yield from (joined[i : i + rows] for i in range(0, full, rows))
            pieces, held = [joined[full:].copy()], held - full
    if held:
        yield np.concatenate(pieces)


def _centred(block: NDArray, mean: NDArray) -> NDArray:
    """Subtract the mean; a bad pixel, which is NaN here, becomes 0."""
    centred = block - mean.astype(block.dtype)
    centred[np.isnan(centred)] = 0.0
    return centred


def _mean_of(total: NDArray, count: NDArray) -> NDArray:
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def _first_pass(
    blocks: Iterator[NDArray], width: int, rng: np.random.Generator
) -> tuple[int, NDArray, NDArray]:
    """Return N, the mean (P,) and a first basis (P, l): the unit matrix where P is small.

    The mean is known only at the end of this pass, so the sketch is taken about the mean of the
    first block: good enough for a guess, and it saves a pass.
    """
    n, total, count, about = 0, np.zeros(0), np.zeros(0), np.zeros(0)
    for block in blocks:
        if n == 0:
            total = np.zeros(block.shape[1])
            count = np.zeros(block.shape[1])
            exact = total.size <= max(_EXACT_PIXELS, width)
            guess = np.eye(total.size) if exact else rng.standard_normal((total.size, width))
            image = np.zeros_like(guess)
        total += np.nansum(block, axis=0, dtype=np.float64)
        count += np.count_nonzero(~np.isnan(block), axis=0)
        if not exact:
            about = about if n else _mean_of(total, count)
            image += _image(_centred(block, about), guess)
        n += len(block)
    if n < 2:
        raise DataError(f"flux: found {n} spectra; principal components need at least 2")
    return n, _mean_of(total, count), guess if exact else np.linalg.qr(image)[0]


def _next_pass(
    blocks: Iterator[NDArray], mean: NDArray, basis: NDArray, n: int
) -> tuple[NDArray, float, float]:
    """Return AᵀA applied to the basis (P, l), the sum of squares of A, and A's precision."""
    image, power, rows, eps = np.zeros_like(basis), 0.0, 0, 0.0
    for block in blocks:
        # The full covariance is cheap in double; a sketch, whose columns are graded, need not be.
        wide = block.astype(np.float64) if basis.shape[1] == mean.size else block
        centred = _centred(wide, mean)
        image += _image(centred, basis)
        power += float(np.einsum("ij,ij->i", centred, centred).sum(dtype=np.float64))
        rows += len(block)
        eps = max(eps, float(np.finfo(centred.dtype).eps))
    if rows != n:
        raise DataError(f"make_chunks: found {rows} rows in a later pass; the first had {n}")
    return image, power, eps


def _image(centred: NDArray, basis: NDArray) -> NDArray:
    """Return AᵀAΩ of one block, multiplied in the block's own precision."""
    return centred.T @ (centred @ basis.astype(centred.dtype))


def _ritz(basis: NDArray, image: NDArray) -> tuple[NDArray, NDArray]:
    """Return Ritz values, largest first, and the vectors that turn the basis into Ritz vectors."""
    quotient = basis.T @ image
    values, vectors = np.linalg.eigh((quotient + quotient.T) / 2)
    return values[::-1], vectors[:, ::-1]


def _ritz_basis(basis: NDArray, image: NDArray) -> NDArray:
    """Return the next basis, its columns graded from the largest variance to the smallest.

    Graded columns keep single precision harmless: the rounding of each is relative to itself.
    """
    return np.linalg.qr(image @ _ritz(basis, image)[1])[0]


def _nystrom(basis: NDArray, image: NDArray, eps: float) -> tuple[NDArray, NDArray]:
    """Return the eigenvalues (r,) and eigenvectors (r, P) of W (ΩᵀW)⁻¹ Wᵀ, largest first."""
    values, vectors = _ritz(basis, image)
    known = values > eps * max(values[0], 0.0)
    half = image @ (vectors[:, known] / np.sqrt(values[known]))
    rows, singular, _ = np.linalg.svd(half, full_matrices=False)
    return singular**2, rows.T


def _signed(components: NDArray) -> NDArray:
    """Fix the sign of each component: its largest loading is positive."""
    largest = np.argmax(np.abs(components), axis=1)
    sign = np.sign(np.take_along_axis(components, largest[:, None], axis=1))
    return components * np.where(sign == 0, 1.0, sign)
