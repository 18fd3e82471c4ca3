"""One spectrum as its file gives it, and the step from there to one grid for all.

A reader turns a file into `NativeSpectrum` objects, pixel for pixel; `to_common_grid` puts any
number of them on one `InstrumentGrid`, and is the only place where a reader resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium
from siderea.flags import SpectrumFlag

__all__ = ["Arm", "Frame", "InstrumentGrid", "NativeSpectrum", "clean"]

Frame = Literal["rest", "barycentric"]


class Arm(NamedTuple):
    """One arm of a spectrum on its own pixels: wavelength Å increasing, ivar 0 = bad pixel."""

    name: str
    wavelength: NDArray[np.float64]
    flux: NDArray
    ivar: NDArray


@dataclass(frozen=True)
class NativeSpectrum:
    """A spectrum on the pixels of its file.

    Parameters
    ----------
    id : str
        Unique among all spectra of the survey.
    arms : tuple of Arm
        The arms that the file has (fewer than the instrument has where one is missing).
    medium : {"air", "vacuum"}
        What the wavelengths are measured in.
    resolution : tuple of float
        Resolving power λ/FWHM per arm (NaN where unknown).
    row : mapping
        Catalogue values under the names of CONVENTIONS.md; ``rv`` (km/s, barycentric) is used.
    flags : SpectrumFlag
        What is known to be wrong.
    path : str
        Where it came from.
    frame : {"barycentric", "rest"}
        What the wavelengths refer to: the barycentre, or the star (already shifted by ``rv``).
    """

    id: str
    arms: tuple[Arm, ...]
    medium: Medium
    resolution: tuple[float, ...]
    row: Mapping[str, Any] = field(default_factory=dict)
    flags: SpectrumFlag = SpectrumFlag.NONE
    path: str = ""
    frame: Frame = "barycentric"


@dataclass(frozen=True)
class InstrumentGrid:
    """The common pixels of an instrument.

    Parameters
    ----------
    arm_names : tuple of str
        A name per arm, in the order of ``arms``.
    wavelength : (P,) ndarray
        Å, increasing within each arm.
    arms : tuple of slice
        Consecutive slices that tile the P pixels.
    medium : {"air", "vacuum"}
        What the wavelengths are measured in.
    resolution : tuple of float
        Resolving power per arm.
    """

    arm_names: tuple[str, ...]
    wavelength: NDArray[np.float64]
    arms: tuple[slice, ...]
    medium: Medium
    resolution: tuple[float, ...]


def clean(
    flux: ArrayLike,
    *,
    ivar: ArrayLike | None = None,
    error: ArrayLike | None = None,
    bad: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], SpectrumFlag]:
    """Turn flux with an error or an inverse variance into finite flux and an honest ivar.

    Parameters
    ----------
    flux : (P,) array-like
        Flux of one arm.
    ivar, error : (P,) array-like
        Exactly one of the two. An ivar of 0 is the survey's own way to mask, and not an error;
        an error must be positive.
    bad : (P,) array-like of bool, optional
        Pixels that the survey's mask calls bad: masked, whatever they hold, without a flag.

    Returns
    -------
    flux, ivar : (P,) ndarray
        Finite; ivar is 0 at every bad pixel, and non-finite flux there became 0.
    flags : SpectrumFlag
        ``NON_FINITE``, ``BAD_ERROR``, ``ZERO_SNR`` (median flux of the good pixels not above
        0), ``NO_GOOD_PIXELS``.
    """
    flux = np.array(flux, dtype=np.float64)
    masked = np.zeros(flux.shape, bool) if bad is None else np.asarray(bad, bool)
    weight, usable = _inverse_variance(ivar, error)
    finite = np.isfinite(flux)
    flags = SpectrumFlag.NONE
    if not np.all(finite | masked):
        flags |= SpectrumFlag.NON_FINITE
    if not np.all(usable | masked):
        flags |= SpectrumFlag.BAD_ERROR
    weight[~(finite & usable) | masked] = 0.0
    flux[~finite] = 0.0
    good = weight > 0
    if not good.any():
        flags |= SpectrumFlag.NO_GOOD_PIXELS
    elif not np.median(flux[good]) > 0:
        flags |= SpectrumFlag.ZERO_SNR
    return flux, weight, flags


def _inverse_variance(
    ivar: ArrayLike | None, error: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the inverse variance, and where it says something (an ivar of 0 does)."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if ivar is not None:
            weight = np.array(ivar, dtype=np.float64)
            return weight, np.isfinite(weight) & (weight >= 0)
        sigma = np.asarray(error, dtype=np.float64)
        weight = 1.0 / np.square(sigma)
        return weight, (sigma > 0) & np.isfinite(sigma) & np.isfinite(weight)
