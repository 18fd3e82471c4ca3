"""What data-driven models learn from: spectra and labels checked once, and the labels' scaling."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium, plain
from siderea.errors import DataError, MediumError

__all__ = ["Grid", "LabelScaling", "clean_labels", "clean_spectra", "label_rows", "spread_points"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LabelScaling:
    """Labels to order one: (label − median) / ((p97.5 − p2.5) / 4), as Ness et al. (2015).

    Parameters
    ----------
    pivot, scale : (L,) ndarray
    """

    pivot: Array
    scale: Array

    @classmethod
    def of(cls, labels: Array, names: Sequence[str]) -> Self:
        """Return the scaling of training labels (N, L).

        Raises
        ------
        DataError
            If a label does not vary.
        """
        low, pivot, high = np.percentile(labels, (2.5, 50, 97.5), axis=0)
        scale = (high - low) / 4
        for name, one in zip(names, scale, strict=True):
            if not one > 0:
                raise DataError(f"labels: {name!r} does not vary; leave it out of the labels")
        return cls(pivot, scale)

    def scaled(self, labels: Array) -> Array:
        """Return labels (N, L) in scaled units."""
        return (labels - self.pivot) / self.scale

    def unscaled(self, scaled: Array) -> Array:
        """Return scaled labels (N, L) in their own units."""
        return scaled * self.scale + self.pivot


@dataclass(frozen=True)
class Grid:
    """The pixels of a model: wavelength (P,) in Å, its medium, and the resolving power."""

    wavelength: Array
    medium: Medium
    resolution: float | Sequence[float]

    @classmethod
    def of(
        cls,
        n_pixels: int,
        wavelength: ArrayLike | None,
        medium: Medium | None,
        resolution: float | Sequence[float],
    ) -> Self:
        """Check the grid that came with a training set; without one, pixels are numbered from 1.

        Raises
        ------
        DataError
            If the wavelengths are not P positive numbers, or run downwards.
        MediumError
            If wavelengths come without a medium, or with an unknown one.
        """
        if wavelength is None:
            return cls(np.arange(1.0, n_pixels + 1), medium or "vacuum", resolution)
        grid = plain(wavelength, "Angstrom")
        if medium not in ("air", "vacuum"):
            raise MediumError(f"medium: found {medium!r}; expected 'air' or 'vacuum'")
        if grid.shape != (n_pixels,) or not np.all(np.isfinite(grid) & (grid > 0)):
            raise DataError(
                f"wavelength: found shape {grid.shape}; expected ({n_pixels},), positive, in Å"
            )
        if n_pixels > 1 and np.median(np.diff(grid)) <= 0:
            raise DataError("wavelength: runs downwards; sort the pixels by wavelength first")
        return cls(grid, medium, resolution)

    def check(self, wavelength: ArrayLike | None, medium: Medium | None) -> None:
        """Refuse spectra that are said to lie on another grid.

        Raises
        ------
        MediumError
            If the spectra's medium is not the model's.
        DataError
            If their wavelengths are not the model's, to a thousandth of a pixel.
        """
        if medium is not None and medium != self.medium:
            raise MediumError(
                f"medium: found {medium!r} spectra; the model is in {self.medium!r}: "
                "convert with siderea.spectra.wavelength.convert_medium and resample"
            )
        if wavelength is None:
            return
        grid = plain(wavelength, "Angstrom")
        if grid.shape != self.wavelength.shape:
            raise DataError(
                f"wavelength: found {grid.shape}; the model has {self.wavelength.shape}: resample"
            )
        pixel = np.abs(np.gradient(self.wavelength)) if len(grid) > 1 else self.wavelength * 1e-5
        if np.any(np.abs(grid - self.wavelength) > 1e-3 * pixel):
            raise DataError("wavelength: found another grid than the model's: resample to it")


def clean_spectra(
    flux: ArrayLike, ivar: ArrayLike, n_pixels: int | None = None
) -> tuple[NDArray, NDArray]:
    """Check spectra; a pixel that is not finite in flux or ivar becomes bad (flux 0, ivar 0).

    Parameters
    ----------
    flux, ivar : (N, P) or (P,) array-like
    n_pixels : int, optional
        P that a model expects.

    Returns
    -------
    flux, ivar : (N, P) ndarray
        The arrays that came where nothing was wrong, else copies.

    Raises
    ------
    DataError
        On shapes that do not fit, or a negative ivar.
    """
    flux, ivar = (np.atleast_2d(_floating(values)) for values in (flux, ivar))
    if flux.shape != ivar.shape or flux.ndim != 2 or not flux.shape[1]:
        raise DataError(f"found flux {flux.shape}, ivar {ivar.shape}; expected (N, P) both")
    if n_pixels is not None and flux.shape[1] != n_pixels:
        raise DataError(
            f"flux: found {flux.shape[1]} pixels; the model has {n_pixels}: resample to its grid"
        )
    if np.any(ivar < 0):
        raise DataError("ivar: found negative values; expected inverse variances, 0 = bad pixel")
    bad = ~(np.isfinite(flux) & np.isfinite(ivar))
    if bad.any():
        flux, ivar = np.where(bad, 0, flux), np.where(bad, 0, ivar)
    return flux, ivar


def _floating(values: ArrayLike) -> NDArray:
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def clean_labels(labels: ArrayLike, n_stars: int) -> tuple[Array, NDArray[np.bool_]]:
    """Return labels (N, L) and the stars (N,) that have all of them; warn of the others.

    Raises
    ------
    DataError
        On shapes that do not fit, or no star at all with labels.
    """
    table = np.asarray(labels, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != n_stars or not table.shape[1]:
        raise DataError(f"labels: found shape {table.shape}; expected ({n_stars}, L)")
    keep = np.asarray(np.isfinite(table).all(axis=1))
    if not keep.any():
        raise DataError("labels: no star has all its labels finite")
    if not keep.all():
        lost = int((~keep).sum())
        warnings.warn(
            f"{lost} of {n_stars} training stars are left out: a label is not finite", stacklevel=3
        )
    return table, keep


def label_rows(labels: ArrayLike, n_labels: int) -> Array:
    """Return labels as (N, L); one star may come as (L,).

    Raises
    ------
    DataError
        If there are not L columns.
    """
    rows = np.atleast_2d(np.asarray(labels, dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1] != n_labels:
        raise DataError(f"labels: found shape {rows.shape}; expected (N, {n_labels})")
    return rows


def spread_points(points: Array, n: int) -> Array:
    """Return up to n of the points (N, L), each the farthest from those before it.

    The first is the one nearest the origin.
    """
    chosen = [int(np.argmin(np.einsum("nl,nl->n", points, points)))]
    distance = np.full(len(points), np.inf)
    for _ in range(min(n, len(points)) - 1):
        step = points - points[chosen[-1]]
        distance = np.minimum(distance, np.einsum("nl,nl->n", step, step))
        chosen.append(int(distance.argmax()))
    return points[chosen]
