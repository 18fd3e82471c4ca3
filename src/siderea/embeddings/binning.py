"""Neighbouring pixels joined: a network then sees thousands of numbers, not tens of thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError

__all__ = ["Bins"]


@dataclass(frozen=True)
class Bins:
    """B bins of consecutive pixels; none crosses from one arm to the next.

    Parameters
    ----------
    starts : (B,) ndarray of int
        First pixel of each bin.
    n_pixels : int
        Pixels P.
    arms : tuple of slice
        The bins of each arm.
    """

    starts: NDArray[np.int64]
    n_pixels: int
    arms: tuple[slice, ...]

    @classmethod
    def of(cls, n_pixels: int, most: int, arms: Sequence[slice] = ()) -> Bins:
        """Join as few pixels as leave no more than about ``most`` bins (one more per arm)."""
        width = max(1, -(-n_pixels // most))
        pieces = [np.arange(arm.start, arm.stop, width) for arm in arms or (slice(0, n_pixels),)]
        ends = np.cumsum([piece.size for piece in pieces])
        slices = tuple(
            slice(int(end - piece.size), int(end)) for end, piece in zip(ends, pieces, strict=True)
        )
        return cls(np.concatenate(pieces).astype(np.int64), n_pixels, slices)

    def __len__(self) -> int:
        return int(self.starts.size)

    def join(
        self, flux: ArrayLike, ivar: ArrayLike | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Average the good pixels of each bin by their inverse variance.

        Parameters
        ----------
        flux : (N, P) array-like
            Flux; a value that is not finite is a bad pixel.
        ivar : (N, P) array-like, optional
            Inverse variance; 0 is a bad pixel. By default 10⁴ (S/N 100) everywhere.

        Returns
        -------
        flux, ivar : (N, B) ndarray
            Of the bins; 1 and 0 where no pixel is good.

        Raises
        ------
        DataError
            On shapes that do not fit.
        """
        values = np.asarray(flux, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != self.n_pixels:
            raise DataError(f"flux: found shape {values.shape}; expected (N, {self.n_pixels})")
        weight = np.full(values.shape, 1e4, np.float32) if ivar is None else np.array(ivar, "f4")
        if weight.shape != values.shape:
            raise DataError(f"ivar: found shape {weight.shape}; expected that of flux")
        good = np.isfinite(values) & (weight > 0) & np.isfinite(weight)
        weight[~good] = 0.0
        values = np.where(good, values, np.float32(0.0))
        total = np.add.reduceat(weight, self.starts, axis=1)
        summed = np.add.reduceat(values * weight, self.starts, axis=1)
        mean = np.divide(summed, total, out=np.ones_like(summed), where=total > 0)
        return mean, total

    def spread(self, binned: NDArray) -> NDArray:
        """Return values of the bins (N, B) on the pixels (N, P), linear between their centres."""
        edges = np.append(self.starts, self.n_pixels)
        if len(self) == self.n_pixels:
            return binned
        out = np.empty((len(binned), self.n_pixels), binned.dtype)
        for arm in self.arms:
            centres = 0.5 * (edges[arm.start : arm.stop] + edges[arm.start + 1 : arm.stop + 1] - 1)
            pixels = np.arange(edges[arm.start], edges[arm.stop])
            after = np.clip(np.searchsorted(centres, pixels), 1, max(centres.size - 1, 1))
            if centres.size == 1:
                out[:, pixels] = binned[:, arm]
                continue
            step = centres[after] - centres[after - 1]
            share = np.clip((pixels - centres[after - 1]) / step, 0.0, 1.0).astype(binned.dtype)
            part = binned[:, arm]
            out[:, pixels] = part[:, after - 1] * (1 - share) + part[:, after] * share
        return out
