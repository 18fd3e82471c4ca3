"""The leading subspace of a matrix that is read in row blocks, a few passes over.

Randomised subspace iteration (Halko, Martinsson & Tropp 2011, SIAM Review 53, 217): with A the
centred (N, P) matrix and Ω a (P, l) orthonormal guess, one pass over the rows gives W = AᵀAΩ, the
next guess. The last pass ends with the Nyström form of their Section 5.5, AᵀA ≈ W (ΩᵀW)⁻¹ Wᵀ, which
is exact where the rank of A does not exceed l.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["Chunks", "Subspace", "centred", "leading_subspace", "with_gaps"]

Chunks = Callable[[], Iterable[tuple[ArrayLike, ArrayLike | None]]]
"""Starts one pass over the rows: yields flux (n, P) and ivar (n, P), or None where all are good."""

_EXACT_PIXELS = 1000
"""Up to this many pixels the whole (P, P) covariance is accumulated instead of a sketch of it."""

_BLOCK_VALUES = 2**23
"""Values per internal row block. Blocks are cut here, whatever chunks arrive, so that the result
does not depend on how the caller reads the file."""


_RANK_EPS = 16.0
"""Eigenvalues below this many roundings of the largest are none."""


class Subspace(NamedTuple):
    """Leading eigenvectors of AᵀA, A being the centred rows.

    Attributes
    ----------
    n : int
        Rows N.
    mean : (P,) ndarray
        Mean of the good pixels.
    eigenvalues : (r,) ndarray
        Largest first.
    vectors : (r, P) ndarray
        Orthonormal rows.
    power : float
        Sum of the squares of A: the trace of AᵀA.
    """

    n: int
    mean: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    vectors: NDArray[np.float64]
    power: float


def leading_subspace(
    make_chunks: Chunks, width: int, *, n_passes: int, rng: np.random.Generator
) -> Subspace:
    """Find the leading subspace of the centred rows.

    Parameters
    ----------
    make_chunks : callable
        Starts a pass; see `Chunks`. Every pass gives the same rows in the same order.
    width : int
        Directions l that are carried. Up to 1,000 pixels all P are, and the result is exact.
    n_passes : int
        Passes over the rows, at least 2; the exact case makes 2.
    rng : numpy.random.Generator
        Draws the first guess.

    Returns
    -------
    Subspace
        Up to l eigenvectors. It depends on the rows only, not on how they were cut into chunks.

    Raises
    ------
    DataError
        On fewer than 2 rows, pixels that are neither finite nor masked, or passes that differ.
    """
    n, mean, basis = _first_pass(_blocks(make_chunks()), width, rng)
    image, power, eps = _next_pass(_blocks(make_chunks()), mean, basis, n)
    exact = basis.shape[1] == mean.size
    for _ in range(0 if exact else n_passes - 2):
        basis = _ritz_basis(basis, image)
        image, power, eps = _next_pass(_blocks(make_chunks()), mean, basis, n)
    return Subspace(n, mean, *_nystrom(basis, image, eps), power)


def with_gaps(flux: ArrayLike, ivar: ArrayLike | None) -> NDArray:
    """Return the flux with NaN in place of its bad pixels, and nowhere else.

    Parameters
    ----------
    flux : (N, P) array-like
        Flux.
    ivar : (N, P) array-like, optional
        Inverse variance; 0 marks a bad pixel. All are good by default.

    Returns
    -------
    (N, P) ndarray
        Floating as it came, else float64.

    Raises
    ------
    DataError
        On shapes that do not fit, or values that are not finite in good pixels.
    """
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
        piece = with_gaps(flux, ivar)
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


def centred(block: NDArray, mean: NDArray) -> NDArray:
    """Subtract the mean (P,) from rows (N, P); a bad pixel, NaN in the rows, becomes 0."""
    offset = block - mean.astype(block.dtype)
    offset[np.isnan(offset)] = 0.0
    return offset


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
            image += _image(centred(block, about), guess)
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
        offset = centred(wide, mean)
        image += _image(offset, basis)
        power += float(np.einsum("ij,ij->i", offset, offset).sum(dtype=np.float64))
        rows += len(block)
        eps = max(eps, float(np.finfo(offset.dtype).eps))
    if rows != n:
        raise DataError(f"make_chunks: found {rows} rows in a later pass; the first had {n}")
    return image, power, eps


def _image(offset: NDArray, basis: NDArray) -> NDArray:
    """Return AᵀAΩ of one block, multiplied in the block's own precision."""
    return offset.T @ (offset @ basis.astype(offset.dtype))


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
    known = values > _RANK_EPS * eps * max(values[0], 0.0)
    half = image @ (vectors[:, known] / np.sqrt(values[known]))
    rows, singular, _ = np.linalg.svd(half, full_matrices=False)
    return singular**2, rows.T
