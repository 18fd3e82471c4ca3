"""What a spectrum should look like if nothing were peculiar: the median of spectra like it.

"Like it" is judged by features that do not see the windows of the lines in question: neighbours
found with the line would share the line, and nothing would stand out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import Spectra
from siderea.embeddings.neighbours import FaissIndex
from siderea.errors import DataError
from siderea.spectra.clipped_fit import masked_quantile

__all__ = ["Library", "Reference", "binned", "chosen_pixels", "outside"]

_GATHER_VALUES = 2**23


@dataclass(frozen=True)
class Reference:
    """Expected spectra of N stars.

    Parameters
    ----------
    flux : (N, P) ndarray
        Median of the neighbours.
    neighbours : (N, k) ndarray of int
        Rows of the library that were used, nearest first.
    """

    flux: NDArray
    neighbours: NDArray[np.int64]


class Library:
    """A set of spectra from which the expected ones are made.

    Parameters
    ----------
    spectra : Spectra
        M spectra, most of them normal, at rest; only the pixels of interest are needed.
    features : (M, K) array-like
        Places of these in the space in which likeness is judged: features blind to the lines, the
        bottleneck of an autoencoder, or the map itself.
    k : int
        Neighbours per spectrum.
    """

    def __init__(self, spectra: Spectra, features: ArrayLike, *, k: int = 25) -> None:
        points = np.asarray(features, dtype=np.float32)
        if points.ndim != 2 or len(points) != len(spectra):
            raise DataError(f"features: found shape {points.shape}; expected ({len(spectra)}, K)")
        if not 3 <= k < len(spectra):
            raise DataError(f"k: found {k}; expected 3 to {len(spectra) - 1}")
        self.k = k
        self._lookup = {one: row for row, one in enumerate(spectra.ids)}
        self._index = FaissIndex(points, k)
        good = (spectra.ivar > 0) & np.isfinite(spectra.flux)
        middle = np.nan_to_num(masked_quantile(spectra.flux.T, good.T, 0.5), nan=1.0)
        self._flux = np.where(good, spectra.flux, middle).astype(np.float32)

    def expect(self, features: ArrayLike, ids: ArrayLike | None = None) -> Reference:
        """Return the expected spectra of stars.

        Parameters
        ----------
        features : (N, K) array-like
            Their places.
        ids : (N,) array-like of str, optional
            Their identifiers: a spectrum that is in the library is not its own neighbour.

        Returns
        -------
        Reference
            On the pixels of the library.
        """
        near = self._near(np.asarray(features, dtype=np.float32), ids)
        flux = np.empty((len(near), self._flux.shape[1]), dtype=np.float32)
        step = max(1, _GATHER_VALUES // (self.k * self._flux.shape[1]))
        for start in range(0, len(near), step):
            piece = slice(start, start + step)
            ranked = np.sort(self._flux[near[piece]], axis=1)  # four times as fast as np.median
            flux[piece] = 0.5 * (ranked[:, (self.k - 1) // 2] + ranked[:, self.k // 2])
        return Reference(flux, near)

    def _near(self, points: NDArray, ids: ArrayLike | None) -> NDArray[np.int64]:
        found = self._index.query(points, self.k + 1).indices
        own = np.zeros(found.shape, dtype=bool)
        if ids is not None:
            rows = np.array([self._lookup.get(one, -1) for one in np.asarray(ids, dtype=object)])
            own = found == rows[:, None]
        own[~own.any(axis=1), -1] = True
        return found[~own].reshape(-1, self.k)


def outside(wavelength: NDArray, windows: ArrayLike) -> NDArray[np.bool_]:
    """Tell which pixels lie outside windows.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å.
    windows : (W, 2) array-like
        First and last wavelength of each, in the same medium.

    Returns
    -------
    (P,) ndarray of bool
    """
    free = np.ones(wavelength.size, dtype=bool)
    for low, high in np.asarray(windows, dtype=float).reshape(-1, 2):
        free &= (wavelength < low) | (wavelength > high)
    return free


def binned(spectra: Spectra, size: int) -> Spectra:
    """Average pixels in groups, weighted by their ivar: enough to judge likeness by.

    Parameters
    ----------
    spectra : Spectra
        N spectra of P pixels.
    size : int
        Pixels per group; what is left at the end of an arm is dropped, an arm of fewer pixels is
        one group.

    Returns
    -------
    Spectra
        About P / size pixels in the same arms; a group without a good pixel has flux 1, ivar 0.
    """
    if size < 1:
        raise DataError(f"size: found {size}; expected 1 or more")
    grids, fluxes, ivars, arms, start = [], [], [], [], 0
    for _, arm, _ in spectra.iter_arms():
        step = min(size, arm.stop - arm.start)
        groups = (arm.stop - arm.start) // step
        pixels = slice(arm.start, arm.start + groups * step)
        flux, ivar = _grouped(spectra.flux[:, pixels], spectra.ivar[:, pixels], groups)
        grids.append(spectra.wavelength[pixels].reshape(groups, step).mean(axis=1))
        fluxes.append(flux)
        ivars.append(ivar)
        arms.append(slice(start, start + groups))
        start += groups
    return replace(
        spectra,
        wavelength=np.concatenate(grids),
        flux=np.concatenate(fluxes, axis=1),
        ivar=np.concatenate(ivars, axis=1),
        arms=tuple(arms),
    )


def chosen_pixels(spectra: Spectra, keep: NDArray[np.bool_]) -> Spectra | None:
    """Return spectra on some of their pixels; arms that lose all are dropped, None if all do.

    Parameters
    ----------
    spectra : Spectra
        N spectra of P pixels.
    keep : (P,) ndarray of bool
        Pixels to keep.
    """
    kept = [(name, arm, power) for name, arm, power in spectra.iter_arms() if keep[arm].any()]
    if not kept:
        return None
    counts = np.cumsum([0, *(int(keep[arm].sum()) for _, arm, _ in kept)]).tolist()
    pixels = np.concatenate([arm.start + np.flatnonzero(keep[arm]) for _, arm, _ in kept])
    return Spectra(
        spectra.wavelength[pixels],
        spectra.flux[:, pixels],
        spectra.ivar[:, pixels],
        spectra.medium,
        arms=tuple(slice(a, b) for a, b in pairwise(counts)),
        arm_names=tuple(name for name, _, _ in kept),
        resolution=tuple(power for _, _, power in kept),
        table=spectra.table,
    )


def _grouped(
    flux: NDArray, ivar: NDArray, groups: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shape = (len(flux), groups, flux.shape[1] // groups)
    weight = ivar.reshape(shape)
    value = np.where(weight > 0, flux.reshape(shape), 0.0)
    total = weight.sum(axis=2)
    mean = np.ones(total.shape, dtype=np.float32)
    np.divide((value * weight).sum(axis=2), total, out=mean, where=total > 0)
    return mean, total.astype(np.float32)
