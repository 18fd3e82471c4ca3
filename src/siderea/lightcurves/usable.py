"""Light curves of any number and length, without the points that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.lightcurves.gaussian_family import Points
from siderea.lightcurves.quality import LightCurveFlag

__all__ = ["Curves", "usable_curves"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """N folded light curves, one after the other in flat arrays.

    Parameters
    ----------
    phase, flux, flux_err : (total,) ndarray
        Usable points in order of phase, in [0, 1).
    starts : (N + 1,) ndarray
        Where each curve begins.
    flags : (N,) ndarray
        `LightCurveFlag` bits of what was left out.
    """

    phase: Array
    flux: Array
    flux_err: Array
    starts: NDArray[np.int64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Usable points of each curve."""
        return np.diff(self.starts)

    def __getitem__(self, row: int) -> tuple[Array, Array, Array]:
        """Return phase, flux and error of one curve."""
        piece = slice(self.starts[row], self.starts[row + 1])
        return self.phase[piece], self.flux[piece], self.flux_err[piece]

    def batches(self, rows: NDArray[np.int64], points: int) -> Iterator[NDArray[np.int64]]:
        """Yield rows of similar length, together about ``points`` points."""
        order = rows[np.argsort(self.lengths[rows], kind="stable")]
        while order.size:
            # The last of a batch is the longest: all are padded to it. A batch stays within one
            # power of two, which decides the resolution: it must not depend on the company.
            count = np.arange(1, order.size + 1) * self.lengths[order]
            octave = 2 ** (int(self.lengths[order[0]]).bit_length())
            similar = int(np.searchsorted(self.lengths[order], octave))
            taken = max(1, min(similar, int(np.searchsorted(count, points, side="right"))))
            yield order[:taken]
            order = order[taken:]

    def padded(self, rows: NDArray[np.int64]) -> Points:
        """Return some curves as tensors (R, M) of one length; padding has weight 0."""
        longest = int(self.lengths[rows].max())
        phase, flux, weight = np.zeros((3, len(rows), longest))
        for place, row in enumerate(rows):
            x, y, error = self[row]
            phase[place, : len(x)], flux[place, : len(x)] = x, y
            weight[place, : len(x)] = error**-2
        return Points(*(torch.from_numpy(array) for array in (phase, flux, weight)))


def usable_curves(
    phase: ArrayLike | Sequence[ArrayLike],
    flux: ArrayLike | Sequence[ArrayLike],
    flux_err: ArrayLike | Sequence[ArrayLike] | float,
) -> Curves:
    """Take in one curve (M,), many of one length (N, M), or a sequence of any lengths.

    Raises
    ------
    DataError
        If phase, flux and errors do not have the same shapes.
    """
    phases, fluxes = _rows(phase), _rows(flux)
    if len(phases) == 1 and len(fluxes) > 1:
        phases = phases * len(fluxes)
    if isinstance(flux_err, (int, float)):
        errors = [np.full(one.shape, float(flux_err)) for one in fluxes]
    else:
        errors = _rows(flux_err)
    shapes = [[one.shape for one in rows] for rows in (phases, fluxes, errors)]
    if shapes[0] != shapes[1] or shapes[1] != shapes[2]:
        raise DataError(
            f"found {len(phases)} phases, {len(fluxes)} fluxes, {len(errors)} errors of unequal "
            "lengths; expected the same shapes"
        )
    kept, flags = [], np.zeros(len(fluxes), dtype=np.int64)
    for row, (x, y, error) in enumerate(zip(phases, fluxes, errors, strict=True)):
        finite = np.isfinite(x) & np.isfinite(y)
        measured = np.isfinite(error) & (error > 0)
        flags[row] = LightCurveFlag.NON_FINITE * bool(np.any(~finite)) | (
            LightCurveFlag.BAD_ERROR * bool(np.any(finite & ~measured))
        )
        good = finite & measured
        turn = np.mod(x[good], 1.0)
        order = np.argsort(turn, kind="stable")
        kept.append((turn[order], y[good][order], error[good][order]))
    starts = np.concatenate(([0], np.cumsum([len(one[0]) for one in kept], dtype=np.int64)))
    columns = [np.concatenate([one[k] for one in kept] or [np.empty(0)]) for k in range(3)]
    return Curves(columns[0], columns[1], columns[2], starts.astype(np.int64), flags)


def _rows(values: ArrayLike | Sequence[ArrayLike]) -> list[Array]:
    if isinstance(values, (list, tuple)) and len(values) and np.ndim(values[0]) == 1:
        return [np.asarray(one, dtype=np.float64) for one in values]
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2):
        raise DataError(f"found an array of shape {array.shape}; expected (M,) or (N, M)")
    return list(np.atleast_2d(array))
